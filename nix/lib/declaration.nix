# A declaration and a source tree → what a build of its locks is given, and the reasons why the store can't give it.
{ lib }:
{
  # A path, a store path, or a derivation.
  src,
  # A TOML or JSON file, or what such a file holds.
  declaration,
  # Check → the directory that takes the place of its root.
  roots,
  # The checks to lock; null for all of a kind that a store path can have.
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

  # What a derivation will hold can't be looked at before it is built.
  isBuilt = lib.isDerivation src;
  tree = if lib.isPath src then src else "${src}";

  # A root below the tree as its components; "." has none.
  componentsOf = root: lib.filter (part: part != "" && part != ".") (lib.splitString "/" root);

  # What lies on the way to a root: each component with its type, up to the first that is not there.
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
  # The root below the tree, or null if it lies elsewhere.
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

  # Below the tree, one spelling each.
  relative = lib.filterAttrs (_: root: root != null) (lib.mapAttrs below lockable);
  spelt = root: lib.concatStringsSep "/" (componentsOf root);

  # All of the tree if a link leads about in it. Else only the roots, so that no edit beside them makes the locks anew.
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

  # The checks as they were declared, for a machine.
  checks = lockable;

  # The name in the build → what it links to. The whole tree has no name: it would be the folder of the links.
  links = lib.genAttrs (lib.filter (root: root != "") outermost) stored;

  # The declaration of the build. Its file lies beside the links.
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
