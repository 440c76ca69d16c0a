# driftlock-<name>.service, and driftlock-<name>-incremental.service. It starts from an empty root directory into which only the store, the declared
# roots (read-only) and its own state are mounted, so most of systemd's Protect… settings have nothing left to
# hide. They are set all the same, except where one would put something else in the place of a declared root:
# that would be reported as drift.
{
  lib,
  pkgs,
  utils,
  # The unit's name, without its "driftlock-".
  unit,
  # The instance's name.
  name,
  title,
  instance,
  declared,
  declaration,
  # A file with what is between two runs at most.
  every,
  # Its directory below /var/lib, and what it is started with beside what every check is.
  state,
  arguments,
  package,
  metricsDirectory,
  dispatches,
  notifies,
}:
let
  paths = import ./paths.nix { inherit lib; };
  inherit (declared) visible;

  # A declared path is this directory or lies above it, or below it.
  covers = directory: lib.any (path: paths.isAtOrBelow path directory) visible;
  reachesInto = directory: lib.any (paths.isBelow directory) visible;
  touches = directory: covers directory || reachesInto directory;

  # Only the full check has a schedule that it must not miss.
  hasSchedule = metricsDirectory != null && unit == name;
  isDerived = hasSchedule && instance.every == null;

  capabilities = lib.optionals instance.readAll [ "CAP_DAC_READ_SEARCH" ];
  root = "driftlock-root/${unit}";
  stateDirectory = lib.removePrefix "/var/lib/" state;
in
{
  description = "Driftlock's ${title}";
  documentation = [ "man:driftlock(1)" ];
  after = [
    "local-fs.target"
    "remote-fs.target"
  ];
  # A new baseline is for the next run: a rebuild neither starts nor stops a check.
  restartIfChanged = false;
  onSuccess = lib.optional notifies "driftlock-notify-${unit}.service";
  onFailure =
    lib.optional dispatches "driftlock-dispatch@${unit}.service"
    ++ lib.optional notifies "driftlock-notify-${unit}.service";
  # Reports are named by their time, and have to sort by it.
  environment.TZ = "UTC";
  # Until root says otherwise, in the file below.
  environment.WINDOW = "";
  environment.EVERY = lib.mkIf isDerived "";
  # An absent mount is a unit that could not start, and not a root without files.
  unitConfig.RequiresMountsFor = map paths.word visible;

  serviceConfig = {
    Type = "oneshot";
    ExecStart =
      lib.concatStringsSep " " [
        (utils.escapeSystemdExecArgs (
          [
            (lib.getExe package)
            "--config"
            "${declaration}"
            "--require-sandbox"
            "check"
            "--local"
          ]
          ++ declared.as
        ))
        # The words of a maintenance window, or none.
        "$WINDOW"
        (utils.escapeSystemdExecArgs (
          arguments
          ++ lib.optionals (metricsDirectory != null) [
            "--metrics"
            "${metricsDirectory}/driftlock-${unit}.prom"
          ]
          ++ lib.optionals (hasSchedule && instance.every != null) [
            "--every"
            instance.every
          ]
          ++ instance.extraFlags
        ))
      ]
      + lib.optionalString isDerived " $EVERY";
    EnvironmentFile = [ "-/run/driftlock/${name}.window" ] ++ lib.optional isDerived "${every}";
    ExecStopPost = utils.escapeSystemdExecArgs [
      (lib.getExe' pkgs.bash "bash")
      "${./reports.sh}"
      state
      (if instance.retainReports == null then "all" else toString instance.retainReports)
      (lib.getExe package)
    ];
    SyslogIdentifier = "driftlock";
    LogExtraFields = "DRIFTLOCK_INSTANCE=${name}";
    Nice = 10;
    IOSchedulingClass = "idle";

    User = instance.user;
    Group = instance.group;
    SupplementaryGroups =
      instance.supplementaryGroups ++ lib.optional (metricsDirectory != null) "driftlock-metrics";
    StateDirectory = [
      stateDirectory
      "${stateDirectory}/reports"
    ];
    StateDirectoryMode = "0750";
    # Metrics are for node_exporter to read; the reports are kept from others by the directory above them.
    UMask = if metricsDirectory == null then "0027" else "0022";

    # What it sees.
    RuntimeDirectory = root;
    RootDirectory = "/run/${root}";
    ReadOnlyPaths = "+/";
    InaccessiblePaths = [
      "-+/run/${root}"
      "-+/sys"
    ];
    BindReadOnlyPaths =
      lib.optional (!covers builtins.storeDir) builtins.storeDir ++ map paths.bind visible;
    BindPaths = lib.optional (metricsDirectory != null) (paths.bind metricsDirectory);
    ReadWritePaths = lib.optional (metricsDirectory != null) "-+${metricsDirectory}";
    PrivateMounts = true;
    ProtectSystem = "strict";
    ProtectProc = "invisible";
    ProcSubset = "pid";
    ProtectControlGroups = true;
    ProtectKernelTunables = true;
    ProtectHome =
      if
        lib.any touches [
          "/home"
          "/root"
          "/run/user"
        ]
      then
        # Empty, with the declared roots mounted into it; "true" would be on top of them.
        "tmpfs"
      else
        true;
    PrivateTmp = !(covers "/tmp" || covers "/var/tmp");
    PrivateDevices = !covers "/dev";
    ProtectKernelLogs = !covers "/dev/kmsg";
    ProtectKernelModules = !(touches "/lib/modules" || touches "/usr/lib/modules");

    # What it may do.
    AmbientCapabilities = capabilities;
    CapabilityBoundingSet = if capabilities == [ ] then "" else capabilities;
    NoNewPrivileges = true;
    # A capability counts only for the users that are mapped: with a user namespace, for none but its own.
    PrivateUsers = !(instance.readAll || declared.needsTrueIds);
    PrivateNetwork = true;
    PrivateIPC = true;
    IPAddressDeny = "any";
    RestrictAddressFamilies = if declared.sockets == [ ] then "none" else [ "AF_UNIX" ];
    DevicePolicy = "closed";
    KeyringMode = "private";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    ProtectClock = true;
    ProtectHostname = true;
    RemoveIPC = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    # It answers openat2 with ENOSYS, which is how driftlock opens files beneath their root and nowhere else.
    RestrictSUIDSGID = false;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
      # Its own sandbox, by name: systemd before 254 knows no @sandbox, and some lists lack openat2.
      "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp prctl openat2"
    ];
  };
}
