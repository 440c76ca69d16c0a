//! `ssh-keygen -Y sign`, started by the launcher outside the sandbox.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::capability::launcher::{self, Asking, Ended, Launcher, Streams};
use crate::capability::shown;
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::seal::{NAMESPACE, SIGNATURE_LIMIT, Signature};

/// After this time, a message says what driftlock is waiting for.
const WORTH_A_WORD: Duration = Duration::from_secs(2);
/// The most bytes of `ssh-keygen`'s stderr to keep.
const SAID_LIMIT: usize = 16 << 10;

/// Everything that is needed to sign.
pub struct Signing {
    launcher: Launcher,
    streams: Streams,
    key: String,
}

impl Signing {
    /// Starts the launcher, before the sandbox is entered. `ssh-keygen` is not started yet.
    ///
    /// # Errors
    /// The launcher can't be started.
    pub fn prepare(key: &Path) -> Result<Self, Error> {
        let mut file = OsString::new();
        if key.as_os_str().as_encoded_bytes().starts_with(b"-") {
            file.push("./");
        }
        file.push(key);
        let mut command: Vec<OsString> = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f"].map(Into::into).into();
        command.push(file);
        let (launcher, streams) = launcher::start(&[command], Asking::InAWindow)?;
        let [streams] = <[Streams; 1]>::try_from(streams).map_err(|_| {
            Error::new(ErrorKind::Seal, "the launcher got a wrong number of commands", "report this as a bug")
        })?;
        Ok(Self { launcher, streams, key: shown(key) })
    }

    /// Signs a message with `ssh-keygen`, and verifies the signature.
    ///
    /// # Errors
    /// `ssh-keygen` can't be started or can't sign, or the key can't sign seals.
    pub fn sign(self, message: &[u8], quiet: bool) -> Result<Signature, Error> {
        let Self { launcher, streams, key } = self;
        let (armored, said, ended) = converse(&launcher, streams, message, quiet).map_err(|error| {
            Error::new(
                ErrorKind::Seal,
                format!("the launcher, which starts ssh-keygen, is gone: {error}"),
                "run it again; if this repeats, look in the system log for what ended it",
            )
        })?;
        launcher.quit();
        let because = |problem: &str| if said.is_empty() { problem.to_owned() } else { format!("{problem}: {said}") };
        match ended {
            Ended::Code(0) => {}
            Ended::NotStarted(errno) => {
                let problem = format!("ssh-keygen could not be started: {errno}");
                return Err(Error::new(ErrorKind::Seal, problem, "install OpenSSH's client, on PATH"));
            }
            Ended::Code(_) | Ended::BySignal => {
                return Err(Error::new(
                    ErrorKind::Seal,
                    because(&format!("ssh-keygen did not sign with {key}")),
                    "check that the file is there and readable; if it has a passphrase, add it to the agent first \
                     (`ssh-add`); touch a security key when it blinks",
                ));
            }
        }
        let signature = Signature::parse(&armored);
        // This only makes sure that `check` can verify the signature. It does not trust the key.
        let verified = signature.and_then(|signature| {
            let claimed = signature.claimed().clone();
            signature.verify(&claimed, message).map(|()| signature)
        });
        verified.map_err(|error| {
            Error::new(
                ErrorKind::Seal,
                format!("ssh-keygen's signature with {key} can't be used for a seal: {error}"),
                "use a key of type ed25519, ed25519-sk, ecdsa or ecdsa-sk (256 bits), made without `no-touch-required`",
            )
        })
    }
}

/// Sends the message. Returns the signature, the text on stderr, and how the program ended.
fn converse(
    launcher: &Launcher,
    streams: Streams,
    message: &[u8],
    quiet: bool,
) -> io::Result<(Vec<u8>, String, Ended)> {
    let Streams { stdin, stdout, stderr } = streams;
    launcher.launch(0)?;
    let started = Instant::now();
    let mut ended = None;
    let mut stdin = Some(stdin);
    let mut left = message;
    let mut armored = Vec::new();
    let mut said = Vec::new();
    let mut is_at_end = false;
    let mut told = quiet;
    let mut buffer = [0; 4096];
    while !(is_at_end && ended.is_some()) {
        if let Some(input) = &stdin {
            match rustix::io::write(input, left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // The program has ended. Its stderr says why.
                Err(_) => left = &[],
            }
            if left.is_empty() {
                // Closing the stream ends the message.
                stdin = None;
            }
        }
        if stdin.is_none() && !is_at_end {
            match rustix::io::read(&stdout, &mut buffer) {
                Ok(0) => is_at_end = true,
                Ok(1..) if armored.len() as u64 > SIGNATURE_LIMIT => {}
                Ok(read) => armored.extend_from_slice(&buffer[..read]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => is_at_end = true,
            }
        }
        listen(stderr.as_fd(), &mut said);
        if ended.is_none()
            && let Some((_, how)) = launcher.ended()?
        {
            ended = Some(how);
            // If the program did not start, its output has no end.
            is_at_end |= matches!(how, Ended::NotStarted(_));
        }
        if !told && started.elapsed() > WORTH_A_WORD {
            told = true;
            let _ = writeln!(io::stderr(), "driftlock: waiting for ssh-keygen; if the key is a security key, touch it");
        }
    }
    listen(stderr.as_fd(), &mut said);
    Ok((armored, sentence(&said), ended.unwrap_or(Ended::BySignal)))
}

/// Reads the available bytes of stderr.
fn listen(stderr: std::os::fd::BorrowedFd<'_>, said: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    // A program that writes without end must not block this loop.
    for _ in 0..64 {
        let Ok(read @ 1..) = rustix::io::read(stderr, &mut buffer) else { break };
        if said.len() < SAID_LIMIT {
            said.extend_from_slice(&buffer[..read]);
        }
    }
}

/// The text on stderr in one line, escaped.
fn sentence(said: &[u8]) -> String {
    let lines = said.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).map(|line| escaped(line).to_string()).collect();
    lines.join("; ")
}
