//! `driftlock seal`: signs the locks and the declaration.

mod signing;

use std::io;
use std::path::Path;

use super::arguments::{Common, SealArguments};
use super::{after_printing, complain};
use crate::capability;
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::seal::{self, Seal, Signature};
use crate::session::{LocksAccess, Reads, Run, Session, not_written, small_file};
use crate::store;
use signing::Signing;

/// Writes the seal and its signature, or prints what would be sealed.
///
/// # Errors
/// Something can't be sealed, or not signed. Then the old seal and its signature are unchanged, except after a failure
/// between writing the two.
pub fn run(common: &Common, arguments: &SealArguments) -> Result<u8, Error> {
    if let Some(check) = common.checks.first() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("--check {}: a seal is over all checks", escaped(check.as_bytes())),
            "leave out --check",
        ));
    }
    if common.as_server.is_some() {
        return Err(Error::new(ErrorKind::Usage, "--as: a seal is over the locks of all servers", "leave out --as"));
    }
    let access = if arguments.dry_run { LocksAccess::Read } else { LocksAccess::Write };
    let session = Session::open(&common.plan(), access, &Reads::Locks)?;
    let signing = match (&arguments.key, arguments.dry_run) {
        (_, true) => None,
        (Some(key), false) => Some(Signing::prepare(key)?),
        (None, false) => {
            return Err(Error::new(
                ErrorKind::Usage,
                "no key is named to sign the seal with",
                "name it: --key ~/.ssh/id_ed25519, or the .pub of a key that the agent has; with --dry-run, nothing is signed",
            ));
        }
    };
    let run = session.enter(&[])?;
    let seal = run.to_be_sealed(serial(&run, arguments)?)?;
    let Some(signing) = signing else { return Ok(tell(common, &run, &seal, None)) };
    let bytes = seal.write();
    let signature = signing.sign(&bytes, common.quiet)?;
    write(&run, &bytes, &signature)?;
    Ok(tell(common, &run, &seal, Some(&signature)))
}

/// The highest serial that is chosen without `--serial`.
const HIGHEST: u64 = 1 << 32;

/// The serial number: that of `--serial`, or one more than that of the last seal.
fn serial(run: &Run, arguments: &SealArguments) -> Result<u64, Error> {
    let given = arguments.serial.map(std::num::NonZeroU64::get);
    let path = || run.shown_in_locks(seal::NAME.as_bytes());
    let found = run.locks().map_or(Ok(None), |locks| small_file(locks, seal::NAME, seal::LIMIT));
    let last = match found.map_err(|error| error.to_string()) {
        Ok(None) => None,
        Ok(Some(bytes)) => Some(Seal::parse(&bytes).map_err(|error| error.to_string())),
        Err(error) => Some(Err(error)),
    };
    match (last, given) {
        (None, given) => Ok(given.unwrap_or(1)),
        (Some(Err(_)), Some(given)) => Ok(given),
        (Some(Err(error)), None) => Err(Error::new(
            ErrorKind::Seal,
            format!("the last seal, {}, is refused: {error}; so its serial is not known", path()),
            "restore it from git; or name a serial that is higher than all before it: --serial N",
        )),
        // The last seal is not verified here, so another user may have written a huge serial. After it, no higher
        // serial would be left.
        (Some(Ok(last)), None) if last.serial >= HIGHEST => Err(Error::new(
            ErrorKind::Seal,
            format!("{} has the serial {}, which is too high to be one more than the last", path(), last.serial),
            "find out who wrote it, and restore the last seal from git",
        )),
        (Some(Ok(last)), None) => Ok(last.serial + 1),
        (Some(Ok(last)), Some(given)) if given > last.serial => Ok(given),
        (Some(Ok(last)), Some(given)) => Err(Error::new(
            ErrorKind::Seal,
            format!("--serial {given} is not higher than that of the last seal, {}", last.serial),
            "name a higher one, or leave it out",
        )),
    }
}

/// Writes both files. After a crash between the two, the signature is that of the seal before, which `check` reports.
fn write(run: &Run, bytes: &[u8], signature: &Signature) -> Result<(), Error> {
    let armored = signature.armored();
    for (name, bytes) in [(seal::NAME, bytes), (seal::SIGNATURE_NAME, armored.as_bytes())] {
        let locks = run.locks().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let written = locks.and_then(|locks| store::replace(locks, name, |out| io::Write::write_all(out, bytes)));
        written.map_err(|error| not_written(&run.shown_in_locks(name.as_bytes()), &error))?;
    }
    Ok(())
}

/// Prints what was sealed, or would be, and returns the exit code.
fn tell(common: &Common, run: &Run, seal: &Seal, signature: Option<&Signature>) -> u8 {
    let path = run.shown_in_locks(seal::NAME.as_bytes());
    let key = signature.map(Signature::claimed);
    let mut out = io::stdout().lock();
    let printed = if common.json {
        let value = serde_json::json!({
            "seal": path,
            "serial": seal.serial,
            "declaration": seal.declaration.sri(),
            "locks": seal.locks.keys().collect::<Vec<_>>(),
            "inputs": seal.inputs.keys().collect::<Vec<_>>(),
            "key": key.map(seal::PublicKey::kind),
            "fingerprint": key.map(seal::PublicKey::fingerprint),
            "dry_run": key.is_none(),
        });
        crate::report::json::write_value(&mut out, &value)
    } else if common.quiet && key.is_some() {
        Ok(())
    } else {
        let locks = crate::report::changes::counted(seal.locks.len() as u64, "lock", "locks");
        let verb = if key.is_some() { "wrote" } else { "would write" };
        let signed = key.map(|key| format!(", signed with {} {}", key.kind(), key.fingerprint())).unwrap_or_default();
        io::Write::write_all(&mut out, format!("{verb} {path}: serial {}, {locks}{signed}\n", seal.serial).as_bytes())
    };
    after_printing(0, printed)
}

/// Prints that the seal, if there is one, is out of date, after a lock was written.
pub fn tell_outdated(run: &Run) {
    let is_there = run.locks().is_some_and(|locks| locks.symlink_metadata(seal::NAME).is_ok());
    if is_there {
        complain(&outdated(&run.shown_in_locks(seal::NAME.as_bytes())));
    }
}

/// The message about a seal after a lock was written.
pub fn outdated(path: &str) -> Error {
    Error::new(
        ErrorKind::Seal,
        format!("{path} is out of date: the locks have changed"),
        "review the change, and run `driftlock seal`",
    )
}

/// Whether there is a seal in the directory of this lock.
pub fn lies_beside(lock: &Path) -> bool {
    capability::exists(&lock.with_file_name(seal::NAME))
}
