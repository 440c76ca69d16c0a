# shellcheck shell=bash disable=SC2016 # what is quoted is expanded on the machine
# The second half of scripts/test-systemd, in the order of the subtests of nixos-module/test.nix. It uses what scripts/machine.sh
# defines, and `step TEXT`.

lock() {
  inside /usr/local/bin/driftlock --config "/etc/driftlock/$1.json" lock >/dev/null || fail "lock $1"
  sh_inside "chmod -R a+rX /var/lib/driftlock-baseline"
}
overall() { holds "grep -Eq '\"overall\": *\"$2\"' /var/lib/driftlock/$1/latest/drift_report.json"; }

sh_inside '
  mkdir -p /srv/stacks/web /srv/stored
  for d in /home/alice/app /root/app /tmp/app /run/app "/srv/of: \"all\" 100%"; do
    mkdir -p "$d" && echo x >"$d/f"
  done
  chmod 600 /root/app/f
  chmod 700 /root /home/alice
  echo "services: {}" >/srv/stacks/web/docker-compose.yml
  echo hello >/srv/stored/app.conf
  for d in /srv /root /home/alice /tmp /run; do echo secret >$d/secret && chmod 600 $d/secret; done
'

sh_inside '
  printf "http://127.0.0.1:8099/hook\n" >/etc/driftlock-webhook
  chmod 600 /etc/driftlock-webhook
  systemctl start note-sink
'

step "no timer where timerConfig is null"
! inside systemctl cat driftlock-stacks.timer >/dev/null 2>&1 || fail "driftlock-stacks has a timer"
holds "systemctl is-active driftlock-ticking.timer"

step "a missing lock file is drift"
expect_exit 1 driftlock-stacks
eventually "test -s /var/lib/notified/drift"
sh_inside "rm /var/lib/notified/drift"

step "a clean run, by a baseline on the machine"
lock stacks
expect_exit 0 driftlock-stacks
holds "! systemctl is-failed driftlock-stacks"
overall stacks PASS

step "a clean run, by a baseline in the store"
expect_exit 0 driftlock-stored
holds "grep -q '\"locks\": *\"/nix/store/' /etc/driftlock/stored.json"

step "each switch starts a check, and does not wait for it"
# What switching does at its end, with each target that is active.
for _ in 1 2; do
  sleep 1
  before=$(inside readlink /var/lib/driftlock/stored/latest)
  inside systemctl start multi-user.target
  eventually "[ \"\$(readlink /var/lib/driftlock/stored/latest)\" != '$before' ]"
done

step "an export of the machine is the baseline that the store has"
holds "driftlock --config /etc/driftlock/stored.json export --output /root/exported"
holds "cmp /root/exported/locks/stored.lock.json \"\$(jq -r .locks /etc/driftlock/stored.json)/stored.lock.json\""

step "an absent mount is trouble, and not removed files"
! inside systemctl start driftlock-absent 2>/dev/null || fail "driftlock-absent started without its mount"
holds "! test -e /var/lib/driftlock/absent"
eventually '[ "$(cat /var/lib/notified/absent)" = driftlock-absent ]'

step "roots under /home, /root, /tmp and /run, and root-only files with readAll"
lock everywhere
expect_exit 0 driftlock-everywhere

step "drift fails the unit and starts onDrift only"
sh_inside "echo '# by hand' >>/srv/stacks/web/docker-compose.yml"
expect_exit 1 driftlock-stacks
holds "systemctl is-failed driftlock-stacks"
eventually "test -s /var/lib/notified/drift"
holds '[ "$(cat /var/lib/notified/drift)" = driftlock-stacks.service ]'
holds "! test -e /var/lib/notified/trouble"
overall stacks FAIL
holds "journalctl DRIFTLOCK_INSTANCE=stacks | grep -q web/docker-compose.yml"

step "drift and trouble start both"
sh_inside "echo x >/srv/stacks/unreadable && chmod 600 /srv/stacks/unreadable"
expect_exit 3 driftlock-stacks
eventually "test -s /var/lib/notified/trouble"
eventually '[ "$(wc -l </var/lib/notified/drift)" = 2 ]'
holds '[ "$(cat /var/lib/notified/trouble)" = driftlock-stacks ]'

step "trouble starts onTrouble only"
sh_inside "echo 'services: {}' >/srv/stacks/web/docker-compose.yml && mv /srv/stacks /srv/stacks.away"
expect_exit 2 driftlock-stacks
eventually '[ "$(wc -l </var/lib/notified/trouble)" = 2 ]'
holds '[ "$(wc -l </var/lib/notified/drift)" = 2 ]'
sh_inside "mv /srv/stacks.away /srv/stacks && rm /srv/stacks/unreadable"

step "the unit recovers"
expect_exit 0 driftlock-stacks
holds "! systemctl is-failed driftlock-stacks"

step "a secret next door is out of the unit's reach"
for instance in stacks everywhere; do
  expect_exit 0 "probe-$instance"
  holds "journalctl --unit probe-$instance | grep -q 'PASS: nothing else is within reach'"
done

step "the timer fires, and goes on after drift"
lock ticking
before=$(inside readlink /var/lib/driftlock/ticking/latest || true)
eventually "[ \"\$(readlink /var/lib/driftlock/ticking/latest)\" != '$before' ]"
sh_inside "echo changed >/srv/stored/app.conf"
eventually "systemctl is-failed driftlock-ticking"
sh_inside "echo hello >/srv/stored/app.conf"
eventually '[ "$(systemctl show driftlock-ticking --property ExecMainStatus --value)" = 0 ]'

step "an incremental check trusts what it knows, and finds what changed behind its times"
sh_inside "mkdir /srv/cached && echo one >/srv/cached/one && echo two >/srv/cached/two"
lock cached
trusted() { holds "grep -q '\"trusted\": $2,' /var/lib/driftlock/$1/latest/drift_report.json"; }
sleep 3
for known in 0 2; do
  expect_exit 0 driftlock-cached-incremental
  trusted cached-incremental $known
done
sh_inside "echo ten >/srv/cached/two && touch -r /srv/cached/one /srv/cached/two"
expect_exit 1 driftlock-cached-incremental
trusted cached-incremental 1
expect_exit 1 driftlock-cached
! sh_inside "grep -q '\"trusted\": [1-9]' /var/lib/driftlock/cached/latest/drift_report.json" || fail "a full check trusts"

step "reports are pruned, and latest is the newest"
for _ in 1 2 3 4 5; do
  sleep 1
  expect_exit 0 driftlock-stacks
done
holds '[ "$(ls /var/lib/driftlock/stacks/reports | wc -l)" = 3 ]'
holds 'cd /var/lib/driftlock/stacks && [ "$(readlink latest)" = "reports/$(ls reports | tail -n 1)" ]'

step "metrics are where node_exporter reads them"
holds 'grep -q "driftlock_run_exit_code{run=\"driftlock-stacks\"} 0" /var/lib/node-exporter/driftlock-stacks.prom'
holds 'setpriv --reuid alice --clear-groups cat /var/lib/node-exporter/driftlock-stacks.prom'

# A run that ends while the last one is still being told of starts no second telling, so each waits for that. While it runs, a
# unit of type oneshot is activating and never active.
settled='[ "$(systemctl show driftlock-notify-stacks --property ActiveState --value)" != activating ]'
# How many messages there are, once the unit that tells has ended.
told() { eventually "$settled && [ \"\$(ls /var/lib/sink/told | wc -l)\" = $1 ]"; }
step "drift is told once, and that it is over"
eventually "$settled"
sh_inside "rm -f /var/lib/sink/told/*"
sh_inside "echo '# by hand' >>/srv/stacks/web/docker-compose.yml"
expect_exit 1 driftlock-stacks
told 1
holds 'grep -q "modified .*web/docker-compose.yml" /var/lib/sink/told/*'
sleep 1
expect_exit 1 driftlock-stacks
sleep 1
told 1
sh_inside "echo 'services: {}' >/srv/stacks/web/docker-compose.yml"
expect_exit 0 driftlock-stacks
told 2
holds 'grep -q "stacks, recovered" /var/lib/sink/told/*'

step "a window that root opens holds it back"
sh_inside "echo 'WINDOW=--expect-until 2099-01-01T00:00:00Z --reason \"Odoo 18.0.7\"' >/run/driftlock/stacks.window"
sh_inside "echo '# by a deploy' >>/srv/stacks/web/docker-compose.yml"
expect_exit 1 driftlock-stacks
holds 'grep -q "\"reason\": \"Odoo 18.0.7\"" /var/lib/driftlock/stacks/latest/drift_report.json'
sleep 1
told 2
sh_inside "rm /run/driftlock/stacks.window"
expect_exit 1 driftlock-stacks
told 3

step "what can not be told is a failed unit"
sh_inside "systemctl stop note-sink && echo x >>/srv/stacks/web/docker-compose.yml"
sh_inside "mkdir -p /run/systemd/system/driftlock-notify-stacks.service.d"
sh_inside "printf '[Service]\nEnvironment=RETRIES=0\n' >/run/systemd/system/driftlock-notify-stacks.service.d/test.conf && systemctl daemon-reload"
sleep 1
expect_exit 1 driftlock-stacks
eventually "systemctl is-failed driftlock-notify-stacks"
holds "systemd-analyze security --threshold=40 driftlock-notify-stacks.service"
