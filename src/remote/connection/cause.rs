//! Determines why a connection failed from the messages of `ssh`, and what to do.
//!
//! All messages are searched, not only those that are shown. Only one message leads to the advice to add a host key,
//! and it must match a whole line: an attacker who answers in place of the server can make `ssh` print arbitrary text
//! within a line.

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    RevokedHostKey,
    ChangedHostKey,
    UnknownHostKey,
    /// The host key was refused, and `ssh` does not say why.
    RefusedHostKey,
    NoCommonHostKey,
    OpenKeyFile,
    LoginRefused,
    Unresolved,
    ConnectionRefused,
    TimedOut,
    /// `sudo` or `doas` asks for a password.
    Password,
    Unknown,
}

impl Cause {
    /// Finds the cause in all messages. Worse causes come first.
    pub(super) fn of(said: &[u8]) -> Self {
        let text = String::from_utf8_lossy(said);
        let says = |words: &str| text.contains(words);
        let line = |starts: &str, ends: &str| {
            text.lines().map(str::trim).any(|line| line.starts_with(starts) && line.ends_with(ends))
        };
        let revoked = says("REVOKED HOST KEY DETECTED")
            || says("was revoked and you have requested strict checking")
            || text.lines().any(|line| line.starts_with("Host key ") && line.contains(" revoked by file "));
        let changed = says("HOST IDENTIFICATION HAS CHANGED")
            || says("POSSIBLE DNS SPOOFING DETECTED")
            || says("has changed and you have requested strict checking");
        if revoked {
            Self::RevokedHostKey
        } else if changed {
            Self::ChangedHostKey
        } else if line("No ", "and you have requested strict checking.") && says(" host key is known for ") {
            Self::UnknownHostKey
        } else if says("Host key verification failed") {
            Self::RefusedHostKey
        } else if says("no matching host key type found") {
            Self::NoCommonHostKey
        } else if says("UNPROTECTED PRIVATE KEY FILE") {
            Self::OpenKeyFile
        } else if Self::wants_password(&text) {
            Self::Password
        } else if says("Permission denied") {
            Self::LoginRefused
        } else if says("Could not resolve") {
            Self::Unresolved
        } else if says("Connection refused") {
            Self::ConnectionRefused
        } else if says("timed out") {
            Self::TimedOut
        } else {
            Self::Unknown
        }
    }

    fn wants_password(text: &str) -> bool {
        let sudo = |line: &str| line.starts_with("sudo:") && line.contains("password");
        let doas = |line: &str| line.starts_with("doas:") && (line.contains("tty") || line.contains("Authentication"));
        text.lines().map(str::trim).any(|line| sudo(line) || doas(line) || line.starts_with("[sudo] password for "))
    }

    /// The problem, if it is more specific than the failure of `ssh`.
    pub(super) const fn problem(self) -> Option<&'static str> {
        Some(match self {
            Self::RevokedHostKey => "its host key was revoked",
            Self::ChangedHostKey => "its host key has changed",
            Self::UnknownHostKey => "its host key is not known here",
            Self::RefusedHostKey => "its host key was refused",
            Self::NoCommonHostKey => "it has no host key of a type that ssh accepts",
            Self::OpenKeyFile => "other users can read the private key, so ssh does not use it",
            Self::Password => "it asks for a password, and driftlock never enters one",
            _ => return None,
        })
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::RevokedHostKey => {
                "do not connect: that key is marked as stolen or withdrawn, and what answers may be an attacker; ask the \
                 server's administrator which key it has now"
            }
            Self::ChangedHostKey => {
                "do not connect: what answers may be an attacker; ask the server's administrator whether the key was \
                 changed on purpose, and which fingerprint it has now; only if they match, remove the old key with \
                 `ssh-keygen -R HOST` and connect once by hand to add the new one"
            }
            Self::UnknownHostKey => {
                "compare the fingerprint with one you have from elsewhere first, such as what the server's own console \
                 prints for `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`; then add the key: connect once by hand \
                 with `ssh HOST`, or `ssh-keyscan HOST >>~/.ssh/known_hosts`"
            }
            Self::RefusedHostKey => {
                "run `ssh HOST` by hand, and accept no key before you have compared the fingerprint with one \
                 you have from elsewhere; a jump host needs its host key here too"
            }
            Self::NoCommonHostKey => {
                "update the server's OpenSSH, or give it an ed25519 key; see `HostKeyAlgorithms` in `ssh_config(5)`"
            }
            Self::OpenKeyFile => "make it readable only for you: `chmod 600 KEY`",
            Self::Password => {
                "let the command run without one: `NOPASSWD: /path/to/driftlock collect *` in a file below \
                 /etc/sudoers.d there, or log in as a user who needs no sudo"
            }
            Self::LoginRefused => {
                "put a public key of yours into `~/.ssh/authorized_keys` there, and name its private key with `key` or \
                 --ssh-key, unlocked or in an agent: driftlock never asks for a password"
            }
            Self::Unresolved => "correct the host's name, in the declaration or on the command line",
            Self::ConnectionRefused => "check that sshd runs there, and on which port (`port`, --ssh-port)",
            Self::TimedOut => "check that the machine is up and reachable, or allow more time with --connect-timeout",
            Self::Unknown => "run `ssh` to it by hand, and fix what it reports",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: &str = "No ED25519 host key is known for web and you have requested strict checking.\r\n\
                           Host key verification failed.\r\n";

    #[test]
    fn only_an_unknown_key_is_to_be_added() {
        assert_eq!(Cause::of(UNKNOWN.as_bytes()), Cause::UnknownHostKey);
        let all = [
            Cause::RevokedHostKey,
            Cause::ChangedHostKey,
            Cause::RefusedHostKey,
            Cause::NoCommonHostKey,
            Cause::OpenKeyFile,
            Cause::LoginRefused,
            Cause::Unresolved,
            Cause::ConnectionRefused,
            Cause::TimedOut,
            Cause::Password,
            Cause::Unknown,
        ];
        assert!(all.iter().all(|cause| !cause.help().contains("ssh-keyscan")));
        assert!(Cause::UnknownHostKey.help().starts_with("compare the fingerprint with one you have from elsewhere"));
    }

    /// Before authentication, an attacker can make `ssh` end a line with any text.
    #[test]
    fn a_stranger_does_not_choose_the_advice() {
        let forged = "Received disconnect from 203.0.113.7 port 22:2: No ED25519 host key is known for web and you have \
                      requested strict checking.\r\n";
        assert_eq!(Cause::of(forged.as_bytes()), Cause::Unknown);
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n";
        assert_eq!(Cause::of([changed, UNKNOWN].concat().as_bytes()), Cause::ChangedHostKey);
        let revoked = "@       WARNING: REVOKED HOST KEY DETECTED!               @\n";
        assert_eq!(Cause::of([changed, revoked, UNKNOWN].concat().as_bytes()), Cause::RevokedHostKey);
    }
}
