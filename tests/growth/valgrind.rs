//! Processes under valgrind, each of which runs one case after another and says what it takes.
//!
//! What is counted is the basic blocks that valgrind runs ("event checks" in its statistics): the same work has the same
//! number. Any tool of valgrind has it, so this takes the one that does nothing else, and a process is kept for the next
//! case, since to start one takes longer than most cases.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use crate::Cost;
use crate::counting::{Counting, Memory};
use crate::machine::{self, Has};

/// The first argument of a process that runs cases.
pub const CHILD: &str = "--child";

/// Whether cases can be measured here.
pub fn runs() -> Has {
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return Err("valgrind is asked for its count on x86_64 and aarch64 only".to_owned());
    }
    machine::program("valgrind")
}

/// Asks valgrind to write its statistics to its log.
fn write_statistics() {
    // `VG_USERREQ__GDB_MONITOR_COMMAND` of valgrind.h.
    let request = [0x1202, c"v.info stats".as_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: these instructions are how valgrind.h asks; for the processor they change nothing that is not named here.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            inout("rdx") 0_usize => _, in("rax") request.as_ptr()
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            inout("x3") 0_usize => _, in("x4") request.as_ptr()
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    unreachable!("{request:?}: `runs` says no");
}

/// How many blocks valgrind has run so far, read from its log.
fn blocks(log: &mut File) -> u64 {
    log.seek(SeekFrom::End(0)).expect("the log is a file");
    write_statistics();
    let mut statistics = String::new();
    log.read_to_string(&mut statistics).expect("the log is a text");
    let count = statistics.lines().find_map(|line| line.strip_suffix(" event checks.")?.rsplit(' ').next());
    let count = count.unwrap_or_else(|| panic!("valgrind has no count of event checks: {statistics}"));
    count.replace(',', "").parse().expect("a number")
}

/// Runs the cases whose names are on stdin. For each, a line for all that is done, and one that is empty.
pub fn child(memory: &'static Counting) {
    let cases = crate::cases();
    let mut log = File::open("/proc/self/fd/2").expect("its own stderr, where valgrind's log is");
    for name in std::io::stdin().lines() {
        let name = name.expect("stdin");
        let case = cases.iter().find(|case| case.name == name).expect("a case of this name");
        for size in [crate::SIZE, crate::TIMES * crate::SIZE] {
            let input = (case.make)(size);
            for (what, work) in input.work {
                let before = blocks(&mut log);
                let taken = Memory::begin(memory);
                let written = std::hint::black_box(work());
                let peak = taken.peak();
                println!("{what}\t{}\t{written}\t{peak}\t{}", input.bytes, blocks(&mut log) - before);
            }
        }
        println!();
    }
}

/// A process that runs cases.
struct Valgrind {
    process: Child,
    cases: ChildStdin,
    costs: BufReader<ChildStdout>,
    log: File,
}

/// Those that wait for another case.
static IDLE: Mutex<Vec<Valgrind>> = Mutex::new(Vec::new());

impl Valgrind {
    fn start() -> Self {
        let log = tempfile::tempfile().expect("a temporary file");
        let mut command = Command::new("valgrind");
        command.args(["--tool=none", "--quiet", "--vgdb=no"]);
        command.arg(std::env::current_exe().expect("its own path")).arg(CHILD);
        let stderr = log.try_clone().expect("a descriptor");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().expect("valgrind starts");
        let cases = process.stdin.take().expect("a pipe");
        let costs = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, cases, costs, log }
    }

    fn measure(&mut self, name: &str) -> Result<Vec<(String, Cost)>, String> {
        let mut found = Vec::new();
        let asked = writeln!(self.cases, "{name}");
        for line in self.costs.by_ref().lines().map_while(Result::ok) {
            if line.is_empty() {
                return Ok(found);
            }
            let mut fields = line.split('\t');
            let what = fields.next().expect("a name").to_owned();
            let numbers: Vec<usize> = fields.map(|field| field.parse().expect("a number")).collect();
            let [bytes, written, peak, blocks] = numbers[..] else { panic!("{line}") };
            found.push((what, Cost { bytes, written, peak, blocks }));
        }
        let status = self.process.wait().expect("it was started");
        let mut log = String::new();
        self.log.rewind().and_then(|()| self.log.read_to_string(&mut log)).expect("the log is a text");
        let messages: Vec<_> = log.lines().filter(|line| !line.starts_with("--")).collect();
        Err(format!("{status}, after {found:?} ({asked:?})\n{}", messages.join("\n")))
    }
}

/// Runs a case under valgrind: what is done with the small input, and the same with the large one.
pub fn measure(name: &str) -> Result<Vec<(String, Cost)>, String> {
    let idle = || IDLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let waiting = idle().pop();
    let mut valgrind = waiting.unwrap_or_else(Valgrind::start);
    let found = valgrind.measure(name)?;
    idle().push(valgrind);
    Ok(found)
}

/// Ends the processes that wait.
pub fn end() {
    for Valgrind { mut process, cases, .. } in IDLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..)
    {
        drop(cases);
        let status = process.wait().expect("it was started");
        assert!(status.success(), "valgrind: {status}");
    }
}
