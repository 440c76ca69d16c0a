# The part of evaluation.nix about what enables and disables instances, their units and their timers.
{
  lib,
  check,
  evaluate,
  evaluateWith,
  one,
  service,
}:
let
  x = {
    settings.check.c = check "/srv/a";
    locks = "/var/lib/baseline";
  };
  timer = timerConfig: (one "/srv/a" { inherit timerConfig; }).systemd.timers.driftlock-x.timerConfig;
  warned =
    more: metricsDirectory:
    map (message: lib.head (lib.splitString ": " message))
      (evaluateWith { inherit metricsDirectory; } { x = x // more; }).warnings;
  at = option: [ "services.driftlock.instances.x${option}" ];
in
{
  testEnabledOnceAnInstanceIsDefined = {
    expr = map (config: config.services.driftlock.enable) [
      (evaluate { })
      (evaluate { inherit x; })
    ];
    expected = [
      false
      true
    ];
  };
  testNotEnabled = {
    expr =
      let
        config = evaluateWith { enable = false; } { inherit x; };
      in
      {
        inherit (config) systemd users;
      };
    expected = {
      systemd = { };
      users = { };
    };
  };
  testInstanceNotEnabled = {
    expr =
      let
        config = evaluate {
          inherit x;
          y = x // {
            enable = false;
            settings = { };
          };
        };
      in
      {
        services = lib.attrNames config.systemd.services;
        refusals = lib.filter (a: !a.assertion) config.assertions;
      };
    expected = {
      services = [ "driftlock-x" ];
      refusals = [ ];
    };
  };

  # A default applies unless its own key is set; the calendar, unless there is another time to fire.
  testTimerByItself = {
    expr = timer { };
    expected = {
      FixedRandomDelay = true;
      OnCalendar = "daily";
      Persistent = true;
      RandomizedDelaySec = "15m";
    };
  };
  testTimerWithoutCalendar = {
    expr = timer {
      OnBootSec = "5m";
      OnUnitActiveSec = "1h";
    };
    expected = {
      FixedRandomDelay = true;
      OnBootSec = "5m";
      OnUnitActiveSec = "1h";
      Persistent = true;
      RandomizedDelaySec = "15m";
    };
  };
  testTimerWithBoth = {
    expr =
      (timer {
        OnBootSec = "5m";
        OnCalendar = [
          "Mon 02:00"
          "Thu 02:00"
        ];
      }).OnCalendar;
    expected = [
      "Mon 02:00"
      "Thu 02:00"
    ];
  };

  testMountsAreRequired = {
    expr =
      (one ''/srv/a "b" 5%'' {
        settings.check.d = check "/mnt/data";
      }).systemd.services.driftlock-x.unitConfig.RequiresMountsFor;
    expected = [
      ''"/srv/a \"b\" 5%%"''
      ''"/mnt/data"''
      ''"/var/lib/baseline"''
    ];
  };

  testCheckAfterSwitch = {
    expr =
      let
        unit = (one "/srv/a" { checkAfterSwitch = true; }).systemd.services.driftlock-x-after-switch;
      in
      {
        inherit (unit) wantedBy;
        starts = lib.hasSuffix ''"--no-block" "start" "driftlock-x.service"'' unit.serviceConfig.ExecStart;
        # It ends at once, so the next switch starts it again.
        inherit (unit.serviceConfig) Type;
        remains = unit.serviceConfig ? RemainAfterExit;
        otherwise = (one "/srv/a" { }).systemd.services ? driftlock-x-after-switch;
      };
    expected = {
      wantedBy = [ "multi-user.target" ];
      starts = true;
      Type = "oneshot";
      remains = false;
      otherwise = false;
    };
  };

  testWarnings = {
    expr = {
      none = warned { } null;
      webhookWithoutTimer = warned {
        timerConfig = null;
        notify.webhookUrlFile = "/run/secrets/hook";
      } null;
      onDriftWithoutTimer = warned {
        timerConfig = null;
        onDrift = [ "tell.service" ];
      } null;
      butAfterSwitches = warned {
        timerConfig = null;
        checkAfterSwitch = true;
        onDrift = [ "tell.service" ];
      } null;
      everyWithoutMetrics = warned { every = "24h"; } null;
      everyWithMetrics = warned { every = "24h"; } "/var/lib/node-exporter";
      everyWithoutTimer = warned {
        every = "24h";
        timerConfig = null;
      } "/var/lib/node-exporter";
      statCacheWithoutTimer = warned {
        statCache = {
          enable = true;
          timerConfig = null;
        };
      } null;
      readAllForAnotherUser = warned {
        user = "odoo";
        readAll = true;
      } null;
    };
    expected = {
      none = [ ];
      webhookWithoutTimer = at ".timerConfig";
      onDriftWithoutTimer = at ".timerConfig";
      butAfterSwitches = [ ];
      everyWithoutMetrics = at ".every";
      everyWithMetrics = [ ];
      everyWithoutTimer = at ".every";
      statCacheWithoutTimer = at ".statCache.timerConfig";
      readAllForAnotherUser = at ".readAll";
    };
  };

  # The longest time between two runs is computed when the system is built.
  testEveryIsDerived = {
    expr =
      let
        derived =
          more:
          let
            inherit
              ((evaluateWith { metricsDirectory = "/var/lib/node-exporter"; } { x = x // more; })
                .systemd.services.driftlock-x.serviceConfig
              )
              ExecStart
              EnvironmentFile
              ;
          in
          {
            asked = lib.hasSuffix " $EVERY" ExecStart;
            files = lib.length EnvironmentFile;
          };
      in
      {
        left-out = derived { };
        said = derived { every = "24h"; };
        without-metrics = lib.length (service "/srv/a" { }).EnvironmentFile;
      };
    expected = {
      left-out = {
        asked = true;
        files = 2;
      };
      said = {
        asked = false;
        files = 1;
      };
      without-metrics = 1;
    };
  };
}
