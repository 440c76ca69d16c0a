# The module's evaluation tests: settings in, units and assertions out, with the real module system.
{
  pkgs,
  lib,
  driftlock,
  nixpkgs,
}:
let
  # The module with only the options that it sets. The VM test evaluates all of NixOS; here only the module's own
  # assertions matter.
  evaluate = evaluateWith { };
  evaluateWith =
    more: instances:
    (lib.evalModules {
      modules = [
        ../.
        # Imported twice, as two roles of a flake might do.
        (import ../.)
        "${nixpkgs}/nixos/modules/misc/assertions.nix"
        {
          config._module.check = false;
          options = lib.genAttrs [ "systemd" "environment" "users" ] (
            _:
            lib.mkOption {
              type = lib.types.attrsOf lib.types.anything;
              default = { };
            }
          );
        }
        {
          options.services.prometheus = lib.mkOption {
            type = lib.types.anything;
            default = { };
          };
          config.services.driftlock = {
            inherit instances;
            package = driftlock;
          }
          // more;
        }
      ];
      specialArgs = {
        inherit pkgs;
        utils = import "${nixpkgs}/nixos/lib/utils.nix" {
          inherit lib pkgs;
          config = { };
        };
      };
    }).config;

  check = root: {
    kind = "files";
    inherit root;
    include = [ "**" ];
  };
  # One instance, called "x", checking one root; `more` is merged into it.
  one =
    root: more:
    evaluate {
      x = lib.recursiveUpdate {
        settings.check.c = check root;
        locks = "/var/lib/baseline";
      } more;
    };
  serviceOf = config: config.systemd.services.driftlock-x.serviceConfig;
  service = root: more: serviceOf (one root more);
  refusals = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  settingsOf =
    config:
    (import ../declaration.nix {
      inherit lib;
      name = "x";
      instance = config.services.driftlock.instances.x;
    }).settings;
  visible =
    roots:
    lib.tail
      (serviceOf (evaluate {
        x = {
          settings.check = lib.listToAttrs (
            lib.imap0 (i: root: lib.nameValuePair "c${toString i}" (check root)) roots
          );
          locks = "/nix/store/locks";
        };
      })).BindReadOnlyPaths;

  cases = {
    testNothingWithoutInstances = {
      expr = (evaluate { }).systemd;
      expected = { };
    };

    # Timers
    testTimerHasDefaults = {
      expr = (one "/srv/a" { timerConfig.OnCalendar = "hourly"; }).systemd.timers.driftlock-x.timerConfig;
      expected = {
        FixedRandomDelay = true;
        OnCalendar = "hourly";
        Persistent = true;
        RandomizedDelaySec = "15m";
      };
    };
    testTimerDefaultsGiveWay = {
      expr =
        (one "/srv/a" {
          timerConfig = {
            OnCalendar = "hourly";
            Persistent = false;
          };
        }).systemd.timers.driftlock-x.timerConfig.Persistent;
      expected = false;
    };
    testNoTimer = {
      expr = (one "/srv/a" { timerConfig = null; }).systemd.timers;
      expected = { };
    };

    # What the unit sees
    testRootIsBound = {
      expr = visible [ "/srv/a" ];
      expected = [ ''-"/srv/a"'' ];
    };
    testOnlyOutermostRootsAreBound = {
      expr = visible [
        "/srv/a"
        "/srv//a/"
        "/srv/a/b"
        "/srv/ab"
      ];
      expected = [
        ''-"/srv/a"''
        ''-"/srv/ab"''
      ];
    };
    testNamesAreQuoted = {
      expr = visible [ ''/srv/a "b" 5% \c:d'' ];
      expected = [ ''-"/srv/a \"b\" 5%% \\c:d"'' ];
    };
    testStoreRootsNeedNoBinding = {
      expr = visible [ "/nix/store/abc" ];
      expected = [ ];
    };
    testBaselineOnTheMachineIsBound = {
      expr = lib.elem ''-"/var/lib/baseline"'' (service "/srv/a" { }).BindReadOnlyPaths;
      expected = true;
    };
    testHomeIsHidden = {
      expr = (service "/srv/a" { }).ProtectHome;
      expected = true;
    };
    testRootInHome = {
      expr = map (root: (service root { }).ProtectHome) [
        "/home/alice/app"
        "/home"
        "/root/app"
        "/run/user/1000/app"
      ];
      expected = [
        "tmpfs"
        "tmpfs"
        "tmpfs"
        "tmpfs"
      ];
    };
    testRootInTmp = {
      expr = map (root: (service root { }).PrivateTmp) [
        "/srv/a"
        "/tmp/app"
        "/tmp"
        "/var/tmp"
      ];
      # Below a private /tmp a root is mounted; /tmp itself must be the machine's.
      expected = [
        true
        true
        false
        false
      ];
    };
    testRootInDev = {
      expr = {
        inherit (service "/dev" { }) PrivateDevices ProtectKernelLogs;
      };
      expected = {
        PrivateDevices = false;
        ProtectKernelLogs = false;
      };
    };
    testRootWithKernelModules = {
      expr = map (root: (service root { }).ProtectKernelModules) [
        "/srv/a"
        "/usr"
        "/lib/modules/6.12"
      ];
      expected = [
        true
        false
        false
      ];
    };

    # What the unit may do
    testNoCapabilities = {
      expr = {
        inherit (service "/srv/a" { }) AmbientCapabilities CapabilityBoundingSet PrivateUsers;
      };
      expected = {
        AmbientCapabilities = [ ];
        CapabilityBoundingSet = "";
        PrivateUsers = true;
      };
    };
    testReadAll = {
      expr = {
        inherit (service "/srv/a" { readAll = true; })
          AmbientCapabilities
          CapabilityBoundingSet
          PrivateUsers
          ;
      };
      expected = {
        AmbientCapabilities = [ "CAP_DAC_READ_SEARCH" ];
        CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
        PrivateUsers = false;
      };
    };
    testOwnersNeedTrueIds = {
      expr =
        map (attributes: (service "/srv/a" { settings.check.c = { inherit attributes; }; }).PrivateUsers)
          [
            [ "mode" ]
            [ "owner" ]
            [ "xattrs" ]
          ];
      expected = [
        true
        false
        false
      ];
    };
    testSandboxIsRequired = {
      expr = lib.hasInfix "\"--require-sandbox\" \"--gentle\" \"check\"" (service "/srv/a" { }).ExecStart;
      expected = true;
    };
    testOpenat2GetsThrough = {
      expr = (service "/srv/a" { }).RestrictSUIDSGID;
      expected = false;
    };
    testExtraFlagsAreEscaped = {
      expr =
        lib.hasSuffix "\"--check\" \"100%% $$HOME\""
          (service "/srv/a" {
            extraFlags = [
              "--check"
              "100% $HOME"
            ];
          }).ExecStart;
      expected = true;
    };
    testSeal = {
      expr =
        let
          signer = "ops@example.org ssh-ed25519 AAAA";
          of = seal: (service "/srv/a" { inherit seal; }).ExecStart;
          sealed = of {
            allowedSigners = [ signer ];
            declaration = "/srv/driftlock.toml";
          };
          file = lib.head (lib.splitString "\"" (lib.last (lib.splitString "\"--seal\" \"" sealed)));
        in
        {
          none = lib.hasInfix "--seal" (of { });
          signers = builtins.readFile file;
          state = lib.hasInfix "\"--seal-state\" \"/var/lib/driftlock/x/seal\"" sealed;
          declaration = lib.hasInfix "\"--sealed-declaration\" \"/srv/driftlock.toml\"" sealed;
          own = lib.hasInfix "--sealed-declaration" (of {
            allowedSigners = [ signer ];
          });
        };
      expected = {
        none = false;
        signers = "ops@example.org ssh-ed25519 AAAA\n";
        state = true;
        declaration = true;
        own = false;
      };
    };
    testSocket = {
      expr =
        let
          config = evaluate {
            x = {
              settings.check.c = {
                kind = "containers";
                socket = "/run/docker.sock";
              };
              locks = "/nix/store/locks";
            };
          };
        in
        {
          inherit (serviceOf config) BindReadOnlyPaths RestrictAddressFamilies;
          refusals = refusals config;
        };
      expected = {
        BindReadOnlyPaths = [
          builtins.storeDir
          ''-"/run/docker.sock"''
        ];
        RestrictAddressFamilies = [ "AF_UNIX" ];
        refusals = [ ];
      };
    };

    testComposeFiles = {
      expr =
        let
          config = evaluate {
            x = {
              settings.check.c = {
                kind = "compose";
                socket = "/run/docker.sock";
                config = ./baseline + "/stored.lock.json";
                hashes = "/srv/shop.hashes";
              };
              locks = "/nix/store/locks";
            };
          };
          inherit ((settingsOf config).check) c;
        in
        {
          inStore = lib.hasPrefix builtins.storeDir c.config;
          inherit (c) hashes;
          inherit (serviceOf config) BindReadOnlyPaths;
          refusals = refusals config;
        };
      expected = {
        inStore = true;
        hashes = "/srv/shop.hashes";
        BindReadOnlyPaths = [
          builtins.storeDir
          ''-"/run/docker.sock"''
          ''-"/srv/shop.hashes"''
        ];
        refusals = [ ];
      };
    };

    # The declaration
    testDeclaration = {
      expr = settingsOf (
        one "/srv/a" {
          settings.locks = "audit/locks";
          settings.check.c.exclude = [ "*.log" ];
        }
      );
      expected = {
        locks = "/var/lib/baseline";
        reports = "/var/lib/driftlock/x/reports";
        check.c = check "/srv/a" // {
          exclude = [ "*.log" ];
        };
      };
    };
    testReferenceOfTheFlakeIsInTheStore = {
      expr =
        let
          config = one "/srv/a" { reference.c = ./baseline; };
          inherit ((settingsOf config).check.c) reference;
        in
        {
          inStore = lib.hasPrefix builtins.storeDir reference;
          seen = config.systemd.services.driftlock-x.serviceConfig.BindReadOnlyPaths;
          refusals = refusals config;
        };
      expected = {
        inStore = true;
        seen = (one "/srv/a" { }).systemd.services.driftlock-x.serviceConfig.BindReadOnlyPaths;
        refusals = [ ];
      };
    };
    testReferenceOnTheMachineIsBound = {
      expr = lib.elem ''-"/srv/reference"'' (
        (one "/srv/a" { reference.c = "/srv/reference"; })
        .systemd.services.driftlock-x.serviceConfig.BindReadOnlyPaths
      );
      expected = true;
    };
    testServerRootTakesTheRootsPlace = {
      expr =
        (settingsOf (
          one "infra/stacks" {
            settings.check.c = {
              server_root = "/srv/stacks";
              modes = [
                "local"
                "server"
              ];
            };
          }
        )).check.c;
      expected = check "/srv/stacks";
    };
    testChecksOfTheRepositoryAreLeftOut = {
      expr =
        lib.attrNames
          (settingsOf (
            one "/srv/a" {
              settings.check.d = check "docs" // {
                modes = [ "local" ];
              };
            }
          )).check;
      expected = [ "c" ];
    };
    testBaselineOfTheFlakeIsInTheStore = {
      expr = lib.hasPrefix builtins.storeDir (settingsOf (one "/srv/a" { locks = ./.; })).locks;
      expected = true;
    };

    # Accounts
    testAccountIsMade = {
      expr = lib.attrNames (one "/srv/a" { }).users.users;
      expected = [ "driftlock" ];
    };
    # Its group is: the unit could not start without.
    testForeignAccountIsNot = {
      expr = (one "/srv/a" { user = "odoo"; }).users;
      expected.groups.driftlock = { };
    };
    testForeignAccountAndGroupAreNot = {
      expr =
        (one "/srv/a" {
          user = "odoo";
          group = "odoo";
        }).users;
      expected = { };
    };
  }
  // import ./runs.nix {
    inherit
      lib
      check
      evaluateWith
      one
      refusals
      service
      serviceOf
      ;
  }
  // import ./instances.nix {
    inherit
      lib
      check
      evaluate
      evaluateWith
      one
      service
      ;
  }
  // import ./servers.nix {
    inherit
      lib
      check
      evaluate
      refusals
      serviceOf
      settingsOf
      ;
  }
  // import ./refusals.nix {
    inherit
      lib
      check
      evaluate
      evaluateWith
      one
      refusals
      ;
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
  pkgs.runCommand "driftlock-module-evaluation" { } ''
    echo ${toString (lib.length (lib.attrNames cases))} tests passed >$out
  ''
