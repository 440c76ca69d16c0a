# The options of one instance: a submodule of services.driftlock.instances.
{
  lib,
  format,
  utils,
}:
{ name, ... }:
let
  inherit (lib) literalExpression mkOption types;
  inherit (utils.systemdUtils.unitOptions) unitOption;
  inherit (utils.systemdUtils.lib) unitNameType;

  timerType = import ./timer.nix { inherit lib unitOption; };

  check = import ./check.nix { inherit lib format; };
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to run this instance.";
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = format.type;
        options.check = mkOption {
          type = types.attrsOf (types.submodule check);
          default = { };
          example = {
            addon_hashes = {
              kind = "trees";
              root = "/srv/odoo/addons";
              exclude = [ "**/__pycache__" ];
            };
          };
          description = "The checks by name. Keys that have no option here are passed on as they are.";
        };
      };
      default = { };
      example = literalExpression "lib.importTOML ./driftlock.toml";
      description = ''
        The declaration: what {file}`driftlock.toml` holds, as Nix. It is validated by driftlock
        itself when the system is built. Its `locks` and `reports` are replaced by
        {option}`locks` and by the instance's state directory.
      '';
    };

    server = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "web";
      description = ''
        Which of the servers in {option}`settings` this machine is, as `--as` has it: it then has the checks that this server
        is asked for, its roots, and its locks where each server has its own (`lock_per_server`).
      '';
    };

    locks = mkOption {
      type = types.path;
      example = literalExpression "./audit/locks";
      description = ''
        The directory of the lock files. A path of the flake (`./audit/locks`) is kept in the Nix
        store, where it can't be edited; a string (`"/var/lib/driftlock-baseline"`) names a
        baseline that is kept on the machine and that the unit reads in place.
      '';
    };

    reference = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = literalExpression "{ compose_hashes = ./infra/stacks; }";
      description = ''
        For a check, a tree that has what is locked: a path of the flake, which is kept in the Nix store. With
        `show_changes = true` in {option}`settings.check.<name>`, reports have the lines that changed. Without that
        they have no contents.
      '';
    };

    allowMissingLocks = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether a baseline in the store may lack the locks of some checks. Otherwise each check needs a valid one, or the
        build of the system fails; a check that has none reports drift.
      '';
    };

    timerConfig = mkOption {
      type = timerType "daily" {
        RandomizedDelaySec = "15m";
        Persistent = true;
      };
      default = { };
      example = {
        OnCalendar = "hourly";
        RandomizedDelaySec = "5m";
      };
      description = ''
        When to check, as {manpage}`systemd.timer(5)` has it; any of its keys can be set. A calendar that
        systemd does not understand fails the build of the system. Null makes no timer: the unit then runs
        only when something starts it.
      '';
    };

    statCache = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether to check incrementally too, and so more often: a second unit,
          `driftlock-<name>-incremental.service`, reads only what changed since it last read it,
          by device, inode, size, mtime and ctime. What it trusts is in {file}`docs/stat-cache.md`. Its cache
          and its reports are in {file}`/var/lib/driftlock/<name>-incremental`. `driftlock-<name>.service`
          goes on reading everything, on {option}`timerConfig`.
        '';
      };

      timerConfig = mkOption {
        type = timerType "*:0/15" {
          RandomizedDelaySec = "1m";
          Persistent = false;
        };
        default = { };
        example = {
          OnUnitInactiveSec = "5m";
          OnBootSec = "5m";
        };
        description = ''
          When to check incrementally, as {manpage}`systemd.timer(5)` has it. Null makes no timer.
        '';
      };
    };

    checkAfterSwitch = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to check after each switch to a configuration, and after each boot, beside {option}`timerConfig`: a
        new baseline is otherwise first tried when the timer fires. The switch does not wait for the check.
      '';
    };

    every = mkOption {
      type = types.nullOr (types.strMatching "[1-9][0-9]{0,8}[smhd]");
      default = null;
      example = "24h";
      description = ''
        How often the check runs (`90s`, `30m`, `24h`, `7d`), for the metrics: an alert tells of a run that is overdue. Null
        takes the longest time between two runs of {option}`timerConfig`'s `OnCalendar`, worked out by `systemd-analyze`
        when the system is built; with another kind of timer, or none, it is left out, and the alert takes a day for it.
      '';
    };

    onDrift = mkOption {
      type = types.listOf unitNameType;
      default = [ ];
      example = [ "notify-drift@%n.service" ];
      description = ''
        Units to start when a run found drift or a missing lock file (bit 1 of the exit code).
        `%n` stands for the checking unit's name (`driftlock-${"<name>"}.service`), `%N` for the same
        without its suffix. {file}`/var/lib/driftlock/<name>/latest` is by then the run's report,
        with the unit's name for that of the instance where {option}`statCache` has it run.
      '';
    };

    onTrouble = mkOption {
      type = types.listOf unitNameType;
      default = [ ];
      example = [ "notify-trouble@%n.service" ];
      description = ''
        Units to start when a run had trouble (bit 2 of the exit code): something could not be
        read or verified, or the unit ended in any way that is not driftlock's own exit code.
        A run with drift and trouble starts these and {option}`onDrift`. `%n` and `%N` as there.
      '';
    };

    notify = mkOption {
      type = types.nullOr (
        types.submodule {
          options = {
            webhookUrlFile = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "/run/secrets/slack-webhook";
              description = ''
                A file with the URL of an incoming webhook of Slack or Mattermost, and nothing else. It is a
                secret, so don't use a path of the flake: every user can read the store.
              '';
            };

            mail = mkOption {
              type = types.nullOr (
                types.submodule {
                  options = {
                    to = mkOption {
                      type = types.listOf types.str;
                      example = [ "ops@example.org" ];
                      description = "The addresses to write to.";
                    };
                    from = mkOption {
                      type = types.str;
                      default = "driftlock";
                      example = "driftlock@shop.example.org";
                      description = "The address that the mail is from.";
                    };
                    sendmail = mkOption {
                      type = types.str;
                      default = "/run/wrappers/bin/sendmail";
                      example = "/run/current-system/sw/bin/msmtp";
                      description = "The program that is given the mail, with `-t -i`.";
                    };
                  };
                }
              );
              default = null;
              example = {
                to = [ "ops@example.org" ];
              };
              description = "To tell by the machine's sendmail. Null for no mail.";
            };

            on = mkOption {
              type = types.listOf (
                types.enum [
                  "drift"
                  "trouble"
                  "recovered"
                ]
              );
              default = [
                "drift"
                "trouble"
                "recovered"
              ];
              example = [ "drift" ];
              description = ''
                What to tell of: drift or a missing lock file; trouble, which a run without a verdict is too; that
                what was told of is over.
              '';
            };

            remindAfter = mkOption {
              type = types.nullOr types.str;
              default = "7d";
              example = "24h";
              description = ''
                When to tell again of what has not changed (`30m`, `24h`, `7d`), by the first run after that. Null for never.
              '';
            };

            title = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "The shop";
              description = "What the message calls this instance. Null for the host's name and the instance's.";
            };
          };
        }
      );
      default = null;
      example = {
        webhookUrlFile = "/run/secrets/slack-webhook";
        on = [
          "drift"
          "trouble"
          "recovered"
        ];
      };
      description = ''
        Whom to tell of what the checks found: once, and again if it changed. A unit of its own does so,
        `driftlock-notify-<name>.service`, which has the network and the secret; the checking unit has neither.
        It fails where it can't deliver.
      '';
    };

    retainReports = mkOption {
      type = types.nullOr types.ints.positive;
      default = 30;
      example = 365;
      description = ''
        How many reports to keep under {file}`/var/lib/driftlock/<name>/reports`. Null keeps all.
      '';
    };

    readAll = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether the check may read files that its user may not: it gets `CAP_DAC_READ_SEARCH` and
        no other capability. It still sees nothing but the declared roots.
      '';
    };

    user = mkOption {
      type = types.str;
      default = "driftlock";
      example = "odoo";
      description = ''
        The account that the check runs as. `driftlock` is made by this module, any other has to
        exist. Not root: {option}`readAll` is for that.
      '';
    };

    group = mkOption {
      type = types.str;
      default = "driftlock";
      example = "odoo";
      description = ''
        The group that the check runs as, and whose members may read the reports. `driftlock` is made by this module,
        whatever {option}`user` is; any other has to exist.
      '';
    };

    supplementaryGroups = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "docker" ];
      description = "Further groups whose files or sockets the check may read.";
    };

    extraFlags = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--threads"
        "2"
      ];
      description = "Further arguments of {command}`driftlock check`.";
    };
  };
}
