# Locks as derivations: `driftlock.lib.for pkgs`. docs/nix.md describes each function.
{
  pkgs,
  # A driftlock that runs on the build machine.
  driftlock,
}:
let
  inherit (pkgs) lib;
  program = lib.getExe driftlock;

  read =
    function:
    {
      src,
      declaration ? src + "/driftlock.toml",
      roots ? { },
      checks ? null,
    }:
    let
      given = import ./declaration.nix { inherit lib; } {
        inherit
          src
          declaration
          roots
          checks
          ;
      };
    in
    if given.refused == [ ] then
      given
    else
      throw "driftlock.lib.${function}: ${lib.concatStringsSep "\n" given.refused}";

  sourceArguments = [
    "src"
    "declaration"
    "roots"
    "checks"
  ];
  sourceOf = lib.filterAttrs (name: _: lib.elem name sourceArguments);

  # A build in a folder where the roots have their declared names.
  inTree =
    name: given: locks: script:
    pkgs.runCommand name
      {
        declared = builtins.toJSON (
          given.declaration
          // {
            inherit locks;
            reports = "driftlock-reports";
          }
        );
        passAsFile = [ "declared" ];
        preferLocalBuild = true;
      }
      ''
        mkdir tree
        cd tree
        cp "$declaredPath" driftlock.json
        ${lib.concatStrings (
          lib.mapAttrsToList (root: target: ''
            mkdir -p ${lib.escapeShellArg (builtins.dirOf "./${root}")}
            ln -s ${lib.escapeShellArg target} ${lib.escapeShellArg root}
          '') given.links
        )}
        ${script}
      '';

  lock =
    function: name: args:
    let
      given = read function (sourceOf args);
    in
    inTree name given (builtins.placeholder "out") ''
      mkdir "$out"
      ${program} --config driftlock.json --require-sandbox --color never lock
    '';
in
rec {
  # The directory of the locks, for checks of the kinds files and trees.
  mkLock =
    {
      src,
      declaration ? src + "/driftlock.toml",
      roots ? { },
      checks ? null,
      name ? "driftlock-locks",
    }@args:
    lock "mkLock" name args;

  # Builds only if `locks` equal the result of mkLock, byte for byte. Otherwise its log has the report.
  checkLock =
    {
      src,
      locks,
      declaration ? src + "/driftlock.toml",
      roots ? { },
      checks ? null,
      name ? "driftlock-lock-is-current",
    }@args:
    let
      given = read "checkLock" (sourceOf args);
      current = lock "checkLock" "driftlock-locks" args;
      committed =
        if lib.isDerivation locks || builtins.pathExists locks then
          "${locks}"
        else
          throw "driftlock.lib.checkLock: there are no locks in ${toString locks}; run the app that updateLocks gives, then `git add` what it writes";
    in
    inTree name given committed ''
      status=0
      ${program} --config driftlock.json --require-sandbox --color never check --local || status=$?
      if [ $status = 0 ]; then
        for lock in ${current}/*; do
          if ! cmp "$lock" "${committed}/''${lock##*/}"; then
            echo "''${lock##*/} tells of the same state in other bytes than driftlock writes"
            status=1
          fi
        done
      fi
      if [ $status != 0 ]; then
        echo "The locks are not those of this source. If the change was wanted, run the app that updateLocks gives" \
          "(nix run .#update-locks) and commit what it writes."
        exit 1
      fi
      ls ${current} >"$out"
    '';

  # An app that writes the locks into the work tree.
  updateLocks =
    {
      src,
      declaration ? src + "/driftlock.toml",
      roots ? { },
      checks ? null,
      into ? "audit/locks",
    }@args:
    let
      script = pkgs.writeShellApplication {
        name = "driftlock-update-locks";
        runtimeInputs = [
          pkgs.bash
          pkgs.coreutils
          pkgs.diffutils
        ];
        text = ''
          exec bash ${./update-locks.sh} ${
            lock "updateLocks" "driftlock-locks" args
          } ${lib.escapeShellArg into} ${program} "$@"
        '';
      };
    in
    {
      type = "app";
      program = lib.getExe script;
      meta.description = "Write driftlock's locks of this source into ${into}";
    };

  # `settings` and `locks` for an instance of the NixOS module, from one source tree.
  mkBaseline =
    {
      src,
      declaration ? src + "/driftlock.toml",
      roots ? { },
      checks ? null,
    }@args:
    {
      settings.check = (read "mkBaseline" args).checks;
      locks = mkLock args;
    };
}
