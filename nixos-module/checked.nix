# The generated declaration, after driftlock itself has found it valid: a typing error fails the build of
# the system and not the nightly run.
{
  lib,
  pkgs,
  name,
  package,
  source,
}:
let
  # A foreign machine's binary can't be asked.
  canAsk = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
in
pkgs.runCommand "driftlock-${name}.json" { inherit source; } (
  lib.optionalString canAsk ''
    if ! ${lib.getExe package} --config "$source" capabilities >capabilities 2>&1; then
      cat capabilities >&2
      echo "services.driftlock.instances.${name}.settings: driftlock refuses it, see above" >&2
      exit 1
    fi
  ''
  + ''
    cp "$source" "$out"
  ''
)
