# Operations on absolute paths as text. Nothing here accesses a file system.
{ lib }:
rec {
  components = path: lib.filter (part: part != "") (lib.splitString "/" path);

  # One spelling for each path: "//srv/stacks/" becomes "/srv/stacks".
  normalise = path: "/" + lib.concatStringsSep "/" (components path);

  isClean =
    path:
    lib.hasPrefix "/" path
    && lib.all (part: part != "." && part != "..") (components path)
    && builtins.match "[^[:cntrl:]]+" path != null;

  isBelow = parent: path: lib.hasPrefix (if parent == "/" then "/" else parent + "/") path;
  isAtOrBelow = parent: path: path == parent || isBelow parent path;

  # Removes paths that are below another one: a mount on a mount would look like a foreign file system within the outer
  # root.
  outermost =
    paths:
    let
      all = lib.unique paths;
    in
    lib.filter (path: !lib.any (other: isBelow other path) all) all;

  # One word of a path list in a unit file.
  word =
    path:
    "\""
    +
      lib.replaceStrings
        [
          "\\"
          "\""
          "%"
        ]
        [
          "\\\\"
          "\\\""
          "%%"
        ]
        path
    + "\"";

  # Optional, because driftlock reports a missing source itself.
  bind = path: "-" + word path;
}
