#!/usr/bin/env bash
# dispatch.sh DRIFT-UNIT… -- TROUBLE-UNIT…: starts units according to the result of the checking unit. systemd passes
# that result in MONITOR_SERVICE_RESULT and MONITOR_EXIT_STATUS (systemd.exec(5)).
set -euo pipefail

on_drift=()
while [ "$1" != -- ]; do
  on_drift+=("$1")
  shift
done
shift
on_trouble=("$@")

case "${MONITOR_SERVICE_RESULT-}:${MONITOR_EXIT_STATUS-}" in
  exit-code:1) units=("${on_drift[@]}") what=drift ;;
  exit-code:2) units=("${on_trouble[@]}") what=trouble ;;
  exit-code:3) units=("${on_drift[@]}" "${on_trouble[@]}") what="drift and trouble" ;;
  # Killed, timed out, or not started: there is no verdict, and that is trouble.
  *) units=("${on_trouble[@]}") what="trouble (${MONITOR_SERVICE_RESULT-no result}, ${MONITOR_EXIT_STATUS-no status})" ;;
esac

echo "${MONITOR_UNIT-unknown unit}: $what; starting: ${units[*]-nothing}"
[ ${#units[@]} -eq 0 ] || exec systemctl --no-block start -- "${units[@]}"
