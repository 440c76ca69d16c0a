//! Fleets that are not all alike: `checks` of servers and of groups, and `--group`.

use std::fs;

use serde_json::Value;

use super::super::harness::World;
use super::super::watch::{refused, says};
use super::site::{Far, Site};
use needs::needs;

/// So many hosts that have stacks, and as many that have a database: all are one sshd, and each kind has nothing of the other.
/// All have a hosts file.
fn fleet(each: usize) -> Site {
    let world = World::new();
    for (path, text) in [
        ("stacks/edge/docker-compose.yml", "services: {}\n"),
        ("postgres/postgresql.conf", "port = 5432\n"),
        ("drifted/postgresql.conf", "port = 5433\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
    ] {
        world.write(path, text);
    }
    let at = |name: &str| world.path("root").join(name).display().to_string();
    let check = |name: &str, more: &str| {
        format!("[check.{name}]\nkind = \"files\"\nroot = \"root/{name}\"\ninclude = [\"**\"]\n{more}\n")
    };
    let mut text = "locks = \"locks\"\nreports = \"reports\"\n\n".to_owned();
    text.push_str(&check("stacks", ""));
    text.push_str(&check("postgres", ""));
    text.push_str(&check("etc", &format!("server_root = {:?}\n", at("etc"))));
    text.push_str(&check("notes", "modes = [\"local\"]\n").replace("root/notes", "root/etc"));
    for number in 1..=each {
        let server = |name: String, root: &str| format!("[server.{name}]\nhost = \"fleet\"\nroots = {{ {root} }}\n");
        text.push_str(&server(format!("web-{number:02}"), &format!("stacks = {:?}", at("stacks"))));
        text.push_str(&server(format!("db-{number:02}"), &format!("postgres = {:?}", at("postgres"))));
    }
    for (kind, check) in [("web", "stacks"), ("db", "postgres")] {
        let names: Vec<_> = (1..=each).map(|number| format!("\"{kind}-{number:02}\"")).collect();
        text.push_str(&format!("[group.{kind}]\nservers = [{}]\nchecks = [\"{check}\", \"etc\"]\n", names.join(", ")));
    }
    text.push_str("[group.first]\nservers = [\"db-01\", \"web-01\"]\n");
    fs::write(world.path("driftlock.toml"), text).unwrap();
    world.lock();
    Site::with(world, &[("fleet", Far::Driftlock)])
}

/// Has one of them another configuration than is locked.
fn drift(site: &Site, server: &str) {
    let path = site.world.path("driftlock.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(&format!("[server.{server}]")).unwrap();
    let text = format!("{before}[server.{server}]{}", after.replacen("root/postgres", "root/drifted", 1));
    fs::write(path, text).unwrap();
}

/// Server and check of each pair of a report.
fn pairs(fleet: &Value) -> Vec<(String, String)> {
    let servers = fleet["servers"].as_array().unwrap().iter();
    let pairs = servers.flat_map(|server| {
        let name = server["server"]["name"].as_str().unwrap();
        let declared = server["checks"].as_array().unwrap().iter().filter(|check| check["root"].is_string());
        declared.map(move |check| (name.to_owned(), check["name"].as_str().unwrap().to_owned()))
    });
    pairs.collect()
}

#[needs(sshd)]
fn fifty_hosts_of_two_kinds_are_one_declaration() {
    const EACH: usize = 25;
    let site = fleet(EACH);
    let fleet = site.driftlock(&["check", "--all-servers", "--json"]).code(0).json();
    assert_eq!(fleet["summary"]["passed"], 2 * EACH);
    let expected: Vec<_> = (1..=EACH)
        .flat_map(|number| [("web", "stacks", number), ("db", "postgres", number)])
        .flat_map(|(kind, check, number)| [check, "etc"].map(|check| (format!("{kind}-{number:02}"), check.to_owned())))
        .collect();
    assert_eq!(pairs(&fleet), expected, "asked of whom it was to be asked, and of no other");

    drift(&site, "db-07");
    fs::create_dir(site.world.path("metrics")).unwrap();
    let run = site.driftlock(&["check", "--all-servers", "--jobs", "16", "--metrics", "metrics/fleet.prom"]).code(1);
    let text = run.stdout();
    says(
        &text,
        &[
            "\n[PASS] 25 servers pass, with everything verified, asked for stacks, etc\n",
            "\nSERVER  collected  postgres   etc\ndb-07   PASS       1 drifted  PASS\n",
            "\n[PASS] 24 more servers pass, with everything verified, asked for postgres, etc\n",
            "\ndb-07:\n[FAIL] Postgres drift: ",
            "Total servers: 50\nPassed: 49\nFailed: 1\n",
        ],
    );
    assert_eq!((text.matches("[FAIL]").count(), text.contains("notes")), (1, false), "{text}");
    assert_eq!(run.stderr(), "");
    let metrics = fs::read_to_string(site.world.path("metrics/fleet.prom")).unwrap();
    let series = |start: &str| metrics.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(series("driftlock_check_uncovered{"), 4 * EACH, "a series a pair");
    let drifted: Vec<_> =
        metrics.lines().filter(|line| line.contains("verdict=\"drift\"}") && line.ends_with(" 1")).collect();
    let expected =
        "driftlock_check_verdict{run=\"fleet\",server=\"db-07\",check=\"postgres\",verdict=\"drift\"} 1".to_owned();
    assert_eq!(drifted, [expected]);

    // What was kept says the same, in every form.
    assert_eq!(site.driftlock(&["report"]).code(0).stdout(), text);
    for format in ["json", "html", "junit", "sarif", "slack", "github", "prometheus"] {
        let said = site.driftlock(&["report", "--format", format]).code(0).stdout();
        assert!(said.contains("db-07") || format == "sarif", "{format}: {said}");
    }
    let html = site.driftlock(&["report", "--format", "html"]).code(0).stdout();
    assert_eq!(html.matches("<th scope=\"col\">Server</th>").count(), 3, "{html}");
}

#[needs(sshd)]
fn groups_are_selected_beside_servers() {
    let site = fleet(8);
    let names = |arguments: &[&str]| {
        let fleet = site.driftlock(&[&["check", "--json"], arguments].concat()).code(0).json();
        let names = fleet["servers"].as_array().unwrap().iter().map(|server| server["server"]["name"].clone());
        names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--group", "first"]), ["db-01", "web-01"], "in the order of the group");
    assert_eq!(names(&["--group", "first", "--server", "web-02", "--server", "web-01"]), ["web-02", "web-01", "db-01"]);
    assert_eq!(names(&["--group", "db", "--group", "web"]).len(), 16);
    // Who is not asked for it is not connected to, and that is said.
    let run = site.driftlock(&["check", "--group", "first", "--check", "stacks", "--json"]).code(0);
    assert_eq!(run.stderr(), "driftlock: db-01 is not asked for stacks\n");
    assert_eq!(pairs(&run.json()), [("web-01".to_owned(), "stacks".to_owned())]);
    let quiet = site.driftlock(&["check", "--group", "first", "--check", "stacks", "--quiet"]).code(0);
    assert_eq!((quiet.stdout(), quiet.stderr()), Default::default());
    // One server has the report of one.
    let one = site.driftlock(&["check", "--server", "db-01"]).code(0).stdout();
    says(&one, &["[PASS] All postgres files match baseline", "Total checks: 4\n"]);
    assert!(!one.contains("Stacks") && !one.contains("Notes"), "{one}");
    // One that is not declared is asked for all.
    let run = site.driftlock(&["check", "--server", "fleet", "--json"]).code(2).json();
    assert_eq!(run["checks"].as_array().unwrap().len(), 6, "{run:#}");
}

#[needs(sshd)]
fn every_command_about_servers_keeps_to_what_they_are_asked_for() {
    let site = fleet(8);
    drift(&site, "db-07");
    site.driftlock(&["export", "--server", "db-07", "--output", "out"]).code(0);
    assert_eq!(super::super::watch::names(site.world.path("out/locks")), ["etc.lock.json", "postgres.lock.json"]);
    let locked = site.driftlock(&["lock", "--from", "out", "--dry-run"]).code(0).stdout();
    says(
        &locked,
        &[
            "left locks/stacks.lock.json unchanged: the export has no such lock, and not every server is asked for its check\n",
            "would write locks/postgres.lock.json: 1 entry, 1 changed",
        ],
    );
    let shown = site.driftlock(&["check", "--server", "db-07", "--show-changes"]).code(1).stdout();
    says(&shown, &["-port = 5432\n", "+port = 5433\n"]);
    let patch = site.driftlock(&["diff", "--patch", "--server", "db-07"]).code(1);
    says(&patch.stdout(), &["-port = 5432\n+port = 5433\n"]);
    assert_eq!(patch.stderr(), "");

    let text = site.driftlock(&["diff", "--server", "db-07", "--server", "db-08"]).code(1).stdout();
    says(&text, &["db-07 → db-08\n", "postgres: 1 entry, 1 differ", "etc: 1 entry, 0 differ"]);
    assert!(!text.contains("stacks") && !text.contains("not compared"), "{text}");
    let other = site.driftlock(&["diff", "--group", "first"]).code(0).stdout();
    let expected = "db-01 → web-01\netc: 1 entry, 0 differ, 0 could not be read\npostgres: not compared, only db-01 is \
                    asked for it\nstacks: not compared, only web-01 is asked for it\n";
    assert_eq!(other, expected);
    let json = site.driftlock(&["diff", "--group", "first", "--json"]).code(0).json();
    assert_eq!(json["not_compared"][1], serde_json::json!({"name": "stacks", "server": "web-01"}));
    for check in ["postgres", "stacks"] {
        let run = site.driftlock(&["diff", "--group", "first", "--check", check]);
        refused(run, &["no check of this run is for both ", "name two servers with a check in common"]);
    }

    let accepted = site.driftlock(&["accept", "--server", "db-07", "**"]).code(0).stdout();
    says(&accepted, &["accepted into locks/postgres.lock.json:", "accepted 1, 0 drifts left"]);
    site.driftlock(&["check", "--server", "db-07"]).code(0);
    for arguments in [
        &["check", "--server", "db-01", "--check", "stacks", "--check", "notes"][..],
        &["export", "--output", "no", "--server", "db-01", "--check", "stacks", "--check", "notes"],
        &["accept", "--server", "db-01", "--check", "stacks", "--check", "notes", "x"],
        &["diff", "--patch", "--server", "db-01", "--check", "stacks", "--check", "notes"],
        &["check", "--as", "db-01", "--check", "stacks", "--check", "notes"],
    ] {
        let problem = "there is nothing to check: db-01 is not asked for stacks or notes, because of its `checks` or those of its \
                       groups";
        refused(site.driftlock(arguments), &[problem, "leave out --check, or name the check in `checks`"]);
    }
    refused(
        site.driftlock(&["check", "--server", "db-01", "--server", "db-02", "--check", "stacks"]),
        &["there is nothing to check: db-01 and db-02 are not asked for stacks, because of their `checks`"],
    );
}

/// The machine itself is asked for what it would be asked over SSH.
#[needs(sshd)]
fn a_machine_that_stands_for_a_server_has_its_checks() {
    let site = fleet(8);
    let report = site.driftlock(&["check", "--as", "db-01", "--json"]).code(0).json();
    let over_ssh = site.driftlock(&["check", "--server", "db-01", "--json"]).code(0).json();
    let names = |report: &Value, after: usize| {
        let checks = report["checks"].as_array().unwrap().iter().skip(after);
        checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Besides whether the locks are there and, over SSH, whether the server was collected.
    assert_eq!(names(&report, 1), ["postgres", "etc"]);
    assert_eq!(names(&over_ssh, 2), names(&report, 1));
    let text = site.driftlock(&["lock", "--as", "db-01"]).code(0).stdout();
    assert_eq!(text, "unchanged locks/postgres.lock.json: 1 entry\nunchanged locks/etc.lock.json: 1 entry\n");
}

#[test]
fn what_is_not_declared_is_refused_before_anything_runs() {
    let world = World::new();
    world.write("m/a", "a");
    world.lock();
    let declare = |more: &str| {
        let text = format!("{}{more}", super::site::declaration(&world));
        fs::write(world.path("driftlock.toml"), text).unwrap();
    };
    refused(world.driftlock(["check", "--group", "web"]), &["declares no such group", "declare it, `[group.NAME]`"]);
    declare("[server.a]\nhost = \"h\"\n[group.web]\nservers = [\"a\"]\n");
    refused(
        world.driftlock(["check", "--group", "wbe"]),
        &["--group wbe: driftlock.toml declares no such group", "name one of: web"],
    );
    refused(
        world.driftlock(["check", "--group", "web", "--server", "x@a"]),
        &["--server x@a: the server a is declared, with its own login", "write --server a and --ssh-user"],
    );
    refused(world.driftlock(["export", "--group", "web", "--server", "b", "--output", "x"]), &["2 are named"]);
    for arguments in [&["--group", "web", "--all-servers"][..], &["--group", "web", "--local"]] {
        world.driftlock([&["check"], arguments].concat()).code(2);
    }
    declare("[server.a]\nhost = \"h\"\nchecks = [\"tre\"]\n");
    refused(
        world.driftlock(["check", "--server", "a"]),
        &["server.a.checks: there is no check named `tre`; write `tree`"],
    );
}

/// A server that is not asked for what is named counts as one that was named, and is told.
#[needs(sshd)]
fn a_server_that_is_passed_over_is_told() {
    let site = fleet(1);
    let both = ["--server", "web-01", "--server", "db-01", "--check", "postgres"];
    let told = "web-01 is not asked for postgres";
    says(&site.driftlock(&[&["lock"], &both[..]].concat()).code(0).stderr(), &[told]);
    says(&site.driftlock(&[&["check"], &both[..]].concat()).code(0).stderr(), &[told]);
    refused(site.driftlock(&[&["export", "--output", "out"], &both[..]].concat()), &["2 are named"]);
    refused(site.driftlock(&[&["accept", "x"], &both[..]].concat()), &["2 are named"]);
    refused(site.driftlock(&[&["diff", "--patch"], &both[..]].concat()), &["2 are named"]);
}

/// Of all servers, a check that none of them is asked for is said.
#[needs(sshd)]
fn a_check_that_no_server_is_asked_for_is_said() {
    let site = fleet(8);
    let path = site.world.path("driftlock.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("checks = [\"postgres\", \"etc\"]", "checks = [\"etc\"]")).unwrap();
    let run = site.driftlock(&["check", "--all-servers"]).code(0);
    let told = "driftlock: no server is asked for postgres\n  to do: name it in `checks` of a server or of a group, or write \
                `modes = [\"local\"]` in the check\n";
    assert_eq!(run.stderr(), told);
    assert_eq!(site.driftlock(&["check", "--all-servers", "--quiet"]).code(0).stderr(), "");
}
