# The type of a timer's keys. Each default applies unless that key is set; the calendar, unless the timer has another
# On… key.
{ lib, unitOption }:
let
  inherit (lib) literalExpression mkOption types;
in
calendar: defaults:
types.nullOr (
  types.submodule (
    { config, ... }:
    {
      freeformType = types.attrsOf unitOption;
      options = {
        OnCalendar = mkOption {
          type = types.nullOr unitOption;
          default =
            if lib.any (key: key != "OnCalendar" && lib.hasPrefix "On" key) (lib.attrNames config) then
              null
            else
              calendar;
          defaultText = literalExpression ''"${calendar}", unless there is another On… key'';
          example = "hourly";
          description = "When to check: one calendar event of {manpage}`systemd.time(7)`, or a list of them.";
        };
        RandomizedDelaySec = mkOption {
          type = unitOption;
          default = defaults.RandomizedDelaySec;
          example = "1h";
          description = "The longest random delay, so that a fleet does not check all at once.";
        };
        FixedRandomDelay = mkOption {
          type = unitOption;
          default = true;
          example = false;
          description = "Whether a machine always has the same delay, so that its checks are evenly spaced.";
        };
        Persistent = mkOption {
          type = unitOption;
          default = defaults.Persistent;
          example = false;
          description = "Whether to make up for a check that was missed while the machine was off.";
        };
      };
    }
  )
)
