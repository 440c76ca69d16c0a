# A machine with one instance for each behaviour to prove. The VM test (../test.nix) and scripts/test-systemd both run
# it, with the same steps.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  bash = lib.getExe' pkgs.bash "bash";
  files = root: {
    kind = "files";
    inherit root;
    include = [ "**" ];
  };
  onMachine = "/var/lib/driftlock-baseline";

  # Runs another program inside the service of one unit, to test what its sandbox allows.
  probeOf =
    instance: script:
    let
      unit = config.systemd.services."driftlock-${instance}".serviceConfig;
    in
    {
      environment.TZ = "UTC";
      serviceConfig = builtins.removeAttrs unit [ "ExecStopPost" ] // {
        ExecStart = "${bash} ${script} ${instance} ${if unit.AmbientCapabilities == [ ] then "0" else "4"}";
      };
    };

  note = what: {
    serviceConfig = {
      Type = "oneshot";
      StateDirectory = "notified";
      ExecStart = "${bash} -c 'echo %i >>/var/lib/notified/${what}'";
    };
  };
in
{
  services.driftlock.metricsDirectory = "/var/lib/node-exporter";

  services.driftlock.instances = {
    # Only the test starts it. /srv/stacks has a secret beside it.
    stacks = {
      settings.check.stacks = files "/srv/stacks";
      locks = onMachine;
      timerConfig = null;
      onDrift = [ "note-drift@%n.service" ];
      onTrouble = [ "note-trouble@%N.service" ];
      notify.webhookUrlFile = "/etc/driftlock-webhook";
      retainReports = 3;
    };

    # The baseline is in the store.
    stored = {
      settings.check.stored = files "/srv/stored";
      locks = ./baseline;
      timerConfig = null;
      checkAfterSwitch = true;
    };

    ticking = {
      settings.check.ticking = files "/srv/stored";
      locks = onMachine;
      timerConfig = {
        OnCalendar = "*:*:0/2";
        AccuracySec = "100ms";
        RandomizedDelaySec = 0;
      };
      retainReports = 2;
    };

    # Also checked incrementally, when the test starts it.
    cached = {
      settings.check.cached = files "/srv/cached";
      locks = onMachine;
      timerConfig.OnCalendar = "yearly";
      statCache = {
        enable = true;
        timerConfig = null;
      };
    };

    # On a file system that can't be mounted.
    absent = {
      settings.check.absent = files "/mnt/absent/data";
      locks = onMachine;
      timerConfig = null;
      onTrouble = [ "note-absent@%N.service" ];
    };

    # Roots that systemd's settings would hide or replace. One of them is readable by root only, and one has a name that
    # needs quoting.
    everywhere = {
      settings.check = lib.mapAttrs (_: files) {
        home = "/home/alice/app";
        root = "/root/app";
        temporary = "/tmp/app";
        runtime = "/run/app";
        quoted = "/srv/of: \"all\" 100%";
      };
      locks = onMachine;
      timerConfig = null;
      readAll = true;
    };
  };

  systemd.mounts = [
    {
      what = "tmpfs";
      where = "/mnt/absent";
      type = "tmpfs";
      options = "size=nothing";
    }
  ];

  # The tests start them more often than systemd allows by default.
  systemd.services = {
    driftlock-stacks.startLimitIntervalSec = 0;
    driftlock-ticking.startLimitIntervalSec = 0;
    driftlock-cached-incremental.startLimitIntervalSec = 0;

    # Stores what is posted to it. Its directories exist once it has started.
    note-sink = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "exec";
        StateDirectory = [
          "sink"
          "sink/told"
        ];
        ExecStart = "${lib.getExe' pkgs.python3 "python3"} ${./sink.py} /var/lib/sink/told";
      };
    };

    "note-drift@" = note "drift";
    "note-trouble@" = note "trouble";
    "note-absent@" = note "absent";
    probe-stacks = probeOf "stacks" ./probe.sh;
    probe-everywhere = probeOf "everywhere" ./probe.sh;
  };
}
