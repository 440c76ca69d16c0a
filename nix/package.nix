# The driftlock binary with its man pages and completions. `callPackage` links it with the host's C library;
# `pkgsStatic` links it statically.
{
  lib,
  stdenv,
  rustPlatform,
  runCommand,
  installShellFiles,
  testers,
  path,
  pkgs ? import path { inherit (stdenv.hostPlatform) system; },
  # Package sets that are cut down or old do not have these.
  buildPackages ? { },
  versionCheckHook ? null,
  nix-update-script ? null,
}:
let
  manifest = (lib.importTOML ../Cargo.toml).package;
  homepage = "https://github.com/OWNER/driftlock";

  # The build runs the binary: directly, or through an emulator if it is for another platform.
  canRun = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  canEmulate = !canRun && stdenv.hostPlatform.emulatorAvailable buildPackages;
  emulator = lib.optionalString canEmulate "${stdenv.hostPlatform.emulator buildPackages} ";

  # The manifest without the tests and benches, because cargo refuses a manifest that names missing files.
  cargoToml = builtins.toFile "Cargo.toml" (
    lib.concatStringsSep "\n[" (
      lib.filter (table: !lib.hasPrefix "[test]]" table && !lib.hasPrefix "[bench]]" table) (
        lib.splitString "\n[" (builtins.readFile ../Cargo.toml)
      )
    )
  );
  # Only the sources of the binary, so that an edit of a test or of the README rebuilds nothing.
  sources = lib.sourceByRegex ../. [
    "Cargo\\.lock"
    "src(/.*)?"
    "crates"
    "crates/lanes(/.*)?"
    # The manifest names this crate, but only tests use it.
    "tests"
    "tests/needs(/.*)?"
    # Compiled in.
    "docs"
    "docs/.*\\.json"
  ];
  driftlock = rustPlatform.buildRustPackage {
    pname = manifest.name;
    inherit (manifest) version;

    src = runCommand "driftlock-source" { } ''
      cp -r ${sources} $out
      chmod u+w $out
      cp ${cargoToml} $out/Cargo.toml
    '';

    cargoLock.lockFile = ../Cargo.lock;

    # The settings of the profile `dist` in Cargo.toml, under the name that `buildRustPackage` builds.
    CARGO_PROFILE_RELEASE_LTO = "thin";
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "1";

    nativeBuildInputs = [ installShellFiles ];

    # The suite needs strace, Nix and loop mounts. `nix flake check` runs the part that a build sandbox allows.
    doCheck = false;

    # The binary itself prints its man pages and completions.
    postInstall = lib.optionalString (canRun || canEmulate) ''
      ${emulator}$out/bin/driftlock man --output man
      installManPage man/*
      for shell in bash zsh fish; do
        ${emulator}$out/bin/driftlock completions $shell >driftlock.$shell
      done
      installShellCompletion driftlock.{bash,zsh,fish}
    '';

    doInstallCheck = canRun && versionCheckHook != null;
    nativeInstallCheckInputs = lib.optional (versionCheckHook != null) versionCheckHook;

    passthru = {
      tests = {
        module = import ../nixos-module/tests/evaluation.nix {
          inherit pkgs lib driftlock;
          nixpkgs = path;
        };
        lib = import ./tests/evaluation.nix { inherit pkgs lib driftlock; };
        vm = testers.runNixOSTest (
          import ../nixos-module/test.nix {
            nixosModule = {
              imports = [ (import ../nixos-module) ];
              services.driftlock.package = driftlock;
            };
          }
        );
      };
    }
    // lib.optionalAttrs (nix-update-script != null) { updateScript = nix-update-script { }; };

    meta = {
      inherit (manifest) description;
      inherit homepage;
      changelog = "${homepage}/blob/v${manifest.version}/CHANGELOG.md";
      license = with lib.licenses; [
        mit
        asl20
      ];
      # Filled in when it is proposed to nixpkgs, because an entry needs a person's account.
      maintainers = [ ];
      mainProgram = "driftlock";
      platforms = lib.platforms.linux;
    };
  };
in
driftlock
