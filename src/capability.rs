//! All ambient authority: the only module that opens paths by name, and reads the time, the environment and the
//! terminal.
//!
//! # Ambient Authority
//!
//! Every function here uses the authority of the whole process. They run before the sandbox is entered, when only the
//! arguments and the declaration were read. They return handles, and all other code works with those. `clippy.toml`
//! forbids `std::fs` and `std::env` everywhere else.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where they are called")]

mod allowlist;
mod declared;
mod directory;
mod kernel;
pub mod launcher;
mod ownership;
mod program;
mod run_identity;
mod signers;
mod waits;
mod zone;

pub use allowlist::{engine_within, root_within};
pub use declared::{DECLARATION_NAMES, Declared, declaration};
pub use directory::{
    Directory, REPORTS, below_work_tree, existing, export, future, here, locks, parent_directory, reports, root,
    work_tree, writable,
};
pub use kernel::sha256_kernel;
pub use program::{Program, program};
pub use run_identity::{RunIdentity, clock, run_identity, ssh_version};
pub use signers::allowed_signers;
pub use waits::waiting_for;
pub use zone::zone as local_zone;

use std::io::{self, IsTerminal as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::path::escaped;

/// A path for messages, escaped.
#[must_use]
pub fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes()).to_string()
}

/// A path as text, to be escaped later. A declaration is UTF-8, so its paths are exact. A path from elsewhere that is
/// not UTF-8 is escaped as [`shown`] does it.
#[must_use]
pub fn raw(path: &Path) -> String {
    path.to_str().map_or_else(|| shown(path), str::to_owned)
}

/// Whether something exists at this path. For messages only: opening it later decides.
#[must_use]
pub fn exists(path: &Path) -> bool {
    waits::waits(path, || path.exists())
}

/// Connects to the UNIX socket of a container engine. From then on, no request and no answer may take longer than
/// `silence`, including this call.
///
/// # Errors
/// The socket is missing, is not a socket, may not be used, or does not answer.
pub fn engine(path: &Path, silence: Duration) -> Result<OwnedFd, Error> {
    connected(path, path, silence)
}

/// Connects to the socket `at`; messages call it `path`.
fn connected(at: &Path, path: &Path, silence: Duration) -> Result<OwnedFd, Error> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
    let connect = || -> rustix::io::Result<OwnedFd> {
        let address = SocketAddrUnix::new(at)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(silence))?;
        }
        rustix::net::connect(&socket, &address)?;
        Ok(socket)
    };
    connect().map_err(|errno| {
        let error = io::Error::from(errno);
        let help = match error.kind() {
            io::ErrorKind::NotFound => "start the engine, or correct `socket` in the declaration",
            io::ErrorKind::ConnectionRefused => "start the engine: it does not listen on this socket",
            io::ErrorKind::PermissionDenied => {
                "run driftlock as a user who may write to the socket, in the group `docker` for example"
            }
            io::ErrorKind::WouldBlock => {
                "the engine accepts no connections: check it with `docker ps`, for example, and restart it if it hangs"
            }
            _ => "check that the engine runs, and that `socket` in the declaration is right",
        };
        Error::new(
            ErrorKind::Engine,
            format!("the container engine's socket {} could not be connected to: {error}", shown(path)),
            help,
        )
    })
}

/// The kernel's list of file locks, open; `None` if there is none.
#[must_use]
pub fn lock_holders() -> Option<cap_std::fs::File> {
    std::fs::File::open("/proc/locks").ok().map(cap_std::fs::File::from_std)
}

/// A path given as an argument, open.
#[derive(Debug)]
pub enum Operand {
    Directory(Directory),
    File(std::fs::File),
}

/// Opens a path that was given as an argument. Follows links in it, because the operator named them.
///
/// # Errors
/// The path is missing, unreadable, or neither a directory nor a regular file.
pub fn operand(path: &Path) -> Result<Operand, Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: io::Error| {
        Error::new(
            ErrorKind::Input,
            format!("{} could not be opened: {error}", shown(path)),
            "check the path and its permissions",
        )
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return directory::open(path).map(Operand::Directory).map_err(failed);
    }
    let options = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).clone();
    let opened = if metadata.is_file() { options.open(path).map(Some) } else { Ok(None) };
    match opened.map_err(failed)? {
        // It may have been replaced in between.
        Some(file) if file.metadata().map_err(failed)?.is_file() => Ok(Operand::File(file)),
        _ => Err(Error::new(
            ErrorKind::Input,
            format!("{} is neither a directory nor a regular file", shown(path)),
            "name a file, or the directory that it is in",
        )),
    }
}

/// Opens a regular file that the declaration names in this key.
///
/// # Errors
/// A path that is missing, unreadable, or no regular file.
pub fn configuration(path: &Path, key: &str) -> Result<cap_std::fs::File, Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let options = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).clone();
    let opened = waits::waits(path, || options.open(path)).and_then(|file| {
        let is_file = file.metadata()?.is_file();
        if is_file { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
    });
    opened.map(cap_std::fs::File::from_std).map_err(|error| {
        let problem = format!("{} could not be opened: {error}", shown(path));
        Error::new(ErrorKind::Input, problem, format!("correct `{key}` in the declaration, or the file's permissions"))
    })
}

/// Opens a regular file to overwrite it, without truncating it.
///
/// # Errors
/// The path is missing, is not a regular file, or is not writable.
pub fn overwritable(path: &Path) -> Result<std::fs::File, Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let options = std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).clone();
    let opened = options.open(path).and_then(|file| {
        let is_file = file.metadata()?.is_file();
        if is_file { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
    });
    opened.map_err(|error| {
        let problem = format!("{} could not be opened for writing: {error}", shown(path));
        Error::new(ErrorKind::Output, problem, "check the path and its permissions")
    })
}

/// Opens a path for reading and closes it again: from inside the sandbox, this shows that it is refused.
///
/// # Errors
/// The error of the kernel.
pub fn probe(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map(drop)
}

/// The local time, as the name of a report's folder and as RFC 3339. The zone is that of `TZ` or of the machine. If
/// neither is known, it is UTC, marked `Z`.
#[must_use]
pub fn now() -> (String, String) {
    let now = moment().to_zoned(zone::zone());
    let zone = now.time_zone();
    let is_utc = zone.is_unknown() || matches!(zone.iana_name(), Some("UTC" | "Etc/UTC"));
    let offset = if is_utc { "Z".to_owned() } else { now.strftime("%:z").to_string() };
    (now.strftime("%Y%m%d_%H%M%S").to_string(), format!("{}{offset}", now.strftime("%Y-%m-%dT%H:%M:%S")))
}

/// The present time, to compare with recorded times in any zone.
#[must_use]
pub fn moment() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Whether to colour stdout by default: on a terminal, unless `NO_COLOR` is set.
///
/// Source: <https://no-color.org>.
#[must_use]
pub fn wants_color() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The width of the terminal on stdout; `None` if there is none, or it does not say.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col).filter(|&columns| columns > 0)
}

/// Whether to show progress on stderr.
#[must_use]
pub fn wants_progress() -> bool {
    io::stderr().is_terminal()
}

/// Whether stdout is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether driftlock can ask questions: stdin and stdout are a terminal.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Raises the limit of open files as far as allowed. A run needs few, so a failure does not matter.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Gives this process, and all that it starts, the lowest priority for processors, which for disks is the lowest of the
/// usual class (`ioprio_set(2)`). Call it before any thread starts.
pub fn lower_priority() {
    // A kernel that refuses it takes away nothing but speed.
    let _ = rustix::process::setpriority_process(None, 19);
}
