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
        The only directory that this check may read, as an absolute path on this machine. The
        unit sees it read-only, and nothing beside it. For `container_files`, a directory in the container.
      '';
    };

    server_root = optionalKey types.str {
      example = "/srv/stacks";
      description = ''
        The path of {option}`root` on a server. This machine counts as a server, so this path, if set,
        replaces {option}`root`. A {file}`driftlock.toml` that is shared with the repository works
        unchanged.
      '';
    };

    modes = optionalKey (types.listOf types.str) {
      example = [ "server" ];
      description = ''
        Where the check applies. A check with only `local` applies to a checkout of the
        repository, and is left out on this machine.
      '';
    };

    attributes = optionalKey (types.listOf types.str) {
      example = [
        "mode"
        "owner"
      ];
      description = ''
        What is locked in addition to content, type and the executable bit: `mode`, `owner`, `xattrs`.
        The last two need the machine's true user ids, so the unit then runs without its own user
        namespace.
      '';
    };

    socket = optionalKey types.str {
      example = "/run/docker.sock";
      description = ''
        The container engine's socket, for `containers`, `container_files` and `compose`. The unit can reach only this
        socket. Name the group that may use it in {option}`supplementaryGroups`.
      '';
    };

    config = optionalKey types.path {
      example = literalExpression "./infra/shop.compose.json";
      description = ''
        For `compose`, what {command}`docker compose config --format json` prints: a path of the flake, which is kept in the
        Nix store, where every user can read it, or an absolute path on the machine.
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
