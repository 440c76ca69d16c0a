#!/usr/bin/env bash
# notify.sh [EXIT-CODE]: sends an alert about the latest check, by a webhook of Slack or Mattermost, by mail, or both.
# It alerts once about a problem, again if the problem changed or after a while, and once when the problem is over.
#
# Under systemd, started by OnSuccess= and OnFailure= of the check, it takes the exit code from MONITOR_SERVICE_RESULT
# and MONITOR_EXIT_STATUS (systemd.exec(5)). Otherwise, pass the exit code of `driftlock check` as the argument. Without
# either, it uses the report alone.
#
#   REPORT        the folder of the latest report
#   STATE         a directory of this script's own, where it stores what it has sent
#   TITLE         what was checked: the name of the machine, for example
#   ON            what to alert about: drift, trouble, recovered (all of them if it is empty)
#   REMIND_AFTER  when to send the same alert again: 90s, 30m, 24h, 7d (never if it is empty)
#   WEBHOOK_URL_FILE      a file that contains only the webhook's URL
#   MAIL_TO, MAIL_FROM    addresses; separate several in MAIL_TO with commas
#   SENDMAIL              the program that takes a mail with `-t -i` (default: sendmail)
#
# It needs bash, coreutils, flock, jq, driftlock, and curl for a webhook. It exits with 1 if an alert could not be sent;
# the next run sends it then.
set -euo pipefail
export LC_ALL=C.UTF-8

die() {
  printf 'notify: %s\n' "$*" >&2
  exit 1
}
for variable in REPORT STATE TITLE; do
  [ -n "${!variable-}" ] || die "$variable is not set; see the top of this file"
done
on=" ${ON:-drift trouble recovered} "
for word in $on; do
  case $word in drift | trouble | recovered) ;; *) die "ON: $word is none of drift, trouble, recovered" ;; esac
done
remind=''
if [ -n "${REMIND_AFTER-}" ]; then
  [[ $REMIND_AFTER =~ ^([1-9][0-9]{0,8})([smhd])$ ]] || die "REMIND_AFTER: write $REMIND_AFTER as 90s, 30m, 24h or 7d"
  declare -A unit=([s]=1 [m]=60 [h]=3600 [d]=86400)
  remind=$((BASH_REMATCH[1] * unit[${BASH_REMATCH[2]}]))
fi
[ -n "${WEBHOOK_URL_FILE-}${MAIL_TO-}" ] || die "neither WEBHOOK_URL_FILE nor MAIL_TO is set: there is no recipient"
cd -- "$STATE"
# Two runs at once would send everything twice.
exec 9>lock
flock 9

# One file for each report directory, because two checks may share the state.
seen=seen-$(printf %s "$REPORT" | sha256sum | cut -c 1-16)
# The result of the check: 0 to 3, or `none` if there is no verdict.
json=$REPORT/drift_report.json
found=$(readlink -f -- "$json" 2>/dev/null) || found=''
# Strict: a report that is truncated or was edited does not count.
if [ -z "$found" ] || ! [ -f "$found" ] || ! driftlock report --json "$found" >new.json; then found=''; fi
if [ -n "${1-}" ]; then
  [[ $1 =~ ^[0-9]+$ ]] || die "$1 is not an exit code"
  case $1 in [0-3]) code=$1 ;; *) code=none ;; esac
elif [ -n "${MONITOR_SERVICE_RESULT-}" ]; then
  case $MONITOR_SERVICE_RESULT:${MONITOR_EXIT_STATUS-} in
    success:*) code=0 ;;
    exit-code:[123]) code=${MONITOR_EXIT_STATUS} ;;
    *) code=none ;;
  esac
else
  [ -n "$found" ] || die "$json is not a report"
  code=$(jq .exit_code new.json)
  rm -f "$seen"
fi
# An interrupted run leaves the previous run's report in place.
if [ -z "$found" ] || [ "$code" = none ] || [ "$(cat "$seen" 2>/dev/null)" = "$found" ]; then
  found=''
  if [ "$code" != none ] && [ "$code" -lt 2 ]; then code=none; fi
elif [ $(($(jq .exit_code new.json) & ~code)) != 0 ]; then
  found='' code=none # it has a bit that the exit code does not have, so another run wrote it
fi

# What to alert about.
what=''
case $code in
  0) ;;
  1) what=drift ;;
  2 | none) what=trouble ;;
  3) what='drift trouble' ;;
esac
if [ -n "$found" ] && [ "$(jq '.window != null and (.window.until | fromdate) > now' new.json)" = true ]; then
  what=${what/drift/} # expected; a run after the window alerts if it is still there
fi
tell=''
for word in $what; do
  case $on in *" $word "*) tell="$tell $word" ;; esac
done

# `told` has the words of the last alert, and told.json its report.
now=$(date +%s)
kind=''
if [ "$code" = 0 ]; then
  if [ -e told ]; then
    case $on in *' recovered '*) kind=recovered ;; esac
  fi
elif [ -n "$tell" ]; then
  kind=new
  if [ -e told ] && [ "$(cat told)" = "$tell" ]; then
    if [ -n "$found" ]; then
      # Exit code 0: both reports have the same results.
      if [ -s told.json ] && driftlock diff told.json new.json >/dev/null 2>&1; then kind=same; fi
    elif ! [ -s told.json ]; then
      kind=same
    fi
  fi
  if [ $kind = same ]; then
    kind=''
    if [ -n "$remind" ] && [ $((now - $(stat -c %Y told))) -ge "$remind" ]; then kind=reminder; fi
  fi
fi

heading=$TITLE
if [ "$kind" = reminder ]; then heading="$TITLE, still"; fi
if [ "$kind" = recovered ]; then heading="$TITLE, recovered"; fi
lost="the check ended without a verdict (${MONITOR_SERVICE_RESULT-exit code} ${MONITOR_EXIT_STATUS-${1-}}), and left no report: look at its log"

by_webhook() {
  local url
  url=$(tr -d '\r\n' <"$WEBHOOK_URL_FILE") || die "$WEBHOOK_URL_FILE can't be read"
  [[ $url =~ ^https?://[^[:space:]\"\\]+$ ]] || die "$WEBHOOK_URL_FILE does not contain a URL"
  if [ -n "$found" ]; then
    driftlock report --format slack --title "$heading" new.json >payload || return 1
  else
    jq -n --arg text ":warning: \`$heading\`: $lost" '{text: $text}' >payload || return 1
  fi
  # Passed in a file, because every user can see arguments.
  curl --silent --show-error --fail --output /dev/null --max-time 30 \
    --retry "${RETRIES:-8}" --retry-connrefused --retry-max-time 900 \
    --header 'Content-Type: application/json' --data-binary @payload --config <(printf 'url = "%s"\n' "$url")
}

by_mail() {
  local subject
  subject=$(printf '%s: %s' "$heading" "${tell:-no drift}" | tr -s '[:cntrl:] ' ' ')
  {
    printf 'From: %s\nTo: %s\nSubject: %s\nDate: %s\n' "${MAIL_FROM:-driftlock}" "$MAIL_TO" "$subject" "$(date -R)"
    printf 'Auto-Submitted: auto-generated\nMIME-Version: 1.0\n'
    printf 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n'
    # In Base64, because a path may be longer than a line of a mail may be.
    if [ -n "$found" ]; then driftlock report --format text "$found"; else printf '%s\n' "$lost"; fi | base64
  } >mail || return 1
  "${SENDMAIL:-sendmail}" -t -i <mail
}

if [ -n "$kind" ]; then
  failed=''
  if [ -n "${WEBHOOK_URL_FILE-}" ]; then by_webhook || failed="the webhook"; fi
  if [ -n "${MAIL_TO-}" ]; then by_mail || failed="${failed:+$failed and }the mail"; fi
  if [ -n "$failed" ]; then die "$failed could not be sent"; fi
  echo "told:${tell:- recovered} ($kind)"
  if [ "$kind" = recovered ]; then
    rm -f told told.json
  else
    if [ -n "$found" ]; then cp new.json told.json; else rm -f told.json; fi
    printf '%s' "$tell" >told
  fi
elif [ "$code" = 0 ]; then
  rm -f told told.json
fi
if [ -n "$found" ]; then printf '%s' "$found" >"$seen"; fi
