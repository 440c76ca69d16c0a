# The options of one check of an instance.
{
  lib,
  format,
}:
let
  inherit (lib) literalExpression mkOption types;

  # Null means "not set": the key is left out of the generated file.
  optionalKey =
    type: attrs:
    mkOption (
      {
        type = types.nullOr type;
        default = null;
      }
      // attrs
    );
in
{
  freeformType = format.type;
  options = {
    kind = mkOption {
      type = types.enum [
        "files"
        "trees"
        "containers"
        "container_files"
        "compose"
      ];
      example = "trees";
      description = "What is locked: `files`, `trees`, `containers`, `container_files` or `compose`.";
    };

    root = optionalKey types.str {
      example = "/srv/stacks";
      description = ''
        The one directory that this check may read, as an absolute path on this machine. The
        unit sees it read-only, and nothing beside it. Of `container_files`, a directory in the container.
      '';
    };

    server_root = optionalKey types.str {
      example = "/srv/stacks";
      description = ''
        Where {option}`root` lies on a server. This machine is that server, so where it is set
        it takes the place of {option}`root`; a {file}`driftlock.toml` that is shared with the
        repository works unchanged.
      '';
    };

    modes = optionalKey (types.listOf types.str) {
      example = [ "server" ];
      description = ''
        Where the check makes sense. One that names only `local` belongs to a checkout of the
        repository and is left out on this machine.
      '';
    };

    attributes = optionalKey (types.listOf types.str) {
      example = [
        "mode"
        "owner"
      ];
      description = ''
        What is locked beside content, type and the executable bit: `mode`, `owner`, `xattrs`.
        The last two need the machine's true user ids, so the unit then runs without a user
        namespace of its own.
      '';
    };

    socket = optionalKey types.str {
      example = "/run/docker.sock";
      description = ''
        The container engine's socket, for `containers`, `container_files` and `compose`. The unit is let through to this one
        socket; {option}`supplementaryGroups` names the group that may use it.
      '';
    };

    config = optionalKey types.path {
      example = literalExpression "./infra/shop.compose.json";
      description = ''
        For `compose`, what {command}`docker compose config --format json` prints: a path of the flake, which is kept in the
        Nix store, where everybody on the machine can read it, or an absolute path on the machine.
      '';
    };

    hashes = optionalKey types.path {
      example = literalExpression "./infra/shop.compose.hashes";
      description = ''
        For `compose`, what {command}`docker compose config --hash '*'` prints. Without it, the lock has the hashes.
      '';
    };
  };
}
