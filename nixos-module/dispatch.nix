# driftlock-dispatch@<unit>.service, started by OnFailure= of the checking unit. Starting units needs a right that the
# checking unit must not have, so this unit has it: root's uid, which systemd's socket requires, and none of root's
# other rights.
{
  lib,
  pkgs,
  utils,
  # The checking unit's name, without "driftlock-".
  unit,
  # The instance's name.
  name,
  instance,
}:
let
  checking = "driftlock-${unit}";
  named = lib.replaceStrings [ "%n" "%N" ] [ "${checking}.service" checking ];
in
{
  description = "Start units for drift or trouble in driftlock's checks of ${name}";
  documentation = [ "man:driftlock(1)" ];
  restartIfChanged = false;

  serviceConfig = import ./starting.nix // {
    ExecStart = utils.escapeSystemdExecArgs (
      [
        (lib.getExe' pkgs.bash "bash")
        "${./dispatch.sh}"
      ]
      ++ map named instance.onDrift
      ++ [ "--" ]
      ++ map named instance.onTrouble
    );

    LogExtraFields = "DRIFTLOCK_INSTANCE=${name}";
  };
}
