# shellcheck shell=bash
# What a user writes who has only our pages: for scripts/test-nixos and scripts/test-systemd.

# The first block of a language in a page below a heading.
snippet() {
  # shellcheck disable=SC2016 # the backticks are Markdown's
  sed -n "/^## $2\$/,\$p" "$1" | sed -n '/^```'"$3"'$/,/^```$/p' | sed '1d;/^```$/,$d'
}

# DIR: the flake and the declaration of docs/nixos.md, and a stack, in a repository of its own. The rest of the machine is
# the text of shop.nix.
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
