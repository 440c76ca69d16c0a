# Everything that building, testing and linting need, including the programs in the README's commands.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.cargo
    pkgs.cargo-deny
    pkgs.clippy
    pkgs.rust-analyzer
    pkgs.rustc
    pkgs.rustfmt
    # The certificates that cargo and git use for downloads.
    pkgs.cacert
    # Oracles and file systems of the test suite.
    pkgs.btrfs-progs
    pkgs.curl
    pkgs.docker
    pkgs.e2fsprogs
    pkgs.fish
    pkgs.gcc
    pkgs.git
    pkgs.groff
    pkgs.jq
    pkgs.libxml2.bin
    pkgs.man-db
    pkgs.nix
    pkgs.openssh
    pkgs.pkgsStatic.busybox
    pkgs.podman
    pkgs.runc
    pkgs.procps
    pkgs.prometheus
    pkgs.prometheus.cli
    (pkgs.writeShellScriptBin "prometheus-node-exporter" ''exec ${pkgs.prometheus-node-exporter}/bin/node_exporter "$@"'')
    (pkgs.python3.withPackages (packages: [
      packages.jsonschema
      packages.pyyaml
    ]))
    pkgs.strace
    pkgs.systemd
    pkgs.tcsh
    pkgs.time
    pkgs.unixtools.script
    pkgs.util-linux
    pkgs.valgrind
    pkgs.xfsprogs
    pkgs.zsh
    # Linters for files other than Rust.
    pkgs.nixfmt
    pkgs.shellcheck
  ];

  # After the machine's own sudo, which is setuid. With this one, only root can become another user.
  shellHook = "export PATH=$PATH:${pkgs.sudo}/bin";
}
