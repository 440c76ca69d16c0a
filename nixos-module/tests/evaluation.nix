# The module's evaluation tests: settings in, units and assertions out, under the real module system.
{
  pkgs,
  lib,
  driftlock,
  nixpkgs,
}:
let
  # The module beside the few options that it sets. All of NixOS is evaluated by the VM test; here its own
  # assertions are wanted, and no others.
  evaluate = evaluateWith { };
  evaluateWith =
    more: instances:
    (lib.evalModules {
      modules = [
        ../.
        # Again, as a flake gives it: two roles may import it.
        (import ../.)
        "${nixpkgs}/nixos/modules/misc/assertions.nix"
        {
          config._module.check = false;
          options = lib.genAttrs [ "systemd" "environment" "users" ] (
            _:
            lib.mkOption {
              type = lib.types.attrsOf lib.types.anything;
              default = { };
            }
          );
        }
        {
          options.services.prometheus = lib.mkOption {
            type = lib.types.anything;
            default = { };
          };
          config.services.driftlock = {
            inherit instances;
            package = driftlock;
          }
          // more;
        }
      ];
      specialArgs = {
        inherit pkgs;
        utils = import "${nixpkgs}/nixos/lib/utils.nix" {
          inherit lib pkgs;
          config = { };
        };
      };
    }).config;

  check = root: {
    kind = "files";
    inherit root;
    include = [ "**" ];
  };
  # One instance, called "x", checking one root; `more` is merged into it.
  one =
    root: more:
    evaluate {
      x = lib.recursiveUpdate {
        settings.check.c = check root;
        locks = "/var/lib/baseline";
      } more;
    };
  serviceOf = config: config.systemd.services.driftlock-x.serviceConfig;
  service = root: more: serviceOf (one root more);
  refusals = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  settingsOf =
    config:
    (import ../declaration.nix {
      inherit lib;
      name = "x";
      instance = config.services.driftlock.instances.x;
    }).settings;
  visible =
    roots:
    lib.tail
      (serviceOf (evaluate {
        x = {
          settings.check = lib.listToAttrs (
            lib.imap0 (i: root: lib.nameValuePair "c${toString i}" (check root)) roots
          );
          locks = "/nix/store/locks";
        };
      })).BindReadOnlyPaths;

  cases = {
    testNothingWithoutInstances = {
      expr = (evaluate { }).systemd;
      expected = { };
    };

    # Timers
    testTimerHasDefaults = {
      expr = (one "/srv/a" { timerConfig.OnCalendar = "hourly"; }).systemd.timers.driftlock-x.timerConfig;
      expected = {
        FixedRandomDelay = true;
        OnCalendar = "hourly";
        Persistent = true;
        RandomizedDelaySec = "15m";
      };
    };
    testTimerDefaultsGiveWay = {
      expr =
        (one "/srv/a" {
          timerConfig = {
            OnCalendar = "hourly";
            Persistent = false;
          };
        }).systemd.timers.driftlock-x.timerConfig.Persistent;
      expected = false;
    };
    testNoTimer = {
      expr = (one "/srv/a" { timerConfig = null; }).systemd.timers;
      expected = { };
    };

    # What the unit sees
    testRootIsBound = {
      expr = visible [ "/srv/a" ];
      expected = [ ''-"/srv/a"'' ];
    };
    testOnlyOutermostRootsAreBound = {
      expr = visible [
        "/srv/a"
        "/srv//a/"
        "/srv/a/b"
        "/srv/ab"
      ];
      expected = [
        ''-"/srv/a"''
        ''-"/srv/ab"''
      ];
    };
    testNamesAreQuoted = {
      expr = visible [ ''/srv/a "b" 5% \c:d'' ];
      expected = [ ''-"/srv/a \"b\" 5%% \\c:d"'' ];
    };
    testStoreRootsNeedNoBinding = {
      expr = visible [ "/nix/store/abc" ];
      expected = [ ];
    };
    testBaselineOnTheMachineIsBound = {
      expr = lib.elem ''-"/var/lib/baseline"'' (service "/srv/a" { }).BindReadOnlyPaths;
      expected = true;
    };
    testHomeIsHidden = {
      expr = (service "/srv/a" { }).ProtectHome;
      expected = true;
    };
    testRootInHome = {
      expr = map (root: (service root { }).ProtectHome) [
        "/home/alice/app"
        "/home"
        "/root/app"
        "/run/user/1000/app"
      ];
      expected = [
        "tmpfs"
        "tmpfs"
        "tmpfs"
        "tmpfs"
      ];
    };
    testRootInTmp = {
      expr = map (root: (service root { }).PrivateTmp) [
        "/srv/a"
        "/tmp/app"
        "/tmp"
        "/var/tmp"
      ];
      # Below a private /tmp a root is mounted; /tmp itself must be the machine's.
      expected = [
        true
        true
        false
        false
      ];
    };
    testRootInDev = {
      expr = {
        inherit (service "/dev" { }) PrivateDevices ProtectKernelLogs;
      };
      expected = {
        PrivateDevices = false;
        ProtectKernelLogs = false;
      };
    };
    testRootWithKernelModules = {
      expr = map (root: (service root { }).ProtectKernelModules) [
        "/srv/a"
        "/usr"
        "/lib/modules/6.12"
      ];
      expected = [
        true
        false
        false
      ];
    };

    # What the unit may do
    testNoCapabilities = {
      expr = {
        inherit (service "/srv/a" { }) AmbientCapabilities CapabilityBoundingSet PrivateUsers;
      };
      expected = {
        AmbientCapabilities = [ ];
        CapabilityBoundingSet = "";
        PrivateUsers = true;
      };
    };
    testReadAll = {
      expr = {
        inherit (service "/srv/a" { readAll = true; })
          AmbientCapabilities
          CapabilityBoundingSet
          PrivateUsers
          ;
      };
      expected = {
        AmbientCapabilities = [ "CAP_DAC_READ_SEARCH" ];
        CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
        PrivateUsers = false;
      };
    };
    testOwnersNeedTrueIds = {
      expr =
        map (attributes: (service "/srv/a" { settings.check.c = { inherit attributes; }; }).PrivateUsers)
          [
            [ "mode" ]
            [ "owner" ]
            [ "xattrs" ]
          ];
      expected = [
        true
        false
        false
      ];
    };
    testSandboxIsRequired = {
      expr = lib.hasInfix "\"--require-sandbox\" \"check\"" (service "/srv/a" { }).ExecStart;
      expected = true;
    };
    testOpenat2GetsThrough = {
      expr = (service "/srv/a" { }).RestrictSUIDSGID;
      expected = false;
    };
    testExtraFlagsAreEscaped = {
      expr =
        lib.hasSuffix "\"--check\" \"100%% $$HOME\""
          (service "/srv/a" {
            extraFlags = [
              "--check"
              "100% $HOME"
            ];
          }).ExecStart;
      expected = true;
    };
    testSocket = {
      expr =
        let
          config = evaluate {
            x = {
              settings.check.c = {
                kind = "containers";
                socket = "/run/docker.sock";
              };
              locks = "/nix/store/locks";
            };
          };
        in
        {
          inherit (serviceOf config) BindReadOnlyPaths RestrictAddressFamilies;
          refusals = refusals config;
        };
      expected = {
        BindReadOnlyPaths = [
          builtins.storeDir
          ''-"/run/docker.sock"''
        ];
        RestrictAddressFamilies = [ "AF_UNIX" ];
        refusals = [ ];
      };
    };

    # The declaration
    testDeclaration = {
      expr = settingsOf (
        one "/srv/a" {
          settings.locks = "audit/locks";
          settings.check.c.exclude = [ "*.log" ];
        }
      );
      expected = {
        locks = "/var/lib/baseline";
        reports = "/var/lib/driftlock/x/reports";
        check.c = check "/srv/a" // {
          exclude = [ "*.log" ];
        };
      };
    };
    testServerRootTakesTheRootsPlace = {
      expr =
        (settingsOf (
          one "infra/stacks" {
            settings.check.c = {
              server_root = "/srv/stacks";
              modes = [
                "local"
                "server"
              ];
            };
          }
        )).check.c;
      expected = check "/srv/stacks";
    };
    testChecksOfTheRepositoryAreLeftOut = {
      expr =
        lib.attrNames
          (settingsOf (
            one "/srv/a" {
              settings.check.d = check "docs" // {
                modes = [ "local" ];
              };
            }
          )).check;
      expected = [ "c" ];
    };
    testBaselineOfTheFlakeIsInTheStore = {
      expr = lib.hasPrefix builtins.storeDir (settingsOf (one "/srv/a" { locks = ./.; })).locks;
      expected = true;
    };

    # Telling of drift and trouble
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

    # Telling people
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

    # Accounts
    testAccountIsMade = {
      expr = lib.attrNames (one "/srv/a" { }).users.users;
      expected = [ "driftlock" ];
    };
    # Its group is: the unit could not start without.
    testForeignAccountIsNot = {
      expr = (one "/srv/a" { user = "odoo"; }).users;
      expected.groups.driftlock = { };
    };
    testForeignAccountAndGroupAreNot = {
      expr =
        (one "/srv/a" {
          user = "odoo";
          group = "odoo";
        }).users;
      expected = { };
    };
  }
  // import ./instances.nix {
    inherit
      lib
      check
      evaluate
      evaluateWith
      one
      service
      ;
  }
  // import ./refusals.nix {
    inherit
      lib
      check
      evaluate
      evaluateWith
      one
      refusals
      ;
  };

  failures = lib.runTests cases;
in
if failures != [ ] then
  throw (
    lib.concatMapStringsSep "\n" (
      failure:
      "${failure.name}: expected ${lib.generators.toPretty { } failure.expected}, got ${
        lib.generators.toPretty { } failure.result
      }"
    ) failures
  )
else
  pkgs.runCommand "driftlock-module-evaluation" { } ''
    echo ${toString (lib.length (lib.attrNames cases))} tests passed >$out
  ''
