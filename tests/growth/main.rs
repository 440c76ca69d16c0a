//! Cost in proportion: every reader of what others write, and every form of a report, takes instructions and memory that
//! grow as its input does.
//!
//! Each case makes an input of some bytes and one of four times as many, of the worst that a field can hold. Instructions
//! are counted by `valgrind --tool=callgrind`, bytes by the allocator of this process: nothing here looks at a clock.
//!
//! `cargo test --test growth NAME` runs the cases whose names have NAME in them.

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
mod reports;
#[path = "../samples/mod.rs"]
mod samples;
mod servers;
mod trees;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use counting::{Counting, Memory};

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
    /// About so many bytes in the small input.
    pub size: usize,
    pub make: Box<dyn Fn(usize) -> Input>,
}

/// An input of about so many bytes.
const SIZE: usize = 16 << 10;

impl Case {
    pub fn new(name: impl Into<String>, make: impl Fn(usize) -> Input + 'static) -> Self {
        Self { name: name.into(), size: SIZE, make: Box::new(make) }
    }

    /// With another size than most cases have.
    pub fn sized(self, size: usize) -> Self {
        Self { size, ..self }
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
    match &arguments[..] {
        [child, names @ ..] if child == "--child" => {
            run(names);
            ExitCode::SUCCESS
        }
        arguments => {
            let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
            let is_wanted = |name: &String| filters.is_empty() || filters.iter().any(|part| name.contains(*part));
            let names: Vec<_> = cases().into_iter().map(|case| case.name).filter(is_wanted).collect();
            if arguments.iter().any(|argument| argument == "--list") {
                names.iter().for_each(|name| println!("{name}: test"));
                return ExitCode::SUCCESS;
            }
            measure(&names)
        }
    }
}

/// Runs cases, and prints a line for each run. Only what [`growth_measured`] calls is counted.
fn run(names: &[String]) {
    for case in cases().into_iter().filter(|case| names.contains(&case.name)) {
        for size in [case.size, TIMES * case.size] {
            let Input { bytes, work } = (case.make)(size);
            for (what, work) in work {
                let memory = Memory::begin(&MEMORY);
                let written = growth_measured(work);
                println!("{}: {what}\t{bytes}\t{written}\t{}", case.name, memory.peak());
            }
        }
    }
}

/// What valgrind collects, by its name.
#[inline(never)]
fn growth_measured(work: Work) -> usize {
    std::hint::black_box(work())
}

fn measure(names: &[String]) -> ExitCode {
    let once: HashSet<_> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "two cases have one name");
    // As many processes as there are processors, each with a few cases at a time.
    let next = AtomicUsize::new(0);
    let parts: Vec<_> = names.chunks(8).collect();
    let work = || {
        let part = || parts.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(part).flat_map(|part| in_valgrind(part)).collect::<Vec<_>>()
    };
    let found: Vec<(String, Cost)> = std::thread::scope(|scope| {
        let processes = std::thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..processes).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|running| running.join().expect("valgrind ran")).collect()
    });
    let mut costs: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
    found.iter().for_each(|(name, cost)| costs.entry(name).or_default().push(*cost));
    let measured: HashSet<_> = costs.keys().filter_map(|name| Some(name.split_once(": ")?.0)).collect();
    assert_eq!(measured.len(), names.len(), "every case is measured");
    let mut failed = 0;
    for (name, costs) in &costs {
        let [small, large] = &costs[..] else { panic!("{name} was run twice: {costs:?}") };
        let problems = judge(small, large);
        println!("test {name} ... {}", if problems.is_empty() { "ok" } else { "FAILED" });
        if !problems.is_empty() {
            failed += 1;
            println!("    {small}\n    {large}\n    {}", problems.join("; "));
        }
    }
    println!("{} costs of {} cases, {failed} of them out of proportion", costs.len(), names.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// Runs cases in a process of their own, and counts.
fn in_valgrind(names: &[String]) -> Vec<(String, Cost)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    command.args(["--toggle-collect=growth::growth_measured", "--dump-after=growth::growth_measured"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(std::env::current_exe().expect("its own path")).arg("--child").args(names);
    let output = command.stderr(Stdio::piped()).output().expect("valgrind, which scripts/test installs");
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
