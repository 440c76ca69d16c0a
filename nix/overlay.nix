# Brings `driftlock.lib` along, the functions of ./lib with the packages that this is laid over.
final: _prev: {
  driftlock = (final.callPackage ./package.nix { }).overrideAttrs (old: {
    passthru = old.passthru or { } // {
      lib = import ./lib/for.nix final;
    };
  });
}
