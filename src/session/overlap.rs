//! Where driftlock's own files may lie: not where a check looks.

use std::path::Path;

use super::{Locks, Session};
use crate::capability::{self, Declared, Directory, shown};
use crate::declaration::Check;
use crate::manifest::Kind;
use crate::trouble::Trouble;

impl Session {
    /// Opens a directory that this run writes to, and creates it if it is missing. `file` names one of the files that
    /// a check would find in it.
    ///
    /// The inner error is that of a directory that can neither be opened nor created.
    ///
    /// # Errors
    /// A directory that lies where it may not; nothing was created there.
    pub fn writable(
        &self,
        path: &Path,
        what: &str,
        key: &str,
        file: impl Fn(&Check) -> String,
    ) -> Result<Result<Directory, Trouble>, Trouble> {
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

    /// Opens a directory that this run writes to, and that another program keeps: it is not created. `file` as in
    /// [`writable`](Self::writable), and the inner error that of a directory that can't be opened.
    ///
    /// # Errors
    /// A directory that lies where it may not.
    pub fn existing(
        &self,
        path: &Path,
        what: &str,
        file: impl Fn(&Check) -> String,
    ) -> Result<Result<Directory, Trouble>, Trouble> {
        let directory = capability::existing(path, what);
        if let Ok(Directory { resolved: Some(ours), .. }) = &directory {
            self.keep_apart(ours, what, true, file)?;
            self.apart_from_locks(ours, what)?;
        }
        Ok(directory)
    }

    /// Refuses a directory that this run writes to in that of the locks, or above it: what may write there could change what
    /// everything is compared with.
    fn apart_from_locks(&self, ours: &Path, what: &str) -> Result<(), Trouble> {
        let Locks::Read(locks) = &self.locks else { return Ok(()) };
        let open = locks.as_ref().and_then(|locks| locks.resolved.clone());
        // Where they are going to be, if they are not there yet.
        let Declared { base, declaration, .. } = &self.declared;
        match open.or_else(|| capability::future(&base.join(&declaration.locks))) {
            Some(locks) if locks.starts_with(ours) || ours.starts_with(&locks) => Err(Trouble::new(
                format!(
                    "the {what} directory {} and that of the locks, {}, are not apart, and this run may not write to the locks",
                    shown(ours),
                    shown(&locks)
                ),
                "name a directory that is neither in that of the locks nor above it",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a directory of our own files that lies where a check looks, or above a root if it is to be written to.
    ///
    /// # Errors
    /// Names both, and what to do.
    pub fn keep_apart(
        &self,
        ours: &Path,
        what: &str,
        written: bool,
        file: impl Fn(&Check) -> String,
    ) -> Result<(), Trouble> {
        for (check, root) in self.roots() {
            let Some(Directory { resolved: Some(root), .. }) = root else { continue };
            if written && root.starts_with(ours) {
                return Err(Trouble::new(
                    format!(
                        "the root of the check {} lies in the {what} directory {}, which this run writes to",
                        check.name,
                        shown(ours)
                    ),
                    format!("declare `{what}` outside every root"),
                ));
            }
            if let Ok(below) = ours.strip_prefix(root)
                && records(check, &below.join(file(check)))
            {
                return Err(Trouble::new(
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

/// Whether a check would record something at this path below its root.
fn records(check: &Check, path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let excluded = path.ancestors().any(|part| check.selection.excludes(part.as_os_str().as_bytes()));
    !excluded && (check.kind == Kind::Trees || check.selection.includes(path.as_os_str().as_bytes()))
}
