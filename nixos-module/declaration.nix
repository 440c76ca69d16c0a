# Turns one instance's settings into the unit's declaration, and the paths that it names.
{
  lib,
  name,
  instance,
}:
let
  paths = import ./paths.nix { inherit lib; };

  # The server of the declaration that this machine is, and its checks: all, or those that it and its groups name.
  servers = instance.settings.server or { };
  server = if instance.server == null then { } else servers.${instance.server} or { };
  groups = lib.filter (group: lib.elem instance.server (group.servers or [ ])) (
    lib.attrValues (instance.settings.group or { })
  );
  choosy = lib.filter (of: of ? checks) ([ server ] ++ groups);
  isAsked = name: choosy == [ ] || lib.any (of: lib.elem name of.checks) choosy;

  runsHere = name: check: (check.modes == null || lib.elem "server" check.modes) && isAsked name;
  rootOf =
    name: check:
    server.roots.${name} or (if check.server_root != null then check.server_root else check.root);
  # The root of a `container_files` check is in a container, so the unit does not need it.
  rootHere = name: check: if check.kind == "container_files" then null else rootOf name check;

  here = lib.filterAttrs runsHere instance.settings.check;
  stateDirectory = "/var/lib/driftlock/${name}";
  reports = "${stateDirectory}/reports";
  # Interpolation copies a path of the flake into the store and leaves a string as it is.
  locks = "${instance.locks}";
  references = lib.mapAttrs (_: reference: "${reference}") instance.reference;

  # Copied into the store or not, as `locks`.
  composeFiles =
    check:
    lib.mapAttrs (_: file: "${file}") (
      lib.filterAttrs (_: file: file != null) { inherit (check) config hashes; }
    );

  generated =
    name: check:
    lib.filterAttrs (_: value: value != null) (
      builtins.removeAttrs check [
        "modes"
        "server_root"
      ]
      // {
        root = if check.kind == "container_files" then check.root else rootOf name check;
      }
      // lib.optionalAttrs (references ? ${name}) { reference = references.${name}; }
      // composeFiles check
    );
in
{
  inherit locks stateDirectory;

  # The servers, because locks of the old scripts may have the roots of a server. Each is asked for all checks here.
  settings =
    removeAttrs instance.settings [ "group" ]
    // {
      inherit locks reports;
      check = lib.mapAttrs generated here;
    }
    // lib.optionalAttrs (servers != { }) {
      server = lib.mapAttrs (
        name: declared:
        removeAttrs declared [ "checks" ]
        // lib.optionalAttrs (declared ? roots) {
          roots = if name == instance.server then { } else lib.intersectAttrs here declared.roots;
        }
      ) servers;
    };

  # The arguments that tell driftlock which server this machine is.
  as = lib.optionals (instance.server != null) [
    "--as"
    instance.server
  ];

  # Check → its declared root, for the assertions.
  checks = here;
  roots = lib.filterAttrs (_: root: root != null) (lib.mapAttrs rootHere here);
  sockets = lib.filter (socket: socket != null) (lib.mapAttrsToList (_: check: check.socket) here);

  # Everything that the unit must see beside the store and its own state.
  visible = lib.filter (path: !paths.isAtOrBelow builtins.storeDir path) (
    paths.outermost (
      map paths.normalise (
        lib.filter (path: path != null) (
          lib.mapAttrsToList rootHere here ++ lib.mapAttrsToList (_: check: check.socket) here
        )
        ++ lib.concatMap (check: lib.attrValues (composeFiles check)) (lib.attrValues here)
        ++ [ locks ]
        ++ lib.attrValues references
        ++ lib.optional (instance.seal.declaration != null) "${instance.seal.declaration}"
      )
    )
  );

  # Owners and extended attributes are only correct if user ids are not mapped.
  needsTrueIds = lib.any (
    check:
    lib.any (attribute: lib.elem attribute (if check.attributes == null then [ ] else check.attributes))
      [
        "owner"
        "xattrs"
      ]
  ) (lib.attrValues here);
}
