# The generated declaration, after every check that a build can make: what would fail on the machine fails the build.
{
  lib,
  pkgs,
  name,
  package,
  instance,
  declared,
  source,
  calendars,
}:
let
  paths = import ./paths.nix { inherit lib; };
  calendar = import ./calendar.nix { inherit lib; };
  option = "services.driftlock.instances.${name}";
  # The binary for another platform can't run here.
  canAsk = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
  driftlock = lib.getExe package;
  hasLocks = paths.isAtOrBelow builtins.storeDir declared.locks;

  # Below the locks directory.
  lockOf =
    check: checkSettings:
    lib.optionalString (checkSettings.lock_per_server or false) "${instance.server}/"
    + checkSettings.lock or "${check}.lock.json";
  as = lib.escapeShellArgs declared.as;
in
pkgs.runCommand "driftlock-${name}.json"
  {
    inherit source;
    nativeBuildInputs = [ (pkgs.buildPackages or pkgs).systemd ];
    preferLocalBuild = true;
  }
  (
    ''
      refuse() {
        cat said >&2
        echo "${option}$1" >&2
        exit 1
      }
      for calendar in ${lib.escapeShellArgs (map calendar.withoutZone calendars)}; do
        systemd-analyze calendar "$calendar" >said 2>&1 ||
          refuse ".timerConfig.OnCalendar: systemd does not understand \"$calendar\"; systemd.time(7) describes calendars"
      done
    ''
    + lib.optionalString canAsk ''
      ${driftlock} --config "$source" capabilities >said 2>&1 ||
        refuse ".settings: driftlock refuses it, see above"

      # Valid arguments get as far as this name of a check, which does not exist.
      nothing=no-check-has-this-name
      ${driftlock} --config "$source" check --local ${as} ${lib.escapeShellArgs instance.extraFlags} --check $nothing >said 2>&1 || true
      grep -q "^driftlock: .*$nothing" said ||
        refuse ".extraFlags: driftlock check refuses them, see above"
    ''
    + lib.optionalString (canAsk && hasLocks) (
      ''
        mkdir baseline
        ln -s ${lib.escapeShellArg declared.locks} baseline/locks
        # A lock of the old scripts is valid, but is not an export. An export has no folders of servers.
        valid() {
          rm -rf export
          mkdir export
          ln -s "$PWD/baseline/locks/$(dirname -- "$2")" export/locks
          ${driftlock} --config "$source" lock --dry-run --from export --check "$1" ${as} >said 2>&1 ||
            { grep -q 'it is an old lock' said && ${driftlock} diff "baseline/locks/$2" "baseline/locks/$2" >said 2>&1; }
        }
        checked() {
          if ${lib.boolToString instance.allowMissingLocks} && [ ! -e "baseline/locks/$2" ]; then return; fi
          valid "$1" "$2" ||
            refuse ".locks: the check $1 has no valid lock in ${declared.locks}, see above; make it with \`driftlock lock\` or mkBaseline, or set allowMissingLocks"
        }
      ''
      + lib.concatStrings (
        lib.mapAttrsToList (check: settings: ''
          checked ${
            lib.escapeShellArgs [
              check
              (lockOf check settings)
            ]
          }
        '') declared.checks
      )
    )
    + lib.optionalString (hasLocks && instance.seal.allowedSigners != [ ]) ''
      : >said
      [ -e ${lib.escapeShellArg declared.locks}/driftlock.seal ] ||
        refuse ".seal.allowedSigners: there is no driftlock.seal in ${declared.locks}; make one with \`driftlock seal\`, and commit it. A baseline of mkBaseline has none"
    ''
    + ''
      cp "$source" "$out"
    ''
  )
