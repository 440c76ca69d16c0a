//! Drift as a patch. The locked contents come from a reference, the live contents from the root, through open handles.

use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use super::{OpenCheck, Session};
use crate::capability::{self, Directory, shown};
use crate::compare::{self, Comparison, Drift, LiveStatus};
use crate::declaration::Check;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Content, Record};
use crate::patch::{self, At, Effort, LARGEST, Node};
use crate::path::{escaped, joined};
use crate::shell;
use crate::walk;

/// The most drifts of a check whose live status is read.
const LOOKED_AT: usize = 1000;

/// What a patch needs of a check, other than its root.
#[derive(Debug)]
pub(super) struct Reference {
    /// The root as the patch names it: relative to the top of the git work tree or, without one, to the declaration's
    /// directory.
    named: Result<String, Error>,
    /// A tree that may have the locked contents.
    directory: Result<Directory, Error>,
}

impl Reference {
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref().ok()
    }
}

impl Session {
    /// Opens the references of all checks, to compare with a server: below `given`, or the roots here, or the declared
    /// references.
    ///
    /// # Errors
    /// Those of [`open_references`](Self::open_references).
    pub fn open_references_to_servers(&mut self, given: Option<&Path>) -> Result<(), Error> {
        let base = self.declared.base.clone();
        let of_check = |check: &Check| {
            let root = base.join(&check.root);
            // An absolute root may exist only on servers.
            if capability::exists(&root) || check.reference.is_none() { Some(root) } else { None }
        };
        self.open_references_or(given, of_check)
    }

    /// Opens the references of all checks: below `given`, which replaces the declaration's directory, or the declared
    /// references.
    ///
    /// # Errors
    /// `given` can't be opened. A declared reference that can't be opened is trouble of its check only.
    pub fn open_references(&mut self, given: Option<&Path>) -> Result<(), Error> {
        self.open_references_or(given, |_| None)
    }

    fn open_references_or(
        &mut self,
        given: Option<&Path>,
        preferred: impl Fn(&Check) -> Option<PathBuf>,
    ) -> Result<(), Error> {
        if let Some(given) = given {
            capability::existing(given, "reference")?;
        }
        let base = capability::future(&self.declared.base);
        let above = base.as_deref().map(capability::below_work_tree).unwrap_or_default();
        let reference = |check: &Check| {
            let named = named(&self.declared.base, base.as_deref(), check);
            let own = preferred(check).or_else(|| Some(self.declared.base.join(check.reference.as_ref()?)));
            let path = match (given, own, &named) {
                (Some(given), _, Ok(named)) => Ok(given.join(named)),
                (None, Some(reference), _) => Ok(reference),
                (_, _, Err(trouble)) => Err(trouble.clone()),
                (None, None, _) => Err(Error::new(
                    ErrorKind::Declaration,
                    format!("the check {} has no reference with the locked contents", check.name),
                    "name a tree with the locked contents with --reference DIR, or write `reference` in the check",
                )),
            };
            let in_tree = |named: String| {
                above
                    .join(&named)
                    .into_os_string()
                    .into_string()
                    .map_err(|path| not_in_a_patch(Path::new(&path), check))
            };
            let named = named.and_then(in_tree);
            Reference { directory: path.and_then(|path| capability::existing(&path, "reference")), named }
        };
        for opened in &mut self.checks {
            opened.reference = Some(reference(opened.check(&self.declared)));
        }
        Ok(())
    }
}

/// The root of a check, relative to the declaration's directory.
fn named(base: &Path, resolved: Option<&Path>, check: &Check) -> Result<String, Error> {
    let root = capability::future(&base.join(&check.root));
    let below = root.as_deref().zip(resolved).and_then(|(root, base)| root.strip_prefix(base).ok()).map(PathBuf::from);
    below.and_then(|below| below.into_os_string().into_string().ok()).ok_or_else(|| not_in_a_patch(&check.root, check))
}

fn not_in_a_patch(root: &Path, check: &Check) -> Error {
    let problem = format!(
        "the root {} of the check {} is not in the directory of the declaration, where a patch would be applied",
        shown(root),
        check.name
    );
    Error::new(ErrorKind::Usage, problem, "name the other checks with --check")
}

/// Returns the contents of the file at a path if they fit the record, or else why there are none.
pub type Contents<'a> = dyn Fn(&[u8], &Record) -> Result<Vec<u8>, String> + 'a;

/// The live state of a check.
pub struct Live<'a> {
    /// The path of the root, as messages show it.
    pub place: &'a str,
    pub contents: &'a Contents<'a>,
}

impl OpenCheck<'_> {
    /// The contents of a file, if they still fit the record.
    ///
    /// # Errors
    /// Why there are no such contents.
    pub fn live_contents(&self, path: &[u8], record: &Record) -> Result<Vec<u8>, String> {
        let root = self.opened.root().ok_or_else(|| "its root is not open".to_owned())?;
        if record.content.sha256().is_none() {
            return Err("it is not a file".to_owned());
        }
        match read(root.dir.as_fd(), path, record) {
            Ok(contents) => Ok(contents.bytes),
            Err(Missing::Contents(reason)) => Err(reason),
            Err(Missing::Reference) => Err("its root is not open".to_owned()),
        }
    }

    /// The mtime and the owner of an entry, if it can still be read.
    #[must_use]
    pub fn live_status(&self, path: &[u8]) -> Option<LiveStatus> {
        walk::status(self.opened.root()?.dir.as_fd(), path)
    }

    /// Adds the mtime and the owner of the live entries to the first drifts.
    pub fn look_at(&self, found: &mut Comparison) {
        let there = found.drift.iter_mut().filter(|drift| drift.actual.is_some());
        for drift in there.take(LOOKED_AT) {
            drift.live = self.live_status(drift.path.as_bytes());
        }
    }

    /// Writes the drift as a patch: from the locked to the live state or, with `reverse`, back. Returns what could not
    /// be written, and why.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn patch(
        &self,
        found: &Comparison,
        live: &Live<'_>,
        reverse: bool,
        effort: &mut Effort,
        out: &mut impl Write,
    ) -> io::Result<Vec<Error>> {
        let check = self.check;
        let Some(reference) = &self.opened.reference else {
            let problem = format!("the check {} is not read here, so its contents are not known", check.name);
            return Ok(vec![Error::new(
                ErrorKind::Input,
                problem,
                "run `driftlock diff --patch` on the machine that has them",
            )]);
        };
        let named = match &reference.named {
            Ok(named) => named,
            Err(trouble) => return Ok(vec![trouble.clone()]),
        };
        let mut troubles = Vec::new();
        let mut no_reference = None;
        for drift in &found.drift {
            let (path, expected) = before(drift, &found.drift);
            let mut same = None;
            let old = expected.map(|record| {
                match node(record, || {
                    let directory = reference.directory.as_ref().map_err(|_| Missing::Reference)?;
                    let contents = read(directory.dir.as_fd(), path, record)?;
                    // After a move or a change of mode, the live file has the locked contents too.
                    let sha256 = |record: &Record| record.content.sha256();
                    if drift.actual.as_ref().and_then(sha256) == sha256(record) {
                        same = Some(contents.bytes.clone());
                    }
                    Ok(contents)
                }) {
                    Err(Missing::Contents(reason)) => {
                        Err(Missing::Contents(format!("the reference does not have it: {reason}")))
                    }
                    result => result,
                }
            });
            let new = drift.actual.as_ref().map(|record| {
                node(record, || {
                    let bytes = same.map_or_else(|| (live.contents)(drift.path.as_bytes(), record), Ok);
                    let executable = matches!(record.content, Content::File { executable: true, .. });
                    Ok(walk::Contents { executable, bytes: bytes.map_err(Missing::Contents)? })
                })
            });
            match (old.transpose(), new.transpose()) {
                (Ok(old), Ok(new)) => {
                    let at =
                        |path: &[u8], node: Option<Option<Node>>| -> Option<At> { Some((joined(named, path), node??)) };
                    let (old, new) = (at(path, old), at(drift.path.as_bytes(), new));
                    let (old, new) = if reverse { (new, old) } else { (old, new) };
                    patch::write(out, old.as_ref(), new.as_ref(), effort)?;
                }
                (Err(Missing::Reference), _) => no_reference = reference.directory.as_ref().err(),
                (Err(Missing::Contents(reason)), _) | (Ok(_), Err(Missing::Contents(reason))) => {
                    let shown = escaped(&joined(live.place, drift.path.as_bytes())).to_string();
                    troubles.push(Error::new(ErrorKind::Input, format!("{shown} is not in the patch: {reason}"), ""));
                }
                (Ok(_), Err(Missing::Reference)) => {}
            }
        }
        troubles.extend(no_reference.cloned());
        if !found.left_out.is_nothing() {
            let problem = format!(
                "the check {}: more entries drifted than a run keeps, and the patch does not have the others",
                check.name
            );
            let help = format!("list what drifted: driftlock check --check {}", shell::word(check.name.as_bytes()));
            troubles.push(Error::new(ErrorKind::Input, problem, help));
        }
        Ok(troubles)
    }
}

/// The path of a drift's old contents, and their locked record. Two files that were swapped are two separate changes.
pub(super) fn before<'a>(drift: &'a Drift, all: &'a [Drift]) -> (&'a [u8], Option<&'a Record>) {
    let Some(from) = &drift.from else { return (drift.path.as_bytes(), drift.expected.as_ref()) };
    match compare::drift_of(all, from) {
        Some(other) => (drift.path.as_bytes(), other.expected.as_ref()),
        None => (from.as_bytes(), drift.expected.as_ref()),
    }
}

/// Why there are no contents.
pub(super) enum Missing {
    Reference,
    Contents(String),
}

/// What git records of an entry; `None` for a directory.
fn node(record: &Record, read: impl FnOnce() -> Result<walk::Contents, Missing>) -> Result<Option<Node>, Missing> {
    Ok(match &record.content {
        Content::File { executable, .. } => Some(Node::File { executable: *executable, contents: read()?.bytes }),
        Content::Checksum { .. } => {
            let walk::Contents { executable, bytes } = read()?;
            Some(Node::File { executable, contents: bytes })
        }
        Content::Symlink { target } => Some(Node::Link { target: target.to_vec() }),
        Content::Directory { .. } => None,
        other => return Err(Missing::Contents(format!("git does not keep a {}", other.type_name().replace('_', " ")))),
    })
}

/// Reads a file, and checks that it fits the record.
pub(super) fn read(root: BorrowedFd<'_>, path: &[u8], record: &Record) -> Result<walk::Contents, Missing> {
    let contents = walk::contents(root, path, LARGEST).map_err(|reason| Missing::Contents(reason.to_string()))?;
    let mut hasher = Sha256::new();
    hasher.update(&contents.bytes);
    if record.content.sha256() == Some(hasher.finish()) {
        Ok(contents)
    } else {
        Err(Missing::Contents("the file there has another digest".to_owned()))
    }
}
