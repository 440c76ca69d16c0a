# The part of evaluation.nix about what is refused, and under which option's path.
{
  lib,
  check,
  evaluate,
  evaluateWith,
  one,
  refusals,
}:
let
  # The option of the only assertion that fails.
  refusedAt = config: map (message: lib.head (lib.splitString ": " message)) (refusals config);
  at = option: [ "services.driftlock.instances.x${option}" ];
in
{
  testGoodIsNotRefused = {
    expr = refusals (one "/srv/a" { });
    expected = [ ];
  };
  testRelativeRoot = {
    expr = refusedAt (one "infra/stacks" { });
    expected = at ".settings.check.c.root";
  };
  testClimbingRoot = {
    expr = refusedAt (one "/srv/../etc" { });
    expected = at ".settings.check.c.root";
  };
  testWholeMachine = {
    expr = refusedAt (one "/" { });
    expected = at ".settings.check.c.root";
  };
  testKernelFileSystems = {
    expr = lib.concatMap (root: refusedAt (one root { })) [
      "/proc/sys"
      "/sys"
    ];
    expected = at ".settings.check.c.root" ++ at ".settings.check.c.root";
  };
  testOwnReports = {
    expr = lib.concatMap (root: refusedAt (one root { locks = "/nix/store/locks"; })) [
      "/var"
      "/var/lib/driftlock/x/reports"
    ];
    expected = at ".settings.check.c.root" ++ at ".settings.check.c.root";
  };
  testContainersWithoutSocket = {
    expr = refusedAt (evaluate {
      x = {
        settings.check.c.kind = "containers";
        settings.check.d.kind = "compose";
        locks = "/nix/store/locks";
      };
    });
    expected = at ".settings.check.c.socket" ++ at ".settings.check.d.socket";
  };
  testNoChecks = {
    expr = refusedAt (evaluate {
      x.locks = "/nix/store/locks";
    });
    expected = at ".settings.check";
  };
  testRunningAsRoot = {
    expr = refusedAt (one "/srv/a" { user = "root"; });
    expected = at ".user";
  };
  testUnknownSpecifier = {
    expr = refusedAt (one "/srv/a" { onTrouble = [ "page@%i.service" ]; });
    expected = at ".onTrouble";
  };
  testNameOfAnInstance = {
    expr = refusedAt (evaluate {
      "a b" = {
        settings.check.c = check "/srv/a";
        locks = "/nix/store/locks";
      };
    });
    expected = [ "services.driftlock.instances.a b" ];
  };
  testReferenceOfNoCheck = {
    expr = refusedAt (one "/srv/a" { reference.d = "/srv/reference"; });
    expected = at ".reference.d";
  };
  testTimerThatNeverFires = {
    expr = refusedAt (one "/srv/a" { timerConfig.OnCalendar = null; });
    expected = at ".timerConfig";
  };
  testIncrementalTimerThatNeverFires = {
    expr = refusedAt (one "/srv/a" { statCache.timerConfig.OnCalendar = null; });
    expected = at ".statCache.timerConfig";
  };
  testStatCacheWithoutFullCheck = {
    expr =
      refusedAt (
        one "/srv/a" {
          statCache.enable = true;
          timerConfig = null;
        }
      )
      ++ refusedAt (
        one "/srv/a" {
          extraFlags = [ "--stat-cache=/var/lib/driftlock/x/cache" ];
        }
      );
    expected = at ".timerConfig" ++ at ".extraFlags";
  };
  testStatCacheInARoot = {
    expr = refusedAt (one "/var/lib/driftlock/x-incremental" { statCache.enable = true; });
    expected = at ".settings.check.c.root";
  };
  testUnitOfAnotherInstance = {
    expr = refusedAt (evaluate {
      x = {
        settings.check.c = check "/srv/a";
        locks = "/nix/store/locks";
        statCache.enable = true;
      };
      x-incremental = {
        settings.check.c = check "/srv/a";
        locks = "/nix/store/locks";
      };
    });
    expected = at ".statCache.enable";
  };
  # Each new baseline, and each run, would be drift.
  testLocksInARoot = {
    expr = lib.concatMap (locks: refusedAt (one "/srv/a" { inherit locks; })) [
      "/srv/a"
      "/srv/a/audit//locks"
      "/srv/ab"
    ];
    expected = at ".locks" ++ at ".locks";
  };
  testMetricsInARoot = {
    expr =
      lib.concatMap
        (
          metricsDirectory:
          refusedAt (
            evaluateWith { inherit metricsDirectory; } {
              x = {
                settings.check.c = check "/srv/a";
                locks = "/var/lib/baseline";
              };
            }
          )
        )
        [
          "/srv/a"
          "/srv/a/metrics"
          "/srv/metrics"
        ];
    expected = at ".settings.check.c.root" ++ at ".settings.check.c.root";
  };
  # By their types.
  testValuesThatAreNone = {
    expr =
      map
        (
          more:
          (builtins.tryEval (lib.deepSeq (one "/srv/a" more).services.driftlock.instances.x true)).success
        )
        [
          { every = "24h"; }
          { every = "1 day"; }
          { every = "0h"; }
          { settings.check.c.kind = lib.mkForce "trees"; }
          { settings.check.c.kind = lib.mkForce "tree"; }
        ];
    expected = [
      true
      false
      false
      true
      false
    ];
  };
}
