# Turns a package set into the functions of ./default.nix, with the driftlock that this package set builds.
pkgs:
import ./. {
  inherit pkgs;
  # A lock is made on the build platform. A nixpkgs that is cut down to lib and nixos/ knows only one platform.
  driftlock = (pkgs.buildPackages or pkgs).callPackage ../package.nix { };
}
