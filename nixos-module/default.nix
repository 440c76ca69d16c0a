# services.driftlock: each instance is one declaration, checked by one hardened unit on one timer.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.driftlock;
  format = pkgs.formats.json { };
  enabled = lib.filterAttrs (_: instance: cfg.enable && instance.enable) cfg.instances;
  # Leaves out keys that are not set.
  set = lib.filterAttrs (_: value: value != null);

  # Name → the results of the other files of this folder for that instance.
  instances = lib.mapAttrs (
    name: instance:
    let
      declared = import ./declaration.nix {
        inherit lib name instance;
      };
    in
    {
      inherit instance declared;
      declaration = import ./checked.nix {
        inherit lib pkgs name;
        inherit (cfg) package;
        inherit instance declared;
        source = format.generate "driftlock-${name}.json" declared.settings;
        calendars = calendarsOf instance.timerConfig ++ calendarsOf instance.statCache.timerConfig;
      };
      every = import ./every.nix {
        inherit pkgs lib name;
        calendars = calendarsOf instance.timerConfig;
      };
    }
  ) enabled;

  calendarsOf =
    timer: if timer == null || timer.OnCalendar == null then [ ] else lib.toList timer.OnCalendar;

  # Unit → what it runs: the full check of each instance, and the incremental one if enabled. Each has its own state, so
  # that neither prunes the other's reports.
  runs = lib.concatMapAttrs (
    name: i:
    {
      ${name} = i // {
        inherit name;
        title = "checks of ${name}";
        state = i.declared.stateDirectory;
        inherit (i.instance) timerConfig;
        arguments = [ ];
      };
    }
    // lib.optionalAttrs i.instance.statCache.enable {
      "${name}-incremental" = i // rec {
        inherit name;
        title = "incremental checks of ${name}";
        state = "${i.declared.stateDirectory}-incremental";
        inherit (i.instance.statCache) timerConfig;
        arguments = [
          "--stat-cache"
          "${state}/stat-cache"
          "--output"
          "${state}/reports"
        ];
      };
    }
  ) instances;

  dispatched = lib.filterAttrs (
    _: { instance, ... }: instance.onDrift ++ instance.onTrouble != [ ]
  ) runs;
  notified = lib.filterAttrs (_: { instance, ... }: instance.notify != null) runs;
  timed = lib.filterAttrs (_: { timerConfig, ... }: timerConfig != null) runs;
in
{
  # One key for all copies: if two roles import the module, from any path, it is imported once.
  key = "driftlock#nixosModules.default";
  _file = "driftlock#nixosModules.default";

  options.services.driftlock = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = cfg.instances != { };
      defaultText = lib.literalExpression "instances != { }";
      example = false;
      description = "Whether to run the checks of this machine.";
    };

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ../nix/package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./nix/package.nix { }";
      example = lib.literalExpression "pkgs.driftlock";
      description = "The driftlock package that runs, validates the declarations, and is put on the path.";
    };

    metricsDirectory = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/var/lib/node-exporter";
      description = ''
        The directory where every instance writes its metrics, {file}`driftlock-<name>.prom`. This module creates it, and
        makes node_exporter (`services.prometheus.exporters.node`), if it is enabled, collect from it. Null for no metrics.
      '';
    };

    instances = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule (import ./instance.nix { inherit lib format utils; })
      );
      default = { };
      example = lib.literalExpression ''
        {
          odoo = {
            settings.check.compose_hashes = {
              kind = "files";
              root = "/srv/stacks";
              include = [ "*/docker-compose*.yml" ];
            };
            locks = ./audit/locks;
            onDrift = [ "notify-drift@%n.service" ];
          };
        }
      '';
      description = ''
        Checks to run on this machine. Each instance has its own declaration, unit
        (`driftlock-<name>.service`), timer and state directory ({file}`/var/lib/driftlock/<name>`).
      '';
    };
  };

  # A maintainer needs an entry in nixpkgs' list.
  meta.maintainers = [ ];

  config = lib.mkIf (enabled != { }) {
    warnings = lib.concatLists (
      lib.mapAttrsToList (
        name: instance:
        import ./warnings.nix {
          inherit lib name instance;
          inherit (cfg) metricsDirectory;
        }
      ) enabled
    );

    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name:
        { instance, declared, ... }:
        import ./assertions.nix {
          inherit
            lib
            name
            instance
            declared
            ;
          others = lib.attrNames enabled;
          inherit (cfg) metricsDirectory;
        }
      ) instances
    );

    # For manual runs: `driftlock --config /etc/driftlock/<name>.json …`.
    environment.systemPackages = [ cfg.package ];
    environment.etc = lib.mapAttrs' (
      name: { declaration, ... }: lib.nameValuePair "driftlock/${name}.json" { source = declaration; }
    ) instances;

    users = lib.mkMerge [
      (lib.mkIf (lib.any (i: i.user == "driftlock") (lib.attrValues enabled)) {
        users.driftlock = {
          isSystemUser = true;
          group = "driftlock";
          description = "Driftlock's checks";
        };
        groups.driftlock = { };
      })
      (lib.mkIf (lib.any (i: i.group == "driftlock") (lib.attrValues enabled)) {
        groups.driftlock = { };
      })
      (lib.mkIf (notified != { }) {
        users.driftlock-notify = {
          isSystemUser = true;
          group = "driftlock-notify";
          description = "Sends driftlock's alerts";
        };
        groups.driftlock-notify = { };
      })
      # Its members write metrics; node_exporter only reads them.
      (lib.mkIf (cfg.metricsDirectory != null) { groups.driftlock-metrics = { }; })
    ];
    systemd.tmpfiles.rules = [
      # root opens a maintenance window here.
      "d /run/driftlock 0755 root root -"
    ]
    ++ lib.optional (
      cfg.metricsDirectory != null
    ) "d ${cfg.metricsDirectory} 0775 root driftlock-metrics -";
    services.prometheus.exporters.node = lib.mkIf (cfg.metricsDirectory != null) {
      enabledCollectors = [ "textfile" ];
      extraFlags = [ "--collector.textfile.directory=${cfg.metricsDirectory}" ];
    };

    systemd.services =
      lib.mapAttrs' (
        unit: run:
        lib.nameValuePair "driftlock-${unit}" (
          import ./unit.nix {
            inherit
              lib
              pkgs
              utils
              unit
              ;
            inherit (run)
              name
              title
              instance
              declared
              declaration
              every
              state
              arguments
              ;
            inherit (cfg) package metricsDirectory;
            dispatches = dispatched ? ${unit};
            notifies = notified ? ${unit};
          }
        )
      ) runs
      # Each switch starts it, because it is wanted and not active. The switch does not wait for it.
      // lib.mapAttrs' (
        name: _:
        lib.nameValuePair "driftlock-${name}-after-switch" {
          description = "Start driftlock's checks of ${name} after a switch";
          documentation = [ "man:driftlock(1)" ];
          wantedBy = [ "multi-user.target" ];
          serviceConfig = import ./starting.nix // {
            ExecStart = utils.escapeSystemdExecArgs [
              (lib.getExe' pkgs.systemd "systemctl")
              "--no-block"
              "start"
              "driftlock-${name}.service"
            ];
          };
        }
      ) (lib.filterAttrs (_: instance: instance.checkAfterSwitch) enabled)
      // lib.mapAttrs' (
        unit:
        { name, instance, ... }:
        lib.nameValuePair "driftlock-dispatch@${unit}" (
          import ./dispatch.nix {
            inherit
              lib
              pkgs
              utils
              unit
              name
              instance
              ;
          }
        )
      ) dispatched
      // lib.mapAttrs' (
        unit: run:
        lib.nameValuePair "driftlock-notify-${unit}" (
          import ./notify.nix {
            inherit lib pkgs utils;
            inherit (run)
              name
              title
              instance
              state
              ;
            inherit (cfg) package;
          }
        )
      ) notified;

    systemd.timers = lib.mapAttrs' (
      unit:
      { title, timerConfig, ... }:
      lib.nameValuePair "driftlock-${unit}" {
        description = "Timer of driftlock's ${title}";
        wantedBy = [ "timers.target" ];
        timerConfig = set timerConfig;
      }
    ) timed;
  };
}
