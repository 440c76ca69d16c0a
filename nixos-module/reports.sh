#!/usr/bin/env bash
# reports.sh STATE KEEP DRIFTLOCK: runs after a check. It points STATE/latest at the newest report and removes the
# oldest ones until KEEP are left ("all" keeps all). The program DRIFTLOCK orders the reports, and writes to the journal
# what is wrong with them.
set -euo pipefail

cd -- "$1"
keep=$2
driftlock=$3

mapfile -t reports < <("$driftlock" report --list reports)
count=${#reports[@]}
[ "$count" -gt 0 ] || exit 0

# With a second name, so that the link always exists.
ln -sfn -- "${reports[count - 1]}" latest.new
mv -fT -- latest.new latest

[ "$keep" != all ] || exit 0
for ((i = 0; i < count - keep; i++)); do
  # A report that can't be removed (made by hand, as root) must not turn a clean run into a failed one.
  rm -rf -- "${reports[i]}" || echo "<4>retainReports: ${reports[i]} can't be removed, remove it by hand"
done
