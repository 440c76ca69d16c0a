//! What `ssh` and the server say on stderr.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use super::cause::Cause;
use crate::declaration;
use crate::path::escaped;

/// The most that is kept of the beginning and of the end of what is said, in bytes, and the most that is shown.
const HEAD_LIMIT: usize = 64 << 10;
const TAIL_LIMIT: usize = 16 << 10;
const SHOWN_LIMIT: usize = 600;

/// What `ssh` and the server say on stderr.
#[derive(Debug)]
pub(super) struct Said {
    stderr: OwnedFd,
    /// The beginning of it: what `ssh` itself says of a connection that fails comes first.
    head: Vec<u8>,
    /// The end of it, after the beginning.
    tail: Vec<u8>,
    /// Whether something between the two was left out.
    cut: bool,
}

impl Said {
    pub(super) const fn new(stderr: OwnedFd) -> Self {
        Self { stderr, head: Vec::new(), tail: Vec::new(), cut: false }
    }

    /// Takes what is there, so that ssh does not wait for room to say more.
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
                    self.keep(&buffer[..read]);
                }
            }
        }
    }

    fn keep(&mut self, said: &[u8]) {
        let (head, tail) = said.split_at(said.len().min(HEAD_LIMIT - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(tail);
        if self.tail.len() > 2 * TAIL_LIMIT {
            self.tail.drain(..self.tail.len() - TAIL_LIMIT);
            self.cut = true;
        }
    }

    /// Why the connection failed, by all that was said.
    pub(super) fn cause(&mut self) -> Cause {
        self.listen();
        Cause::of(&self.whole())
    }

    /// Who the login was refused to, if `ssh` says so: `ubuntu` of `ubuntu@web: Permission denied (publickey).` Harmless.
    pub(super) fn refused_user(&self) -> Option<String> {
        let whole = self.whole();
        let text = String::from_utf8_lossy(&whole);
        let of_line = |line: &str| {
            let (user, _) = line.trim().split_once(": Permission denied (")?.0.rsplit_once('@')?;
            declaration::user(user).ok()
        };
        // The last word is that of the server itself; those of jump hosts come before.
        text.lines().rev().find_map(of_line)
    }

    /// All that is kept. After what was left out it goes on with a whole line.
    fn whole(&self) -> Vec<u8> {
        let line =
            if self.cut { self.tail.iter().position(|&byte| byte == b'\n').unwrap_or(self.tail.len()) } else { 0 };
        [&*self.head, &self.tail[line..]].concat()
    }

    /// Its last lines, in one and harmless.
    pub(super) fn shown(&mut self) -> String {
        self.listen();
        let whole = self.whole();
        let text = String::from_utf8_lossy(&whole);
        let mut shown = String::new();
        // An `ssh` that was built without something says so of each option about it.
        let says = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.contains(": Unsupported option ");
        for line in text.lines().map(str::trim).filter(says).rev() {
            let line = escaped(line.as_bytes()).to_string();
            if shown.len() + line.len() > SHOWN_LIMIT {
                break;
            }
            shown = if shown.is_empty() { line } else { format!("{line}; {shown}") };
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let mut said = Said::new(reader.into());
        text.as_bytes().chunks(1000).for_each(|chunk| said.keep(chunk));
        said
    }

    #[test]
    fn who_was_refused_is_known() {
        let of = |text: &str| said(text).refused_user();
        assert_eq!(of("hello\r\nubuntu@web: Permission denied (publickey).\r\n").as_deref(), Some("ubuntu"));
        assert_eq!(of("jump@j: Permission denied (x).\nroot@web: Permission denied (y).\n").as_deref(), Some("root"));
        for other in
            ["Permission denied", "a b@web: Permission denied (publickey).", "\u{1b}@web: Permission denied (", ""]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    /// What is shown is short, and what is looked at is not.
    #[test]
    fn a_flood_hides_no_changed_key() {
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n";
        let flood = "please add your host key\n".repeat(20_000);
        for text in [[changed, &flood].concat(), [&flood, changed].concat()] {
            let mut said = said(&text);
            assert!(said.head.len() == HEAD_LIMIT && said.tail.len() <= 2 * TAIL_LIMIT);
            assert_eq!(said.cause(), Cause::ChangedHostKey);
            assert!(said.shown().len() <= SHOWN_LIMIT);
        }
    }
}
