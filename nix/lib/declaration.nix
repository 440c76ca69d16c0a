# Turns a declaration and a source tree into the inputs of a build of the locks, and the reasons why a build can't make
# them.
{ lib }:
{
  # A path, a store path, or a derivation.
  src,
  # A TOML or JSON file, or its contents.
  declaration,
  # Check → the directory to read instead of its root.
  roots,
  # The checks to lock; null for all of a kind that a store path can hold.
  checks,
}:
let
  paths = import ../../nixos-module/paths.nix { inherit lib; };
  quoted = builtins.toJSON;

  declared =
    if lib.isAttrs declaration && !(declaration ? outPath) then
      declaration
    else if lib.hasSuffix ".json" "${toString declaration}" then
      lib.importJSON declaration
    else
      lib.importTOML declaration;
  all = declared.check or { };

  inStore = check: check.kind or null == "files" || check.kind or null == "trees";
  names = if checks == null then lib.attrNames (lib.filterAttrs (_: inStore) all) else checks;
  known = lib.filter (name: all ? ${name}) names;
  selected = lib.genAttrs known (name: all.${name});
  lockable = lib.filterAttrs (_: inStore) selected;

  # A derivation can't be inspected before it is built.
  isBuilt = lib.isDerivation src;
  tree = if lib.isPath src then src else "${src}";

  # The components of a root below the tree; "." has none.
  componentsOf = root: lib.filter (part: part != "" && part != ".") (lib.splitString "/" root);

  # The path to a root: each component with its type, up to the first that does not exist.
  way =
    directory: parts:
    if parts == [ ] then
      [ ]
    else
      let
        name = lib.head parts;
        type = (builtins.readDir directory).${name} or null;
        below = directory + "/${name}";
      in
      [ { inherit name type; } ] ++ lib.optionals (type == "directory") (way below (lib.tail parts));
  wayTo = root: way tree (componentsOf root);
  passesLink = root: lib.any (step: step.type == "symlink") (wayTo root);
  isMissing = root: lib.any (step: step.type == null) (wayTo root);

  given = name: roots.${name} or null;
  isText = value: lib.isString value && !lib.hasPrefix "/" value;
  # The root below the tree, or null if it is elsewhere.
  below =
    name: check:
    let
      root = if given name != null then given name else check.root or ".";
    in
    if isText root then root else null;

  refusedRoot =
    name: check:
    let
      root = below name check;
    in
    if given name == null && !(check ? root) then
      "it has no root; declare one"
    else if root == null then
      lib.optionalString (given name == null || !paths.isAtOrBelow builtins.storeDir "${given name}")
        "its root ${quoted "${if given name != null then given name else check.root}"} is not in src; name what the build is to read instead with roots.${name}, or leave the check out with checks"
    else if lib.elem ".." (componentsOf root) then
      "its root ${quoted root} is not in src; name what the build is to read instead with roots.${name}, or leave the check out with checks"
    else if !isBuilt && isMissing root then
      "its root ${quoted root} is not in src: there is none in ${toString tree}. A flake has only what git tracks"
    else
      "";

  refusedCheck =
    name: check:
    lib.filter (reason: reason != "") (
      if !inStore check then
        [
          "it is of kind ${quoted (check.kind or null)}, which takes more than a source tree; files and trees can be locked from the store"
        ]
      else
        [
          (lib.optionalString (check.attributes or [ ] != [ ])
            "a store path does not keep its attributes (${lib.concatStringsSep ", " check.attributes}); leave them out of the check, or lock it on the machine"
          )
          (refusedRoot name check)
        ]
    );

  # Each is a sentence that names the check.
  refused =
    map (name: "there is no check ${quoted name} in the declaration") (
      lib.filter (name: !(all ? ${name})) names
    )
    ++ map (name: "roots.${name}: there is no check ${quoted name} in the declaration") (
      lib.filter (name: !(all ? ${name})) (lib.attrNames roots)
    )
    ++ lib.optional (names == [ ]) "the declaration has no check of kind files or trees"
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: check: map (reason: "the check ${quoted name}: ${reason}") (refusedCheck name check)
      ) selected
    );

  # Below the tree, each root in one spelling.
  relative = lib.filterAttrs (_: root: root != null) (lib.mapAttrs below lockable);
  spelt = root: lib.concatStringsSep "/" (componentsOf root);

  # The whole tree if a link is on the way to a root. Otherwise only the roots, so that an edit elsewhere does not
  # rebuild the locks.
  needsAll = isBuilt || lib.any passesLink (lib.attrValues relative);
  whole =
    if lib.isPath src then
      builtins.path {
        path = src;
        name = "source";
      }
    else
      "${src}";
  stored =
    root:
    if root == "" || needsAll then
      if root == "" then whole else "${whole}/${root}"
    else
      builtins.path {
        path = tree + "/${root}";
        name = "root";
      };

  outermost = paths.outermost (map spelt (lib.attrValues relative));
in
{
  inherit refused;

  # The checks as declared, for a machine.
  checks = lockable;

  # Name in the build → target of its link. The whole tree has no name: it would be the folder of the links.
  links = lib.genAttrs (lib.filter (root: root != "") outermost) stored;

  # The declaration of the build. Its file is beside the links.
  declaration =
    removeAttrs declared [
      "server"
      "group"
    ]
    // {
      check = lib.mapAttrs (
        name: check:
        removeAttrs check [
          "modes"
          "server_root"
        ]
        // {
          root =
            if !(relative ? ${name}) then
              "${given name}"
            else if spelt relative.${name} == "" then
              stored ""
            else
              spelt relative.${name};
        }
      ) lockable;
    };
}
