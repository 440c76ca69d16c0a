//! Where a cache is: its open directory and the name of the file in it. A cache that another user could have written is
//! not read.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatxFlags};
use rustix::io::Errno;

use super::file::{self, Origin, Unfit};
use super::{CheckCache, Device};
use crate::capability::{self, Directory, RunIdentity, shown};
use crate::error::{Error, ErrorKind};
use crate::manifest::Sha256Digest;
use crate::store;

/// File systems that change a file's ctime whenever its contents change, with their numbers in `statfs(2)`.
///
/// Left out are tmpfs, on which no time changes when contents change through a shared mapping; NFS, SMB, FUSE and 9p,
/// whose times a server or a program keeps; overlayfs, which may lie on any other file system; and squashfs and EROFS,
/// whose times are set when the image is built.
pub const KEEPS_CHANGE_TIMES: [(&str, u64); 3] = [("ext4", 0xef53), ("xfs", 0x5846_5342), ("btrfs", 0x9123_683e)];

/// The root of a check whose files the cache can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    pub device: Device,
    pub inode: u64,
    /// The id of the file system, if it has one; on ext4 and btrfs it is derived from the UUID.
    pub file_system: u64,
}

impl Root {
    /// Inspects an open root. Call it before the sandbox is entered, which does not allow `statfs`.
    ///
    /// # Errors
    /// Why the files of this root must always be read.
    pub fn of(directory: &Directory) -> Result<Self, String> {
        let system =
            rustix::fs::fstatfs(directory).map_err(|errno| format!("its file system can't be identified: {errno}"))?;
        // The type and the sign of the field differ between architectures.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "32 bits")]
        let number = u64::from(system.f_type as u32);
        if KEEPS_CHANGE_TIMES.iter().all(|(_, known)| *known != number) {
            let names = KEEPS_CHANGE_TIMES.map(|(name, _)| name).join(", ");
            return Err(format!("its file system (type {number:#x}) is not one of {names}"));
        }
        let status = rustix::fs::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            .map_err(|errno| format!("its status can't be read: {errno}"))?;
        let file_system = rustix::fs::fstatvfs(directory)
            .map_err(|errno| format!("its file system can't be identified: {errno}"))?
            .f_fsid;
        Ok(Self { device: (status.stx_dev_major, status.stx_dev_minor), inode: status.stx_ino, file_system })
    }
}

/// The directory and name of a cache, and the identity of the run.
#[derive(Debug)]
pub struct Location {
    pub directory: Directory,
    pub name: String,
    /// The path as the operator gave it, escaped.
    pub shown: String,
    pub identity: RunIdentity,
}

/// What was loaded from a location.
#[derive(Debug)]
pub enum Loaded {
    /// There is no cache yet.
    Nothing,
    /// The cache of each check.
    Cache(Vec<CheckCache>),
    /// A cache that is not used and will be replaced.
    Unusable(Unfit),
    /// Something that is not a cache. It is left alone.
    Foreign(Error),
}

impl Location {
    /// Opens the directory of the cache `file`.
    ///
    /// # Errors
    /// The path names no file, or the directory can't be opened or is writable by other users.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let shown = shown(file);
        let (directory, name) = capability::parent_directory(file).map_err(|error| {
            Error::new(
                ErrorKind::Output,
                format!("the stat cache {shown} is not used: {error}"),
                "name a file in an existing directory that you may write to",
            )
        })?;
        let identity = capability::run_identity().map_err(|error| {
            Error::new(
                ErrorKind::Output,
                format!("the stat cache {shown} is not used: the groups of this process can't be read: {error}"),
                "run without --stat-cache",
            )
        })?;
        let location = Self { directory, name, shown, identity };
        location.only_ours()?;
        Ok(location)
    }

    /// Refuses a directory that other users can write to: they could plant a cache, or keep us from writing ours.
    fn only_ours(&self) -> Result<(), Error> {
        let user = self.identity.user;
        let refused = |why: &str| {
            Error::new(
                ErrorKind::Output,
                format!("the stat cache {} is not used: the directory it is in {why}", self.shown),
                "keep it in a directory that only the user who runs driftlock can write to (for example with mode 0700)",
            )
        };
        let stat =
            rustix::fs::fstat(&self.directory).map_err(|errno| refused(&format!("can't be looked at: {errno}")))?;
        if stat.st_uid != user && stat.st_uid != 0 {
            return Err(refused("belongs to another user"));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(refused("is writable by other users"));
        }
        Ok(())
    }

    /// Reads the cache, if it is a cache and belongs to `binding`.
    #[must_use]
    pub fn load(&self, binding: &Sha256Digest) -> Loaded {
        match self.open_file() {
            Ok(None) => Loaded::Nothing,
            Ok(Some((file, stat))) => match self.read(&file, &stat, binding) {
                Ok(Some(facts)) => Loaded::Cache(facts),
                Ok(None) => Loaded::Foreign(self.foreign("holds something else")),
                Err(unfit) => Loaded::Unusable(unfit),
            },
            Err(found) => found,
        }
    }

    fn foreign(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::Output,
            format!("the stat cache {} {why}; it is neither used nor replaced", self.shown),
            "name another FILE with --stat-cache, or remove this one if it is not needed",
        )
    }

    /// Opens the file, if it is a regular file of ours.
    fn open_file(&self) -> Result<Option<(OwnedFd, Stat)>, Loaded> {
        let failed = |errno: Errno| Loaded::Unusable(Unfit::Io(errno.into()));
        let directory = self.directory.as_fd();
        // Check the type first: opening some devices has side effects.
        let stat = match rustix::fs::statat(directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular(&stat) {
            return Err(Loaded::Foreign(self.foreign("is not a regular file")));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, &*self.name, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        if !regular(&stat) {
            return Err(Loaded::Foreign(self.foreign("is not a regular file")));
        }
        Ok(Some((file, stat)))
    }

    /// `None` if the file is not a cache.
    fn read(&self, file: &OwnedFd, stat: &Stat, binding: &Sha256Digest) -> Result<Option<Vec<CheckCache>>, Unfit> {
        let mut start = [0; file::NAME.len()];
        let mut have = 0;
        while have < start.len() {
            match rustix::io::pread(file, &mut start[have..], have as u64) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Unfit::Io(errno.into())),
            }
        }
        // A truncated cache is still a cache.
        if !file::NAME.starts_with(&start[..have]) {
            return Ok(None);
        }
        if stat.st_uid != self.identity.user {
            return Err(Unfit::Unsafe("it belongs to another user"));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(Unfit::Unsafe("others can write to it"));
        }
        if stat.st_nlink != 1 {
            return Err(Unfit::Unsafe("it has other hard links"));
        }
        let length = u64::try_from(stat.st_size).map_err(|_| Unfit::Length)?;
        let file = cap_std::fs::File::from(file.try_clone()?);
        // One byte more than the status says, to notice a file that is longer.
        let mut input = file.take(length.saturating_add(1));
        file::read(&mut input, length, &self.origin(*binding)).map(Some)
    }

    const fn origin(&self, binding: Sha256Digest) -> Origin {
        Origin { binding, booted: self.identity.booted }
    }

    /// Writes the cache.
    ///
    /// # Errors
    /// Those of the file system; the old file is then untouched.
    pub fn save(&self, binding: &Sha256Digest, checks: &[CheckCache]) -> io::Result<()> {
        store::replace_private(&self.directory.dir, &self.name, |out| file::write(out, &self.origin(*binding), checks))
    }
}
