# Without flakes: `nix-shell` gives what `nix develop` gives.
{
  pkgs ? import (import ./nix/nixpkgs.nix) { },
}:
import ./nix/shell.nix { inherit pkgs; }
