//! The commands, one file each, and the only place where errors are printed.

mod accept;
mod arguments;
mod capabilities;
mod check;
mod collect;
mod diff;
mod diff_servers;
mod export;
mod generate;
mod ground;
mod hash;
mod here;
mod history;
mod init;
mod lock;
mod merge_driver;
mod metrics;
mod patch;
mod progress;
mod render;
mod report;
mod reports_dir;
mod retention;
mod seal;
mod servers;
mod stalled;
mod stored;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use crate::capability::{self, launcher};
use crate::digest;
use crate::error::{Error, ErrorKind};
use crate::path::cut;
use crate::report::text::Style;
use crate::sandbox::Requirement;
use crate::session::Plan;
use crate::store;
use crate::walk::RunStart;
use arguments::{Arguments, Color, Command, Common};

/// The bits of exit codes: 0 verified, 1 drift, 2 trouble, 3 both.
mod exit {
    pub const DRIFT: u8 = 1;
    pub const TROUBLE: u8 = 2;
}

/// Parses the arguments, runs the command, and turns its result into an exit code.
#[must_use]
pub fn run() -> ExitCode {
    // The clock of file times ticks while the rest is set up.
    let start = RunStart::now();
    store::own();
    survive_large_files();
    let Arguments { command, mut common } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are not errors; everything else is bad input.
            let code = if error.use_stderr() { exit::TROUBLE } else { 0 };
            return after_printing(code, error.print()).into();
        }
    };
    common.start = start;
    if common.effort.gentle {
        capability::lower_priority();
    }
    let result = capability::sha256_kernel().map(digest::choose).and_then(|()| run_command(command, &common));
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error);
            error.exit_code().into()
        }
    }
}

fn run_command(command: Command, common: &Common) -> Result<u8, Error> {
    match command {
        Command::Init => init::run(common),
        Command::Lock { dry_run, from, servers } => lock::run(common, dry_run, from.as_deref(), &servers),
        Command::Accept(arguments) => accept::run(common, &arguments),
        Command::Check(arguments) if arguments.servers.are_named() => servers::check(common, &arguments),
        Command::Check(arguments) => check::run(common, &arguments),
        Command::Seal(arguments) => seal::run(common, &arguments),
        Command::Report { report, list: true, .. } => report::list(common, report.as_deref()),
        Command::Report { report, form, .. } => report::run(common, report.as_deref(), &form),
        Command::Diff { patch: true, reverse, reference, servers, .. } => {
            patch::run(common, &patch::Wanted { reverse, reference: reference.as_deref(), servers: &servers })
        }
        Command::Diff { servers, .. } if servers.are_named() => diff_servers::run(common, &servers),
        Command::Diff { a: Some(a), b: Some(b), servers, .. } => {
            servers.none().and_then(|()| diff::run(common, &a, &b))
        }
        Command::Diff { .. } => {
            Err(Error::new(ErrorKind::Usage, "diff compares two sides, and needs both", "name A and B"))
        }
        Command::Export { output, servers } => export::run(common, &output, &servers),
        Command::Hash { format, paths } => hash::run(common, format, &paths),
        Command::Capabilities { probe } => capabilities::run(common, probe.as_deref()),
        Command::MergeDriver(arguments) => merge_driver::run(common, &arguments),
        Command::Collect { allowed, contents } => collect::run(common, &allowed, contents),
        Command::Launcher { parent: None, .. } => launcher::serve().map(|()| 0),
        Command::Launcher { parent: Some(parent), command } => launcher::become_command(parent, &command).map(|()| 0),
        Command::Completions { shell } => Ok(generate::completions(shell)),
        Command::Man { output } => generate::man(output.as_deref()),
    }
}

/// Handles SIGXFSZ. Without a handler, the kernel silently ends a process that exceeds the limit of the size of files
/// (`ulimit -f`). With one, the write fails. Programs that are started do not inherit the handler.
fn survive_large_files() {
    // If the handler can't be installed, the signal ends the run.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Prints trouble on stderr.
fn complain(trouble: &Error) {
    let mut stderr = io::stderr().lock();
    // If stderr is closed, there is no way to report it.
    let problem: Vec<_> = trouble.problem.lines().map(|line| cut(line.to_owned())).collect();
    let _ = writeln!(stderr, "driftlock: {}", problem.join("\n"));
    if !trouble.help.is_empty() {
        let _ = writeln!(stderr, "  to do: {}", cut(trouble.help.clone()));
    }
}

/// Prints a note, which is not trouble, on stderr.
fn note(text: &str) {
    // If stderr is closed, there is no way to report it.
    let _ = writeln!(io::stderr().lock(), "driftlock: note: {text}");
}

/// The error if stdout can't be written to. The caller ignores a closed pipe (`| head`).
fn stdout_failed(error: &io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::FileTooLarge => "raise the limit of the size of files (`ulimit -f`), or write to a pipe",
        _ => "check where stdout leads; the exit code is 2",
    };
    Error::new(ErrorKind::Output, format!("stdout could not be written to: {error}"), help)
}

/// The exit code of a run with the result `code`. Failing to print it is trouble too, except for a closed pipe (`|
/// head`): that reader has read enough.
fn after_printing(code: u8, printed: io::Result<()>) -> u8 {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&stdout_failed(&error));
            code | exit::TROUBLE
        }
        _ => code,
    }
}

impl Common {
    fn plan(&self) -> Plan {
        Plan {
            config: self.config.clone(),
            checks: self.checks.clone(),
            as_server: self.as_server.clone(),
            threads: self.effort.threads,
            gentle: self.effort.gentle,
            rate: self.effort.limit_rate,
            requirement: if self.require_sandbox { Requirement::Everything } else { Requirement::AsAvailable },
            start: self.start,
        }
    }

    fn style(&self) -> Style {
        let color = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => capability::wants_color(),
        };
        Style { color, quiet: self.quiet, width: capability::terminal_width() }
    }
}
