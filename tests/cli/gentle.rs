//! Runs that take little of the machine: the page cache stays as it is, and others come first.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::World;
use crate::model::{Item, declaration};
use crate::nar::nastier;
use needs::needs;

/// `$1` is driftlock, `$2` the file system. Writes down what the page cache has of each file, before and after each
/// command.
const GENTLE: &str = r#"
set -eu
export LC_ALL=C
truncate -s 512M gentle.img
case $2 in
    ext4) mkfs.ext4 -q -b 4096 gentle.img ;;
    *) mkfs.$2 -q gentle.img ;;
esac
mount -t $2 -o loop gentle.img root
cp -a source/. root
[ $2 != ext4 ] || rmdir root/lost+found
"$1" lock
cached() { find root -type f -size +0 -print0 | sort -z | xargs -0 fincore --raw --bytes --noheadings --output RES,FILE; }
round() {
    name=$1 fs=$2
    shift 2
    umount root
    mount -t $fs -o loop gentle.img root
    cat root/m/cached/* >/dev/null
    head -c 200000 root/m/large >/dev/null
    # Until read-ahead has ended.
    cached >$name.before
    until sleep 0.05; cached >$name.again; cmp -s $name.before $name.again; do mv $name.again $name.before; done
    "$@" >&2
    cached >$name.after
}
round check $2 "$1" check --no-report --gentle
round lock $2 "$1" lock --gentle
round nar $2 "$1" hash --format nar --gentle root
round hash $2 "$1" hash --format json --gentle root/m/large root/m/cached/1
round usual $2 "$1" check --no-report
"#;

/// A gentle run reads everything, and leaves the page cache as it was.
#[needs(images, uncached_reads, "losetup", "fincore")]
fn a_gentle_run_leaves_the_page_cache_as_it_is() {
    for file_system in ["ext4", "xfs"] {
        // The kernel may take pages at any time, whatever a test does. A run that loses them does so each time.
        let lost: Vec<_> = (0..3).map_while(|_| pages_lost_on(file_system)).collect();
        assert!(lost.len() < 3, "{file_system}: {lost:#?}");
    }
}

/// Makes sure that gentle runs leave nothing behind in the page cache. What they took from it, or what other runs did
/// not leave there; `None` if that is nothing.
fn pages_lost_on(file_system: &str) -> Option<String> {
    let world = World::new();
    let mut model = nastier();
    // XFS has links of at most 1,023 bytes.
    model.0.insert(b"m/links/long".to_vec(), Item::Link { target: vec![b't'; 1023] });
    for number in 0..300 {
        let contents = vec![b'x'; 1 + number * 100];
        model.add(format!("m/{}/{number}", number % 7).as_bytes(), Item::File { contents, mode: 0o644 });
    }
    for number in 0..20 {
        model.add(format!("m/cached/{number}").as_bytes(), Item::File { contents: vec![b'x'; 9000], mode: 0o644 });
    }
    model.add(b"m/large", Item::File { contents: vec![b'x'; 9_000_000], mode: 0o644 });
    model.build(&world.path("source"));
    fs::write(world.path("driftlock.toml"), declaration("trees", true, &[])).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", GENTLE, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    command.arg(file_system);
    let stderr = world.command(command).code(0).stderr();
    assert_eq!(stderr.matches("OVERALL: PASS").count(), 2, "{stderr}");
    // The bytes in the page cache, by file.
    let cached = |name: &str| -> Vec<(u64, String)> {
        let list = fs::read_to_string(world.path(name)).unwrap();
        let line = |line: &str| line.split_once(' ').map(|(bytes, file)| (bytes.parse().unwrap(), file.to_owned()));
        list.lines().filter_map(line).collect()
    };
    for round in ["check", "lock", "nar", "hash"] {
        let (before, after) = (cached(&format!("{round}.before")), cached(&format!("{round}.after")));
        let files = |cached: &[(u64, String)]| cached.iter().map(|(_, file)| file.clone()).collect::<Vec<_>>();
        assert_eq!(files(&before), files(&after));
        let none = before.iter().filter(|(bytes, _)| *bytes == 0).count();
        assert!(none > 250, "{file_system}, {round}: {before:?}");
        let more: Vec<_> = before.iter().zip(&after).filter(|((before, _), (after, _))| after > before).collect();
        assert!(more.is_empty(), "{file_system}, {round}: {more:?}");
        let whole = before.iter().filter(|(bytes, file)| *bytes > 0 && file.starts_with("root/m/cached/")).count();
        if whole != 20 || after != before {
            let less: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
            return Some(format!("{round}: {whole} of 20 were cached before, and then less of {less:?}"));
        }
    }
    // Other runs do fill it.
    let usual = cached("usual.after");
    let missing: Vec<_> = usual.iter().filter(|(bytes, _)| *bytes == 0).collect();
    (!missing.is_empty()).then(|| format!("usual: {missing:?}"))
}

/// The nice value of each thread of a process: `proc_pid_stat(5)`.
fn nice(process: u32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat")).ok();
    let stats = threads.filter_map(|thread| stat(thread.ok()?));
    // The name, in parentheses, may have blanks; after it, the nice value is the seventeenth field.
    stats.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap()).collect()
}

/// It says the same, takes the time that its rate gives it, and has the lowest priority meanwhile.
#[test]
fn a_rate_is_kept_with_the_lowest_priority() {
    let world = World::new();
    for name in ["m/a", "m/b", "c"] {
        world.write(name, "x".repeat(1 << 20));
    }
    world.lock();
    world.write("m/b", "y".repeat(1 << 20));
    let own = nice(std::process::id())[0];
    for (arguments, expected) in [(&["--gentle"][..], 19), (&[], own)] {
        let mut run = world.driftlock(["check", "--json", "--limit-rate", "2M"]);
        run.command.args(arguments).stdout(Stdio::null());
        let start = Instant::now();
        let mut process = run.command.spawn().unwrap();
        // The last values before its end are those of the walk, however slowly it started.
        let mut last = Vec::new();
        let status = loop {
            let now = nice(process.id());
            if !now.is_empty() {
                last = now;
            }
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(1));
        // 3 MiB at 2 MiB a second.
        assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
        assert!(!last.is_empty() && last.iter().all(|nice| *nice == expected), "{last:?}");
    }
    // A rate that is never reached delays nothing, and changes nothing.
    let report = world.driftlock(["--gentle", "check", "--json", "--gentle", "--limit-rate", "1000G"]).code(1).json();
    assert_eq!(report["checks"], world.check(1)["checks"]);
}
