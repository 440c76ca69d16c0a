//! `lock_per_server = true`: a lock for each server, in a folder of its name.

use std::fs;
use std::process::Command;

use super::super::harness::World;
use super::super::watch::{names, refused, says, snapshot};
use super::site::{Far, Site};
use needs::needs;

/// Two servers, each with a configuration of its own, and one check more, whose lock is that of both.
fn site() -> Site {
    let world = World::new();
    for (path, text) in [("web/conf", "web\n"), ("db/conf", "db\n"), ("etc/hosts", "hosts\n")] {
        world.write(path, text);
    }
    let at = |name: &str| world.path("root").join(name).display().to_string();
    let server = |name: &str| format!("[server.{name}]\nhost = \"far\"\nroots = {{ conf = {:?} }}\n\n", at(name));
    let text = format!(
        "locks = \"locks\"\nreports = \"reports\"\n\n[check.conf]\nkind = \"files\"\nroot = \"conf\"\ninclude = [\"**\"]\n\
         lock_per_server = true\n\n[check.etc]\nkind = \"trees\"\nroot = \"root/etc\"\nserver_root = {:?}\n\n{}{}",
        at("etc"),
        server("web"),
        server("db"),
    );
    fs::write(world.path("driftlock.toml"), text).unwrap();
    Site::with(world, &[("far", Far::Driftlock), ("dead", Far::Nothing)])
}

/// Both, and the one lock that they have in common.
fn locked() -> Site {
    let site = site();
    site.driftlock(&["lock", "--all-servers", "--check", "conf", "--require-sandbox", "--quiet"]).code(0);
    site.driftlock(&["lock", "--quiet"]).code(0);
    site
}

#[needs(landlock, sshd)]
fn each_server_is_compared_with_its_own_lock() {
    let site = site();
    let locked = site.driftlock(&["lock", "--server", "web", "--require-sandbox"]).code(0).stdout();
    assert_eq!(
        locked,
        "wrote locks/web/conf.lock.json: 1 entry, there was no lock before\nwrote locks/etc.lock.json: 1 entry, there was \
         no lock before\n"
    );
    // It is a lock like any other.
    let lock = fs::read_to_string(site.world.path("locks/web/conf.lock.json")).unwrap();
    assert!(lock.contains("\"check\": \"conf\"") && lock.contains("\"path\":\"conf\""), "{lock}");
    assert_eq!(names(site.world.path("locks")), ["etc.lock.json", "web"]);
    let before = snapshot(&site.world, &["locks/web", "locks/etc.lock.json"]);

    // Of the other there is none yet, and the line that is shown makes it.
    let text = site.driftlock(&["check", "--server", "web", "--server", "db"]).code(1).stdout();
    says(&text, &["\n[FAIL] Missing lock file: locks/db/conf.lock.json\n", "db      PASS       no lock  PASS\n"]);
    assert!(!text.contains("locks/web/conf.lock.json"), "{text}");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("run `driftlock ")?.strip_suffix('`')).unwrap();
    assert_eq!(line, "lock --check conf --server db");
    let dry = site.driftlock(&[&line.split(' ').collect::<Vec<_>>()[..], &["--dry-run"]].concat()).code(0).stdout();
    assert_eq!(dry, "would write locks/db/conf.lock.json: 1 entry, there was no lock before\n");
    assert!(!site.world.path("locks/db").exists());
    let json = site.driftlock(&[&line.split(' ').collect::<Vec<_>>()[..], &["--json"]].concat()).code(0).json();
    assert_eq!(
        (&json["locks"][0]["server"], &json["locks"][0]["lock"]),
        (&"db".into(), &"locks/db/conf.lock.json".into())
    );
    assert_eq!(snapshot(&site.world, &["locks/web", "locks/etc.lock.json"]), before);
    site.driftlock(&["check", "--all-servers"]).code(0);
    assert_ne!(fs::read(site.world.path("locks/db/conf.lock.json")).unwrap(), lock.as_bytes());

    // One of them drifts, and it alone.
    site.world.write("db/conf", "changed\n");
    let fleet = site.driftlock(&["check", "--all-servers", "--json"]).code(1).json();
    let codes: Vec<_> = fleet["servers"].as_array().unwrap().iter().map(|server| &server["exit_code"]).collect();
    assert_eq!(codes, [&serde_json::json!(0), &serde_json::json!(1)]);
    assert_eq!(fleet["servers"][1]["checks"][2]["lock"], "locks/db/conf.lock.json");
    let one = site.driftlock(&["check", "--server", "db", "--json"]).code(1).json();
    assert_eq!(one["checks"][2]["drift"][0]["path"], "conf");
    // The line of that very lock.
    let sarif = site.driftlock(&["check", "--all-servers", "--format", "sarif"]).code(1).json();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "locks/db/conf.lock.json");
    assert_eq!(place["region"]["startLine"], 7);

    // It is taken into its own lock.
    let accepted = site.driftlock(&["accept", "--server", "db", "--require-sandbox", "conf"]).code(0).stdout();
    says(&accepted, &["accepted into locks/db/conf.lock.json:", "accepted 1, 0 drifts left"]);
    site.driftlock(&["check", "--all-servers"]).code(0);
    assert_eq!(snapshot(&site.world, &["locks/web", "locks/etc.lock.json"]), before);
    let again = site.driftlock(&["lock", "--server", "db"]).code(0).stdout();
    assert_eq!(again, "unchanged locks/db/conf.lock.json: 1 entry\nunchanged locks/etc.lock.json: 1 entry\n");
}

#[needs(sshd)]
fn on_this_machine_it_is_said_whose_lock_is_meant() {
    let site = locked();
    // The others are checked, and that this one is not is said.
    let text = site.driftlock(&["check"]).code(0).stdout();
    says(&text, &["[SKIP] Conf: not for mode local", "[PASS] All etc modules match baseline"]);
    assert_eq!(site.driftlock(&["lock"]).code(0).stdout(), "unchanged locks/etc.lock.json: 1 entry\n");
    for command in ["check", "lock"] {
        let ways = [
            format!("there is nothing to {command} here: the check conf is only for servers"),
            format!("driftlock {command} --check conf --server web"),
            format!("on the server itself: driftlock {command} --check conf --as web"),
        ];
        refused(site.driftlock(&[command, "--check", "conf"]), &ways.each_ref().map(String::as_str));
    }

    let report = site.driftlock(&["check", "--as", "db", "--json"]).code(0).json();
    assert_eq!(report["checks"][1]["lock"], "locks/db/conf.lock.json");
    site.world.write("db/conf", "changed\n");
    let text = site.driftlock(&["check", "--as", "db"]).code(1).stdout();
    says(&text, &["[FAIL] Conf drift: ", "driftlock accept --as db "]);
    site.driftlock(&["check", "--as", "web"]).code(0);
    let locked = site.driftlock(&["lock", "--as", "db"]).code(0).stdout();
    says(&locked, &["wrote locks/db/conf.lock.json: 1 entry, 1 changed", "unchanged locks/etc.lock.json"]);
    site.driftlock(&["check", "--as", "db"]).code(0);
    fs::remove_dir_all(site.world.path("locks/db")).unwrap();
    let text = site.driftlock(&["check", "--as", "db"]).code(1).stdout();
    says(&text, &["Missing lock file: locks/db/conf.lock.json\n", "run `driftlock lock --as db --check conf`"]);
    let run = site.driftlock(&["accept", "--as", "db", "conf"]);
    refused(run, &["the check conf has no lock", "driftlock lock --check conf --as db"]);

    let capabilities = site.driftlock(&["capabilities"]).code(0).stdout();
    says(&capabilities, &["locks/<server>/conf.lock.json  (by `lock` and `accept` alone)"]);
}

#[needs(sshd)]
fn an_export_becomes_the_lock_of_the_server_that_is_named() {
    let site = locked();
    site.world.write("db/conf", "changed\n");
    site.driftlock(&["export", "--server", "db", "--output", "out"]).code(0);
    assert_eq!(names(site.world.path("out/locks")), ["conf.lock.json", "etc.lock.json"]);
    let run = site.driftlock(&["lock", "--from", "out"]).code(2);
    says(&run.stderr(), &["each server has its own lock of the check conf, and no server is named", "--as"]);
    says(&run.stdout(), &["unchanged locks/etc.lock.json"]);
    let locked = site.driftlock(&["lock", "--from", "out", "--as", "db"]).code(0).stdout();
    says(&locked, &["wrote locks/db/conf.lock.json: 1 entry, 1 changed since the last lock\n"]);
    site.driftlock(&["check", "--all-servers"]).code(0);
    // This machine has the same path, of which nothing is meant.
    site.world.write("db/conf", "here\n");
    let again = site.driftlock(&["lock", "--from", "out", "--as", "db"]).code(0).stdout();
    assert!(!again.contains("[WARN]"), "{again}");
    site.world.write("db/conf", "changed\n");
    site.world.write("web/conf", "changed\n");
    site.driftlock(&["export", "--server", "web", "--output", "web"]).code(0);
    let path = site.world.root("web/conf").display().to_string();
    let accepted = site.driftlock(&["accept", "--from", "web", "--as", "web", &path]).code(0).stdout();
    says(&accepted, &["accepted into locks/web/conf.lock.json:"]);
    site.driftlock(&["check", "--all-servers"]).code(0);
}

#[needs(sshd)]
fn a_lock_that_is_one_for_all_takes_the_state_of_one() {
    let site = locked();
    let before = snapshot(&site.world, &["locks"]);
    site.world.write("web/conf", "changed\n");
    site.world.write("etc/hosts", "changed\n");
    for arguments in
        [&["--all-servers"][..], &["--server", "web", "--server", "db"], &["--all-servers", "--check", "etc"]]
    {
        refused(
            site.driftlock(&[&["lock"], arguments].concat()),
            &[
                "all servers share the lock of etc, so it needs the state of one server, and 2 are named",
                "`lock_per_server = true`",
            ],
        );
    }
    refused(site.driftlock(&["lock", "--as", "web", "--server", "web"]), &["leave out one of --as and --server"]);
    site.driftlock(&["lock", "--from", "x", "--server", "web"]).code(2);
    refused(site.driftlock(&["lock", "--ssh-user", "x"]), &["--ssh-user is for servers, and no server is named"]);
    assert_eq!(snapshot(&site.world, &["locks"]), before);

    // One that can't be asked keeps its lock, and the others get theirs. One that is not declared has a folder of its own.
    let servers = ["--server", "dead", "--server", "web", "--check", "conf"];
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let dead = format!("{declaration}[server.dead]\nhost = \"dead\"\nroots = {{ conf = \"/srv\" }}\n");
    fs::write(site.world.path("driftlock.toml"), dead).unwrap();
    let run = site.driftlock(&[&["lock"], &servers[..]].concat()).code(2);
    says(&run.stderr(), &["dead: it has no driftlock to start"]);
    assert_eq!(
        run.stdout().lines().next(),
        Some("wrote locks/web/conf.lock.json: 1 entry, 1 changed since the last lock")
    );
    assert!(!site.world.path("locks/dead").exists());
    let there = format!(
        "{declaration}[check.more]\nkind = \"trees\"\nroot = {:?}\nlock_per_server = true\n",
        site.world.root("etc")
    );
    fs::write(site.world.path("driftlock.toml"), there).unwrap();
    let locked = site.driftlock(&["lock", "--server", "far", "--check", "more"]).code(0).stdout();
    assert_eq!(locked, "wrote locks/far/more.lock.json: 1 entry, there was no lock before\n");
    site.driftlock(&["check", "--server", "far", "--check", "more"]).code(0);
}

/// Nothing outside of the locks directory is read for a lock, or written.
#[needs(landlock, sshd)]
fn a_folder_that_leads_away_is_refused() {
    let site = locked();
    let outside = site.world.path("outside");
    fs::rename(site.world.path("locks/db"), &outside).unwrap();
    std::os::unix::fs::symlink("../outside", site.world.path("locks/db")).unwrap();
    let before = snapshot(&site.world, &["outside"]);
    site.world.write("db/conf", "changed\n");
    let report = site.driftlock(&["check", "--server", "db", "--json"]).code(2).json();
    let trouble = report["checks"][2]["trouble"]["problem"].as_str().unwrap();
    assert!(trouble.starts_with("the lock locks/db/conf.lock.json is refused: it could not be read: "), "{trouble}");
    for command in [&["lock", "--server", "db"][..], &["lock", "--as", "db"], &["accept", "--server", "db", "conf"]] {
        let run = site.driftlock(command).code(2);
        says(&run.stderr(), &["the lock locks/db/conf.lock.json is refused"]);
    }
    assert_eq!(snapshot(&site.world, &["outside"]), before);
    // Nor what is no folder.
    fs::remove_file(site.world.path("locks/db")).unwrap();
    fs::write(site.world.path("locks/db"), "").unwrap();
    let run = site.driftlock(&["lock", "--server", "db", "--check", "conf"]).code(2);
    says(&run.stderr(), &["locks/db/conf.lock.json"]);
    assert_eq!(fs::read(site.world.path("locks/db")).unwrap(), b"");
    // A server whose name would lead elsewhere is none.
    for name in ["..", "../web", "/etc", "."] {
        refused(site.driftlock(&["lock", "--server", name]), &["is not a valid host"]);
    }
}

/// The other format, and what git does with both: `.gitattributes` of the locks directory goes for the folders below it.
#[needs(sshd, "git")]
fn the_other_format_and_git_know_the_folders() {
    let site = site();
    let path = site.world.path("driftlock.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("lock_per_server = true", "lock_per_server = true\nlock = \"conf.lock.txt\""))
        .unwrap();
    site.driftlock(&["lock", "--all-servers", "--check", "conf"]).code(0);
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict", "../../locks/db/conf.lock.txt"]);
    let mut sums = site.world.command(sums);
    sums.command.current_dir(site.world.root("db"));
    assert_eq!(sums.code(0).stdout(), "conf: OK\n");
    site.driftlock(&["check", "--all-servers", "--check", "conf"]).code(0);
    site.world.write("web/conf", "changed\n");
    let fleet = site.driftlock(&["check", "--all-servers", "--check", "conf", "--json"]).code(1).json();
    assert_eq!(fleet["servers"][0]["checks"][2]["drift"][0]["path"], "conf");
    assert_eq!(fleet["servers"][1]["exit_code"], 0);

    fs::remove_file(&path).unwrap();
    fs::create_dir_all(site.world.path("infra/stacks/a")).unwrap();
    fs::write(site.world.path("infra/stacks/a/docker-compose.yml"), "services: {}\n").unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments);
        site.world.command(git).code(0).stdout()
    };
    git(&["init", "-q"]);
    site.world.driftlock(["init"]).code(0);
    let asked = ["audit/locks/a.lock.json", "audit/locks/web/a.lock.json"];
    let said = git(&[&["check-attr", "merge", "text", "--"][..], &asked].concat());
    for path in asked {
        says(&said, &[&format!("{path}: merge: driftlock\n"), &format!("{path}: text: unset\n")]);
    }
}
