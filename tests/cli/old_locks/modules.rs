//! `odoo_addons_modules.hash.txt`

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use needs::needs;
use serde_json::Value;

use super::{bash, drift, refused, the};
use crate::harness::World;

const LOCK: &str = "audit/locks/odoo_addons_modules.hash.txt";
const NEW: &str = "audit/locks/addon_hashes.lock.json";

const CHECK: &str = "[check.addon_hashes]\nkind = \"trees\"\nroot = \"odoo_modules/seisei\"\n\
                     lock = \"odoo_addons_modules.hash.txt\"\n";

/// What the scripts run, with `$dir` the modules' directory as it is given to them.
const SCRIPT: &str = r#"for module in $(ls "$dir"); do
    [ -d "$dir/$module" ] || continue
    hash=$(find "$dir/$module" -type f -exec sha256sum {} \; | sort | sha256sum | cut -d' ' -f1)
    echo "$hash  $module"
done | tac >"$lock""#;

/// Three modules, names that `sha256sum` escapes and sorts elsewhere among them.
fn modules(declaration: &str) -> World {
    let world = World::declaring(declaration);
    for (path, contents) in [
        ("qr_ordering/__manifest__.py", "{}"),
        ("qr_ordering/models/table.py", "a table"),
        ("qr_ordering/models/same.py", "a table"),
        ("qr_ordering/a \\ b/new\nline", "x"),
        ("qr_ordering/a \\ b/carriage\rreturn", "y"),
        ("qr_ordering/a b", ""),
        ("qr_ordering/-", ""),
        ("qr_ordering-more/x.py", "between qr_ordering and what is below it"),
        ("custom_ocr_finance/__manifest__.py", "{}"),
        ("custom_ocr_finance/models/move.py", "a move"),
    ] {
        write(&world, path, contents);
    }
    fs::write(
        std::path::Path::new(std::ffi::OsStr::from_bytes(
            &[world.path("odoo_modules/seisei/qr_ordering/").as_os_str().as_bytes(), b"\xff\xfe.py"].concat(),
        )),
        "not UTF-8",
    )
    .unwrap();
    fs::create_dir(world.path("odoo_modules/seisei/empty")).unwrap();
    fs::write(world.path("odoo_modules/seisei/README.md"), "beside the modules").unwrap();
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    world
}

fn write(world: &World, path: &str, contents: &str) {
    let path = world.path("odoo_modules/seisei").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

/// Makes the lock, after `first`.
fn lock(world: &World, first: &str) {
    bash(world, &format!("lock=$PWD/{LOCK}\n{first}\n{SCRIPT}"));
}

fn locked() -> World {
    let world = modules(CHECK);
    lock(&world, "dir=odoo_modules/seisei");
    world
}

fn check(world: &World, code: i32) -> Value {
    world.driftlock(["check", "--json"]).code(code).json()
}

#[test]
fn every_spelling_of_the_modules_directory_is_found() {
    for first in [
        "dir=odoo_modules/seisei",
        "dir=odoo_modules/seisei/",
        "dir=./odoo_modules/seisei",
        "dir=./odoo_modules/seisei/",
        "dir=$PWD/odoo_modules/seisei",
        "dir=$PWD/odoo_modules/seisei/",
        "cd odoo_modules; dir=seisei",
        "cd odoo_modules/seisei; dir=.",
        "dir=$(basename $PWD)/odoo_modules/seisei; cd ..",
        "dir=${PWD#/}/odoo_modules/seisei; cd /",
    ] {
        let world = modules(CHECK);
        lock(&world, first);
        let report = check(&world, 0);
        let found = the(&report, "addon_hashes");
        assert_eq!((&found["old_lock"], &found["counts"]["verified"]), (&"module_hashes".into(), &4.into()), "{first}");
        assert_eq!(found["lock"], LOCK);
        write(&world, "qr_ordering/models/table.py", "changed");
        assert_eq!(drift(&check(&world, 1), "addon_hashes"), ["modified qr_ordering"], "{first}");
    }
    // The scripts went into the directory, and named modules alone.
    let world = modules(CHECK);
    let script = SCRIPT.replace("\"$dir/$module\"", "\"$module\"");
    bash(&world, &format!("lock=$PWD/{LOCK}; cd odoo_modules/seisei; dir=.\n{script}"));
    check(&world, 0);
}

#[test]
fn hashes_that_were_made_on_a_server_fit_once_that_is_declared() {
    let elsewhere = tempfile::tempdir().unwrap();
    let made = |world: &World| {
        bash(world, &format!("cp -a odoo_modules/seisei {}/addons", elsewhere.path().display()));
        lock(world, &format!("dir={}/addons", elsewhere.path().display()));
        fs::remove_dir_all(elsewhere.path().join("addons")).unwrap();
    };
    let world = modules(CHECK);
    // The hash of no files at all fits anywhere.
    fs::remove_dir(world.path("odoo_modules/seisei/empty")).unwrap();
    made(&world);
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(
        text.contains("    no module fits: if its hashes were made where the modules are in another directory"),
        "{text}"
    );
    let world = modules(&format!("{CHECK}server_root = \"{}/addons\"\n", elsewhere.path().display()));
    made(&world);
    check(&world, 0);
}

#[test]
fn what_the_scripts_see_is_drift_of_its_module() {
    type Edit = fn(&World);
    let edits: [(Edit, &str); 6] = [
        (|world| write(world, "qr_ordering/models/table.py", "changed"), "modified qr_ordering"),
        (|world| write(world, "qr_ordering/new.py", ""), "modified qr_ordering"),
        (|world| write(world, "empty/new.py", ""), "modified empty"),
        (|world| fs::remove_file(world.path("odoo_modules/seisei/qr_ordering/a b")).unwrap(), "modified qr_ordering"),
        (
            |world| {
                let at = |path| world.path("odoo_modules/seisei/custom_ocr_finance").join(path);
                fs::rename(at("models/move.py"), at("move.py")).unwrap();
            },
            "modified custom_ocr_finance",
        ),
        (
            |world| {
                let file = world.path("odoo_modules/seisei/custom_ocr_finance/models/move.py");
                fs::remove_file(&file).unwrap();
                symlink("/nowhere", file).unwrap();
            },
            "modified custom_ocr_finance",
        ),
    ];
    for (edit, expected) in edits {
        let world = locked();
        edit(&world);
        assert_eq!(drift(&check(&world, 1), "addon_hashes"), [expected]);
    }
}

/// The scripts pass over a module that is gone, and do not see one that is new.
#[test]
fn what_the_scripts_do_not_see_is_drift() {
    let world = locked();
    let at = |path: &str| world.path("odoo_modules/seisei").join(path);
    fs::remove_dir_all(at("custom_ocr_finance")).unwrap();
    write(&world, "backdoor/__manifest__.py", "{}");
    fs::remove_dir(at("empty")).unwrap();
    symlink("qr_ordering", at("empty")).unwrap();
    let report = check(&world, 1);
    let expected = ["added backdoor", "removed custom_ocr_finance", "type_changed empty"];
    assert_eq!(drift(&report, "addon_hashes"), expected);
    let found = the(&report, "addon_hashes");
    assert_eq!(found["details"], "3 modules drifted: backdoor;custom_ocr_finance;empty;");
    assert_eq!(found["counts"], serde_json::json!({"entries": 5, "verified": 2, "drifted": 3, "unverified": 0}));
    assert_eq!(found["drift"][1]["expected"]["type"], "directory");
    assert_eq!(found["drift"][1]["expected"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn modules_without_files_do_not_tell_how_the_directory_was_spelled() {
    let world = modules(CHECK);
    for number in 0..9 {
        fs::create_dir(world.path(format!("odoo_modules/seisei/empty-{number}"))).unwrap();
    }
    lock(&world, "cd odoo_modules; dir=./seisei");
    check(&world, 0);
    for module in ["qr_ordering", "qr_ordering-more"] {
        write(&world, &format!("{module}/new.py"), "");
    }
    assert_eq!(drift(&check(&world, 1), "addon_hashes"), ["modified qr_ordering", "modified qr_ordering-more"]);
}

/// It is said that the lock can't tell these.
#[test]
fn what_such_a_lock_does_not_record_is_no_drift() {
    let world = locked();
    let at = |path: &str| world.path("odoo_modules/seisei").join(path);
    fs::set_permissions(at("qr_ordering/models/table.py"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", at("qr_ordering/link")).unwrap();
    fs::create_dir(at("qr_ordering/directory")).unwrap();
    fs::write(at("README.md"), "changed").unwrap();
    let text = world.driftlock(["check"]).code(0).stdout();
    let warning = "[WARN] Addon: audit/locks/odoo_addons_modules.hash.txt is an old lock, blind to which file of a module \
                   has changed, executable bits, links, empty directories and files beside the modules\n";
    assert!(text.contains(warning) && text.contains("[PASS] All addon modules match baseline\n"), "{text}");
}

#[test]
fn one_spelling_has_to_be_right_for_all_modules() {
    // With `m` and `m/m` for the directory, one for each module, a file could go from `m/m` to `m` unseen.
    let world = World::declaring("[check.addon_hashes]\nkind = \"trees\"\nroot = \"m/m\"\nlock = \"x.hash.txt\"\n");
    for path in ["m/m/m/m/f", "m/m/other/f", "m/m/third/f"] {
        fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs::write(world.path(path), path).unwrap();
    }
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    bash(&world, &format!("lock=$PWD/audit/locks/x.hash.txt; cd m; dir=m\n{SCRIPT}"));
    check(&world, 0);
    fs::rename(world.path("m/m/m/m/f"), world.path("m/m/m/f")).unwrap();
    assert_eq!(drift(&check(&world, 1), "addon_hashes"), ["modified m"]);
}

#[needs(root, "bash")]
fn what_could_not_be_read_is_unverified() {
    let world = locked();
    let at = |path: &str| world.path("odoo_modules/seisei").join(path);
    bash(&world, &format!("install -m 755 {} copy", env!("CARGO_BIN_EXE_driftlock")));
    fs::set_permissions(at("qr_ordering/models"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(at("new")).unwrap();
    fs::set_permissions(at("new"), fs::Permissions::from_mode(0o000)).unwrap();
    write(&world, "custom_ocr_finance/models/move.py", "changed");
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let out =
        crate::watch::shell(&world, "bash", &format!("mkdir -m 777 out; {nobody} ./copy check --json --output out"))
            .code(3)
            .json();
    assert_eq!(drift(&out, "addon_hashes"), ["modified custom_ocr_finance"]);
    let found = the(&out, "addon_hashes");
    assert_eq!(found["counts"], serde_json::json!({"entries": 5, "verified": 2, "drifted": 1, "unverified": 2}));
    let reasons: Vec<_> =
        found["unverified"].as_array().unwrap().iter().map(|entry| entry["reason"].as_str().unwrap()).collect();
    assert!(
        reasons[1].starts_with("qr_ordering/models: could not ") && reasons[1].contains("Permission denied"),
        "{reasons:?}"
    );
}

#[test]
fn lock_writes_the_new_one_beside_it() {
    let world = locked();
    write(&world, "qr_ordering/models/table.py", "changed");
    let old = fs::read(world.path(LOCK)).unwrap();
    let said = world.driftlock(["lock", "--dry-run"]).code(0).stdout();
    assert!(
        said.starts_with(&format!("would write {NEW}: ")) && said.contains(", 1 changed since the last lock\n"),
        "{said}"
    );
    assert!(!world.path(NEW).exists());
    let value = world.driftlock(["lock", "--dry-run", "--json"]).code(0).json();
    assert_eq!(value["locks"][0]["old_lock"], "module_hashes");
    let said = world.lock().stdout();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with(&format!("wrote {NEW}: ")), "{said}");
    assert_eq!(lines[1], "    it replaces odoo_addons_modules.hash.txt; remove that file, and `lock` from the check");
    assert!(lines[2].starts_with("    modified: odoo_modules/seisei/qr_ordering (sha256 of its files "), "{said}");
    assert_eq!(fs::read(world.path(LOCK)).unwrap(), old);
    // It counts from now on, whether the old one is there or not.
    let found = check(&world, 0);
    assert_eq!(
        (&the(&found, "addon_hashes")["lock"], &the(&found, "addon_hashes")["old_lock"]),
        (&NEW.into(), &Value::Null)
    );
    write(&world, "qr_ordering/models/table.py", "a table");
    assert_eq!(drift(&check(&world, 1), "addon_hashes"), ["modified qr_ordering/models/table.py"]);
    assert!(world.lock().stdout().contains("1 changed since the last lock\n    modified: "));
    let new = fs::read(world.path(NEW)).unwrap();
    fs::remove_file(world.path(LOCK)).unwrap();
    fs::write(world.path("driftlock.toml"), CHECK.replace("lock = \"odoo_addons_modules.hash.txt\"\n", "")).unwrap();
    check(&world, 0);
    world.lock();
    assert_eq!(fs::read(world.path(NEW)).unwrap(), new);
    // Neither is there: what was declared is missing.
    fs::remove_file(world.path(NEW)).unwrap();
    fs::write(world.path("driftlock.toml"), CHECK).unwrap();
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(text.contains(&format!("[FAIL] Missing lock file: {LOCK}\n")), "{text}");
}

#[test]
fn an_export_and_a_stat_cache_go_with_it() {
    let world = locked();
    fs::create_dir(world.path("cache")).unwrap();
    for code in [0, 0] {
        world.driftlock(["check", "--stat-cache", "cache/file"]).code(code);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    write(&world, "qr_ordering/models/table.py", "changed");
    let report = world.driftlock(["check", "--json", "--stat-cache", "cache/file"]).code(1).json();
    assert_eq!(drift(&report, "addon_hashes"), ["modified qr_ordering"]);
    world.driftlock(["export", "--output", "runtime"]).code(0);
    let said = world.driftlock(["lock", "--from", "runtime"]).code(0).stdout();
    assert!(said.contains("1 changed since the last lock\n    it replaces odoo_addons_modules.hash.txt"), "{said}");
    check(&world, 0);
}

#[test]
fn diff_reads_it_as_check_does() {
    let world = locked();
    write(&world, "qr_ordering/models/table.py", "changed");
    let said = world.driftlock(["diff", LOCK, "live"]).code(1).stdout();
    assert!(said.contains("modified: odoo_modules/seisei/qr_ordering (sha256 of its files "), "{said}");
    assert!(said.ends_with("4 entries: 1 differ, 0 could not be read\n"), "{said}");
}

#[test]
fn malformed_ones_are_refused() {
    let world = locked();
    let good = fs::read_to_string(world.path(LOCK)).unwrap();
    let (first, rest) = good.split_once('\n').unwrap();
    let line = |line: &str| format!("{first}\n{line}\n{rest}");
    let digits = "0".repeat(64);
    for (bad, problem) in [
        (String::new(), "it is empty"),
        (good.trim_end().to_owned(), "it ends in the middle, at line 4"),
        (line(""), "line 2 is not 64 hexadecimal digits, two blanks and a module: it is too short"),
        (line("# by hand"), "it is too short"),
        (line(&format!("{}  m", "A".repeat(64))), "its digits are not lower-case hexadecimal ones"),
        (line(&format!("{}  mm", "0".repeat(63))), "its digits are not lower-case"),
        (line(&format!("{digits} m")), "it has no two blanks after the digits"),
        (line(&format!("{digits} *m")), "it has no two blanks after the digits"),
        (line(&format!("{digits}  ")), "it does not name a directory directly below the root"),
        (line(&format!("{digits}  m/n")), "it does not name a directory directly below the root"),
        (line(&format!("{digits}  m/")), "it does not name a directory directly below the root"),
        (line(&format!("{digits}  ..")), "it does not name a directory directly below the root"),
        (line(&format!("{digits}  m\0")), "it does not name a directory directly below the root"),
        (line(&format!("\\{digits}  m")), "its digits are not lower-case"),
        (
            good.replace('\n', "\r\n"),
            "line 1 is not 64 hexadecimal digits, two blanks and a module: it ends in a carriage",
        ),
        (format!("{good}{first}\n"), "qr_ordering-more is there twice"),
        ("{\n\"driftlock\": 1,\n".to_owned(), "it is too short"),
        (good.repeat(60_000), "it is larger than 16777216 bytes"),
    ] {
        fs::write(world.path(LOCK), bad).unwrap();
        refused(&world, "addon_hashes", LOCK, problem);
    }
    fs::remove_file(world.path(LOCK)).unwrap();
    bash(&world, &format!("mkfifo {LOCK}"));
    let report = check(&world, 2);
    assert!(the(&report, "addon_hashes")["trouble"]["problem"].as_str().unwrap().contains("it is not a regular file"));
}

#[test]
fn what_is_excluded_and_what_is_asked_for_beyond_it_is_refused() {
    let world = modules(&format!("{CHECK}exclude = [\"qr_*\"]\n"));
    lock(&world, "dir=odoo_modules/seisei");
    refused(&world, "addon_hashes", LOCK, "the module qr_ordering-more is not among what the check records");
    let world = modules(&format!("{CHECK}attributes = [\"mode\"]\n"));
    lock(&world, "dir=odoo_modules/seisei");
    let report = check(&world, 2);
    let problem = the(&report, "addon_hashes")["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("it was written with attributes [], and the declaration asks for [mode]"), "{problem}");
}
