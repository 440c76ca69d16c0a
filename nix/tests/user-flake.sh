# shellcheck shell=bash
# What a user writes who only has the docs: for scripts/test-nixos and scripts/test-systemd.

# Prints the first block of a language below a heading of a page.
snippet() {
  # shellcheck disable=SC2016 # the backticks are Markdown's
  sed -n "/^## $2\$/,\$p" "$1" | sed -n '/^```'"$3"'$/,/^```$/p' | sed '1d;/^```$/,$d'
}

# DIR: creates a repository with the flake and the declaration of docs/nixos.md, and a stack. The second argument
# becomes shop.nix, the rest of the machine.
user_flake() {
  mkdir -p "$1/infra/stacks/web" "$1/audit/locks"
  local heading="From nothing to a scheduled check"
  snippet docs/nixos.md "$heading" nix >"$1/flake.nix"
  snippet docs/nixos.md "$heading" toml >"$1/driftlock.toml"
  printf '%s\n' "$2" >"$1/shop.nix"
  printf 'services: {}\n' >"$1/infra/stacks/web/docker-compose.yml"
  git -C "$1" init --quiet
  git -C "$1" add .
}
