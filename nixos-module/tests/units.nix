# The units of tests/machine.nix as NixOS installs them, with a given driftlock binary: for scripts/test-nixos and
# scripts/test-systemd, which run without NixOS.
{
  # A nixpkgs tree.
  nixpkgs,
  # A driftlock executable.
  binary,
  system ? builtins.currentSystem,
  # More configuration.
  config ? { },
}:
let
  pkgs = import nixpkgs { inherit system; };
  inherit (pkgs) lib;
  driftlock =
    pkgs.runCommand "driftlock"
      {
        binary = builtins.path {
          name = "driftlock-binary";
          path = binary;
        };
        meta.mainProgram = "driftlock";
      }
      ''
        mkdir -p $out/bin
        cp $binary $out/bin/driftlock
        chmod 755 $out/bin/driftlock
      '';
  machine = import "${toString nixpkgs}/nixos/lib/eval-config.nix" {
    inherit lib pkgs;
    system = null;
    modules = [
      ../.
      ./machine.nix
      config
      {
        services.driftlock.package = driftlock;
        nixpkgs.hostPlatform = system;
        system.stateVersion = "25.05";
      }
    ];
  };
  inherit (machine.config) systemd environment;
  ours = lib.filter (
    name:
    lib.hasInfix "driftlock" name
    || lib.any (start: lib.hasPrefix start name) [
      "mnt-"
      "note-"
      "probe-"
    ]
  ) (lib.attrNames systemd.units);
in
pkgs.runCommand "driftlock-units" { } ''
  mkdir -p $out/system $out/driftlock
  ${lib.concatMapStrings (name: ''
    cp ${systemd.units.${name}.unit}/${lib.escapeShellArg name} $out/system/
  '') ours}
  ${lib.concatMapStrings (file: ''
    ln -s ${environment.etc.${file}.source} $out/${file}
  '') (lib.filter (lib.hasPrefix "driftlock/") (lib.attrNames environment.etc))}
''
