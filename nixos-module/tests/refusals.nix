# The half of evaluation.nix about what is refused, and by which option's path.
{
  lib,
  check,
  evaluate,
  one,
  refusals,
}:
let
  # The start of the only assertion that fails.
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
    expr = lib.concatMap (root: refusedAt (one root { })) [
      "/var"
      "/var/lib/driftlock/x/reports"
    ];
    expected = at ".settings.check.c.root" ++ at ".settings.check.c.root";
  };
  testContainersWithoutSocket = {
    expr = refusedAt (evaluate {
      x = {
        settings.check.c.kind = "containers";
        locks = "/nix/store/locks";
      };
    });
    expected = at ".settings.check.c.socket";
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
  testTimerThatNeverFires = {
    expr = refusedAt (one "/srv/a" { timerConfig.Persistent = true; });
    expected = at ".timerConfig";
  };
  testIncrementalTimerThatNeverFires = {
    expr = refusedAt (one "/srv/a" { statCache.timerConfig = lib.mkForce { Persistent = true; }; });
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
}
