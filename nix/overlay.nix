# Provides `driftlock.lib`: the functions of ./lib with the packages of this package set.
final: _prev: {
  driftlock = (final.callPackage ./package.nix { }).overrideAttrs (old: {
    passthru = old.passthru or { } // {
      lib = import ./lib/for.nix final;
    };
  });
}
