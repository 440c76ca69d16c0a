# A machine with one instance for each thing to prove. The VM test (../test.nix) and scripts/test-systemd
# both run it; what they do to it is the same.
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

  # What one unit's sandbox lets a program see, tried from inside: its service with another program in it.
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
    # Nothing starts it but the test. /srv/stacks has a secret beside it.
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

    # Checked incrementally too, whenever the test starts that.
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

    # Roots where systemd's settings would hide or replace things, one of them readable by root only, and
    # one whose name needs quoting.
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

  # The tests start them more often than systemd likes.
  systemd.services = {
    driftlock-stacks.startLimitIntervalSec = 0;
    driftlock-ticking.startLimitIntervalSec = 0;
    driftlock-cached-incremental.startLimitIntervalSec = 0;

    # Keeps what is posted to it. Its directories are there by the time that starting it has ended.
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
