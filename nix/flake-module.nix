# For flake-parts: `perSystem.driftlock.<name>` defines a check and an app.
{ lib, flake-parts-lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  key = "driftlock#flakeModules.default";
  _file = "driftlock#flakeModules.default";

  options.perSystem = flake-parts-lib.mkPerSystemOption (
    { config, pkgs, ... }:
    let
      locksOf = import ./lib/for.nix pkgs;
      sourceOf = lock: {
        inherit (lock)
          src
          declaration
          roots
          checks
          ;
      };
    in
    {
      options.driftlock = mkOption {
        type = types.attrsOf (
          types.submodule (
            { config, ... }:
            {
              options = {
                src = mkOption {
                  type = types.raw;
                  example = literalExpression "./.";
                  description = "The source tree that contains the declaration's roots.";
                };
                declaration = mkOption {
                  type = types.raw;
                  default = config.src + "/driftlock.toml";
                  defaultText = literalExpression ''src + "/driftlock.toml"'';
                  example = literalExpression "./infra/driftlock.toml";
                  description = "The declaration: a TOML or JSON file, or its contents.";
                };
                roots = mkOption {
                  type = types.attrsOf types.raw;
                  default = { };
                  example = literalExpression "{ addon_hashes = inputs.addons; }";
                  description = "For a check, what to read instead of its root.";
                };
                checks = mkOption {
                  type = types.nullOr (types.listOf types.str);
                  default = null;
                  example = [ "addon_hashes" ];
                  description = "The checks to lock. Null for all of the kinds `files` and `trees`.";
                };
                locks = mkOption {
                  type = types.path;
                  example = literalExpression "./audit/locks";
                  description = "The committed locks.";
                };
                into = mkOption {
                  type = types.str;
                  default = "audit/locks";
                  example = "infra/locks";
                  description = "The directory of the work tree into which the app writes them.";
                };
              };
            }
          )
        );
        default = { };
        example = literalExpression "{ stacks = { src = ./.; locks = ./audit/locks; }; }";
        description = ''
          Locks to keep current: each defines the check `driftlock-<name>` and the app `update-locks-<name>`.
        '';
      };

      config = {
        checks = lib.mapAttrs' (
          name: lock:
          lib.nameValuePair "driftlock-${name}" (
            locksOf.checkLock (sourceOf lock // { inherit (lock) locks; })
          )
        ) config.driftlock;
        apps = lib.mapAttrs' (
          name: lock:
          lib.nameValuePair "update-locks-${name}" (
            locksOf.updateLocks (sourceOf lock // { inherit (lock) into; })
          )
        ) config.driftlock;
      };
    }
  );
}
