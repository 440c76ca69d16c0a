{
  description = "A repository with locks";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.driftlock.url = "github:OWNER/driftlock";
  inputs.driftlock.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, driftlock, ... }:
    let
      forEachSystem =
        f:
        nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
          system: f (driftlock.lib.for nixpkgs.legacyPackages.${system})
        );
    in
    {
      # `nix flake check` fails if the locks are not those of the files, and its log names the files.
      checks = forEachSystem (locks: {
        lock-is-current = locks.checkLock {
          src = ./.;
          locks = ./audit/locks;
        };
      });

      # `nix run .#update-locks` writes them anew.
      apps = forEachSystem (locks: {
        update-locks = locks.updateLocks { src = ./.; };
      });
    };
}
