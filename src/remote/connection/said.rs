//! What `ssh` and the server say on stderr, and what to do about it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use crate::path::escaped;

/// The most that is kept of what `ssh` and the server say on stderr, in bytes, and the most that is shown of it.
const STDERR_LIMIT: usize = 16 << 10;
const STDERR_SHOWN: usize = 600;

/// What `ssh` and the server say on stderr.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) stderr: OwnedFd,
    /// The end of it.
    pub(super) tail: Vec<u8>,
}

impl Said {
    /// Takes what is there, so that nobody waits for room to say more.
    pub(super) fn listen(&mut self) {
        let mut buffer = [0; 4 << 10];
        let mut heard = false;
        // Not for ever: a pipe that is filled as fast as it is read must not keep us from the clocks.
        for _ in 0..1024 {
            match rustix::io::read(&self.stderr, &mut buffer) {
                Err(Errno::INTR) => {}
                // Who has said so much that it had to wait may have more to say.
                Err(Errno::AGAIN) if std::mem::take(&mut heard) => std::thread::sleep(Duration::from_millis(1)),
                Err(_) | Ok(0) => break,
                Ok(read) => {
                    heard |= read == buffer.len();
                    self.tail.extend_from_slice(&buffer[..read]);
                    if self.tail.len() > 2 * STDERR_LIMIT {
                        self.tail.drain(..self.tail.len() - STDERR_LIMIT);
                    }
                }
            }
        }
    }

    /// Its last lines, in one and harmless.
    pub(super) fn shown(mut self) -> String {
        self.listen();
        let text = String::from_utf8_lossy(&self.tail);
        let mut shown = String::new();
        // An `ssh` that was built without something says so of each option about it.
        let says = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.contains(": Unsupported option ");
        for line in text.lines().map(str::trim).filter(says).rev() {
            let line = escaped(line.as_bytes()).to_string();
            if shown.len() + line.len() > STDERR_SHOWN {
                break;
            }
            shown = if shown.is_empty() { line } else { format!("{line}; {shown}") };
        }
        shown
    }
}

/// What to do about what `ssh` says.
pub(super) fn advice(said: &str) -> &'static str {
    const ADVICE: [(&str, &str); 7] = [
        (
            "IDENTIFICATION HAS CHANGED",
            "someone may be in between: ask the server's administrator for its host key; if it was changed on purpose, \
             remove the old one with `ssh-keygen -R HOST`, and add the new one",
        ),
        (
            "host key",
            "add its host key: connect once by hand with `ssh HOST`, or `ssh-keyscan HOST >>~/.ssh/known_hosts`, and \
             compare the fingerprint with what the server's own console prints for `ssh-keygen -lf \
             /etc/ssh/ssh_host_ed25519_key.pub`",
        ),
        (
            "Host key verification failed",
            "add its host key: connect once by hand with `ssh HOST`, and compare the fingerprint with the server's own",
        ),
        (
            "Permission denied",
            "put a public key of yours into `~/.ssh/authorized_keys` there, and name its private key with `key` or \
             --ssh-key, unlocked or in an agent: nobody is asked for a password",
        ),
        ("Could not resolve", "correct the host's name, in the declaration or on the command line"),
        ("refused", "see whether sshd runs there, and on which `port`"),
        ("timed out", "see whether the machine is up and reachable, or give it longer with --connect-timeout"),
    ];
    let found = ADVICE.into_iter().find(|(words, _)| said.contains(words));
    found.map_or("try `ssh` to it by hand, and mend what it says", |(_, advice)| advice)
}
