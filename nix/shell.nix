# All that building, testing and linting take: what the README's commands call is here.
{ pkgs }:
pkgs.mkShell {
  packages = with pkgs; [
    cargo
    cargo-deny
    clippy
    rust-analyzer
    rustc
    rustfmt
    # Oracles and file systems of the test suite.
    btrfs-progs
    docker
    e2fsprogs
    fish
    gcc
    groff
    jq
    libxml2
    man
    nix
    openssh
    pkgsStatic.busybox
    podman
    procps
    prometheus
    (writeShellScriptBin "prometheus-node-exporter" ''exec ${prometheus-node-exporter}/bin/node_exporter "$@"'')
    (python3.withPackages (packages: [ packages.jsonschema ]))
    strace
    tcsh
    time
    unixtools.script
    util-linux
    xfsprogs
    zsh
    # Linters of what is not Rust.
    nixfmt
    shellcheck
  ];
}
