# One instance's settings → the declaration that the unit is given, and the paths that it names.
{
  lib,
  name,
  instance,
}:
let
  paths = import ./paths.nix { inherit lib; };

  runsHere = check: check.modes == null || lib.elem "server" check.modes;
  rootOf = check: if check.server_root != null then check.server_root else check.root;
  # Those of `container_files` lie in a container, and are nothing to the unit.
  rootHere = check: if check.kind == "container_files" then null else rootOf check;

  here = lib.filterAttrs (_: runsHere) instance.settings.check;
  stateDirectory = "/var/lib/driftlock/${name}";
  reports = "${stateDirectory}/reports";
  # Interpolation copies a path of the flake into the store and leaves a string as it is.
  locks = "${instance.locks}";
  references = lib.mapAttrs (_: reference: "${reference}") instance.reference;

  generated =
    name: check:
    lib.filterAttrs (_: value: value != null) (
      builtins.removeAttrs check [
        "modes"
        "server_root"
      ]
      // {
        root = rootOf check;
      }
      // lib.optionalAttrs (references ? ${name}) { reference = references.${name}; }
    );
in
{
  inherit locks stateDirectory;

  settings = instance.settings // {
    inherit locks reports;
    check = lib.mapAttrs generated here;
  };

  # Check → root as it was declared, for the assertions.
  checks = here;
  roots = lib.filterAttrs (_: root: root != null) (lib.mapAttrs (_: rootHere) here);
  sockets = lib.filter (socket: socket != null) (lib.mapAttrsToList (_: check: check.socket) here);

  # All that the unit has to see beside the store and its own state.
  visible = lib.filter (path: !paths.isAtOrBelow builtins.storeDir path) (
    paths.outermost (
      map paths.normalise (
        lib.filter (path: path != null) (
          lib.mapAttrsToList (_: rootHere) here ++ lib.mapAttrsToList (_: check: check.socket) here
        )
        ++ [ locks ]
        ++ lib.attrValues references
      )
    )
  );

  # Owners and extended attributes are only true where user ids are not mapped.
  needsTrueIds = lib.any (
    check:
    lib.any (attribute: lib.elem attribute (if check.attributes == null then [ ] else check.attributes))
      [
        "owner"
        "xattrs"
      ]
  ) (lib.attrValues here);
}
