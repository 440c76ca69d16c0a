# The driftlock binary with its man pages and completions. Called by `callPackage`, for the host's C
# library or, out of `pkgsStatic`, without one.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
}:
let
  manifest = (lib.importTOML ../Cargo.toml).package;
  canRun = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  # What cargo reads, and nothing else: an edit of the README rebuilds nothing. Tests and benches are among it,
  # since cargo refuses a manifest that names one which is not there.
  src = lib.sourceByRegex ../. [
    "Cargo\\.(toml|lock)"
    "build\\.rs"
    "(src|tests|benches)(/.*)?"
    # Compiled in.
    "docs"
    "docs/.*\\.json"
  ];

  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];

  # The suite needs strace, Nix and loop mounts: `nix flake check` runs what of it a build sandbox allows.
  doCheck = false;

  # Man pages and completions come out of the binary itself, so a cross build goes without them.
  postInstall = lib.optionalString canRun ''
    $out/bin/driftlock man --output man
    installManPage man/*
    for shell in bash zsh fish; do
      $out/bin/driftlock completions $shell >driftlock.$shell
    done
    installShellCompletion driftlock.{bash,zsh,fish}
  '';

  meta = {
    inherit (manifest) description;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "driftlock";
    platforms = lib.platforms.linux;
  };
}
