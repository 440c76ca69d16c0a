//! The messages of `ssh` and of the server on stderr.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use super::cause::Cause;
use crate::declaration;
use crate::path::escaped;

/// The most bytes to keep of the start and of the end of the messages, and the most to show.
const HEAD_LIMIT: usize = 64 << 10;
const TAIL_LIMIT: usize = 16 << 10;
const SHOWN_LIMIT: usize = 600;

/// The messages of `ssh` and of the server on stderr.
#[derive(Debug)]
pub(super) struct SshStderr {
    stderr: OwnedFd,
    /// The start: `ssh` reports connection failures first.
    head: Vec<u8>,
    /// The end, after the start.
    tail: Vec<u8>,
    /// Whether something between them was dropped.
    cut: bool,
}

impl SshStderr {
    pub(super) const fn new(stderr: OwnedFd) -> Self {
        Self { stderr, head: Vec::new(), tail: Vec::new(), cut: false }
    }

    /// Reads what is available, so that `ssh` does not block.
    pub(super) fn read_available(&mut self) {
        let mut buffer = [0; 4 << 10];
        let mut heard = false;
        // Limited, so that a fast writer does not keep us from checking the time limits.
        for _ in 0..1024 {
            match rustix::io::read(&self.stderr, &mut buffer) {
                Err(Errno::INTR) => {}
                // A writer that had to wait may have more to write.
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

    /// Why the connection failed, according to all messages.
    pub(super) fn cause(&mut self) -> Cause {
        self.read_available();
        Cause::of(&self.whole())
    }

    /// The user whose login was refused, if `ssh` reports it: `ubuntu` of `ubuntu@web: Permission denied (publickey).`
    /// Validated.
    pub(super) fn refused_user(&self) -> Option<String> {
        let whole = self.whole();
        let text = String::from_utf8_lossy(&whole);
        let of_line = |line: &str| {
            let (user, _) = line.trim().split_once(": Permission denied (")?.0.rsplit_once('@')?;
            declaration::user(user).ok()
        };
        // The server's own message comes last, after those of jump hosts.
        text.lines().rev().find_map(of_line)
    }

    /// Everything that is kept. After a gap it continues with a whole line.
    fn whole(&self) -> Vec<u8> {
        let line =
            if self.cut { self.tail.iter().position(|&byte| byte == b'\n').unwrap_or(self.tail.len()) } else { 0 };
        [&*self.head, &self.tail[line..]].concat()
    }

    /// The last lines, joined and escaped.
    pub(super) fn last_lines(&mut self) -> String {
        self.read_available();
        let whole = self.whole();
        let text = String::from_utf8_lossy(&whole);
        let mut shown = String::new();
        // An `ssh` that was built without a feature complains about each of its options.
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

    fn said(text: &str) -> SshStderr {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let mut said = SshStderr::new(reader.into());
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

    /// What is shown is short, but everything is searched.
    #[test]
    fn a_flood_hides_no_changed_key() {
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n";
        let flood = "please add your host key\n".repeat(20_000);
        for text in [[changed, &flood].concat(), [&flood, changed].concat()] {
            let mut said = said(&text);
            assert!(said.head.len() == HEAD_LIMIT && said.tail.len() <= 2 * TAIL_LIMIT);
            assert_eq!(said.cause(), Cause::ChangedHostKey);
            assert!(said.last_lines().len() <= SHOWN_LIMIT);
        }
    }
}
