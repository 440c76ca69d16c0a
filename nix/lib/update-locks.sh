#!/usr/bin/env bash
# update-locks.sh LOCKS INTO DRIFTLOCK [TREE]: writes the lock files of the folder LOCKS into the folder INTO of the
# work tree TREE (default: the work tree of the working directory). The program DRIFTLOCK shows what changes.
set -euo pipefail
locks=$1 into=$2 driftlock=$3
shift 3
if [ $# -gt 1 ]; then
  echo "update-locks: usage: update-locks [TREE]" >&2
  exit 2
fi
tree=${1-}
if [ -z "$tree" ]; then
  tree=$PWD
  until [ -e "$tree/flake.nix" ] || [ -e "$tree/driftlock.toml" ] || [ -e "$tree/driftlock.json" ]; do
    if [ -z "$tree" ]; then
      echo "update-locks: there is neither flake.nix nor driftlock.toml in $PWD or above; name the work tree: update-locks TREE" >&2
      exit 2
    fi
    tree=${tree%/*}
  done
fi
mkdir -p -- "$tree/$into"
for lock in "$locks"/*; do
  target=$tree/$into/${lock##*/}
  if cmp -s -- "$lock" "$target"; then
    echo "unchanged $into/${lock##*/}"
    continue
  fi
  # Whole or not at all.
  new=$(mktemp -- "$target.XXXXXX")
  trap 'rm -f -- "$new"' EXIT
  cat -- "$lock" >"$new"
  chmod 644 -- "$new"
  if [ -e "$target" ]; then
    "$driftlock" diff "$target" "$new" || true # 1 is a difference; a lock that is refused is replaced
  fi
  mv -f -- "$new" "$target"
  echo "wrote $into/${lock##*/}"
done
