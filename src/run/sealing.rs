//! `check --seal FILE`: verifies that an allowed signer sealed the baseline.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, File, OpenOptions};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::capability::{self, Declared, Directory, shown};
use crate::error::{Error, ErrorKind};
use crate::report::Report;
use crate::report::seal::{SealReport, Sealed};
use crate::seal::{
    self, NotAllowed, Rollback, SIGNERS_LIMIT, STATE_LIMIT, SealError, SignatureError, Signers, State, Verified,
};
use crate::session::{Run, Session, not_written, small_file};
use crate::store;

/// How a seal is verified.
#[derive(Clone, Debug, Default)]
pub struct SealPlan {
    /// The file of allowed signers. Without it: that of the machine, if it has one.
    pub signers: Option<PathBuf>,
    /// The file that remembers the newest seal.
    pub state: Option<PathBuf>,
    /// The declaration that was sealed, if the one of this run was generated from it.
    pub declaration: Option<PathBuf>,
}

/// The open files to verify a seal with.
pub struct Sealing {
    signers: File,
    /// The declaration that was sealed, if the one of this run was generated from it.
    declared: Option<Declared>,
    shown: String,
    /// The time zone of times in the file without a zone.
    zone: TimeZone,
    at: Timestamp,
    state: Option<StateFile>,
}

/// The file that remembers the newest seal.
struct StateFile {
    /// An error if the directory is gone. That is trouble, but the check runs.
    directory: Result<Directory, Error>,
    name: String,
    path: PathBuf,
}

impl Sealing {
    /// Opens the file of allowed signers, if there is one, and the directory of the state. From then on, the run
    /// records the digest of every lock that it reads.
    ///
    /// # Errors
    /// A file can't be opened, a check would record the state, or there are no allowed signers for a state.
    pub fn open(plan: &SealPlan, session: &mut Session) -> Result<Option<Self>, Error> {
        let Some((path, signers)) = capability::allowed_signers(plan.signers.as_deref())? else {
            let without = [("--seal-state", &plan.state), ("--sealed-declaration", &plan.declaration)];
            return match without.into_iter().find_map(|(option, file)| Some((option, file.as_deref()?))) {
                None => Ok(None),
                Some((option, file)) => Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "{option} {}: no seal is verified, because there is no file of allowed signers",
                        shown(file)
                    ),
                    "name the file of allowed signers: --seal FILE",
                )),
            };
        };
        let declared = plan.declaration.as_deref().map(|file| capability::declaration(Some(file))).transpose()?;
        session.record_lock_reads();
        let state = plan.state.as_deref().map(|path| StateFile::open(path, session)).transpose()?;
        Ok(Some(Self {
            signers,
            declared,
            shown: shown(&path),
            zone: capability::local_zone(),
            at: capability::moment(),
            state,
        }))
    }

    /// The directory that the run writes to.
    pub fn directory(&self) -> Option<&Directory> {
        self.state.as_ref()?.directory.as_ref().ok()
    }

    /// Verifies the seal, if that was asked for, and adds the result to the report.
    pub fn verify(sealing: Option<&Self>, run: &Run, report: &mut Report) {
        let seal = sealing.map(|sealing| Arc::new(sealing.found(run)));
        for host in &mut report.hosts {
            host.seal.clone_from(&seal);
        }
    }

    /// Verifies the signature of the seal, and compares the locks that were read, all other locks and the declaration
    /// with it. If all of this is right, remembers the seal.
    fn found(&self, run: &Run) -> SealReport {
        let verified = match self.verified(run) {
            Ok(verified) => verified,
            Err(trouble) => return SealReport { sealed: None, troubles: vec![trouble] },
        };
        let declared = self.declared.as_ref().unwrap_or(&run.session.declared);
        let mut troubles = run.not_as_sealed(&verified.seal, declared);
        // A seal of other locks, for example of the signer's other project, must not lock out the real one.
        let holds = troubles.is_empty();
        if let Some(state) = &self.state
            && let Err(trouble) = state.admit(&verified.state(), holds)
        {
            troubles.insert(0, trouble);
        }
        let declaration = self.declared.as_ref().map(|declared| shown(&declared.file));
        let Verified { seal, digest: _, signer, kind, fingerprint } = verified;
        let sealed = Sealed { serial: seal.serial, signer, key: kind.to_owned(), fingerprint, declaration };
        SealReport { sealed: Some(sealed), troubles }
    }

    fn verified(&self, run: &Run) -> Result<Verified, Error> {
        let refused = |problem: String| {
            Error::new(
                ErrorKind::Seal,
                format!("the allowed signers {} are refused: {problem}", self.shown),
                "correct the file; `man ssh-keygen` describes it under \"ALLOWED SIGNERS\"",
            )
        };
        let mut bytes = Vec::new();
        (&self.signers).take(SIGNERS_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
        if bytes.len() as u64 > SIGNERS_LIMIT {
            return Err(refused(format!("it is larger than {SIGNERS_LIMIT} bytes")));
        }
        let signers = Signers::parse(&bytes, &self.zone).map_err(|error| refused(error.to_string()))?;
        let seal = read(run, seal::NAME, seal::LIMIT, "there is no seal", SEAL_IT)?;
        let signature = read(
            run,
            seal::SIGNATURE_NAME,
            seal::SIGNATURE_LIMIT,
            "the seal has no signature",
            "restore it from git; if `driftlock seal` was interrupted, run it again",
        )?;
        seal::verify(&seal, &signature, &signers, self.at).map_err(|error| {
            let help = match &error {
                SealError::Signer { why: NotAllowed::Expired(_) | NotAllowed::NotYet(_), .. } => {
                    "review the locks, and seal them with a key that is valid now"
                }
                SealError::Signer { .. } => {
                    "find out who sealed it; if you know the key, add it to the allowed signers"
                }
                SealError::Signature(SignatureError::Unverified(_)) => {
                    "if `driftlock seal` was interrupted, run it again; otherwise find out who changed the seal, and restore \
                    it from git"
                }
                SealError::Signature(_) | SealError::Document(_) => {
                    "find out who changed it, and restore it and the locks from git"
                }
            };
            Error::new(ErrorKind::Seal, format!("the seal {} is refused: {error}", run.shown_in_locks(seal::NAME.as_bytes())), help)
        })
    }
}

const SEAL_IT: &str = "review the locks, and run `driftlock seal` where your key is";

/// Reads a file of the locks directory once.
fn read(run: &Run, name: &str, limit: u64, missing: &str, help: &str) -> Result<Vec<u8>, Error> {
    let path = run.shown_in_locks(name.as_bytes());
    match run.locks().map_or(Ok(None), |locks| small_file(locks, name, limit)) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Error::new(ErrorKind::Seal, format!("{missing}: {path} is missing"), help)),
        Err(error) => Err(Error::new(ErrorKind::Seal, format!("{path} is refused: {error}"), error.help())),
    }
}

impl StateFile {
    fn open(path: &Path, session: &Session) -> Result<Self, Error> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("--seal-state {}: the path does not end in a file name", shown(path)),
                "name a file",
            )
        })?;
        let above = path.parent().unwrap_or(Path::new(""));
        let directory = session.existing(above, "seal state", |_| name.to_owned())?;
        Ok(Self { directory, name: name.to_owned(), path: path.to_path_buf() })
    }

    /// Checks that a seal is not older than the newest one seen so far, and remembers it if it `holds`.
    fn admit(&self, seal: &State, holds: bool) -> Result<(), Error> {
        let Directory { dir, .. } = self.directory.as_ref().map_err(Clone::clone)?;
        let last = self.last(dir)?;
        if let Some(last) = &last {
            last.admits(seal).map_err(|rollback| self.rolled_back(rollback, last, seal))?;
        }
        if !holds || last.as_ref() == Some(seal) {
            return Ok(());
        }
        let mut newer = None;
        let written = store::replace(dir, &self.name, |out| {
            // Another run may have seen a newer one in between. It can't write now, because this run holds the
            // temporary file.
            newer = self.last(dir).ok().flatten().filter(|now| now.admits(seal).is_err());
            match newer {
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => out.write_all(&seal.write()),
            }
        });
        if let Some(now) = newer
            && let Err(rollback) = now.admits(seal)
        {
            return Err(self.rolled_back(rollback, &now, seal));
        }
        written.map_err(|error| not_written(&format!("the state of seals {}", shown(&self.path)), &error))
    }

    fn rolled_back(&self, rollback: Rollback, last: &State, seal: &State) -> Error {
        let help = "find out who put back an old seal or made a second one, and restore the newest from git; if that is \
                    what you want, seal the locks again";
        let path = shown(&self.path);
        if last.declaration == seal.declaration {
            return Error::new(ErrorKind::Seal, format!("the seal is refused: {rollback}, according to {path}"), help);
        }
        Error::new(
            ErrorKind::Seal,
            format!("the seal is refused: {rollback}, for another declaration, according to {path}"),
            format!(
                "if that file is also the state of another baseline, name one for each with --seal-state; if not, {help}"
            ),
        )
    }

    /// The newest seal that was seen; `None` if there was none.
    fn last(&self, dir: &Dir) -> Result<Option<State>, Error> {
        let refused = |problem: String| {
            Error::new(
                ErrorKind::Seal,
                format!("the state of seals {} is refused: {problem}", shown(&self.path)),
                "find out what happened to it; if you remove it, the next run accepts a seal with any serial",
            )
        };
        let mut options = OpenOptions::new();
        options.read(true);
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOFOLLOW);
        let file = match dir.open_with(&self.name, &options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| refused(error.to_string()))?,
        };
        if !file.metadata().is_ok_and(|status| status.is_file()) {
            return Err(refused("it is not a regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(STATE_LIMIT).read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
        State::parse(&bytes).map(Some).map_err(|error| refused(error.to_string()))
    }
}
