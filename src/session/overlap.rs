//! Keeps driftlock's own files out of the roots of checks.

use std::path::Path;

use super::{Locks, Session};
use crate::capability::{self, Declared, Directory, shown};
use crate::declaration::Check;
use crate::error::{Error, ErrorKind};
use crate::manifest::Kind;

impl Session {
    /// Opens a directory that this run writes to, and creates it if it is missing. `file` is the name of a file that a
    /// check would find in it.
    ///
    /// The inner error says that the directory can be neither opened nor created.
    ///
    /// # Errors
    /// The directory is in a place where it may not be. Nothing was created.
    pub fn writable(
        &self,
        path: &Path,
        what: &str,
        key: &str,
        file: impl Fn(&Check) -> String,
    ) -> Result<Result<Directory, Error>, Error> {
        let apart = |ours: &Path| {
            self.keep_apart(ours, what, true, &file)?;
            self.apart_from_locks(ours, what)
        };
        if let Some(ours) = capability::future(path) {
            apart(&ours)?;
        }
        let directory = capability::writable(path, what, key);
        if let Ok(Directory { resolved: Some(ours), .. }) = &directory {
            apart(ours)?;
        }
        Ok(directory)
    }

    /// Opens a directory that this run writes to, but that belongs to another program, so it is not created. `file` is
    /// as in [`writable`](Self::writable). The inner error says that the directory can't be opened.
    ///
    /// # Errors
    /// The directory is in a place where it may not be.
    pub fn existing(
        &self,
        path: &Path,
        what: &str,
        file: impl Fn(&Check) -> String,
    ) -> Result<Result<Directory, Error>, Error> {
        let directory = capability::existing(path, what);
        if let Ok(Directory { resolved: Some(ours), .. }) = &directory {
            self.keep_apart(ours, what, true, file)?;
            self.apart_from_locks(ours, what)?;
        }
        Ok(directory)
    }

    /// Refuses to write to a directory in the locks directory or above it: the run could then change the baseline.
    fn apart_from_locks(&self, ours: &Path, what: &str) -> Result<(), Error> {
        let Locks::Read(locks) = &self.locks else { return Ok(()) };
        let open = locks.as_ref().and_then(|locks| locks.resolved.clone());
        // The path that it will have, if it does not exist yet.
        let Declared { base, declaration, .. } = &self.declared;
        match open.or_else(|| capability::future(&base.join(&declaration.locks))) {
            Some(locks) if locks.starts_with(ours) || ours.starts_with(&locks) => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the {what} directory {} and the locks directory {} overlap, and this run may not write to the locks",
                    shown(ours),
                    shown(&locks)
                ),
                "name a directory that is neither in the locks directory nor above it",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a directory of driftlock's files in which a check would record them, or above a root if the run writes
    /// to it.
    ///
    /// # Errors
    /// The directory is in such a place.
    pub fn keep_apart(
        &self,
        ours: &Path,
        what: &str,
        written: bool,
        file: impl Fn(&Check) -> String,
    ) -> Result<(), Error> {
        for (check, root) in self.roots() {
            let Some(Directory { resolved: Some(root), .. }) = root else { continue };
            if written && root.starts_with(ours) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "the root of the check {} is in the {what} directory {}, which this run writes to",
                        check.name,
                        shown(ours)
                    ),
                    format!("declare `{what}` outside every root"),
                ));
            }
            if let Ok(below) = ours.strip_prefix(root)
                && records(check, &below.join(file(check)))
            {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "the check {} would record driftlock's own files in the {what} directory {}",
                        check.name,
                        shown(ours)
                    ),
                    format!("declare `{what}` outside {}, or `exclude` it there", shown(&check.root)),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a check would record an entry at this path below its root.
fn records(check: &Check, path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let excluded = path.ancestors().any(|part| check.selection.excludes(part.as_os_str().as_bytes()));
    !excluded && (check.kind == Kind::Trees || check.selection.includes(path.as_os_str().as_bytes()))
}
