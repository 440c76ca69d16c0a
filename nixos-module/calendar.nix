# A timer's calendar events as text.
{ lib }:
{
  # Without the time zone at its end, because a build has no time zones to check it with.
  withoutZone =
    calendar:
    let
      words = lib.filter (word: word != "") (lib.splitString " " calendar);
    in
    if lib.length words > 1 && builtins.match "[A-Za-z].*" (lib.last words) != null then
      lib.concatStringsSep " " (lib.init words)
    else
      calendar;
}
