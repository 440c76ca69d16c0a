# A timer's calendar events as text.
{ lib }:
{
  # Without the time zone at its end, which can't be looked up in a build: there are no zones there.
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
