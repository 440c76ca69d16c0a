# shellcheck shell=bash disable=SC2154,SC2164 # nixpkgs, work and instead are scripts/test-nixos', which ends at the first error
# The part of scripts/test-nixos about locks that Nix makes. The caller defines `flake COMMAND…`, `step TEXT` and `die
# TEXT`, and runs this in the repository, with the package at $work/default.

# A user's own flake, with this repository and the nixpkgs of this run as inputs.
theirs=("${instead[@]}" --override-input driftlock "git+file://$PWD")
user() { nix "$@" "${theirs[@]}"; }
here=$(nix-instantiate --eval --expr builtins.currentSystem | tr -d '"')
driftlock=$work/default/bin/driftlock
# shellcheck source=nix/tests/user-flake.sh
. nix/tests/user-flake.sh

step "Nix's build sandbox"
sandbox=()
for try in "sandbox = true" "sandbox = true
extra-sandbox-paths = /bin /usr /lib /lib64"; do
  if NIX_CONFIG="$NIX_CONFIG
$try" nix-build --no-out-link -E "(import $nixpkgs { }).runCommand \"sandboxed\" { t = \"$RANDOM$RANDOM\"; } \"touch \$out\"" \
    >/dev/null 2>"$work/log"; then
    sandbox=(env "NIX_CONFIG=$NIX_CONFIG
$try")
    break
  fi
done
if [ ${#sandbox[@]} = 0 ]; then
  printf '       there is none on this machine (%s): locks are made without it\n' "$(tail -n 1 "$work/log")"
else
  printf '       there is one, and locks are made in it\n'
fi

step "locks of 1,000 files with odd names, by Nix and by hand, in two time zones and as two users"
odd=$work/odd
python3 - "$odd" <<'PY'
import os, sys
root = os.fsencode(sys.argv[1])
os.makedirs(root + b"/tree/module")
odd = [b"\n", b"\xff\xfe", b"'", b'"', b"\\", b" ", b"$(x)", b"*", b"\x1b[2J", b"\xe2\x80\xae", b"-", b"%n", "ä".encode(), b"#"]
for number in range(1000):
    name = odd[number % len(odd)] + b"%d" % number + odd[number // len(odd) % len(odd)]
    with open(root + b"/tree/module/" + name, "wb") as file:
        file.write(b"%d\n" % number)
    if number % 7 == 0:
        os.chmod(root + b"/tree/module/" + name, 0o755)
os.symlink(b"module/nothing\nhere", root + b"/tree/link")
os.makedirs(root + b"/tree/module/empty")
open(root + b"/driftlock.toml", "w").write(
    '[check.trees]\nkind = "trees"\nroot = "tree"\n[check.files]\nkind = "files"\nroot = "tree"\ninclude = ["**"]\n'
)
PY
"$driftlock" --config "$odd/driftlock.toml" lock >/dev/null || die "driftlock lock failed"
[ "$(grep -c '"type":"file"' "$odd/audit/locks/trees.lock.json")" = 1000 ] || die "there are no 1,000 files in the lock"
mkdir "$work/committed"
mv "$odd/audit/locks" "$work/committed/odd" && rmdir "$odd/audit"
of_tree() {
  "$@" nix-build nix/tests/of-tree.nix --arg nixpkgs "$nixpkgs" --arg tree "$odd" \
    --argstr driftlock "$(realpath "$work/default")" --argstr timeZone "$zone" --no-out-link 2>"$work/log"
}
for zone in UTC Pacific/Kiritimati; do
  made=$(of_tree env) || die "$(tail -n 40 "$work/log")"
  diff -r "$made" "$work/committed/odd" || die "locks made by Nix in $zone differ from those that driftlock lock wrote"
  # Built again and compared; in the build sandbox, if there is one, which has its own user.
  "${sandbox[@]}" nix-store --realise --check "$(nix-store --query --deriver "$made")" >/dev/null 2>"$work/log" ||
    die "$(tail -n 40 "$work/log")"
done

step "the flake of docs/nix.md: its app, its check, an edit"
mkdir -p "$work/user/infra"
cp -r examples/odoo-stack/. "$work/user/"
chmod -R u+w "$work/user"
rm -rf "$work/user/audit"
snippet docs/nix.md "A repository whose locks are checked" nix >"$work/user/flake.nix"
git -C "$work/user" init --quiet
git -C "$work/user" add .
(
  cd "$work/user"
  user run .#update-locks >"$work/told" 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  grep -q '^wrote audit/locks/compose_hashes.lock.json$' "$work/told" || die "it did not say what it wrote: $(cat "$work/told")"
  git add audit
  user build .#locks --out-link "$work/locks" 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  diff -r "$work/locks/" audit/locks || die "the app wrote something other than mkLock gives"
  (cd infra && user run ..#update-locks) >"$work/told" 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  ! grep -q '^wrote ' "$work/told" || die "the app writes again what is there"
  # For the example, these are the committed locks.
  diff -r audit/locks "$OLDPWD/examples/odoo-stack/audit/locks" || die "not the locks of the example"
  "${sandbox[@]}" nix build ".#checks.$here.lock-is-current" --no-link "${theirs[@]}" 2>"$work/log" ||
    die "$(tail -n 40 "$work/log")"

  echo '# by hand' >>infra/stacks/ocr-gateway/docker-compose.yaml
  ! user build ".#checks.$here.lock-is-current" --no-link --print-build-logs 2>"$work/log" || die "an edit passes the check"
  grep -q 'Compose drift: infra/stacks/ocr-gateway/docker-compose.yaml' "$work/log" ||
    die "the log does not name the file: $(cat "$work/log")"
  user run .#update-locks >"$work/told" 2>/dev/null || die "the app failed: $(cat "$work/told")"
  grep -q 'modified: ocr-gateway/docker-compose.yaml' "$work/told" || die "the app does not show the change: $(cat "$work/told")"
  user build ".#checks.$here.lock-is-current" --no-link 2>"$work/log" || die "$(tail -n 40 "$work/log")"

  # The same state in other bytes differs from what mkLock returns.
  sed -i 's/"driftlock": 1/"driftlock":  1/' audit/locks/compose_hashes.lock.json
  ! user build ".#checks.$here.lock-is-current" --no-link --print-build-logs 2>"$work/log" || die "other bytes pass the check"
  grep -q 'compose_hashes.lock.json' "$work/log" || die "the log does not name the lock: $(cat "$work/log")"
)

step "the flake of docs/nixos.md: a baseline, a check, an edit"
user_flake "$work/shop" '{ system.stateVersion = "25.05"; }'
(
  cd "$work/shop"
  user run .#update-locks >"$work/told" 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  git add audit
  user build ".#checks.$here.lock-is-current" --no-link 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  user build '.#nixosConfigurations.shop.config.environment.etc."driftlock/odoo.json".source' --out-link "$work/declared" \
    2>"$work/log" || die "$(tail -n 40 "$work/log")"
  diff -r "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["locks"])' "$work/declared")" audit/locks ||
    die "the baseline of the instance is not what the app writes"
  echo '# by hand' >>infra/stacks/web/docker-compose.yml
  ! user build ".#checks.$here.lock-is-current" --no-link --print-build-logs 2>"$work/log" || die "an edit passes the check"
  grep -q 'Compose drift: infra/stacks/web/docker-compose.yml' "$work/log" || die "the log does not name the file"
)

step "refusals, as a user sees them"
refused() {
  ! nix-instantiate --eval --strict -E "((import ./. { pkgs = import $nixpkgs { }; }).lib.mkLock { $2 }).outPath" \
    >/dev/null 2>"$work/log" || die "not refused: $2"
  grep -q "$1" "$work/log" || die "it does not say $1: $(cat "$work/log")"
}
refused '"c".*owner' 'src = ./examples; declaration.check.c = { kind = "trees"; root = "odoo-stack"; attributes = [ "owner" ]; };'
refused '"c".*/srv' 'src = ./examples; declaration.check.c = { kind = "trees"; root = "/srv"; };'
refused '"c".*containers' 'src = ./examples; declaration.check.c.kind = "containers"; checks = [ "c" ];'

step "without flakes, and by the overlay"
without=$(nix-build --no-out-link 2>"$work/log" \
  -E "(import ./. { pkgs = import $nixpkgs { }; }).lib.mkLock { src = ./examples/odoo-stack; }") || die "$(tail -n 40 "$work/log")"
diff -r "$without" examples/odoo-stack/audit/locks || die "default.nix makes other locks"
overlaid=$(nix-build --no-out-link 2>"$work/log" -E "
  let pkgs = import $nixpkgs { overlays = [ (import ./nix/overlay.nix) ]; };
  in pkgs.driftlock.lib.mkLock { src = ./examples/odoo-stack; }") || die "$(tail -n 40 "$work/log")"
[ "$overlaid" = "$without" ] || die "the overlay makes other locks"
nix-instantiate shell.nix --arg pkgs "import $nixpkgs { }" --eval >/dev/null 2>"$work/log" || die "$(cat "$work/log")"

step "the templates"
mkdir "$work/ci" "$work/machine"
(
  cd "$work/ci"
  nix flake init --template "git+file://$OLDPWD#ci" 2>"$work/log" || die "$(cat "$work/log")"
  git init --quiet && git add .
  user flake check 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  user run .#update-locks >"$work/told" 2>"$work/log" || die "$(tail -n 40 "$work/log")"
  grep -q '^unchanged audit/locks/stacks.lock.json$' "$work/told" || die "its locks are not current: $(cat "$work/told")"
)
(
  cd "$work/machine"
  nix flake init --template "git+file://$OLDPWD" 2>"$work/log" || die "$(cat "$work/log")"
  git init --quiet && git add .
  shop=.#nixosConfigurations.shop.config
  user build "$shop.environment.etc.\"driftlock/stacks.json\".source" --out-link declared 2>"$work/log" ||
    die "$(tail -n 40 "$work/log")"
  locks=$(python3 -c 'import json; print(json.load(open("declared"))["locks"])')
  grep -q '"path":"web/docker-compose.yml"' "$locks/stacks.lock.json" || die "its baseline lacks the stack"
)
