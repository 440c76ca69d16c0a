# A package set → the functions of ./default.nix, with the driftlock that this package set builds.
pkgs:
import ./. {
  inherit pkgs;
  # A lock is made where the build runs. A nixpkgs that is cut down to lib and nixos/ knows one platform only.
  driftlock = (pkgs.buildPackages or pkgs).callPackage ../package.nix { };
}
