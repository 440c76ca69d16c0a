//! The program that `--push` sends.

mod elf;

use std::io;
use std::path::Path;

use super::shown;
use crate::error::{Error, ErrorKind};

/// A program that runs on another machine, without other files.
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

/// Opens the program to send: the given file, or this program.
///
/// # Errors
/// It can't be read, or needs a dynamic loader and libraries.
pub fn program(given: Option<&Path>) -> Result<Program, Error> {
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
    let help = "name a static build with --push-binary: `nix build .#static` or `cargo build --release --target \
                  x86_64-unknown-linux-musl` makes one";
    let (program, is_static) =
        opened().map_err(|error| Error::new(ErrorKind::Server, format!("{named} could not be read: {error}"), help))?;
    match is_static {
        Some(true) if program.size <= PROGRAM_LIMIT => Ok(program),
        Some(true) => Err(Error::new(ErrorKind::Server, format!("{named} is larger than {PROGRAM_LIMIT} bytes"), help)),
        Some(false) => Err(Error::new(
            ErrorKind::Server,
            format!("{named} can't be sent: it needs a dynamic loader and libraries, which a server may not have"),
            help,
        )),
        None => Err(Error::new(ErrorKind::Server, format!("{named} is not a 64-bit ELF program"), help)),
    }
}
