//! Files that are written to while a run reads them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use needs::needs;

use crate::harness::{FILES, TREES, World, the_check, unverified};

/// Shows good bytes when the file is opened, and restores the evil ones when it is closed.
const SHOWS_GOOD_BYTES: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
OPEN, CLOSE = 0x20, 0x10
# Open before it is watched, so that this writer makes no events of its own.
file = os.open(path, os.O_WRONLY)
watch = libc.inotify_init1(0o2000000)
assert watch >= 0 and libc.inotify_add_watch(watch, path, OPEN | CLOSE) >= 0
print("ready", flush=True)
while True:
    events = os.read(watch, 4096)
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        events = events[16 + length:]
        os.pwrite(file, b"good" if mask & OPEN else b"evil", 0)
        if mask & CLOSE:
            print("closed", flush=True)
"#;

/// The writer of [`SHOWS_GOOD_BYTES`].
struct Writer {
    python: Child,
    said: BufReader<ChildStdout>,
}

impl Writer {
    fn start(path: &Path) -> Self {
        let mut python = Command::new("python3");
        let mut python = python
            .args(["-c", SHOWS_GOOD_BYTES])
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs python3");
        let said = BufReader::new(python.stdout.take().unwrap());
        let mut writer = Self { python, said };
        writer.hears("ready");
        writer
    }

    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word);
    }

    /// Checks, and waits until the evil bytes are back: what the next run sees was then not there for this one.
    fn watches_a_check(&mut self, world: &World) -> Value {
        let run = world.driftlock(["check", "--json", "--output", "elsewhere"]).command.output().unwrap();
        self.hears("closed");
        serde_json::from_slice(&run.stdout).unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

fn touched(report: &Value) -> Vec<Value> {
    the_check(report)["touched"].as_array().unwrap().clone()
}

#[needs("python3")]
fn a_writer_that_shows_good_bytes_to_who_opens_a_file_is_told() {
    for declaration in [FILES, TREES] {
        let world = World::declaring(declaration);
        let path = world.write("m/f", "good");
        world.write("m/still", "still");
        world.lock();
        fs::write(&path, "evil").unwrap();
        let mut writer = Writer::start(&path);
        // Whether the writer is in time is up to the scheduler. Whenever it is, that is told.
        let mut passed = 0;
        for _ in 0..300 {
            let report = writer.watches_a_check(&world);
            if report["overall"] == "PASS" {
                assert_eq!(touched(&report), [json!({"path": "m/f"})], "{report:#}");
                passed += 1;
            }
            if passed == 3 {
                break;
            }
        }
        assert_eq!(passed, 3, "the writer was in time now and then");
        fs::write(world.path("driftlock.toml"), format!("{declaration}strict = true\n")).unwrap();
        for _ in 0..20 {
            let report = writer.watches_a_check(&world);
            assert_ne!(report["overall"], "PASS", "{report:#}");
        }
    }
}

/// Writes the same bytes to a file again and again while `run` runs.
fn rewritten<T>(world: &World, path: &str, run: impl FnOnce() -> T) -> T {
    let file = fs::File::options().write(true).open(world.root(path)).unwrap();
    crate::adversarial::meanwhile(|_| file.write_all_at(b"same", 0).unwrap(), run)
}

#[test]
fn what_is_written_to_during_the_run_is_told_or_with_strict_unverified() {
    for declaration in [FILES, TREES] {
        let world = World::declaring(declaration);
        world.write("m/f", "same");
        world.write("m/still", "still");
        world.lock();
        rewritten(&world, "m/f", || {
            // A run in which the writer had no turn is as if there were none.
            let runs_until = |told: &dyn Fn(&Value) -> bool| {
                (0..300).any(|_| {
                    let run = world.driftlock(["check", "--json", "--output", "elsewhere"]).command.output().unwrap();
                    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
                    let (unverified, touched) = (unverified(&report), touched(&report));
                    match run.status.code() {
                        Some(0) => assert!(unverified.is_empty() && touched.len() <= 1, "{report:#}"),
                        Some(2) => assert_eq!((unverified, touched), (vec!["m/f".to_owned()], vec![])),
                        other => panic!("{other:?} {report:#}"),
                    }
                    told(&report)
                })
            };
            assert!(runs_until(&|report| touched(report) == [json!({"path": "m/f"})]));
            fs::write(world.path("driftlock.toml"), format!("{declaration}strict = true\n")).unwrap();
            let reason = "it was touched during the run, and `strict` refuses that";
            assert!(runs_until(&|report| the_check(report)["unverified"][0]["reason"] == reason));
            let locked = world.lock_bytes();
            assert!((0..300).any(|_| {
                let run = world.driftlock(["lock"]).command.output().unwrap();
                let stderr = String::from_utf8(run.stderr).unwrap();
                stderr.contains("the check tree was not locked: ") && stderr.contains(reason)
            }));
            assert_eq!(world.lock_bytes(), locked);
        });
        // It lies still again, and that is enough.
        let report = world.check(0);
        assert_eq!((unverified(&report), touched(&report)), (vec![], vec![]));
    }
}

#[test]
fn the_text_and_a_lock_tell_it() {
    let world = World::new();
    world.write("m/f", "same");
    world.lock();
    let warning = "[WARN] Tree: touched during the run: root/m/f\n";
    rewritten(&world, "m/f", || {
        let told = (0..200).any(|_| {
            world
                .driftlock(["check"])
                .command
                .output()
                .unwrap()
                .stdout
                .windows(warning.len())
                .any(|window| window == warning.as_bytes())
        });
        assert!(told);
        let told = (0..200).any(|_| {
            let run = world.driftlock(["lock"]).command.output().unwrap();
            let stderr = String::from_utf8(run.stderr).unwrap();
            stderr.contains("the check tree: 1 of its entries were touched during the run:\n    m/f")
                && run.status.success()
        });
        assert!(told);
    });
}

#[test]
fn what_was_touched_before_the_run_is_not_told_whatever_its_times_say() {
    for strict in ["", "strict = true\n"] {
        let world = World::declaring(&format!("{TREES}{strict}"));
        for number in 0..20 {
            let path = world.write(format!("m/{number}"), "1");
            let time = SystemTime::now() + Duration::from_secs(1 << (number + 11));
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        symlink("0", world.root("m/link")).unwrap();
        // The directory is touched, and what is told is told of what is in it.
        for _ in 0..20 {
            world.write("m/new", "1");
            let locked = world.lock();
            assert_eq!(locked.stderr(), "");
            let report = world.check(0);
            assert_eq!(touched(&report), Vec::<Value>::new());
            assert!(fs::metadata(world.root("m/19")).unwrap().mtime() > 2_500_000_000);
        }
    }
}
