{
  description = "Driftlock pins the state of servers in reproducible lock files and says exactly what has drifted";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (
        pkgs:
        let
          driftlock = pkgs.callPackage ./nix/package.nix { };
          # One binary without a dynamic loader, to push to hosts of any distribution.
          static = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
        in
        {
          inherit driftlock static;
          default = driftlock;
        }
        # A nixpkgs that is cut down to lib and nixos/ has no dockerTools.
        // lib.optionalAttrs (pkgs ? dockerTools) {
          image = import ./nix/image.nix {
            inherit (pkgs) dockerTools;
            driftlock = static;
          };
        }
      );

      apps = forEachSystem (pkgs: rec {
        driftlock = {
          type = "app";
          program = lib.getExe self.packages.${pkgs.stdenv.hostPlatform.system}.driftlock;
          meta.description = "Lock declared paths and check them for drift";
        };
        default = driftlock;
      });

      overlays.default = import ./nix/overlay.nix;

      # Locks as derivations, with the packages of the caller: docs/nix.md.
      lib.for = import ./nix/lib/for.nix;

      flakeModules = rec {
        driftlock = import ./nix/flake-module.nix;
        default = driftlock;
      };

      templates = {
        default = {
          path = ./templates/machine;
          description = "A NixOS machine with one instance of driftlock and its first baseline";
        };
        ci = {
          path = ./templates/ci;
          description = "A repository whose locks are checked and written anew by Nix";
        };
      };

      nixosModules = rec {
        driftlock = import ./nixos-module;
        default = driftlock;
      };

      devShells = forEachSystem (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      # Takes files and folders, as `nix fmt` passes them.
      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);

      checks = forEachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs lib;
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) driftlock;
          nixosModule = self.nixosModules.default;
          nixpkgs = nixpkgs.outPath;
        }
      );
    };
}
