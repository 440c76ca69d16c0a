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
        The declaration: the contents of {file}`driftlock.toml`, in Nix. driftlock itself validates it
        when the system is built. {option}`locks` and the instance's state directory replace its
        `locks` and `reports`.
      '';
    };

    server = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "web";
      description = ''
        Which of the servers in {option}`settings` this machine is, as with `--as`. It then has the checks and roots of that
        server and, with `lock_per_server`, its locks.
      '';
    };

    locks = mkOption {
      type = types.path;
      example = literalExpression "./audit/locks";
      description = ''
        The directory of the lock files. A path of the flake (`./audit/locks`) is kept in the Nix
        store, where it can't be edited. A string (`"/var/lib/driftlock-baseline"`) names a
        directory on the machine, which the unit reads in place.
      '';
    };

    reference = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = literalExpression "{ compose_hashes = ./infra/stacks; }";
      description = ''
        For a check, a tree with the locked contents: a path of the flake, which is kept in the Nix store. With
        `show_changes = true` in {option}`settings.check.<name>`, reports have the lines that changed; otherwise
        they have no contents.
      '';
    };

    allowMissingLocks = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether a baseline in the store may lack the locks of some checks. A check without a lock reports drift. If
        false, the build of the system fails unless each check has a valid lock.
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
        When to check: any keys of {manpage}`systemd.timer(5)`. A calendar that systemd does not understand
        fails the build of the system. With null there is no timer, and the unit runs only when something
        else starts it.
      '';
    };

    statCache = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether to run incremental checks too. A second unit, `driftlock-<name>-incremental.service`,
          reads only what changed since its last run, by device, inode, size, mtime and ctime, so it can run
          more often. {file}`docs/stat-cache.md` says what it trusts. Its cache and reports are in
          {file}`/var/lib/driftlock/<name>-incremental`. `driftlock-<name>.service` still reads everything, on
          {option}`timerConfig`.
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
          When to run incremental checks: keys of {manpage}`systemd.timer(5)`. With null there is no timer.
        '';
      };
    };

    checkAfterSwitch = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to also check after each switch to a configuration, and after each boot. Otherwise a new baseline is first
        used when the timer fires. The switch does not wait for the check.
      '';
    };

    every = mkOption {
      type = types.nullOr (types.strMatching "[1-9][0-9]{0,8}[smhd]");
      default = null;
      example = "24h";
      description = ''
        How often the check runs (`90s`, `30m`, `24h`, `7d`), for the metrics: an alert fires if a run is overdue. With null,
        `systemd-analyze` computes the longest time between two runs of {option}`timerConfig`'s `OnCalendar` when the system
        is built. With another kind of timer, or none, the metric is left out, and the alert assumes a day.
      '';
    };

    onDrift = mkOption {
      type = types.listOf unitNameType;
      default = [ ];
      example = [ "notify-drift@%n.service" ];
      description = ''
        Units to start when a run found drift or a missing lock file (bit 1 of the exit code).
        `%n` stands for the checking unit's name (`driftlock-${"<name>"}.service`), `%N` for that name
        without its suffix. When they start, {file}`/var/lib/driftlock/<name>/latest` is the run's report
        (for an incremental check, {file}`/var/lib/driftlock/<name>-incremental/latest`).
      '';
    };

    onTrouble = mkOption {
      type = types.listOf unitNameType;
      default = [ ];
      example = [ "notify-trouble@%n.service" ];
      description = ''
        Units to start when a run had trouble (bit 2 of the exit code): something could not be
        read or verified, or the unit ended without an exit code of driftlock.
        A run with drift and trouble starts these and {option}`onDrift`. `%n` and `%N` are as there.
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
                      description = "The program that sends the mail; it is called with `-t -i`.";
                    };
                  };
                }
              );
              default = null;
              example = {
                to = [ "ops@example.org" ];
              };
              description = "Send mail with the machine's sendmail. Null for no mail.";
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
                What to alert about: drift or a missing lock file; trouble, including a run without a verdict; and the
                end of a problem.
              '';
            };

            remindAfter = mkOption {
              type = types.nullOr types.str;
              default = "7d";
              example = "24h";
              description = ''
                After how long the next run sends an unchanged alert again (`30m`, `24h`, `7d`). Null for never.
              '';
            };

            title = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "The shop";
              description = "The name of this instance in messages. Null for the names of the host and the instance.";
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
        Where to send alerts about the checks. An alert is sent once, and again if the problem changed. A separate unit,
        `driftlock-notify-<name>.service`, sends it, and has the network and the secret; the checking unit has neither.
        The unit fails if it can't deliver an alert.
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
        no other capability. It still sees only the declared roots.
      '';
    };

    user = mkOption {
      type = types.str;
      default = "driftlock";
      example = "odoo";
      description = ''
        The user that the check runs as. This module creates `driftlock`; any other user must
        exist. It can't be root; use {option}`readAll` instead.
      '';
    };

    group = mkOption {
      type = types.str;
      default = "driftlock";
      example = "odoo";
      description = ''
        The group that the check runs as; its members may read the reports. This module creates `driftlock`,
        for any {option}`user`; another group must exist.
      '';
    };

    supplementaryGroups = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "docker" ];
      description = "Further groups whose files or sockets the check may read.";
    };

    seal = {
      allowedSigners = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "ops@example.org namespaces=\"driftlock\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…" ];
        description = ''
          Who may seal the baseline: the lines of a file of allowed signers, as in {manpage}`ssh-keygen(1)`. With at least
          one, the check refuses a baseline without a seal by one of them (exit code 2), and an older seal than the newest
          that it has seen. {file}`docs/seals.md` describes seals.
        '';
      };

      declaration = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = literalExpression "./driftlock.toml";
        description = ''
          The declaration that was sealed: the file that {option}`settings` are read from. The unit's own declaration is made
          from it, with the roots of this machine, so it is not the one that was sealed. With null, the unit's own has to be
          the sealed one.
        '';
      };
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
