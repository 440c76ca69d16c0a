# What the functions of nix/lib build. Each is a derivation that fails if what its name says is not true.
{
  pkgs,
  lib,
  driftlock,
}:
let
  locks = import ../lib { inherit pkgs driftlock; };
  src = ../../examples/odoo-stack;
  committed = src + "/audit/locks";
  same =
    name: lock:
    pkgs.runCommand "driftlock-${name}" { } ''
      diff -r ${lock} ${committed}
      touch $out
    '';
in
{
  locks-are-those-committed = same "locks-are-those-committed" (locks.mkLock { inherit src; });

  # A source that exists only after a build, such as the result of a fetcher.
  locks-of-a-built-source = same "locks-of-a-built-source" (
    locks.mkLock {
      src = pkgs.runCommand "source" { } "cp -r ${src} $out";
      declaration = src + "/driftlock.toml";
    }
  );

  locks-of-roots-elsewhere = same "locks-of-roots-elsewhere" (
    locks.mkLock {
      inherit src;
      roots.addon_hashes = src + "/odoo_modules/seisei";
    }
  );

  lock-is-current = locks.checkLock {
    inherit src;
    locks = committed;
  };
}
