# Without flakes: `nix-build` makes the package. Beside it are the flake's `lib.for pkgs`, its overlay and its module.
{
  pkgs ? import (import ./nix/nixpkgs.nix) { },
}:
pkgs.callPackage ./nix/package.nix { }
// {
  lib = import ./nix/lib/for.nix pkgs;
  overlay = import ./nix/overlay.nix;
  nixosModule = import ./nixos-module;
}
