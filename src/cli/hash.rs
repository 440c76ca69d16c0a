//! `driftlock hash`: digests of files and trees, without a declaration.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::arguments::{Common, HashFormat};
use super::progress::Shown;
use super::{complain, exit, stdout_failed};
use crate::capability::{self, Directory, Operand, shown};
use crate::declaration::Selection;
use crate::error::{Error, ErrorKind};
use crate::manifest::{AttributeSet, Entries, Kind, Record, Sha256Digest, Unverified, json, text};
use crate::path::escaped;
use crate::report;
use crate::run::Follow as _;
use crate::sandbox::Grants;
use crate::session;
use crate::walk::{self, Collection, Effort, NarOf, Progress, Task};

/// One of the given paths, open.
enum HashInput {
    Directory(Directory),
    File(OwnedFd),
}

/// Prints the digests of all paths, in their order.
///
/// # Errors
/// A path can't be opened, or the sandbox can't be entered. Entries that can't be read are printed on stderr, and are
/// in the exit code.
pub fn run(common: &Common, format: HashFormat, paths: &[PathBuf]) -> Result<u8, Error> {
    let opened = paths
        .iter()
        .map(|path| {
            Ok(match capability::operand(path)? {
                Operand::Directory(directory) => HashInput::Directory(directory),
                Operand::File(file) => HashInput::File(file.into()),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut grants = Grants::default();
    for directory in &opened {
        if let HashInput::Directory(directory) = directory {
            grants.read.push(directory.as_fd());
        }
    }
    let plan = common.plan();
    let follow = Shown::telling(common);
    session::enter(&grants, plan.requirement)?;
    let effort = common.effort.of_walk();
    let format = if common.json { HashFormat::Json } else { format };

    let mut printer = Printer {
        out: io::BufWriter::new(io::stdout().lock()),
        format,
        on_terminal: io::stdout().is_terminal(),
        first: true,
        passed_over: 0,
        failed: false,
    };
    let printed = follow.follow(|progress| {
        printer.begin()?;
        for (path, opened) in paths.iter().zip(opened) {
            match opened {
                HashInput::Directory(directory) => {
                    let collection = collect(&directory, &shown(path), effort, format, progress);
                    printer.directory(path, &collection)?;
                }
                HashInput::File(file) => printer.file(path, walk::file(&file, effort))?,
            }
        }
        printer.end()
    });
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(stdout_failed(&error)),
        _ => {}
    }
    if printer.passed_over > 0 && !common.quiet {
        let entries = report::changes::entries(printer.passed_over);
        let _ = writeln!(
            io::stderr(),
            "driftlock: note: {entries} that are neither file nor directory have no line in this format; --format json has them"
        );
    }
    Ok(if printer.failed { exit::TROUBLE } else { 0 })
}

fn collect(
    directory: &Directory,
    name: &str,
    effort: Effort,
    format: HashFormat,
    progress: &Progress,
) -> Option<Collection> {
    let selection = Selection::everything();
    let task = Task {
        root: directory.as_fd(),
        name: name.to_owned(),
        kind: if format == HashFormat::Sha256sum { Kind::Files } else { Kind::Trees },
        selection: &selection,
        attributes: AttributeSet::default(),
        one_file_system: false,
        start: None,
        strict: false,
        nar: if format == HashFormat::Nar { NarOf::Root } else { NarOf::Nothing },
        cache: None,
        links_on_the_way: false,
        coverage: None,
    };
    walk::collect(vec![task], effort, progress).pop()
}

struct Printer<W> {
    out: W,
    format: HashFormat,
    /// Whether the output is a terminal: then names are escaped.
    on_terminal: bool,
    first: bool,
    passed_over: u64,
    failed: bool,
}

impl<W: Write> Printer<W> {
    fn begin(&mut self) -> io::Result<()> {
        if self.format == HashFormat::Json { self.out.write_all(b"[") } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.format == HashFormat::Json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()
    }

    fn failed(&mut self, path: &[u8], reason: &Unverified) {
        self.failed = true;
        complain(&Error::new(
            ErrorKind::Input,
            format!("{} could not be hashed: {reason}", escaped(path)),
            "run driftlock as a user who may read it",
        ));
    }

    fn directory(&mut self, path: &Path, collection: &Option<Collection>) -> io::Result<()> {
        let Some(collection) = collection else { return Ok(()) };
        let nar = match &collection.root {
            Ok(nar) => *nar,
            Err(reason) => {
                self.failed(path.as_os_str().as_bytes(), reason);
                return Ok(());
            }
        };
        let mut entries = collection.tree.entries();
        let mut failed = false;
        let mut special = Vec::new();
        while let Ok(Some(entry)) = entries.next() {
            let below = path.join(std::ffi::OsStr::from_bytes(entry.path));
            let below = below.as_os_str().as_bytes();
            match entry.state {
                Err(reason) => {
                    failed = true;
                    self.failed(below, reason);
                }
                Ok(record) if self.format == HashFormat::Nar => {
                    if !matches!(record.content.type_name(), "file" | "directory" | "symlink") {
                        special = below.to_vec();
                    }
                }
                Ok(record) => self.record(below, record)?,
            }
        }
        match nar {
            _ if self.format != HashFormat::Nar || failed => Ok(()),
            Some(nar) => writeln!(self.out, "{}", nar.sri()),
            None => {
                self.failed = true;
                complain(&Error::new(
                    ErrorKind::Input,
                    format!(
                        "{} has no Nix archive: {} is neither a file, a directory nor a link",
                        shown(path),
                        escaped(&special)
                    ),
                    "remove it, or use another --format",
                ));
                Ok(())
            }
        }
    }

    fn file(&mut self, path: &Path, read: Result<(Record, Sha256Digest), Unverified>) -> io::Result<()> {
        let path = path.as_os_str().as_bytes();
        match read {
            Ok((_, nar)) if self.format == HashFormat::Nar => writeln!(self.out, "{}", nar.sri()),
            Ok((record, _)) => self.record(path, &record),
            Err(reason) => {
                self.failed(path, &reason);
                Ok(())
            }
        }
    }

    fn record(&mut self, path: &[u8], record: &Record) -> io::Result<()> {
        if self.format == HashFormat::Json {
            let separator = if std::mem::take(&mut self.first) { "\n" } else { ",\n" };
            return write!(self.out, "{separator}{}", report::json::harmless(&json::entry_line(path, record)));
        }
        match record.content.sha256() {
            Some(sha256) => {
                if self.on_terminal {
                    return writeln!(self.out, "{}  {}", sha256.hex(), escaped(path));
                }
                let mut line = Vec::new();
                text::push_line(&mut line, sha256, path);
                self.out.write_all(&line)
            }
            None => {
                self.passed_over += 1;
                Ok(())
            }
        }
    }
}
