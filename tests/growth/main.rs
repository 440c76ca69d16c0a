//! Cost in proportion: every reader of what others write, and every form of a report, takes instructions and memory that
//! grow as its input does.
//!
//! Each case makes an input of some bytes and one of four times as many, of the worst that a field can hold. Instructions
//! are counted by `valgrind --tool=callgrind`, bytes by the allocator of this process: nothing here looks at a clock.
//!
//! `scripts/test --test growth NAME` runs the cases whose names have NAME in them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts valgrind, and writes what it reads"
)]
#![allow(
    clippy::type_complexity,
    clippy::items_after_statements,
    reason = "tables of names and functions, each said once"
)]

mod checks;
mod counting;
mod declarations;
mod engines;
mod formats;
mod locks;
#[path = "../machine/mod.rs"]
mod machine;
mod reports;
#[path = "../samples/mod.rs"]
mod samples;
mod servers;
mod trees;

use std::fmt;
use std::process::{Command, ExitCode, Stdio};

use counting::{Counting, Memory};
use libtest_mimic::{Arguments, Failed, Trial};

#[global_allocator]
static MEMORY: Counting = Counting::new();

/// What is done with an input. It gives the bytes that it has written.
pub type Work = Box<dyn FnOnce() -> usize>;

/// What a case is given, and all that is done with that, by name.
pub struct Input {
    pub bytes: usize,
    pub work: Vec<(&'static str, Work)>,
}

impl Input {
    /// Of which one thing is made.
    pub fn to(name: &'static str, bytes: usize, work: impl FnOnce() -> usize + 'static) -> Self {
        Self { bytes, work: vec![(name, Box::new(work))] }
    }
}

/// One sort of input.
pub struct Case {
    pub name: String,
    pub make: Box<dyn Fn(usize) -> Input>,
}

/// About so many bytes are in the small input.
const SIZE: usize = 16 << 10;

impl Case {
    pub fn new(name: impl Into<String>, make: impl Fn(usize) -> Input + 'static) -> Self {
        Self { name: name.into(), make: Box::new(make) }
    }
}

/// How much larger the large input is.
const TIMES: usize = 4;

/// What four times the input may cost, as a multiple of four: room for a logarithm, and for capacities that double.
/// Twice nested loops have 4.
const SLACK: f64 = 1.6;

/// The most memory that one byte of input may take (compiled globs take the most), and what any run may take beside that.
const BYTES_FOR_A_BYTE: usize = 1000;
const BYTES_FOR_NOTHING: usize = 16 << 20;

/// The most output for one byte of input, and the most beside that.
const OUTPUT_FOR_A_BYTE: usize = 40;
const OUTPUT_FOR_NOTHING: usize = 64 << 10;

fn cases() -> Vec<Case> {
    let all =
        [locks::cases(), declarations::cases(), reports::cases(), engines::cases(), servers::cases(), checks::cases()];
    all.into_iter().flatten().collect()
}

/// What a run of a case was measured to take.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: usize,
    written: usize,
    peak: usize,
    instructions: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, written, peak, instructions } = self;
        write!(f, "{bytes} bytes: {instructions} instructions, {peak} bytes of memory, {written} written")
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, name] = &arguments[..]
        && child == "--child"
    {
        run(name);
        return ExitCode::SUCCESS;
    }
    let trial = |Case { name, .. }: Case| {
        let case = name.clone();
        let run = move || {
            let valgrind = || machine::program("valgrind");
            if machine::has_all(&format!("growth::{case}"), &[&valgrind]) { measure(&case) } else { Ok(()) }
        };
        // What takes another program is left to scripts/test, as `#[needs]` has it.
        Trial::test(name, run).with_ignored_flag(true)
    };
    libtest_mimic::run(&Arguments::from_args(), cases().into_iter().map(trial).collect()).exit_code()
}

/// Runs a case, and prints a line for each thing that is done. Only what [`growth_measured`] calls is counted.
fn run(name: &str) {
    let case = cases().into_iter().find(|case| case.name == name).expect("a case of this name");
    for size in [SIZE, TIMES * SIZE] {
        let Input { bytes, work } = (case.make)(size);
        for (what, work) in work {
            let memory = Memory::begin(&MEMORY);
            let written = growth_measured(work);
            println!("{what}\t{bytes}\t{written}\t{}", memory.peak());
        }
    }
}

/// What valgrind collects, by its name.
#[inline(never)]
fn growth_measured(work: Work) -> usize {
    std::hint::black_box(work())
}

/// Counts what a case takes, and says what is out of proportion.
fn measure(name: &str) -> Result<(), Failed> {
    let found = in_valgrind(name);
    let (small, large) = found.split_at(found.len() / 2);
    assert!(!small.is_empty() && small.len() == large.len(), "each thing is done twice: {found:?}");
    let mut wrong = String::new();
    for ((what, small), (again, large)) in small.iter().zip(large) {
        assert_eq!(what, again);
        for problem in judge(small, large) {
            wrong.push_str(&format!("{what}: {problem}\n    {small}\n    {large}\n"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

/// What is wrong with the costs of a case.
fn judge(small: &Cost, large: &Cost) -> Vec<String> {
    let mut problems = Vec::new();
    let grown = |before: usize, after: usize| after as f64 / before.max(1) as f64;
    let most = SLACK * grown(small.bytes, large.bytes);
    if small.bytes * 2 > large.bytes {
        problems.push("its input does not grow".to_owned());
    }
    let instructions = large.instructions as f64 / small.instructions.max(1) as f64;
    if instructions > most {
        problems.push(format!("instructions grow {instructions:.1} times, and {most:.1} is the most"));
    }
    for (what, before, after, for_a_byte, for_nothing) in [
        ("memory", small.peak, large.peak, BYTES_FOR_A_BYTE, BYTES_FOR_NOTHING),
        ("output", small.written, large.written, OUTPUT_FOR_A_BYTE, OUTPUT_FOR_NOTHING),
    ] {
        // What is the same for every input has no share in the growth.
        let growth = grown(before, after);
        if growth > most && after > 256 << 10 {
            problems.push(format!("{what} grows {growth:.1} times, and {most:.1} is the most"));
        }
        if after > for_a_byte * large.bytes + for_nothing {
            problems.push(format!("{what} is {after} bytes"));
        }
    }
    problems
}

/// Runs a case in a process of its own, and counts.
fn in_valgrind(name: &str) -> Vec<(String, Cost)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    command.args(["--toggle-collect=growth::growth_measured", "--dump-after=growth::growth_measured"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(std::env::current_exe().expect("its own path")).args(["--child", name]);
    let output = command.stderr(Stdio::piped()).output().expect("valgrind runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    (1..)
        .zip(lines.lines())
        .map(|(number, line)| {
            let mut fields = line.split('\t');
            let name = fields.next().expect("a name").to_owned();
            let numbers: Vec<usize> = fields.map(|field| field.parse().expect("a number")).collect();
            let [bytes, written, peak] = numbers[..] else { panic!("{line}") };
            let dump = std::fs::read_to_string(format!("{}.{number}", out.display()));
            let dump = dump.unwrap_or_else(|error| panic!("dump {number} of {name}: {error}\n{stderr}"));
            let total = dump.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
            let instructions = total.expect("a total").trim().parse().expect("a number");
            (name, Cost { bytes, written, peak, instructions })
        })
        .collect()
}
