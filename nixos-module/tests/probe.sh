#!/usr/bin/env bash
# probe.sh INSTANCE CAPABILITIES: runs instead of driftlock inside the sandbox of one of machine.nix's units, and fails
# if it can reach anything that it should not. CAPABILITIES is the last digit of the capability masks (4 is
# CAP_DAC_READ_SEARCH). It uses builtins only, because the sandbox contains no other programs.
set -u
instance=$1 capabilities=$2 failed=0

refused() {
  echo "FAIL: $1"
  failed=1
}

for secret in /srv/secret /root/secret /home/alice/secret /tmp/secret /run/secret /etc/shadow /sys/kernel /proc/1/status; do
  [ ! -e "$secret" ] || refused "$secret is visible"
done
for place in / /srv /srv/stacks /srv/stored /nix/store /var/lib/driftlock-baseline; do
  [ ! -d "$place" ] || ! (: >"$place/written-by-probe") 2>/dev/null || refused "$place is writable"
done
! (exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null || refused "there is a network"
for device in /dev/kmsg /dev/mem /dev/vda /dev/sda; do
  [ ! -e "$device" ] || refused "$device is there"
done

while read -r key value; do
  case $key in
    CapInh: | CapPrm: | CapEff: | CapBnd: | CapAmb:)
      [ "$value" = "000000000000000$capabilities" ] || refused "$key $value"
      ;;
    NoNewPrivs:) [ "$value" = 1 ] || refused "new privileges can be had" ;;
    Seccomp:) [ "$value" = 2 ] || refused "no system call filter" ;;
  esac
done </proc/self/status

(: >"/var/lib/driftlock/$instance/written-by-probe") || refused "the state directory is not writable"
[ "$failed" = 0 ] && echo "PASS: nothing else is within reach"
exit "$failed"
