# What the functions of nix/lib refuse during evaluation, and what they read. Throws unless every case holds.
{
  pkgs,
  lib,
  driftlock,
}:
let
  src = ../../examples/odoo-stack;
  read =
    declaration: more:
    import ../lib/declaration.nix { inherit lib; } (
      {
        inherit src declaration;
        roots = { };
        checks = null;
      }
      // more
    );
  files = root: {
    kind = "files";
    inherit root;
    include = [ "**" ];
  };
  of = check: read { check.c = check; };
  # The refusals of one check called "c", without their common first words.
  refused = check: more: (of check more).refused;
  about =
    words: refusals:
    lib.length refusals == 1
    && lib.all (word: lib.hasInfix word (lib.head refusals)) ([ ''"c"'' ] ++ words);

  locks = import ../lib { inherit pkgs driftlock; };
  evaluates = value: (builtins.tryEval (builtins.seq value.outPath true)).success;
  part = import ../flake-module.nix {
    inherit lib;
    # As in flake-parts, for one system.
    flake-parts-lib.mkPerSystemOption =
      module:
      lib.mkOption {
        type = lib.types.deferredModuleWith { staticModules = [ module ]; };
        apply = module: {
          imports = [ module ];
        };
      };
  };
  perSystem =
    (lib.evalModules {
      modules = [
        part
        {
          perSystem.driftlock.stacks = {
            inherit src;
            locks = src + "/audit/locks";
          };
        }
      ];
    }).config.perSystem;
  system =
    (lib.evalModules {
      modules = [
        perSystem
        {
          options = lib.genAttrs [ "checks" "apps" ] (_: lib.mkOption { type = lib.types.raw; });
          config._module.args = { inherit pkgs; };
        }
      ];
    }).config;

  cases = {
    testGood = {
      expr = refused (files "infra/stacks") { };
      expected = [ ];
    };
    testAttributes = {
      expr =
        map
          (
            attribute:
            about [ attribute ] (refused (files "infra/stacks" // { attributes = [ attribute ]; }) { })
          )
          [
            "mode"
            "owner"
            "xattrs"
          ];
      expected = [
        true
        true
        true
      ];
    };
    testEngines = {
      expr = map (kind: about [ kind ] (refused { inherit kind; } { checks = [ "c" ]; })) [
        "containers"
        "container_files"
        "compose"
      ];
      expected = [
        true
        true
        true
      ];
    };
    testEnginesAreLeftOutUnlessNamed = {
      expr =
        lib.attrNames
          (read {
            check = {
              a = files "infra/stacks";
              b.kind = "containers";
            };
          } { }).checks;
      expected = [ "a" ];
    };
    testRootsOutsideOfTheSource = {
      expr = map (root: about [ root "roots.c" ] (refused (files root) { })) [
        "/srv/stacks"
        "../stacks"
        "infra/../../stacks"
      ];
      expected = [
        true
        true
        true
      ];
    };
    testRootThatIsNotThere = {
      expr = map (root: about [ root ] (refused (files root) { })) [
        "infra/stack"
        "infra/stacks/none/below"
      ];
      expected = [
        true
        true
      ];
    };
    testNoRoot = {
      expr = about [ "root" ] (refused { kind = "trees"; } { });
      expected = true;
    };
    testRootGivenInItsPlace = {
      expr =
        let
          given = of (files "/srv/stacks") { roots.c = src + "/infra/stacks"; };
        in
        {
          inherit (given) refused links;
          inStore = lib.hasPrefix builtins.storeDir given.declaration.check.c.root;
        };
      expected = {
        refused = [ ];
        links = { };
        inStore = true;
      };
    };
    testRootGivenFromTheMachine = {
      expr = about [ "/srv/stacks" ] (refused (files "infra/stacks") { roots.c = "/srv/stacks"; });
      expected = true;
    };
    testUnknownChecks = {
      expr = {
        named = (of (files "infra/stacks") { checks = [ "d" ]; }).refused;
        given = lib.length (of (files "infra/stacks") { roots.d = src; }).refused;
        none = lib.length (read { } { }).refused;
      };
      expected = {
        named = [ ''there is no check "d" in the declaration'' ];
        given = 1;
        none = 1;
      };
    };
    testRefusalIsAnError = {
      expr = map evaluates [
        (locks.mkLock {
          inherit src;
          declaration.check.c = files "/srv/stacks";
        })
        (locks.checkLock {
          inherit src;
          locks = src + "/no/locks";
        })
        (locks.mkLock { inherit src; })
      ];
      expected = [
        false
        false
        true
      ];
    };
    testOnlyTheRootsAreRead = {
      expr =
        let
          given = read {
            check = {
              a = files "infra";
              b = files "infra//stacks/";
            };
          } { };
        in
        {
          links = lib.attrNames given.links;
          all = lib.hasPrefix "${src}" given.links.infra;
          inherit (given.declaration.check.b) root;
        };
      expected = {
        links = [ "infra" ];
        all = false;
        root = "infra/stacks";
      };
    };
    testWholeTree = {
      expr =
        let
          given = read { check.c = files "."; } { };
        in
        {
          inherit (given) refused links;
          inStore = lib.hasPrefix builtins.storeDir given.declaration.check.c.root;
        };
      expected = {
        refused = [ ];
        links = { };
        inStore = true;
      };
    };
    testBaselineIsForTheMachine = {
      expr = (locks.mkBaseline { inherit src; }).settings.check.compose_hashes.server_root;
      expected = "/srv/stacks";
    };
    testJson = {
      expr = lib.attrNames (read ./driftlock.json { }).checks;
      expected = [ "c" ];
    };
    testFlakeParts = {
      expr = {
        checks = lib.attrNames system.checks;
        apps = lib.mapAttrs (_: app: app.type) system.apps;
      };
      expected = {
        checks = [ "driftlock-stacks" ];
        apps.update-locks-stacks = "app";
      };
    };
  };

  failures = lib.runTests cases;
in
if failures != [ ] then
  throw (
    lib.concatMapStringsSep "\n" (
      failure:
      "${failure.name}: expected ${lib.generators.toPretty { } failure.expected}, got ${
        lib.generators.toPretty { } failure.result
      }"
    ) failures
  )
else
  pkgs.runCommand "driftlock-lib-evaluation" { } ''
    echo ${toString (lib.length (lib.attrNames cases))} tests passed >$out
  ''
