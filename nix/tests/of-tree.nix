# For scripts/test-nixos: locks of a tree of this machine, made by Nix.
{
  nixpkgs,
  # A folder with a driftlock.toml.
  tree,
  # The folder of a driftlock package.
  driftlock,
  # The time zone of the build.
  timeZone ? "UTC",
}:
let
  pkgs = import nixpkgs { };
  locks = import ../lib {
    inherit pkgs;
    driftlock = pkgs.runCommand "driftlock" {
      meta.mainProgram = "driftlock";
    } "ln -s ${builtins.storePath driftlock} $out";
  };
  src = builtins.path {
    path = tree;
    name = "tree";
  };
in
(locks.mkLock { inherit src; }).overrideAttrs (_: {
  TZ = timeZone;
})
