//! One server: clean, drifted, and told apart in every way.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use data_encoding::BASE64;
use needs::needs;
use serde_json::json;

use super::super::containers::engines::{Engine, root};
use super::super::harness::{World, drift, the_check, unverified};
use super::super::watch::shell;
use super::site::{Far, Site};

fn status(report: &serde_json::Value, check: &str) -> serde_json::Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|found| found["name"] == check).unwrap_or_else(|| panic!("{report:#}"))["status"].clone()
}

#[needs(landlock, sshd)]
fn a_clean_server_passes_with_the_report_of_the_seed() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let out = site.driftlock(&["check", "--server", "web", "--require-sandbox"]).code(0);
    let text = out.stdout();
    let lines = [
        "  Mode: server",
        "[PASS] All required lock files present",
        "[INFO] Running server-side drift checks on web...",
        "[PASS] Server state collected successfully",
        "[PASS] All tree modules match baseline",
        "Total checks: 3",
        "Passed: 3",
        "Failed: 0",
        "OVERALL: PASS",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let path = text.lines().last().unwrap().strip_prefix("Report: ").unwrap();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(site.world.path(path)).unwrap()).unwrap();
    assert_eq!(report["mode"], "server");
    assert_eq!(report["server"]["name"], "web");
    assert_eq!(report["server"]["driftlock"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["server"]["sandbox"]["seccomp"], true);
    assert_eq!(the_check(&report)["counts"], json!({"entries": 3, "verified": 3, "drifted": 0, "unverified": 0}));
    assert_eq!(the_check(&report)["digest"], the_check(&report)["live_digest"]);
    assert_eq!(the_check(&report)["root"], site.world.path("root").to_str().unwrap());
}

#[needs(sshd)]
fn drift_on_a_server_is_the_drift_that_a_local_check_finds() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    site.world.write("module/a.py", "changed\n");
    fs::rename(site.world.root("module/b.py"), site.world.root("module/c.py")).unwrap();
    site.world.write([b"module/\xff\n".as_slice(), b"x"].concat(), "not UTF-8");
    symlink("/nowhere", site.world.root("module/link")).unwrap();
    let local = site.world.check(1);
    let server = site.driftlock(&["check", "--server", "web", "--json"]).code(1).json();
    for drift in the_check(&local)["drift"].as_array().unwrap().iter().filter(|drift| drift["change"] != "removed") {
        // Of a link itself, as `stat` has it.
        let bytes = match drift["path"].as_str() {
            Some(path) => path.as_bytes().to_vec(),
            None => BASE64.decode(drift["path_base64"].as_str().unwrap().as_bytes()).unwrap(),
        };
        let status = site.world.root(bytes).symlink_metadata().unwrap();
        let date = format!("date -u -d @{} +%Y-%m-%dT%H:%M:%SZ", status.mtime());
        let mtime = shell(&site.world, "sh", &date).code(0).stdout();
        let mtime = mtime.trim();
        assert_eq!(drift["live"], json!({"mtime": mtime, "uid": status.uid(), "gid": status.gid()}), "{drift}");
    }
    for key in ["drift", "unverified", "counts", "digest", "live_digest", "mounts", "status"] {
        assert_eq!(the_check(&local)[key], the_check(&server)[key], "{key}");
    }
    assert_eq!(the_check(&server)["counts"]["drifted"], 5);
    let text = site.driftlock(&["check", "--server", "web"]).code(1).stdout();
    let moved = format!("    moved: {0}/module/c.py (from {0}/module/b.py, mtime ", site.world.path("root").display());
    assert!(text.contains(&moved), "{text}");
}

#[needs(root, sshd)]
fn what_can_not_be_read_there_is_unverified() {
    // The login user may read everything, so run the command as another user.
    let script = format!(
        "install -m 755 {} \"$TMPDIR/../copy\"\n\
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$TMPDIR/../copy\" \"$@\"",
        env!("CARGO_BIN_EXE_driftlock")
    );
    let site = Site::new(&[("web", Far::Script(script))]);
    fs::create_dir(site.world.root("module/closed")).unwrap();
    site.world.write("module/closed/x", "x");
    site.world.lock();
    fs::set_permissions(site.world.root("module/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    site.world.write("module/a.py", "changed\n");
    let report = site.driftlock(&["check", "--server", "web", "--json"]).code(3).json();
    assert_eq!(unverified(&report), ["module/closed", "module/closed/x"]);
    assert_eq!(drift(&report), [("modified".to_owned(), "module/a.py".to_owned())]);
    assert!(the_check(&report)["unverified"][0]["reason"].as_str().unwrap().contains("Permission denied"));
    assert_eq!(status(&report, "server_collection"), "PASS");
}

#[needs(sshd)]
fn a_root_that_is_not_there_is_trouble_of_its_check_alone() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let other = declaration.replace("[check.tree]", "[check.other]").split_once("[check").unwrap().1.to_owned();
    fs::write(site.world.path("driftlock.toml"), format!("{declaration}\n[check{other}")).unwrap();
    site.world.lock();
    let gone = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let (first, second) = gone.split_once("[check.other]").unwrap();
    let second = second.replace("/root\"", "/nowhere\"");
    fs::write(site.world.path("driftlock.toml"), format!("{first}[check.other]{second}")).unwrap();
    let report = site.driftlock(&["check", "--server", "web", "--json"]).code(2).json();
    assert_eq!(status(&report, "tree"), "PASS");
    assert_eq!(status(&report, "other"), "FAIL");
    assert_eq!(status(&report, "server_collection"), "PASS");
}

#[needs(sshd)]
fn locks_and_modes_are_ours_to_judge() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let root = site.world.path("root").display().to_string();
    let check = |name: &str, more: &str| format!("[check.{name}]\nkind = \"trees\"\nroot = \"root\"\n{more}\n");
    let lies = format!("server_root = \"{root}\"");
    fs::write(
        site.world.path("driftlock.toml"),
        [
            "locks = \"locks\"\n".to_owned(),
            check("tree", &lies),
            check("unlocked", &lies),
            check("rootless", ""),
            check("here", "modes = [\"local\"]"),
        ]
        .concat(),
    )
    .unwrap();
    site.world.driftlock(["lock", "--check", "rootless", "--check", "here"]).code(0);
    let report = site.driftlock(&["check", "--server", "web", "--json"]).code(3).json();
    let found: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap()).collect();
    assert_eq!(found, ["FAIL", "PASS", "PASS", "SKIP", "FAIL", "SKIP"]);
    assert!(report["checks"][4]["trouble"]["remedy"].as_str().unwrap().contains("server_root"));
    assert_eq!(report["checks"][5]["skipped"], "other_mode");

    // Nothing that could be asked for is no pass.
    let report = site.driftlock(&["check", "--server", "web", "--check", "here", "--json"]).code(2).json();
    assert_eq!(status(&report, "server_collection"), "FAIL");
}

#[needs(landlock, sshd)]
fn a_forced_command_opens_what_it_allows_and_no_more() {
    let forced = |allowed: &str| Far::Forced(format!("driftlock collect --require-sandbox --allow /usr {allowed}"));
    let site = Site::new(&[("shut", forced("")), ("open", forced("--allow \"$TMPDIR/../root\""))]);
    let report = site.driftlock(&["check", "--server", "shut", "--json"]).code(2).json();
    assert!(the_check(&report)["trouble"]["problem"].as_str().unwrap().contains("lies in none of the directories"));
    assert_eq!(status(&report, "server_collection"), "PASS");
    site.driftlock(&["check", "--server", "open"]).code(0);
}

/// With the key, a user can neither see nor reach anything outside the allowed directories.
#[test]
fn what_is_not_allowed_is_not_touched() {
    let world = World::new();
    for directory in ["allowed", "elsewhere"] {
        fs::create_dir(world.path(directory)).unwrap();
    }
    let listen = |path: &str| {
        let listener = UnixListener::bind(world.path(path)).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    };
    let (elsewhere, _allowed) = (listen("elsewhere/s"), listen("allowed/s"));
    symlink(world.path("elsewhere"), world.path("allowed/link")).unwrap();
    symlink(world.path("elsewhere/s"), world.path("allowed/engine")).unwrap();
    let collect = |check: serde_json::Value| {
        let request = json!({"driftlock_collect": 5, "require_sandbox": false, "extent": "entries", "declaration": {"check": {"a": check}}});
        fs::write(world.path("request"), format!("{request}\n")).unwrap();
        let mut run = world.driftlock(["collect", "--allow", world.path("allowed").to_str().unwrap()]);
        run.command.stdin(fs::File::open(world.path("request")).unwrap());
        let answer = run.command.output().unwrap();
        let line = String::from_utf8(answer.stdout).unwrap().lines().nth(2).unwrap().to_owned();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["failed"]["problem"].as_str().unwrap_or("").replace(world.path("").to_str().unwrap(), "")
    };
    let root = |path: &str| collect(json!({"kind": "trees", "root": world.path(path)}));
    let socket = |path: &str| collect(json!({"kind": "containers", "socket": world.path(path)}));
    for path in
        ["elsewhere", "elsewhere/none", "elsewhere/s", "allowed/link", "allowed/link/none", "allowed/../elsewhere"]
    {
        assert_eq!(root(path), format!("{path} lies in none of the directories that `--allow` names there"));
    }
    for path in
        ["elsewhere/s", "elsewhere/none", "elsewhere", "allowed/engine", "allowed/link/s", "allowed/../elsewhere/s"]
    {
        assert_eq!(socket(path), format!("{path} lies in none of the directories that `--allow` names there"));
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something has connected");
    // What is allowed is told as it is.
    assert_eq!(root("allowed"), "");
    assert!(root("allowed/none").contains("No such file"));
    assert!(socket("allowed/none").contains("No such file"));
}

/// The seed's third example: what runs on a server.
#[needs(landlock, sshd, podman)]
fn containers_of_a_server_are_compared_as_those_of_this_machine() {
    let engine = Engine::podman().unwrap();
    let image = tempfile::tempdir().unwrap();
    let root = root(image.path());
    engine.import(&root, "web:1");
    engine.create("web", "web:1", &[]);
    let world = World::new();
    let socket = engine.socket();
    let declaration = format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.docker_images]\nkind = \"containers\"\nsocket = {socket:?}\n\
         [check.nginx]\nkind = \"container_files\"\nsocket = {socket:?}\ncontainer = \"web\"\nroot = \"/etc/nginx\"\n\
         [check.named]\nkind = \"containers\"\nsocket = {socket:?}\ncontainers = [\"web\", \"wob-*\"]\n\
         exclude = [\"old-*\"]\nattributes = [\"security\"]\n"
    );
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    world.lock();
    let at = socket.parent().unwrap().display().to_string();
    let allowed = Far::Forced(format!("driftlock collect --require-sandbox --allow {at}"));
    let other = Far::Forced("driftlock collect --require-sandbox --allow /usr".to_owned());
    let site = Site::with(world, &[("web", allowed), ("shut", other)]);
    let text = site.driftlock(&["check", "--server", "web"]).code(0).stdout();
    for line in ["[PASS] Server state collected successfully", "[PASS] Docker images match baseline", "OVERALL: PASS"] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    fs::write(root.join("etc/nginx/nginx.conf"), "server { listen 81; }\n").unwrap();
    engine.import(&root, "web:1");
    engine.remove("web");
    engine.create("web", "web:1", &[]);
    let local = site.world.driftlock(["check", "--json"]).code(1).json();
    let server = site.driftlock(&["check", "--server", "web", "--json"]).code(1).json();
    for number in [1, 2] {
        assert_eq!(local["checks"][number]["drift"], server["checks"][number + 1]["drift"]);
        assert_eq!(local["checks"][number]["root"], server["checks"][number + 1]["root"]);
        assert_eq!(local["checks"][number]["counts"]["drifted"], 1);
    }
    // Patterns that match nothing, and what `security` tells.
    let named = ["check", "--check", "named", "--json"];
    engine.remove("web");
    engine.create("web", "web:1", &["--privileged"]);
    let local = site.world.driftlock(named).code(1).json();
    let server = site.driftlock(&[&named[..], &["--server", "web"]].concat()).code(1).json();
    let globs = serde_json::json!([{"glob": "old-*", "list": "exclude"}, {"glob": "wob-*", "list": "containers"}]);
    assert_eq!((&local["checks"][1]["uncovered"], &server["checks"][2]["uncovered"]), (&globs, &globs));
    assert_eq!(local["checks"][1]["drift"][0]["actual"]["security"]["privileged"], true);
    assert_eq!(local["checks"][1]["drift"], server["checks"][2]["drift"]);
    // What was locked and is declared by its name was removed, there as here.
    engine.remove("web");
    let local = site.world.driftlock(named).code(1).json();
    let server = site.driftlock(&[&named[..], &["--server", "web"]].concat()).code(1).json();
    let removed = &local["checks"][1]["drift"][0];
    assert_eq!((&removed["change"], &removed["path"]), (&"removed".into(), &"web".into()));
    assert_eq!(server["checks"][2]["drift"], local["checks"][1]["drift"]);
    let shut = site.driftlock(&["check", "--server", "shut", "--json"]).code(2).json();
    let problem = shut["checks"][2]["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("lies in none of the directories"), "{problem}");
}
