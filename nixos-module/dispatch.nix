# driftlock-dispatch@<unit>.service, started by OnFailure= of the checking unit. Starting units takes a right
# that the checking unit must not have, so this one has it: root's uid, which systemd's own socket asks for, and
# nothing else of root's.
{
  lib,
  pkgs,
  utils,
  # The checking unit's name, without its "driftlock-".
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
  description = "Tell of drift or trouble in driftlock's checks of ${name}";
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
