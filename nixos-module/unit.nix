# driftlock-<name>.service and driftlock-<name>-incremental.service. The unit starts in an empty root directory. Only
# the store, the declared roots (read-only) and its own state are mounted into it, so most of systemd's Protect…
# settings have nothing to hide. They are set anyway, except if one would replace a declared root: that would be
# reported as drift.
{
  lib,
  pkgs,
  utils,
  # The unit's name, without "driftlock-".
  unit,
  # The instance's name.
  name,
  title,
  instance,
  declared,
  declaration,
  # A file with the longest time between two runs.
  every,
  # Its directory below /var/lib, and its further arguments.
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

  # Whether a declared path is this directory, or is above or below it.
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
  # A new baseline applies to the next run: a rebuild neither starts nor stops a check.
  restartIfChanged = false;
  onSuccess = lib.optional notifies "driftlock-notify-${unit}.service";
  onFailure =
    lib.optional dispatches "driftlock-dispatch@${unit}.service"
    ++ lib.optional notifies "driftlock-notify-${unit}.service";
  # Reports are named by their time, and must sort by it.
  environment.TZ = "UTC";
  # Empty unless root sets it in the file below.
  environment.WINDOW = "";
  environment.EVERY = lib.mkIf isDerived "";
  # If a file system is not mounted, the unit must not start, instead of seeing an empty root.
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
            "--gentle"
            "check"
            "--local"
          ]
          ++ declared.as
        ))
        # The arguments for a maintenance window, or none.
        "$WINDOW"
        (utils.escapeSystemdExecArgs (
          arguments
          ++ lib.optionals (instance.seal.allowedSigners != [ ]) (
            [
              "--seal"
              (builtins.toFile "driftlock-${name}-allowed-signers" (
                lib.concatMapStrings (line: line + "\n") instance.seal.allowedSigners
              ))
              "--seal-state"
              "${state}/seal"
            ]
            ++ lib.optionals (instance.seal.declaration != null) [
              "--sealed-declaration"
              "${instance.seal.declaration}"
            ]
          )
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
    # node_exporter must read the metrics. The directory above the reports keeps other users out of them.
    UMask = if metricsDirectory == null then "0027" else "0022";

    # What the unit sees.
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
        # An empty directory with the declared roots mounted into it; "true" would hide them.
        "tmpfs"
      else
        true;
    PrivateTmp = !(covers "/tmp" || covers "/var/tmp");
    PrivateDevices = !covers "/dev";
    ProtectKernelLogs = !covers "/dev/kmsg";
    ProtectKernelModules = !(touches "/lib/modules" || touches "/usr/lib/modules");

    # What the unit may do.
    AmbientCapabilities = capabilities;
    CapabilityBoundingSet = if capabilities == [ ] then "" else capabilities;
    NoNewPrivileges = true;
    # A capability applies only to mapped users: in a user namespace, only to the unit's own.
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
    # systemd implements it by failing openat2 with ENOSYS, but driftlock uses openat2 to stay beneath its roots.
    RestrictSUIDSGID = false;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
      # The calls of driftlock's own sandbox, by name: systemd before 254 has no @sandbox, and some lists lack openat2.
      "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp prctl openat2"
    ];
  };
}
