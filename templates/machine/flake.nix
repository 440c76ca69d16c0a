{
  description = "A NixOS machine that driftlock checks";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.driftlock.url = "github:OWNER/driftlock";
  inputs.driftlock.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, driftlock, ... }:
    {
      nixosConfigurations.shop = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          driftlock.nixosModules.default
          ./shop.nix
          (
            { pkgs, ... }:
            {
              # The baseline is made from ./stacks when the system is built, by the checks of ./driftlock.toml.
              services.driftlock.instances.stacks = (driftlock.lib.for pkgs).mkBaseline { src = ./.; };
            }
          )
        ];
      };
    };
}
