//! Who may read and write a file that takes the place of another: those who might before.
//!
//! The sandbox lets no mode be changed, so a file is made with the one that it is to have. It lets a file be given to a group
//! only if it is that of a lock that was there when the run began ([`groups_to_keep`]).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;

use cap_std::fs::{Dir, File};
use rustix::fs::{AtFlags, FileType, Gid, Mode, fchown, fstat, statat};

use super::own;

/// What a new file is to have.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    mode: u32,
    /// Whether it is to have just this mode, since another file had. The umask says nothing then.
    exact: bool,
    /// The group that the other file had, if it can be given.
    group: Option<u32>,
}

impl Access {
    pub const SHARED: Self = Self { mode: 0o666, exact: false, group: None };
    pub const PRIVATE: Self = Self { mode: 0o600, ..Self::SHARED };

    /// That of the file that is there, if there is one.
    pub fn of(dir: &Dir, name: &str) -> Self {
        let Some((mode, group)) = status(dir, name) else { return Self::SHARED };
        let access = Self { mode, exact: true, group: Some(group) };
        if own().user == 0 || own().groups.contains(&group) { access } else { access.without_group() }
    }

    /// The same, where the group can't be given: what it might, another one must not. Any group may do what all may.
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

    /// Gives a file its group if it has another one, and says whether it has all that it is to have. If not, another one is to
    /// be made: what a crash left may have another mode, which no call that is let through changes; and a group that can't
    /// be given is given up.
    pub fn give(&mut self, file: &File) -> io::Result<bool> {
        let mut status = fstat(file)?;
        if let Some(group) = self.group.filter(|group| *group != status.st_gid) {
            // Whether it worked shows below.
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

/// The groups of files that are there, which files in their places may be given: those that this process can give.
pub fn groups_to_keep<'a>(dir: &Dir, names: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let groups = names.filter_map(|name| Some(status(dir, name)?.1));
    groups.filter(|group| own().user == 0 || own().groups.contains(group)).collect()
}
