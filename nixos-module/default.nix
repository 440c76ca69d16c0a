# services.driftlock: every instance is one declaration, checked by one hardened unit on one timer.
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

  # Name → what the other files of this folder make of that instance.
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
        source = format.generate "driftlock-${name}.json" declared.settings;
      };
    }
  ) cfg.instances;

  # Unit → what it runs: the full check of each instance, and the incremental one where it is asked for. Each has
  # its own state, so that neither prunes the other's reports.
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
  options.services.driftlock = {
    package = lib.mkPackageOption pkgs "driftlock" {
      example = "driftlock";
      extraDescription = "The flake's own module brings the flake's own package as the default.";
    };

    metricsDirectory = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/var/lib/node-exporter";
      description = ''
        Where every instance writes its metrics, {file}`driftlock-<name>.prom`. The directory is made, and
        node_exporter (`services.prometheus.exporters.node`), if this machine has it, collects from it.
        Null writes none.
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

  config = lib.mkIf (cfg.instances != { }) {
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
          others = lib.attrNames cfg.instances;
          inherit (cfg) metricsDirectory;
        }
      ) instances
    );

    # For `driftlock --config /etc/driftlock/<name>.json …` by hand.
    environment.systemPackages = [ cfg.package ];
    environment.etc = lib.mapAttrs' (
      name: { declaration, ... }: lib.nameValuePair "driftlock/${name}.json" { source = declaration; }
    ) instances;

    users = lib.mkMerge [
      (lib.mkIf (lib.any (i: i.user == "driftlock") (lib.attrValues cfg.instances)) {
        users.driftlock = {
          isSystemUser = true;
          group = "driftlock";
          description = "Driftlock's checks";
        };
        groups.driftlock = { };
      })
      (lib.mkIf (notified != { }) {
        users.driftlock-notify = {
          isSystemUser = true;
          group = "driftlock-notify";
          description = "Tells of what driftlock's checks found";
        };
        groups.driftlock-notify = { };
      })
      # Its members write metrics; node_exporter only reads them.
      (lib.mkIf (cfg.metricsDirectory != null) { groups.driftlock-metrics = { }; })
    ];
    systemd.tmpfiles.rules = [
      # Where root opens a maintenance window.
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
              state
              arguments
              ;
            inherit (cfg) package metricsDirectory;
            dispatches = dispatched ? ${unit};
            notifies = notified ? ${unit};
          }
        )
      ) runs
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
        inherit timerConfig;
      }
    ) timed;
  };
}
