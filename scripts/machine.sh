# shellcheck shell=bash disable=SC2154,SC2034 # what is set there and here
# A Debian in a folder, booted by systemd-nspawn. The scripts that source this have `die`, and set $work (a folder that ends with them)
# and $cache (one that stays).
#
# SUITE names the Debian release (default: bookworm), MIRROR its archive (default: debootstrap's own).

machine=$work/root
nspawn='' init=''

# make_machine NAME PACKAGES: a copy of a Debian with these packages, which is kept as NAME for the next run.
make_machine() {
  local debian=$cache/debian-${SUITE:-bookworm}-$1
  if [ ! -e "$debian/complete" ]; then
    rm -rf "$debian"
    mkdir -p "$debian"
    debootstrap --variant=minbase --include="$2" "${SUITE:-bookworm}" "$debian/root" ${MIRROR:+"$MIRROR"} >"$debian/log" ||
      die "debootstrap failed, see $debian/log"
    touch "$debian/complete"
  fi
  cp -a --reflink=auto "$debian/root" "$machine"
}

boot_machine() {
  # nspawn's filter does not allow Landlock.
  systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    --directory "$machine" --boot </dev/null >"$work/console" 2>&1 &
  nspawn=$!
  for _ in $(seq 300); do
    kill -0 "$nspawn" 2>/dev/null || die "the machine did not boot: $(cat "$work/console")"
    init=$(pgrep --parent "$nspawn" | head -n 1) || true
    [ -z "$init" ] || ! inside systemctl is-active --quiet timers.target 2>/dev/null || return 0
    sleep 0.1
  done
  die "the machine did not boot in 30 seconds: $(cat "$work/console")"
}

# Runs a command on the machine.
inside() { nsenter --target "$init" --all "$@"; }

# Ends the script with the machine's journal.
fail() {
  echo "FAIL: $*" >&2
  inside journalctl --no-pager --lines 60 >&2
  exit 1
}
sh_inside() { inside /bin/bash -ec "$1"; }
# Runs a unit to its end and compares its exit code.
expect_exit() {
  # systemd refuses a fifth start in ten seconds.
  inside systemctl reset-failed "$2" 2>/dev/null || true
  inside systemctl start "$2" 2>/dev/null || true
  local status
  status=$(inside systemctl show "$2" --property ExecMainStatus --value)
  [ "$status" = "$1" ] || fail "$2 ended with $status, not $1"
}
eventually() {
  local _
  for _ in $(seq 100); do
    if sh_inside "$1" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  fail "never came true: $1"
}
holds() { sh_inside "$1" >/dev/null || fail "does not hold: $1"; }

end_machine() {
  [ -n "$nspawn" ] || return 0
  [ -z "$init" ] || inside systemctl --force --force poweroff 2>/dev/null || true
  for _ in $(seq 50); do
    kill -0 "$nspawn" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$nspawn" 2>/dev/null || true
}
