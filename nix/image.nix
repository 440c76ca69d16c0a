# An OCI image with only the static binary. It checks the tree that is mounted at /work, in any CI that runs containers.
{
  dockerTools,
  # A statically linked driftlock.
  driftlock,
}:
dockerTools.buildLayeredImage {
  name = "driftlock";
  tag = driftlock.version;
  contents = [ driftlock ];
  # A directory for reports while the tree is read-only.
  extraCommands = "mkdir -m 1777 tmp";
  config = {
    Entrypoint = [ "/bin/driftlock" ];
    Cmd = [ "check" ];
    WorkingDir = "/work";
    Labels = {
      "org.opencontainers.image.title" = "driftlock";
      "org.opencontainers.image.description" = driftlock.meta.description;
      "org.opencontainers.image.source" = driftlock.meta.homepage;
      "org.opencontainers.image.version" = driftlock.version;
      "org.opencontainers.image.licenses" = "MIT OR Apache-2.0";
    };
  };
}
