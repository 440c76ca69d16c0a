# The NixOS VM test: a booted machine whose units do what docs/nixos.md says. tests/machine.nix defines the machine.
{ nixosModule }:
{
  name = "driftlock";

  nodes.machine = {
    imports = [
      nixosModule
      ./tests/machine.nix
    ];
    users.users.alice.isNormalUser = true;
  };

  testScript = ''
    import json


    def run(unit):
        """Starts a unit to its end and returns its exit code."""
        machine.execute(f"systemctl start {unit}")
        return int(machine.succeed(f"systemctl show {unit} -P ExecMainStatus"))


    def report(instance):
        return json.loads(machine.succeed(f"cat /var/lib/driftlock/{instance}/latest/drift_report.json"))


    def lock(instance):
        machine.succeed(f"driftlock --config /etc/driftlock/{instance}.json lock")
        machine.succeed("chmod -R a+rX /var/lib/driftlock-baseline")


    def noted(what):
        return machine.execute(f"cat /var/lib/notified/{what}")[1].split()


    start_all()
    machine.wait_for_unit("multi-user.target")
    machine.succeed(
        "mkdir -p /var/lib/driftlock-baseline /srv/stacks/web /srv/stored",
        "mkdir -p /home/alice/app /root/app /tmp/app /run/app '/srv/of: \"all\" 100%'",
        "chmod 700 /root /home/alice",
        "for d in /home/alice /root /tmp /run '/srv/of: \"all\" 100%'; do mkdir -p \"$d/app\"; echo x >\"$d/app/f\"; done",
        "echo 'services: {}' >/srv/stacks/web/docker-compose.yml",
        "echo hello >/srv/stored/app.conf",
        "for d in /srv /root /home/alice /tmp /run; do echo secret >$d/secret; chmod 600 $d/secret; done",
        "chmod 600 /root/app/f",
    )

    machine.succeed("printf 'http://127.0.0.1:8099/hook\\n' >/etc/driftlock-webhook", "chmod 600 /etc/driftlock-webhook")

    with subtest("no timer where timerConfig is null"):
        machine.fail("systemctl cat driftlock-stacks.timer")
        machine.succeed("systemctl is-active driftlock-ticking.timer")

    with subtest("a missing lock file is drift"):
        assert run("driftlock-stacks") == 1
        machine.wait_until_succeeds("test -s /var/lib/notified/drift")
        machine.succeed("rm /var/lib/notified/drift")

    with subtest("a clean run, by a baseline on the machine"):
        lock("stacks")
        assert run("driftlock-stacks") == 0
        machine.fail("systemctl is-failed driftlock-stacks")
        assert report("stacks")["overall"] == "PASS"

    with subtest("a clean run, by a baseline in the store"):
        assert run("driftlock-stored") == 0
        machine.succeed("grep '\"locks\": *\"/nix/store/' /etc/driftlock/stored.json")

    with subtest("each switch starts a check, and does not wait for it"):
        for _ in range(2):
            machine.sleep(1)
            before = machine.succeed("readlink /var/lib/driftlock/stored/latest").strip()
            machine.succeed("/run/current-system/bin/switch-to-configuration test")
            machine.wait_until_succeeds(f"test $(readlink /var/lib/driftlock/stored/latest) != {before}")

    with subtest("an export of the machine is the baseline that the store has"):
        machine.succeed("driftlock --config /etc/driftlock/stored.json export --output /root/exported")
        baseline = json.loads(machine.succeed("cat /etc/driftlock/stored.json"))["locks"]
        machine.succeed(f"cmp /root/exported/locks/stored.lock.json {baseline}/stored.lock.json")

    with subtest("an absent mount is trouble, and not removed files"):
        machine.fail("systemctl start driftlock-absent")
        machine.fail("test -e /var/lib/driftlock/absent")
        machine.wait_until_succeeds("test \"$(cat /var/lib/notified/absent)\" = driftlock-absent")

    with subtest("roots under /home, /root, /tmp and /run, and root-only files with readAll"):
        lock("everywhere")
        assert run("driftlock-everywhere") == 0, machine.succeed("journalctl -u driftlock-everywhere")

    with subtest("drift fails the unit and starts onDrift only"):
        machine.succeed("echo '# by hand' >>/srv/stacks/web/docker-compose.yml")
        assert run("driftlock-stacks") == 1
        machine.succeed("systemctl is-failed driftlock-stacks")
        machine.wait_until_succeeds("test -s /var/lib/notified/drift")
        assert noted("drift") == ["driftlock-stacks.service"]
        assert noted("trouble") == []
        assert report("stacks")["overall"] == "FAIL"
        machine.succeed("journalctl DRIFTLOCK_INSTANCE=stacks | grep web/docker-compose.yml")

    with subtest("drift and trouble start both"):
        machine.succeed("echo x >/srv/stacks/unreadable", "chmod 600 /srv/stacks/unreadable")
        assert run("driftlock-stacks") == 3
        machine.wait_until_succeeds("test -s /var/lib/notified/trouble")
        machine.wait_until_succeeds("test $(wc -l </var/lib/notified/drift) = 2")
        assert noted("trouble") == ["driftlock-stacks"]

    with subtest("trouble starts onTrouble only"):
        machine.succeed("echo 'services: {}' >/srv/stacks/web/docker-compose.yml")
        machine.succeed("mv /srv/stacks /srv/stacks.away")
        assert run("driftlock-stacks") == 2
        machine.wait_until_succeeds("test $(wc -l </var/lib/notified/trouble) = 2")
        assert len(noted("drift")) == 2
        machine.succeed("mv /srv/stacks.away /srv/stacks", "rm /srv/stacks/unreadable")

    with subtest("the unit recovers"):
        assert run("driftlock-stacks") == 0
        machine.fail("systemctl is-failed driftlock-stacks")

    with subtest("a secret next door is out of the unit's reach"):
        for instance in ["stacks", "everywhere"]:
            assert run(f"probe-{instance}") == 0, machine.succeed(f"journalctl -u probe-{instance}")

    with subtest("the timer fires, and goes on after drift"):
        lock("ticking")
        before = machine.succeed("readlink /var/lib/driftlock/ticking/latest || true")
        machine.wait_until_succeeds(f"test \"$(readlink /var/lib/driftlock/ticking/latest)\" != '{before.strip()}'")
        machine.succeed("echo changed >/srv/stored/app.conf")
        machine.wait_until_succeeds("systemctl is-failed driftlock-ticking")
        machine.succeed("echo hello >/srv/stored/app.conf")
        machine.wait_until_succeeds("test $(systemctl show driftlock-ticking -P ExecMainStatus) = 0")

    with subtest("an incremental check trusts what it knows, and finds what changed behind its times"):
        machine.succeed("mkdir /srv/cached", "echo one >/srv/cached/one", "echo two >/srv/cached/two")
        lock("cached")
        machine.sleep(3)
        for trusted in [0, 2]:
            assert run("driftlock-cached-incremental") == 0
            assert report("cached-incremental")["checks"][1]["trusted"] == trusted
        machine.succeed("echo ten >/srv/cached/two", "touch -r /srv/cached/one /srv/cached/two")
        assert run("driftlock-cached-incremental") == 1
        assert report("cached-incremental")["checks"][1]["trusted"] == 1
        assert run("driftlock-cached") == 1
        assert report("cached")["checks"][1]["trusted"] == 0

    with subtest("reports are pruned, and latest is the newest"):
        for _ in range(5):
            machine.sleep(1)
            run("driftlock-stacks")
        machine.succeed("test $(ls /var/lib/driftlock/stacks/reports | wc -l) = 3")
        newest = machine.succeed("ls /var/lib/driftlock/stacks/reports | tail -n 1").strip()
        assert machine.succeed("readlink /var/lib/driftlock/stacks/latest").strip() == f"reports/{newest}"

    with subtest("metrics are where node_exporter reads them"):
        prom = "/var/lib/node-exporter/driftlock-stacks.prom"
        machine.succeed(f"grep 'driftlock_run_exit_code{{run=\"driftlock-stacks\"}} 0' {prom}", f"su alice -c 'cat {prom}'")

    # A run that ends while the last one is still being told of starts no second telling, so each waits for that. While it
    # runs, a unit of type oneshot is activating and never active.
    settled = "test $(systemctl show driftlock-notify-stacks -P ActiveState) != activating"


    def told(number):
        machine.wait_until_succeeds(f"{settled} && test $(ls /var/lib/sink/told | wc -l) = {number}")

    with subtest("drift is told once, and that it is over"):
        machine.wait_until_succeeds(settled)
        machine.succeed("rm -f /var/lib/sink/told/*", "echo '# by hand' >>/srv/stacks/web/docker-compose.yml")
        assert run("driftlock-stacks") == 1
        told(1)
        machine.succeed("grep 'modified .*web/docker-compose.yml' /var/lib/sink/told/*")
        machine.sleep(1)
        assert run("driftlock-stacks") == 1
        machine.sleep(1)
        told(1)
        machine.succeed("echo 'services: {}' >/srv/stacks/web/docker-compose.yml")
        assert run("driftlock-stacks") == 0
        told(2)

    with subtest("a window that root opens holds it back"):
        window = 'WINDOW=--expect-until 2099-01-01T00:00:00Z --reason "Odoo 18.0.7"'
        machine.succeed(f"echo '{window}' >/run/driftlock/stacks.window")
        machine.succeed("echo '# by a deploy' >>/srv/stacks/web/docker-compose.yml")
        assert run("driftlock-stacks") == 1
        assert report("stacks")["window"]["reason"] == "Odoo 18.0.7"
        machine.sleep(1)
        told(2)
        machine.succeed("rm /run/driftlock/stacks.window")
        assert run("driftlock-stacks") == 1
        told(3)

    with subtest("hardened"):
        for instance in ["stacks", "stored", "ticking", "everywhere", "cached", "cached-incremental"]:
            machine.succeed(f"systemd-analyze security --threshold=15 driftlock-{instance}.service")
  '';
}
