#!/usr/bin/env bash
# reports.sh STATE KEEP: after a run, points STATE/latest at the newest report and removes the oldest ones
# until KEEP are left ("all" keeps all). Reports are folders of STATE/reports, named by their time.
set -euo pipefail
export LC_ALL=C # the order of the names is that of the times
shopt -s nullglob

cd -- "$1"
keep=$2

reports=()
for folder in reports/[0-9]*/; do
  folder=${folder%/}
  [ -L "$folder" ] || reports+=("$folder")
done
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
