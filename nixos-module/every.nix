# How far apart a timer's calendars are at most, as a file that the unit takes EVERY from: it is worked out by
# systemd-analyze when the system is built. Empty where there are no calendars, or they come to an end.
{
  lib,
  pkgs,
  name,
  calendars,
}:
let
  calendar = import ./calendar.nix { inherit lib; };
in
pkgs.runCommand "driftlock-${name}-every"
  {
    nativeBuildInputs = [ (pkgs.buildPackages or pkgs).systemd ];
    preferLocalBuild = true;
  }
  ''
    export TZ=UTC LC_ALL=C
    touch times
    for calendar in ${lib.escapeShellArgs (map calendar.withoutZone calendars)}; do
      # A year of days, and more than a week of quarters of an hour.
      systemd-analyze calendar --base-time='2026-01-01 00:00:00' --iterations=1000 "$calendar" |
        sed -nE 's/^ *(Next elapse|Iter(\.|ation) #[0-9]+): (.* UTC)$/\3/p' >>times
    done
    date --file=times +%s | sort -nu | awk '
      NR > 1 && $1 - last > most { most = $1 - last }
      { last = $1 }
      END { if (most) printf "EVERY=--every %ds\n", most }
    ' >$out
  ''
