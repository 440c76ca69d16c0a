# Settings that can be intended, but are more likely a mistake.
{
  lib,
  name,
  instance,
  metricsDirectory,
}:
let
  option = "services.driftlock.instances.${name}";
  tells = instance.notify != null || instance.onDrift ++ instance.onTrouble != [ ];
  runs =
    instance.timerConfig != null
    || instance.checkAfterSwitch
    || (instance.statCache.enable && instance.statCache.timerConfig != null);
  inherit (instance) every readAll;
in
lib.optional (tells && !runs)
  "${option}.timerConfig: null, so no timer runs the check, and alerts are sent only after manual runs"
++ lib.optional (
  instance.statCache.enable && instance.statCache.timerConfig == null
) "${option}.statCache.timerConfig: null, so no timer runs the incremental check"
++ lib.optional (
  every != null && metricsDirectory == null
) "${option}.every: it is for the metrics, and services.driftlock.metricsDirectory is null"
++
  lib.optional (every != null && instance.timerConfig == null)
    "${option}.every: timerConfig is null, so no timer runs the check every ${toString every}; the alert about an overdue run will fire"
++
  lib.optional (readAll && instance.user != "driftlock")
    "${option}.readAll: it lets the user ${instance.user} read what only root may, and other programs may run as ${instance.user}"
