# The part of evaluation.nix about what belongs to a run: incremental checks, alerts, windows and metrics.
{
  lib,
  check,
  evaluateWith,
  one,
  refusals,
  service,
  serviceOf,
}:
{
  # Alerts about drift and trouble
  testDispatcherGetsNames = {
    expr =
      let
        config = one "/srv/a" {
          onDrift = [ "tell@%n.service" ];
          onTrouble = [ "page@%N.service" ];
        };
      in
      {
        inherit (config.systemd.services.driftlock-x) onFailure;
        ends =
          lib.hasSuffix ''"tell@driftlock-x.service.service" "--" "page@driftlock-x.service"''
            config.systemd.services."driftlock-dispatch@x".serviceConfig.ExecStart;
      };
    expected = {
      onFailure = [ "driftlock-dispatch@x.service" ];
      ends = true;
    };
  };
  testNoDispatcherWithoutNeed = {
    expr = lib.attrNames (one "/srv/a" { }).systemd.services;
    expected = [ "driftlock-x" ];
  };

  # Incremental checks
  testStatCache = {
    expr =
      let
        config = one "/srv/a" {
          statCache.enable = true;
          onDrift = [ "tell@%n.service" ];
          extraFlags = [ "--quiet" ];
        };
        units = config.systemd.services;
        incremental = units.driftlock-x-incremental;
        inherit (incremental) serviceConfig;
      in
      {
        units = lib.attrNames units;
        timers = lib.mapAttrs (_: timer: timer.timerConfig) config.systemd.timers;
        ends = lib.hasSuffix "\"check\" \"--local\" $WINDOW \"--stat-cache\" \"/var/lib/driftlock/x-incremental/stat-cache\" \"--output\" \"/var/lib/driftlock/x-incremental/reports\" \"--quiet\"" serviceConfig.ExecStart;
        prunes = lib.hasInfix "\"/var/lib/driftlock/x-incremental\"" serviceConfig.ExecStopPost;
        inherit (serviceConfig) StateDirectory RootDirectory LogExtraFields;
        inherit (incremental) onFailure;
        tells =
          lib.hasSuffix ''"tell@driftlock-x-incremental.service.service" "--"''
            units."driftlock-dispatch@x-incremental".serviceConfig.ExecStart;
        sameButFor =
          let
            full = units.driftlock-x.serviceConfig;
          in
          lib.attrNames (lib.filterAttrs (key: value: full.${key} != value) serviceConfig);
        refusals = refusals config;
      };
    expected = {
      units = [
        "driftlock-dispatch@x"
        "driftlock-dispatch@x-incremental"
        "driftlock-x"
        "driftlock-x-incremental"
      ];
      timers = {
        driftlock-x = {
          FixedRandomDelay = true;
          OnCalendar = "daily";
          Persistent = true;
          RandomizedDelaySec = "15m";
        };
        driftlock-x-incremental = {
          FixedRandomDelay = true;
          OnCalendar = "*:0/15";
          Persistent = false;
          RandomizedDelaySec = "1m";
        };
      };
      ends = true;
      prunes = true;
      StateDirectory = [
        "driftlock/x-incremental"
        "driftlock/x-incremental/reports"
      ];
      RootDirectory = "/run/driftlock-root/x-incremental";
      LogExtraFields = "DRIFTLOCK_INSTANCE=x";
      onFailure = [ "driftlock-dispatch@x-incremental.service" ];
      tells = true;
      sameButFor = [
        "ExecStart"
        "ExecStopPost"
        "InaccessiblePaths"
        "RootDirectory"
        "RuntimeDirectory"
        "StateDirectory"
      ];
      refusals = [ ];
    };
  };
  testTheFullCheckIsTheSameBesideAStatCache = {
    expr =
      (one "/srv/a" { statCache.enable = true; }).systemd.services.driftlock-x == (one "/srv/a" { })
      .systemd.services.driftlock-x;
    expected = true;
  };
  testStatCacheWithoutTimer = {
    expr =
      lib.attrNames
        (one "/srv/a" {
          statCache = {
            enable = true;
            timerConfig = null;
          };
        }).systemd.timers;
    expected = [ "driftlock-x" ];
  };

  # Notifications
  testNotify = {
    expr =
      let
        config = one "/srv/a" {
          notify = {
            webhookUrlFile = "/run/secrets/hook";
            mail = {
              to = [
                "a@example.org"
                "b%c@example.org"
              ];
            };
          };
          onDrift = [ "tell.service" ];
          statCache.enable = true;
        };
        units = config.systemd.services;
        inherit (units.driftlock-notify-x) serviceConfig environment;
      in
      {
        units = lib.attrNames units;
        inherit (units.driftlock-x) onSuccess onFailure;
        incremental = units.driftlock-notify-x-incremental.environment.REPORT;
        shared = units.driftlock-notify-x-incremental.environment.STATE == environment.STATE;
        inherit environment;
        inherit (serviceConfig)
          LoadCredential
          User
          SupplementaryGroups
          ProtectSystem
          ;
        # What the checking unit must not have.
        checking = {
          inherit (serviceOf config) PrivateNetwork;
          secret = (serviceOf config) ? LoadCredential;
        };
        users = lib.attrNames config.users.users;
        refusals = refusals config;
      };
    expected = {
      units = [
        "driftlock-dispatch@x"
        "driftlock-dispatch@x-incremental"
        "driftlock-notify-x"
        "driftlock-notify-x-incremental"
        "driftlock-x"
        "driftlock-x-incremental"
      ];
      onSuccess = [ "driftlock-notify-x.service" ];
      onFailure = [
        "driftlock-dispatch@x.service"
        "driftlock-notify-x.service"
      ];
      incremental = "/var/lib/driftlock/x-incremental/latest";
      shared = true;
      environment = {
        REPORT = "/var/lib/driftlock/x/latest";
        STATE = "/var/lib/driftlock-notify/x";
        TITLE = "%H x";
        ON = "drift trouble recovered";
        REMIND_AFTER = "7d";
        WEBHOOK_URL_FILE = "%d/webhook";
        MAIL_TO = "a@example.org, b%%c@example.org";
        MAIL_FROM = "driftlock";
        SENDMAIL = "/run/wrappers/bin/sendmail";
      };
      LoadCredential = [ "webhook:/run/secrets/hook" ];
      User = "driftlock-notify";
      SupplementaryGroups = [ "driftlock" ];
      ProtectSystem = "full";
      checking = {
        PrivateNetwork = true;
        secret = false;
      };
      users = [
        "driftlock"
        "driftlock-notify"
      ];
      refusals = [ ];
    };
  };
  testNotifyIsOffByDefault = {
    expr = {
      inherit ((one "/srv/a" { }).systemd.services.driftlock-x) onSuccess onFailure;
    };
    expected = {
      onSuccess = [ ];
      onFailure = [ ];
    };
  };
  testNotifyRefusals = {
    expr = map (notify: lib.length (refusals (one "/srv/a" { inherit notify; }))) [
      { webhookUrlFile = "/run/secrets/hook"; }
      { }
      { webhookUrlFile = "secrets/hook"; }
      { webhookUrlFile = "/nix/store/abc-hook"; }
      {
        webhookUrlFile = "/run/secrets/hook";
        remindAfter = "a week";
      }
      { mail.to = [ ]; }
    ];
    expected = [
      0
      1
      1
      1
      1
      1
    ];
  };
  testWindow = {
    expr = {
      inherit (service "/srv/a" { }) EnvironmentFile;
      words = lib.hasInfix ''"check" "--local" $WINDOW'' (service "/srv/a" { }).ExecStart;
      none = (one "/srv/a" { }).systemd.services.driftlock-x.environment.WINDOW;
    };
    expected = {
      EnvironmentFile = [ "-/run/driftlock/x.window" ];
      words = true;
      none = "";
    };
  };

  # Metrics
  testNoMetrics = {
    expr =
      let
        config = one "/srv/a" { every = "24h"; };
      in
      {
        inherit (serviceOf config)
          BindPaths
          ReadWritePaths
          SupplementaryGroups
          UMask
          ;
        metrics = lib.hasInfix "--metrics" (serviceOf config).ExecStart;
        node = config.services.prometheus.exporters.node or null;
      };
    expected = {
      BindPaths = [ ];
      ReadWritePaths = [ ];
      SupplementaryGroups = [ ];
      UMask = "0027";
      metrics = false;
      node = null;
    };
  };
  testMetrics = {
    expr =
      let
        config =
          evaluateWith
            {
              metricsDirectory = "/var/lib/node-exporter";
            }
            {
              x = {
                settings.check.c = check "/srv/a";
                locks = "/var/lib/baseline";
                every = "24h";
              };
            };
      in
      {
        inherit (serviceOf config)
          BindPaths
          ReadWritePaths
          SupplementaryGroups
          UMask
          ;
        command = lib.hasSuffix ''"--metrics" "/var/lib/node-exporter/driftlock-x.prom" "--every" "24h"'' (serviceOf config)
        .ExecStart;
        inherit (config.systemd.tmpfiles) rules;
        groups = lib.attrNames config.users.groups;
        inherit (config.services.prometheus.exporters) node;
        refusals = refusals config;
      };
    expected = {
      BindPaths = [ ''-"/var/lib/node-exporter"'' ];
      ReadWritePaths = [ "-+/var/lib/node-exporter" ];
      SupplementaryGroups = [ "driftlock-metrics" ];
      UMask = "0022";
      command = true;
      rules = [
        "d /run/driftlock 0755 root root -"
        "d /var/lib/node-exporter 0775 root driftlock-metrics -"
      ];
      groups = [
        "driftlock"
        "driftlock-metrics"
      ];
      node = {
        enabledCollectors = [ "textfile" ];
        extraFlags = [ "--collector.textfile.directory=/var/lib/node-exporter" ];
      };
      refusals = [ ];
    };
  };
  testMetricsDirectoryIsAPlainPath = {
    expr =
      map
        (
          metricsDirectory:
          lib.length (
            refusals (
              evaluateWith { inherit metricsDirectory; } {
                x = {
                  settings.check.c = check "/srv/a";
                  locks = "/var/lib/baseline";
                };
              }
            )
          )
        )
        [
          "/var/lib/ok"
          "relative"
          "/a/../b"
          "/a b"
        ];
    expected = [
      0
      1
      1
      1
    ];
  };
}
