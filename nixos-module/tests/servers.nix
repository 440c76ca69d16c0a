# The part of evaluation.nix about a machine that is one of several servers of a declaration.
{
  lib,
  check,
  evaluate,
  refusals,
  serviceOf,
  settingsOf,
}:
let
  # Two kinds of servers; `more` is merged into the instance.
  fleet =
    more:
    evaluate {
      x = lib.recursiveUpdate {
        settings = {
          check = {
            web = check "/srv/web";
            db = check "/srv/db";
            all = check "/srv/all" // {
              server_root = "/etc/all";
            };
            own = check "/srv/own" // {
              lock_per_server = true;
            };
            here = check "repository" // {
              modes = [ "local" ];
            };
          };
          server = {
            web1 = {
              host = "web1.example.org";
              roots = {
                web = "/opt/web";
                here = "/opt/here";
              };
            };
            db1 = {
              host = "db1.example.org";
              checks = [ "db" ];
            };
            plain.host = "plain.example.org";
          };
          group.web = {
            servers = [ "web1" ];
            checks = [
              "web"
              "own"
            ];
          };
          group.all = {
            servers = [
              "web1"
              "db1"
            ];
            checks = [ "all" ];
          };
          group.plain.servers = [
            "web1"
            "plain"
          ];
        };
        locks = "/var/lib/baseline";
      } more;
    };
  checksOf =
    server:
    lib.mapAttrs (_: check: check.root)
      (settingsOf (fleet {
        inherit server;
      })).check;
in
{
  testServerHasWhatItIsAskedFor = {
    expr = map checksOf [
      "web1"
      "db1"
    ];
    expected = [
      {
        all = "/etc/all";
        own = "/srv/own";
        web = "/opt/web";
      }
      {
        all = "/etc/all";
        db = "/srv/db";
      }
    ];
  };
  testServerWithoutChecksHasAll = {
    expr = lib.attrNames (checksOf "plain");
    expected = [
      "all"
      "db"
      "own"
      "web"
    ];
  };
  testServerIsNamed = {
    expr =
      lib.hasInfix ''"check" "--local" "--as" "web1"''
        (serviceOf (fleet {
          server = "web1";
        })).ExecStart;
    expected = true;
  };
  testNoServerIsNamed = {
    expr =
      lib.hasInfix "--as"
        (serviceOf (fleet {
          settings.check.own.lock_per_server = false;
        })).ExecStart;
    expected = false;
  };
  # What is not here is named by no server.
  testServersKeepWhereRootsLie = {
    expr = {
      inherit
        (settingsOf (fleet {
          server = "db1";
        }))
        server
        ;
      hasGroups = (settingsOf (fleet { })) ? group;
    };
    expected = {
      server = {
        db1.host = "db1.example.org";
        plain.host = "plain.example.org";
        web1 = {
          host = "web1.example.org";
          roots = { };
        };
      };
      hasGroups = false;
    };
  };
  testServerIsSeen = {
    expr =
      (serviceOf (fleet {
        server = "web1";
      })).BindReadOnlyPaths;
    expected =
      (serviceOf (evaluate {
        x = {
          settings.check = {
            a = check "/etc/all";
            b = check "/srv/own";
            c = check "/opt/web";
          };
          locks = "/var/lib/baseline";
        };
      })).BindReadOnlyPaths;
  };
  testServerThatIsNotDeclared = {
    expr = refusals (fleet {
      server = "web2";
    });
    expected = [
      ''services.driftlock.instances.x.server: settings declare no server "web2"; name one of ["db1","plain","web1"]''
    ];
  };
  testWhoseLock = {
    expr = refusals (fleet { });
    expected = [
      "services.driftlock.instances.x.server: a check with lock_per_server has a lock for each server; set this option to the server in settings that this machine is"
    ];
  };
  testServersAreNotRefused = {
    expr =
      map
        (
          server:
          refusals (fleet {
            inherit server;
          })
        )
        [
          "web1"
          "db1"
          "plain"
        ];
    expected = [
      [ ]
      [ ]
      [ ]
    ];
  };
}
