//! Reading what is not as it seems: files under a lease, files that yield more than they say, files that state no size.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use needs::needs;

use crate::fuse::{Fuse, Served};
use crate::harness::{FILES, TREES, World, drift, the_check, unverified};
use crate::watch::{names, says};

/// Holds a write lease on a file, as Samba and NFS servers do, and gives it up when it is asked to, or not.
fn lease(path: &Path, gives_up: bool) -> Child {
    const HOLD: &str = "import fcntl, os, signal, sys, time\n\
        signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK) if sys.argv[2] == 'yes' else None)\n\
        file = os.open(sys.argv[1], os.O_RDWR)\n\
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
        print('held', flush=True)\n\
        while True: time.sleep(60)\n";
    let mut python = Command::new("python3");
    python.args(["-c", HOLD]).arg(path).arg(if gives_up { "yes" } else { "no" }).stdout(Stdio::piped());
    let mut child = python.spawn().expect("this test needs python3 (Debian: python3-minimal)");
    let mut line = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(&line, b"held\n");
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[needs("python3")]
fn a_file_under_a_lease_is_read_once_it_is_given_up() {
    let world = World::new();
    let file = world.write("m/a", "a");
    world.lock();
    let holder = lease(&file, true);
    let report = world.check(0);
    end(holder);
    assert_eq!(the_check(&report)["counts"]["verified"], 2);
}

/// The kernel takes the lease away in the end, and the file is read then.
#[needs("python3")]
fn a_lease_that_is_not_given_up_is_taken_away_by_the_kernel() {
    let world = World::new();
    let file = world.write("m/a", "a");
    world.lock();
    let holder = lease(&file, false);
    let report = world.check(0);
    end(holder);
    assert_eq!(unverified(&report), Vec::<String>::new());
}

/// `/proc/sys`: people lock sysctls.
#[test]
fn files_that_state_no_size_are_read_to_the_end() {
    for kind in [TREES.to_owned(), FILES.replace("**", "ip_f*").replace("include", "one_file_system = true\ninclude")] {
        let world = World::declaring(&kind.replace("root = \"root\"", "root = \"/proc/sys/net/ipv4\"").replace(
            "kind = \"trees\"",
            "kind = \"trees\"\nexclude = [\"conf\", \"neigh\", \"route\", \"[a-hj-z]*\", \"i[a-oq-z]*\", \"ipf*\"]\nallow_empty = true",
        ));
        world.lock();
        let entry = world.entry("ip_forward");
        assert_eq!(entry["size"], 2, "{entry}");
        let expected = fs::read("/proc/sys/net/ipv4/ip_forward").unwrap();
        let mut hasher = driftlock::internals::digest::Sha256::new();
        hasher.update(&expected);
        assert_eq!(entry["sha256"], hasher.finish().hex());
        world.check(0);
    }
}

/// Each reading of it gives other bytes.
#[test]
fn a_file_that_states_no_size_and_does_not_hold_still_is_unstable() {
    let declaration = FILES.replace("\"root\"", "\"/proc/sys/kernel/random\"").replace("**", "uuid");
    let world = World::declaring(&declaration);
    let stderr = world.driftlock(["lock"]).code(2).stderr();
    says(&stderr, &["uuid: unstable: it changed while it was read, 3 times in a row"]);
}

#[test]
fn a_check_does_not_move_the_time_of_the_last_access() {
    let world = World::new();
    let file = world.write("m/a", "a");
    // Older than the last change, so that even `relatime` would move it.
    let touched = Command::new("touch").args(["-a", "-d", "2001-01-01"]).arg(&file).status().unwrap();
    assert!(touched.success());
    world.lock();
    world.check(0);
    assert_eq!(fs::metadata(&file).unwrap().atime(), 978_307_200);
}

#[test]
fn so_many_roots_need_their_descriptors_first() {
    let mut declaration = "locks = \"locks\"\nreports = \"reports\"\n".to_owned();
    for number in 0..1019 {
        declaration += &format!("[check.c{number}]\nkind = \"trees\"\nroot = \"root\"\n");
    }
    // Each lock is synced, which takes its time on a disk.
    let world = World::in_memory(&declaration);
    world.write("m/a", "a");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 1024; exec \"$0\" lock", env!("CARGO_BIN_EXE_driftlock")]);
    world.command(limited).code(0);
}

#[test]
fn without_a_report_nothing_is_written() {
    let world = World::new();
    world.write("m/a", "a");
    world.lock();
    let text = world.driftlock(["check", "--no-report"]).code(0).stdout();
    says(&text, &["OVERALL: PASS"]);
    assert!(!text.contains("Report: "), "{text}");
    assert!(!world.path("reports").exists());
    world.write("m/a", "b");
    world.driftlock(["check", "--no-report"]).code(1);
    world.driftlock(["check", "--no-report", "--output", "x"]).code(2);
    // With one, git is kept away from it, once and never over what is there.
    world.driftlock(["check"]).code(1);
    assert_eq!(fs::read_to_string(world.path("reports/.gitignore")).unwrap(), "*\n");
    fs::write(world.path("reports/.gitignore"), "mine").unwrap();
    world.driftlock(["check"]).code(1);
    assert_eq!(fs::read_to_string(world.path("reports/.gitignore")).unwrap(), "mine");
    assert_eq!(names(world.path("reports")).len(), 2);
}

/// Root is not told to become root.
#[test]
fn each_cause_has_its_own_remedy() {
    use driftlock::internals::manifest::{Boundary, Unverified};
    let refused = |errno| Unverified::Refused { action: "open it", errno };
    let causes = [
        (refused(libc::EACCES), "run driftlock as a user who may read it"),
        (refused(libc::EIO), "the disk or the file system fails"),
        (refused(libc::ENAMETOOLONG), "shorten its name"),
        (refused(libc::EOPNOTSUPP), "the file system does not support this attribute"),
        (refused(libc::ESTALE), "mount it again"),
        (refused(libc::EMFILE), "ulimit -n"),
        (refused(libc::ENODEV), "look up the error, and the kernel's log"),
        (Unverified::Unstable { attempts: 3 }, "while nothing writes to it"),
        (Unverified::Vanished, "while nothing changes the tree"),
        (Unverified::OtherFileSystem(Boundary::FileSystem), "unmount it"),
        (Unverified::OtherFileSystem(Boundary::BindMount), "unmount it"),
        (Unverified::OtherFileSystem(Boundary::Subvolume), "declare a check of its own over it, or take"),
        (Unverified::Leased, "/proc/locks"),
        (Unverified::Sizeless { limit: 1 }, "`exclude` it"),
    ];
    for (cause, remedy) in &causes {
        assert!(cause.help().contains(remedy), "{cause}: {}", cause.help());
        let is_permission = *cause == refused(libc::EACCES);
        assert_eq!(cause.help().contains("as a user who may read"), is_permission, "{cause}");
    }
    // `lock` says it.
    let world = World::declaring(
        &TREES.replace("root = \"root\"", "root = \"/proc/self\"\nexclude = [\"[!m]*\", \"map*\", \"mount*\"]"),
    );
    let started = Instant::now();
    let stderr = world.driftlock(["lock"]).code(2).stderr();
    says(&stderr, &["mem: could not read it: Input/output error", "to do: the disk or the file system fails"]);
    assert!(!stderr.contains("as a user who may read"), "{stderr}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// FUSE file systems may state any size (`direct_io`), and what they yield then is more or less.
#[needs(fuse)]
fn what_yields_more_or_less_than_it_states_is_unstable() {
    let world = World::new();
    let served = |more: &str| {
        let honest = Served::new("honest", "as much as it states");
        let contents = format!("{more}, in all");
        vec![honest, Served::new("more", &contents).stating(4), Served::new("less", "little").stating(400)]
    };
    let fuse = Fuse::mount(&world.path("root"), served("one"));
    let stderr = world.driftlock(["lock"]).code(2).stderr();
    says(&stderr, &["    less: unstable", "    more: unstable", "to do: run it while nothing writes to it"]);
    assert!(!stderr.contains("honest"), "{stderr}");
    drop(fuse);
    // The first bytes stay the same.
    let fuse = Fuse::mount(&world.path("root"), vec![Served::new("more", "the same, and").stating(13)]);
    world.lock();
    drop(fuse);
    let fuse = Fuse::mount(&world.path("root"), vec![Served::new("more", "the same, and not").stating(13)]);
    let report = world.check(2);
    assert_eq!(unverified(&report), ["more"]);
    drop(fuse);
}

/// With no size at all, it is read to its end.
#[needs(fuse)]
fn a_file_of_fuse_that_states_no_size_is_read_to_its_end() {
    let world = World::declaring(&FILES.replace("**", "*"));
    let fuse = Fuse::mount(&world.path("root"), vec![Served::new("one", "first").stating(0)]);
    world.lock();
    assert_eq!(world.entry("one")["size"], 5);
    world.check(0);
    drop(fuse);
    let fuse = Fuse::mount(&world.path("root"), vec![Served::new("one", "other").stating(0)]);
    assert_eq!(drift(&world.check(1)), [("modified".to_owned(), "one".to_owned())]);
    drop(fuse);
}
