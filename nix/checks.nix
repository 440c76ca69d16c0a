# The checks of `nix flake check`. Each is a derivation that fails if what its name says is not true.
{
  pkgs,
  lib,
  driftlock,
  nixosModule,
  nixpkgs,
}:
let
  # The package again, with the tests' files beside the sources and another command instead of the build.
  wholeSource = lib.sourceByRegex ../. [
    "Cargo\\.(toml|lock)"
    "(build|clippy|rustfmt)\\.(rs|toml)"
    "README\\.md"
    "(src|crates|tests|benches|docs|examples)(/.*)?"
    "fuzz(/corpus(/.*)?)?"
  ];
  cargo =
    what: tools: command:
    driftlock.overrideAttrs (old: {
      pname = "driftlock-${what}";
      src = wholeSource;
      nativeBuildInputs = old.nativeBuildInputs ++ tools;
      buildPhase = "runHook preBuild; ${command}; runHook postBuild";
      installPhase = "touch $out";
      postInstall = "";
      dontFixup = true;
    });
  nixFiles = lib.sourceByRegex ../. [
    "(nix|nixos-module|nixos-module/tests)"
    ".*\\.nix"
  ];
in
{
  package = driftlock;

  # Tests that need neither root nor mounts, because a build has none; `scripts/test` runs the whole suite.
  tests = cargo "tests" [
    pkgs.jq
    pkgs.libxml2.bin
    pkgs.prometheus.cli
    (pkgs.python3.withPackages (packages: [ packages.jsonschema ]))
  ] "cargo test --release --offline --lib --test report --test report_schema -- --include-ignored";

  clippy = cargo "clippy" [
    pkgs.clippy
  ] "cargo clippy --all-targets --offline -- --deny warnings";

  rustfmt = cargo "rustfmt" [ pkgs.rustfmt ] "cargo fmt --check";

  nixfmt = pkgs.runCommand "driftlock-nixfmt" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    find ${nixFiles} -name '*.nix' -print0 | xargs -0 nixfmt --check
    touch $out
  '';

  module = import ../nixos-module/tests/evaluation.nix {
    inherit
      pkgs
      lib
      driftlock
      nixpkgs
      ;
  };

  # Throws unless every option has a description and an example.
  options =
    let
      options = import ../nixos-module/tests/documented.nix;
      lacking = lib.filter (option: !(option.described && option.exemplified)) options;
    in
    if lacking == [ ] then
      pkgs.runCommand "driftlock-options" { } "echo ${toString (lib.length options)} >$out"
    else
      throw "without description or example: ${
        lib.concatMapStringsSep ", " (option: option.name) lacking
      }";

  lib = import ./tests/evaluation.nix { inherit pkgs lib driftlock; };

  vm = pkgs.testers.runNixOSTest (import ../nixos-module/test.nix { inherit nixosModule; });
}
// import ./tests/builds.nix { inherit pkgs lib driftlock; }
