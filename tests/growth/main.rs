//! Cost in proportion: every reader of what others write, and every form of a report, takes work and memory that grow as
//! its input does.
//!
//! Each case makes an input of some bytes and one of four times as many, of the worst that a field can hold. The work is
//! counted by valgrind, in basic blocks that were run, the bytes by the allocator: nothing here looks at a clock.
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
mod compose;
mod counting;
mod declarations;
mod engines;
mod formats;
mod locks;
#[path = "../machine/mod.rs"]
mod machine;
mod reports;
mod resolving;
#[path = "../samples/mod.rs"]
mod samples;
mod servers;
mod trees;
mod valgrind;

use std::fmt;
use std::process::ExitCode;

use counting::Counting;
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
const SIZE: usize = 12 << 10;

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
    let all = [
        locks::cases(),
        declarations::cases(),
        reports::cases(),
        resolving::cases(),
        engines::cases(),
        servers::cases(),
        checks::cases(),
        compose::cases(),
    ];
    all.into_iter().flatten().collect()
}

/// What a run of a case was measured to take.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: usize,
    written: usize,
    peak: usize,
    blocks: usize,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, written, peak, blocks } = self;
        write!(f, "{bytes} bytes: {blocks} blocks, {peak} bytes of memory, {written} written")
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [valgrind::CHILD] {
        valgrind::child(&MEMORY);
        return ExitCode::SUCCESS;
    }
    let trial = |Case { name, .. }: Case| {
        let case = name.clone();
        let run = move || {
            if machine::has_all(&format!("growth::{case}"), &[&valgrind::runs]) { measure(&case) } else { Ok(()) }
        };
        // What takes another program is left to scripts/test, as `#[needs]` has it.
        Trial::test(name, run).with_ignored_flag(true)
    };
    let conclusion = libtest_mimic::run(&Arguments::from_args(), cases().into_iter().map(trial).collect());
    valgrind::end();
    conclusion.exit_code()
}

/// Counts what a case takes, and says what is out of proportion.
fn measure(name: &str) -> Result<(), Failed> {
    let found = valgrind::measure(name)?;
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
    let blocks = grown(small.blocks, large.blocks);
    if blocks > most {
        problems.push(format!("what runs grows {blocks:.1} times, and {most:.1} is the most"));
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
