#!/usr/bin/env bash
# reports.sh STATE KEEP DRIFTLOCK: after a run, points STATE/latest at the newest report and removes the oldest ones
# until KEEP are left ("all" keeps all). Which is newer, and what is no report, the program DRIFTLOCK says; it tells
# the journal what is wrong with the reports.
set -euo pipefail

cd -- "$1"
keep=$2
driftlock=$3

mapfile -t reports < <("$driftlock" report --list reports)
count=${#reports[@]}
[ "$count" -gt 0 ] || exit 0

# Through a second name, so that there is no moment without the link.
ln -sfn -- "${reports[count - 1]}" latest.new
mv -fT -- latest.new latest

[ "$keep" != all ] || exit 0
for ((i = 0; i < count - keep; i++)); do
  # One that can't be removed (made by hand, as root) must not turn a clean run into a failed one.
  rm -rf -- "${reports[i]}" || echo "<4>retainReports: ${reports[i]} can't be removed, remove it by hand"
done
