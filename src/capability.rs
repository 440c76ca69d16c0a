//! Ambient authority, all of it: the one module that opens paths by their names, and asks for the time, the environment
//! and the terminal.
//!
//! # Ambient Authority
//!
//! Every function here uses the authority of the whole process. They are called before the sandbox is entered, while
//! nothing but arguments and the declaration was read; what they give are handles, and all else works with those.
//! `clippy.toml` forbids `std::fs` and `std::env` everywhere else.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where they are called")]

mod elf;
pub mod launcher;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::declaration::{self, Declaration};
use crate::path::escaped;
use crate::trouble::Trouble;

/// A directory that was opened by name, once; from then on the handle is all that counts.
#[derive(Debug)]
pub struct Directory {
    pub dir: Dir,
    /// Where it really lies, links resolved, for people to read. Nothing where `/proc` is not there to tell.
    pub resolved: Option<PathBuf>,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// A path as people read it, harmless on a terminal.
#[must_use]
pub fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes()).to_string()
}

/// A path as it is, for whoever makes it harmless later. A declaration is UTF-8, so nothing is lost of what it names;
/// a path from elsewhere that is not is shown as [`shown`] shows it.
#[must_use]
pub fn raw(path: &Path) -> String {
    path.to_str().map_or_else(|| shown(path), str::to_owned)
}

fn open(path: &Path) -> io::Result<Directory> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    let link = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd());
    let resolved = std::fs::read_link(link).ok().filter(|path| path.is_absolute());
    Ok(Directory { dir, resolved })
}

/// Opens a root. Its own path may pass links; nothing below it ever does.
///
/// # Errors
/// A root that is missing, is no directory, or can't be read.
pub fn root(path: &Path) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "create it, or correct `root` in the declaration",
            io::ErrorKind::NotADirectory => "declare the directory that it is in as `root`, and the file in `include`",
            io::ErrorKind::PermissionDenied => "run driftlock as a user who may read it",
            _ => "see why it can't be opened",
        };
        Trouble::new(format!("the root {} could not be opened: {error}", shown(path)), remedy)
    })
}

/// Connects to the UNIX socket of a container engine. From then on nothing that is asked of it or awaited from it takes
/// longer than `silence`, this call included.
///
/// # Errors
/// A socket that is missing, is none, may not be used, or that nobody answers.
pub fn engine(path: &Path, silence: Duration) -> Result<OwnedFd, Trouble> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let connected = || -> rustix::io::Result<OwnedFd> {
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(silence))?;
        }
        connect(&socket, &address)?;
        Ok(socket)
    };
    connected().map_err(|errno| {
        let error = io::Error::from(errno);
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "start the engine, or correct `socket` in the declaration",
            io::ErrorKind::ConnectionRefused => "start the engine: nobody listens there",
            io::ErrorKind::PermissionDenied => {
                "run driftlock as a user who may write to the socket, in the group `docker` for example"
            }
            io::ErrorKind::WouldBlock => "see why the engine hangs: it takes no connections",
            _ => "see why it can't be connected to",
        };
        Trouble::new(
            format!("the container engine's socket {} could not be connected to: {error}", shown(path)),
            remedy,
        )
    })
}

/// Opens the directory of the lock files; nothing if there is none.
///
/// # Errors
/// A directory that can't be opened.
pub fn locks(path: &Path) -> Result<Option<Directory>, Trouble> {
    match open(path) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::new(
            format!("the locks directory {} could not be opened: {error}", shown(path)),
            "correct `locks` in the declaration, or its permissions",
        )),
    }
}

/// Opens a directory that is going to be written to and has to be there.
///
/// # Errors
/// A directory that can't be opened.
pub fn existing(path: &Path, what: &str) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Trouble::new(
            format!("the {what} directory {} could not be opened: {error}", shown(path)),
            "create it, or name another one",
        )
    })
}

/// Opens the directory that reports were written to.
///
/// # Errors
/// A directory that is missing or can't be opened.
pub fn reports(path: &Path) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "run `driftlock check` first, or name the folder of a report",
            _ => "correct `reports` in the declaration, or name the folder of a report",
        };
        Trouble::new(format!("the reports directory {} could not be opened: {error}", shown(path)), remedy)
    })
}

/// Where a directory lies, links resolved, or is going to lie once it is created. Nothing if that can't be told.
#[must_use]
pub fn future(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|there| {
        let named = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let resolved = std::fs::canonicalize(named).ok()?;
        Some(resolved.join(path.strip_prefix(there).ok()?))
    })
}

/// Opens the locks of an export.
///
/// # Errors
/// What is no export, or can't be read.
pub fn export(path: &Path) -> Result<Directory, Trouble> {
    let locks = path.join("locks");
    open(&locks).map_err(|error| {
        Trouble::new(
            format!("the locks of the export {} could not be opened: {error}", shown(&locks)),
            "name a directory that `driftlock export --output` has written",
        )
    })
}

/// Opens a directory that is going to be written to, and creates it if it is missing.
///
/// # Errors
/// A directory that can neither be opened nor created.
pub fn writable(path: &Path, what: &str, key: &str) -> Result<Directory, Trouble> {
    std::fs::create_dir_all(path).and_then(|()| open(path)).map_err(|error| {
        Trouble::new(
            format!("the {what} directory {} could not be created or opened: {error}", shown(path)),
            format!("correct {key}, or the permissions of the directory above"),
        )
    })
}

/// Opens the directory that a file is in, or is going to be, and gives the file's name in it. The file itself is not
/// looked at.
///
/// # Errors
/// A path that ends in no name, and a directory that can't be opened.
pub fn beside(file: &Path) -> io::Result<(Directory, String)> {
    let name = match (file.file_name().and_then(OsStr::to_str), file.as_os_str().as_bytes().last()) {
        (Some(name), Some(last)) if *last != b'/' => name.to_owned(),
        _ => {
            let problem = "the path ends in no name of a file, or in one that is not UTF-8";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    };
    let directory = open(file.parent().unwrap_or(Path::new(""))).map_err(|error| {
        io::Error::new(error.kind(), format!("the directory it is in could not be opened: {error}"))
    })?;
    Ok((directory, name))
}

/// Who runs, and what the clocks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The effective user and group, and all other groups, sorted.
    pub user: u32,
    pub group: u32,
    pub groups: Vec<u32>,
    /// The kernel's name for this boot. Empty where `/proc` does not have it: in a unit with `ProcSubset=pid`, say.
    pub boot: Vec<u8>,
    /// Nanoseconds since 1970, by the clock that stamps files.
    pub now: i64,
    /// The same of the moment at which the machine was started, going by the present clock: it changes with each boot,
    /// and when the clock is set, and not when the clock is slowed down or the machine sleeps.
    pub booted: i64,
}

/// Asks who runs, and the clocks.
///
/// # Errors
/// Groups that are not known.
pub fn circumstances() -> io::Result<Circumstances> {
    let mut groups: Vec<u32> = rustix::process::getgroups()?.into_iter().map(rustix::process::Gid::as_raw).collect();
    groups.sort_unstable();
    let (now, booted) = clocks();
    Ok(Circumstances {
        user: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
        groups,
        boot: read(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default(),
        now,
        booted,
    })
}

/// [`Circumstances::now`] and [`Circumstances::booted`].
fn clocks() -> (i64, i64) {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
    };
    // The two can't be read at once. Of three tries, the one that took the least time between them is the best.
    let tries = (0..3).map(|_| {
        let (before, now, after) = (read(ClockId::Boottime), read(ClockId::Realtime), read(ClockId::Boottime));
        (after - before, (now, now - before))
    });
    tries.min().map_or((0, 0), |(_, clocks)| clocks)
}

/// The directory that the process was started in, for `driftlock init`.
///
/// # Errors
/// A directory that can't be opened.
pub fn here() -> Result<Directory, Trouble> {
    open(Path::new(".")).map_err(|error| {
        Trouble::new(format!("the working directory could not be opened: {error}"), "change to one that you may read")
    })
}

/// A declaration that was read, and where it is.
#[derive(Debug)]
pub struct Declared {
    pub declaration: Declaration,
    /// The file, as the operator named it or as it was found.
    pub file: PathBuf,
    /// The directory that its relative paths are relative to.
    pub base: PathBuf,
}

/// The names of a declaration, in the order in which they are looked for.
pub const DECLARATION_NAMES: [&str; 2] = ["driftlock.toml", "driftlock.json"];

/// The largest declaration that is read, in bytes.
const DECLARATION_LIMIT: u64 = 4 << 20;

/// Reads the declaration: the file given, or `driftlock.toml` (or `.json`) here or in a directory above.
///
/// # Errors
/// None found, two beside one another, one that can't be read, and whatever is wrong in it.
pub fn declaration(given: Option<&Path>) -> Result<Declared, Trouble> {
    let file = match given {
        Some(file) => file.to_path_buf(),
        None => find_declaration()?,
    };
    let format = match file.extension().map(OsStr::as_bytes) {
        Some(b"toml") => declaration::Format::Toml,
        Some(b"json") => declaration::Format::Json,
        _ => {
            return Err(Trouble::new(
                format!("{}: the declaration's name ends neither in .toml nor in .json", shown(&file)),
                "give it a name that says its format",
            ));
        }
    };
    let bytes = read(&file, DECLARATION_LIMIT).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "write one with `driftlock init`, or say where it is with --config FILE",
            _ => "say with --config FILE which file to read, or correct its permissions",
        };
        Trouble::new(format!("the declaration {} could not be read: {error}", shown(&file)), remedy)
    })?;
    // The error says what to write instead, all in one.
    let declaration =
        Declaration::parse(&shown(&file), format, &bytes).map_err(|error| Trouble::new(error.to_string(), ""))?;
    let base = file.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Declared { declaration, file, base })
}

fn find_declaration() -> Result<PathBuf, Trouble> {
    let here = std::env::current_dir().map_err(|error| {
        Trouble::new(
            format!("the working directory is not known: {error}"),
            "say where the declaration is with --config FILE",
        )
    })?;
    for (up, directory) in here.ancestors().enumerate() {
        let found: Vec<_> = DECLARATION_NAMES.into_iter().filter(|name| directory.join(name).is_file()).collect();
        // Relative, so that what is printed is what the operator would type.
        let relative: PathBuf = std::iter::repeat_n(Component::ParentDir, up).collect();
        match found[..] {
            [] => {}
            [name] => return Ok(relative.join(name)),
            _ => {
                return Err(Trouble::new(
                    format!("{} has both a driftlock.toml and a driftlock.json", shown(directory)),
                    "remove one of them, or say which one to read with --config FILE",
                ));
            }
        }
    }
    Err(Trouble::new(
        "there is no driftlock.toml or driftlock.json here or in a directory above",
        "write one with `driftlock init`, or say where it is with --config FILE",
    ))
}

/// Reads a regular file of limited size whole.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    // A FIFO in its place must not hold the run up.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// A path given as an argument, open.
#[derive(Debug)]
pub enum Operand {
    Directory(Directory),
    File(std::fs::File),
}

/// Opens a path that was given as an argument. Links in it are followed: it is the operator who named them.
///
/// # Errors
/// A path that is missing, unreadable, or neither a directory nor a regular file.
pub fn operand(path: &Path) -> Result<Operand, Trouble> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: io::Error| {
        Trouble::new(format!("{} could not be opened: {error}", shown(path)), "check the path and its permissions")
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return open(path).map(Operand::Directory).map_err(failed);
    }
    let options = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).clone();
    let opened = if metadata.is_file() { options.open(path).map(Some) } else { Ok(None) };
    match opened.map_err(failed)? {
        // It may have been replaced in between.
        Some(file) if file.metadata().map_err(failed)?.is_file() => Ok(Operand::File(file)),
        _ => Err(Trouble::new(
            format!("{} is neither a directory nor a regular file", shown(path)),
            "name a file, or the directory that it is in",
        )),
    }
}

/// A program that runs on another machine: nothing of it lies outside of its file.
#[derive(Debug)]
pub struct Program {
    file: std::fs::File,
    /// In bytes.
    pub size: u64,
}

impl Program {
    /// Reads a part of it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, at)
    }
}

/// The largest program that is sent, in bytes.
const PROGRAM_LIMIT: u64 = 256 << 20;

/// Opens the program to send along: the file given, or this one.
///
/// # Errors
/// One that can't be read, or needs a dynamic loader and libraries.
pub fn program(given: Option<&Path>) -> Result<Program, Trouble> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = given.unwrap_or(Path::new("/proc/self/exe"));
    let named = given.map_or_else(|| "this driftlock".to_owned(), shown);
    let opened = || -> io::Result<(Program, Option<bool>)> {
        let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let program = Program { file, size: metadata.len() };
        let is_static = elf::is_static(|buffer, at| program.read_at(buffer, at))?;
        Ok((program, is_static))
    };
    let remedy = "name a static build with --push-binary: `nix build .#static` or `cargo build --release --target \
                  x86_64-unknown-linux-musl` makes one";
    let (program, is_static) =
        opened().map_err(|error| Trouble::new(format!("{named} could not be read: {error}"), remedy))?;
    match is_static {
        Some(true) if program.size <= PROGRAM_LIMIT => Ok(program),
        Some(true) => Err(Trouble::new(format!("{named} is larger than {PROGRAM_LIMIT} bytes"), remedy)),
        Some(false) => Err(Trouble::new(
            format!(
                "{named} can't be sent along: it needs a dynamic loader and libraries, which a server need not have"
            ),
            remedy,
        )),
        None => Err(Trouble::new(format!("{named} is no 64-bit ELF program"), remedy)),
    }
}

/// Tries to open a path for reading, and closes it again: from inside the sandbox, to show that it can't be done.
///
/// # Errors
/// Whatever the kernel says.
pub fn probe(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map(drop)
}

/// The local time: as a report's folder is named, and as RFC 3339 has it.
#[must_use]
pub fn now() -> (String, String) {
    let now = jiff::Zoned::now();
    (now.strftime("%Y%m%d_%H%M%S").to_string(), now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// Whether stdout is to be coloured when nobody says: on a terminal, unless `NO_COLOR` is set.
///
/// Source: <https://no-color.org>.
#[must_use]
pub fn wants_color() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether to show progress on stderr.
#[must_use]
pub fn wants_progress() -> bool {
    io::stderr().is_terminal()
}

/// Lets the process have as many descriptors as it may; a run needs few, so it does not matter if this fails.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
