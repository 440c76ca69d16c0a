//! The rows of a host's report: the lock files, the collection, the seal, and each declared check. In JSON, each is an
//! item of `checks`.

use super::format::{LOCK_FILES_EXIST, SEAL, SERVER_COLLECTION};
use super::seal::SealReport;
use super::{CheckReport, HostReport, ServerReport, Status};

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    /// Whether every lock file is there.
    LockFiles(&'a HostReport),
    /// Whether everything was collected on the server.
    Collection(&'a ServerReport),
    /// Whether locks and declaration are what was sealed.
    Seal(&'a SealReport),
    /// A declared check.
    Check(&'a CheckReport),
}

impl<'a> Row<'a> {
    /// Its name. Not escaped.
    pub fn name(self) -> &'a str {
        match self {
            Self::LockFiles(_) => LOCK_FILES_EXIST,
            Self::Collection(_) => SERVER_COLLECTION,
            Self::Seal(_) => SEAL,
            Self::Check(check) => &check.name,
        }
    }

    pub fn status(self) -> Status {
        match self {
            Self::LockFiles(host) => host.lock_files_exist(),
            Self::Collection(server) => Status::pass_if(server.trouble.is_none()),
            Self::Seal(seal) => seal.status(),
            Self::Check(check) => check.status(),
        }
    }
}

impl HostReport {
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let own = std::iter::once(Row::LockFiles(self)).chain(self.server.as_ref().map(Row::Collection));
        let own = own.chain(self.seal.as_deref().map(Row::Seal));
        own.chain(self.checks.iter().map(Row::Check))
    }
}
