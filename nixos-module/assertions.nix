# Mistakes that would only show on the machine, reported during evaluation under the option's full path.
{
  lib,
  name,
  instance,
  declared,
  # The names of all instances.
  others,
  metricsDirectory,
}:
let
  paths = import ./paths.nix { inherit lib; };
  option = "services.driftlock.instances.${name}";
  cached = instance.statCache.enable;
  holds = assertion: where: message: {
    inherit assertion;
    message = "${option}${where}: ${message}";
  };

  ofRoot =
    check: root:
    let
      where = ".settings.check.${check}.root";
      path = paths.normalise root;
      states = [
        declared.stateDirectory
      ]
      ++ lib.optional cached "${declared.stateDirectory}-incremental";
      overlapsState = lib.any (
        state: paths.isAtOrBelow path state || paths.isAtOrBelow state path
      ) states;
    in
    [
      (holds (paths.isClean root) where
        "${builtins.toJSON root} is not an absolute path without \".\" or \"..\"; a relative path has no meaning on a machine (if both are set, server_root replaces root)"
      )
      (holds (path != "/") where
        "the whole machine changes all the time, and all of it would be visible to the unit; declare the directories that matter"
      )
      (holds (path == "/" || !paths.isAtOrBelow path (paths.normalise declared.locks)) ".locks"
        "${declared.locks} is in the root ${path} of the check ${check}, so each new baseline would be drift; move it out of the root"
      )
      (holds
        (
          path == "/"
          || metricsDirectory == null
          || !paths.isAtOrBelow path (paths.normalise metricsDirectory)
        )
        where
        "${toString metricsDirectory}, the metricsDirectory, is in it, so each run would be drift; use another directory"
      )
      (holds (path == "/" || !overlapsState) where
        "${path} overlaps ${declared.stateDirectory}, where the reports are written; declare other directories"
      )
    ]
    ++
      map
        (
          kernel:
          holds (
            !paths.isAtOrBelow kernel path
          ) where "${path} belongs to the kernel and is different for every unit, so it can't be locked"
        )
        [
          "/proc"
          "/sys"
        ];

  ofCheck =
    checkName: check:
    if
      lib.elem check.kind [
        "containers"
        "container_files"
        "compose"
      ]
    then
      holds (check.socket != null && paths.isClean check.socket) ".settings.check.${checkName}.socket"
        "a check of kind ${check.kind} needs the absolute path of the engine's socket here, because the unit sees no other path"
    else
      holds (
        check.root != null || check.server_root != null
      ) ".settings.check.${checkName}.root" "a check of kind ${check.kind} needs a root";

  fires =
    timer: where:
    holds (
      timer == null
      || lib.any (lib.hasPrefix "On") (lib.attrNames (lib.filterAttrs (_: value: value != null) timer))
    ) where "no OnCalendar or other On… key, so the timer would never fire; use null for no timer";

  ofUnits =
    attribute:
    map (
      unit:
      holds (
        !lib.hasInfix "%" (lib.replaceStrings [ "%n" "%N" ] [ "" "" ] unit)
      ) ".${attribute}" "${builtins.toJSON unit} has a specifier other than %n and %N"
    ) instance.${attribute};
in
[
  (holds (
    builtins.match "[a-zA-Z0-9][a-zA-Z0-9_.-]*" name != null
  ) "" "the name is part of unit and directory names; use letters, digits, \"_\", \".\" and \"-\"")
  (holds (declared.checks != { }) ".settings.check"
    "nothing to check on this machine; declare a check, and add \"server\" to its modes if they are set"
  )
  (holds (instance.server == null || (instance.settings.server or { }) ? ${instance.server}) ".server"
    "settings declare no server ${builtins.toJSON instance.server}; name one of ${
      builtins.toJSON (lib.attrNames (instance.settings.server or { }))
    }"
  )
  (holds
    (
      instance.server != null
      || !lib.any (check: check.lock_per_server or false) (lib.attrValues declared.checks)
    )
    ".server"
    "a check with lock_per_server has a lock for each server; set this option to the server in settings that this machine is"
  )
  (holds (instance.user != "root") ".user"
    "root could write where the check may only read; readAll = true reads root-only files without that"
  )
  (fires instance.timerConfig ".timerConfig")
  (fires instance.statCache.timerConfig ".statCache.timerConfig")
  (holds (!cached || !lib.elem "${name}-incremental" others) ".statCache.enable"
    "its unit would be driftlock-${name}-incremental, like that of the instance ${name}-incremental; rename that instance"
  )
  (holds (!cached || instance.timerConfig != null) ".timerConfig"
    "with null, the contents that the stat cache trusts would never be read again; run a full check, even if rarely"
  )
  (holds (
    !lib.any (lib.hasPrefix "--stat-cache") instance.extraFlags
  ) ".extraFlags" "--stat-cache would leave no full check; statCache.enable runs one beside it")
  {
    assertion =
      metricsDirectory == null
      || paths.isClean metricsDirectory && builtins.match "[^[:space:]%\"]+" metricsDirectory != null;
    message = "services.driftlock.metricsDirectory: ${builtins.toJSON metricsDirectory} is not an absolute path without \".\", \"..\", blanks, quotes or \"%\"";
  }
  (holds (paths.isClean declared.locks) ".locks"
    "${builtins.toJSON declared.locks} is not an absolute path without \".\" or \"..\""
  )
]
++ lib.concatLists (lib.mapAttrsToList ofRoot declared.roots)
++ lib.mapAttrsToList ofCheck declared.checks
++ map (
  check:
  holds (declared.checks ? ${check}) ".reference.${check}"
    "no check of this machine has this name; write it in settings, or leave out the reference"
) (lib.attrNames instance.reference)
++ lib.optionals (instance.notify != null) [
  (holds (
    instance.notify.webhookUrlFile != null || instance.notify.mail != null
  ) ".notify" "set webhookUrlFile or mail: there is no recipient")
  (holds
    (
      instance.notify.webhookUrlFile == null
      ||
        paths.isClean instance.notify.webhookUrlFile
        && !paths.isAtOrBelow builtins.storeDir instance.notify.webhookUrlFile
    )
    ".notify.webhookUrlFile"
    "a secret must be an absolute path outside the store, because every user can read the store"
  )
  (holds (
    instance.notify.mail == null || instance.notify.mail.to != [ ]
  ) ".notify.mail.to" "add an address")
  (holds
    (
      instance.notify.remindAfter == null
      || builtins.match "[1-9][0-9]{0,8}[smhd]" instance.notify.remindAfter != null
    )
    ".notify.remindAfter"
    "write ${builtins.toJSON instance.notify.remindAfter} as 90s, 30m, 24h or 7d"
  )
]
++ ofUnits "onDrift"
++ ofUnits "onTrouble"
