//! Kernels, and containers, that give less than both layers: a run goes on and says so, or with `--require-sandbox`
//! refuses to run at all.

use std::fs;
use std::process::Command;

use crate::harness::{Run, World};
use crate::watch::{no_panic, refused, says, snapshot, strace};
use needs::needs;

/// What a kernel answers, which layer is missing then, and what the refusal says of it.
const ANSWERS: [(&str, Layer, &str); 5] = [
    ("landlock_create_ruleset:error=ENOSYS", Layer::Landlock, "Linux 5.13"),
    ("landlock_create_ruleset:error=EOPNOTSUPP", Layer::Landlock, "`lsm=`"),
    ("landlock_create_ruleset:error=EPERM", Layer::Landlock, "Landlock"),
    ("seccomp:error=EINVAL", Layer::Seccomp, "CONFIG_SECCOMP_FILTER"),
    ("seccomp:error=EPERM", Layer::Seccomp, "Operation not permitted"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Landlock,
    Seccomp,
}

/// What `world` has of its own, the trace aside.
const OURS: [&str; 6] = ["driftlock.toml", "root", "locks", "reports", "out", "new"];

fn drifted() -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    world.write("m/a", "2");
    // That the kernel refuses a filter is known only when it is given one, and the reports directory is made before.
    fs::create_dir(world.path("reports")).unwrap();
    world
}

fn kernel<'a>(world: &'a World, answer: &str, arguments: &[&str]) -> Run<'a> {
    let trace = "trace=openat,openat2,getdents64,pread64,read,write,mkdir,mkdirat,landlock_create_ruleset,seccomp";
    strace(world, &["-e", trace, "-e", &format!("inject={answer}")], arguments)
}

#[needs(landlock, strace)]
fn a_required_sandbox_that_is_not_there_is_a_refusal() {
    let world = drifted();
    let before = snapshot(&world, &OURS);
    for (answer, _, reason) in ANSWERS {
        for arguments in [
            &["check"][..],
            &["check", "--json"],
            &["lock"],
            &["lock", "--dry-run"],
            &["hash", "root"],
            &["hash", "--format", "nar", "root"],
            &["diff", "locks/tree.lock.json", "live"],
            &["diff", "locks/tree.lock.json", "locks/tree.lock.json"],
        ] {
            let arguments = [arguments, &["--require-sandbox"]].concat();
            let expected = ["a full sandbox is required", reason, "without --require-sandbox"];
            refused(kernel(&world, answer, &arguments), &expected);
            let trace = fs::read_to_string(world.path("trace")).unwrap();
            // Neither a listing of a root nor a byte of a lock; what diff compares is open, and not read.
            assert!(!trace.contains("getdents64("), "{arguments:?}: {trace}");
            assert!(!trace.contains("driftlock\\\": 1"), "{arguments:?}: {trace}");
            assert_eq!(snapshot(&world, &OURS), before, "{arguments:?}");
        }
    }
}

/// Nothing is created for a run that is not going to be.
#[needs(strace)]
fn a_refusal_creates_no_directories() {
    let world = World::declaring(&crate::harness::TREES.replace("\"reports\"", "\"new/reports\""));
    world.write("m/a", "1");
    let before = snapshot(&world, &OURS);
    for (answer, layer, _) in ANSWERS {
        if layer == Layer::Landlock {
            for command in ["check", "lock"] {
                refused(kernel(&world, answer, &[command, "--require-sandbox"]), &["a full sandbox is required"]);
                assert_eq!(snapshot(&world, &OURS), before);
            }
        }
    }
}

#[needs(landlock, strace)]
fn without_the_flag_the_run_goes_on_and_says_so() {
    for (contents, code) in [("1", 0), ("2", 1)] {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        world.write("m/a", contents);
        for (answer, layer, _) in ANSWERS {
            let finished = kernel(&world, answer, &["check"]).code(code);
            no_panic(&finished);
            let report = kernel(&world, answer, &["check", "--json"]).code(code).json();
            let (landlock, seccomp) = (&report["sandbox"]["landlock"], &report["sandbox"]["seccomp"]);
            match layer {
                Layer::Landlock => {
                    says(&finished.stdout(), &["[WARN] Sandbox: Landlock did not hold"]);
                    assert!(landlock.is_null() && *seccomp == true, "{report:#}");
                }
                Layer::Seccomp => {
                    says(&finished.stdout(), &["[WARN] Sandbox: seccomp did not hold"]);
                    assert!(landlock["abi"].is_u64() && *seccomp == false, "{report:#}");
                }
            }
            // Also with --quiet.
            says(&kernel(&world, answer, &["check", "--quiet"]).code(code).stdout(), &["[WARN] Sandbox"]);
        }
    }
    let world = drifted();
    let old = world.lock_bytes();
    for (answer, ..) in ANSWERS {
        fs::write(world.path("locks/tree.lock.json"), &old).unwrap();
        kernel(&world, answer, &["lock"]).code(0);
        assert_ne!(world.lock_bytes(), old, "{answer}");
        kernel(&world, answer, &["hash", "root"]).code(0);
    }
}

/// A layer that is offered and then not given in full is trouble, whatever was asked for.
#[needs(landlock, strace)]
fn a_layer_that_breaks_its_word_is_a_refusal() {
    let world = drifted();
    let before = snapshot(&world, &OURS);
    for answer in ["landlock_add_rule:error=EINVAL", "landlock_restrict_self:error=E2BIG"] {
        for command in ["check", "lock"] {
            refused(strace(&world, &["-e", &format!("inject={answer}")], &[command]), &["Landlock", "to do: "]);
        }
        assert_eq!(snapshot(&world, &OURS), before);
    }
}

/// A filter of a container or a service manager above us, in which a call fails. What `strace` plays above, for real.
const OUTER_FILTER: &str = r#"
import ctypes, os, struct, sys
number, errno = int(sys.argv[1]), int(sys.argv[2])
def op(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
program = op(0x20, 0, 0, 0) + op(0x15, 0, 1, number) + op(0x06, 0, 0, 0x00050000 | errno) + op(0x06, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)))
assert libc.prctl(22, 2, fprog, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[3], sys.argv[3:])
"#;

#[needs(landlock, "python3")]
fn below_a_filter_that_keeps_a_layer_away() {
    let (landlock, seccomp) = (444, libc_seccomp());
    for (number, errno, layer) in
        [(landlock, 38, Layer::Landlock), (landlock, 1, Layer::Landlock), (seccomp, 1, Layer::Seccomp)]
    {
        let world = drifted();
        let before = snapshot(&world, &OURS);
        let run = |arguments: &[&str]| {
            let mut command = Command::new("python3");
            command.args(["-c", OUTER_FILTER, &number.to_string(), &errno.to_string()]);
            command.arg(env!("CARGO_BIN_EXE_driftlock")).args(arguments);
            world.command(command)
        };
        refused(run(&["check", "--require-sandbox"]), &["a full sandbox is required", "without --require-sandbox"]);
        refused(run(&["lock", "--require-sandbox"]), &["a full sandbox is required"]);
        assert_eq!(snapshot(&world, &OURS), before);
        let report = run(&["check", "--json"]).code(1).json();
        assert_eq!(report["sandbox"]["landlock"].is_null(), layer == Layer::Landlock);
        assert_eq!(report["sandbox"]["seccomp"] == false, layer == Layer::Seccomp);
        says(&run(&["check"]).code(1).stdout(), &["[WARN] Sandbox: "]);
    }
}

/// The number of the system call `seccomp`.
fn libc_seccomp() -> u32 {
    if cfg!(target_arch = "aarch64") { 277 } else { 317 }
}
