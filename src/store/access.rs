//! Keeps mode and group when a file is replaced, so that the same users can read and write it.
//!
//! The sandbox does not allow changing a mode, so the new file is created with its final mode. It allows changing a
//! group only to that of a lock that existed when the run began ([`groups_to_keep`]).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;

use cap_std::fs::{Dir, File};
use rustix::fs::{AtFlags, FileType, Gid, Mode, fchown, fstat, statat};

use super::own;

/// The mode and group that a new file gets.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    mode: u32,
    /// The old file had this exact mode, so the umask does not apply.
    exact: bool,
    /// The group of the old file, if it can be set.
    group: Option<u32>,
}

impl Access {
    pub const SHARED: Self = Self { mode: 0o666, exact: false, group: None };
    pub const PRIVATE: Self = Self { mode: 0o600, ..Self::SHARED };

    /// The mode and group of the existing file, or the defaults.
    pub fn of(dir: &Dir, name: &str) -> Self {
        let Some((mode, group)) = status(dir, name) else { return Self::SHARED };
        let access = Self { mode, exact: true, group: Some(group) };
        if own().user == 0 || own().groups.contains(&group) { access } else { access.without_group() }
    }

    /// The same without the group: another group must not get the old group's rights. Any group may do what all users
    /// may.
    const fn without_group(self) -> Self {
        Self { mode: self.mode & !0o070 | (self.mode & 0o007) << 3, group: None, ..self }
    }

    /// Creates a file with the mode.
    pub fn creating(self, create: impl FnOnce(u32) -> io::Result<File>) -> io::Result<File> {
        if !self.exact {
            return create(self.mode);
        }
        let umask = rustix::process::umask(Mode::empty());
        let created = create(self.mode);
        rustix::process::umask(umask);
        created
    }

    /// Sets the group of a file, and returns whether the file now has the right mode and group. If not, create another
    /// one: what a crash left may have another mode, which the sandbox does not let us change. A group that can't be
    /// set is given up.
    pub fn give(&mut self, file: &File) -> io::Result<bool> {
        let mut status = fstat(file)?;
        if let Some(group) = self.group.filter(|group| *group != status.st_gid) {
            // The check below shows whether it worked.
            let _ = fchown(file, None, Some(Gid::from_raw(group)));
            status = fstat(file)?;
            if status.st_gid != group {
                *self = self.without_group();
            }
        }
        Ok(!self.exact || status.st_mode & 0o777 == self.mode)
    }
}

/// Mode and group of a regular file.
fn status(dir: &Dir, name: &str) -> Option<(u32, u32)> {
    let status = statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    is_file.then_some((status.st_mode & 0o777, status.st_gid))
}

/// The groups of existing files that this process may give to the files that replace them.
pub fn groups_to_keep<'a>(dir: &Dir, names: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let groups = names.filter_map(|name| Some(status(dir, name)?.1));
    groups.filter(|group| own().user == 0 || own().groups.contains(group)).collect()
}
