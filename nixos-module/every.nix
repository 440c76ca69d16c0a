# The longest time between two runs of a timer's calendars, as a file that sets EVERY for the unit. systemd-analyze
# computes it when the system is built. Empty if there are no calendars, or if they end.
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
      # A year of daily runs, and more than a week of runs every 15 minutes.
      systemd-analyze calendar --base-time='2026-01-01 00:00:00' --iterations=1000 "$calendar" |
        sed -nE 's/^ *(Next elapse|Iter(\.|ation) #[0-9]+): (.* UTC)$/\3/p' >>times
    done
    date --file=times +%s | sort -nu | awk '
      NR > 1 && $1 - last > most { most = $1 - last }
      { last = $1 }
      END { if (most) printf "EVERY=--every %ds\n", most }
    ' >$out
  ''
