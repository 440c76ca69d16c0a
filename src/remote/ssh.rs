//! The `ssh` command for a connection. OpenSSH's configuration, agents and jump hosts work.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::declaration::Server;
use crate::shell;

/// Options of every connection, which override the user's configuration. See `ssh_config(5)`.
const OPTIONS: [&str; 15] = [
    // Never ask a question, since a run would hang: no password, no passphrase, no unknown host key.
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    // Detect a dead server after three of these.
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    // Forward nothing to the server.
    "ForwardAgent=no",
    "ForwardX11=no",
    "GSSAPIDelegateCredentials=no",
    "ClearAllForwardings=yes",
    "Tunnel=no",
    "PermitLocalCommand=no",
    // A compromised server must not add known host keys.
    "UpdateHostKeys=no",
    // Use a shared connection, but do not create one for others: it would end with this one.
    "ControlMaster=no",
    // Print errors, but no banners.
    "LogLevel=ERROR",
    // Run only our command.
    "RemoteCommand=none",
    "RequestTTY=no",
];

/// Options for newer versions; see [`NEWER`].
const NEWER_OPTIONS: [&str; 3] = [
    // Open a session, read our input, and stay in the foreground.
    "SessionType=default",
    "StdinNull=no",
    "ForkAfterAuthentication=no",
];

/// Major and minor version of OpenSSH.
pub type Version = (u32, u32);

/// The first OpenSSH with [`NEWER_OPTIONS`]; an older one fails if they are given.
const NEWER: Version = (8, 7);

/// The version in the output of `ssh -V`: `OpenSSH_9.2p1 Debian-2, …`. `None` for other programs.
#[must_use]
pub fn version(printed: &str) -> Option<Version> {
    let (_, rest) = printed.split_once("OpenSSH_")?;
    let (version, rest) = rest.split_once('.')?;
    let release = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    Some((version.rsplit('_').next()?.parse().ok()?, release.parse().ok()?))
}

/// Command-line options for all connections.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub user: Option<String>,
    /// Relative to the working directory.
    pub key: Option<PathBuf>,
    pub port: Option<u16>,
}

/// The private key for a server, if one is named. `ssh` expands a leading `~`.
#[must_use]
pub fn key(server: &Server, overrides: &Overrides, base: &Path) -> Option<PathBuf> {
    let declared =
        || server.key.as_deref().map(|key| if key.starts_with("~") { key.to_owned() } else { base.join(key) });
    overrides.key.clone().or_else(declared)
}

/// The `ssh` command line that runs `remote` on a server. `base` is the declaration's directory, `version` the version
/// of `ssh`, if known.
#[must_use]
pub fn command(
    server: &Server,
    overrides: &Overrides,
    base: &Path,
    connect: Duration,
    version: Option<Version>,
    remote: &str,
) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec!["ssh".into(), "-T".into()];
    let mut option = |option: String| command.extend(["-o".into(), option.into()]);
    OPTIONS.into_iter().for_each(|text| option(text.to_owned()));
    if version.is_some_and(|version| version >= NEWER) {
        NEWER_OPTIONS.into_iter().for_each(|text| option(text.to_owned()));
    }
    option(format!("ConnectTimeout={}", connect.as_secs().max(1)));
    if let Some(key) = key(server, overrides, base) {
        // Offer only this key: servers disconnect after too many failed keys.
        command.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.into()]);
    }
    if let Some(port) = overrides.port.or(server.port) {
        command.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = overrides.user.as_ref().or(server.user.as_ref()) {
        command.extend(["-l".into(), user.into()]);
    }
    command.extend(["--".into(), (&server.host).into(), remote.into()]);
    command
}

/// The start of a command line for people to run something on a server.
#[must_use]
pub fn typed(server: &Server, overrides: &Overrides, base: &Path) -> String {
    let mut line = "ssh".to_owned();
    if let Some(key) = key(server, overrides, base) {
        // The shell must expand `~`.
        let key = match key.strip_prefix("~") {
            Ok(below) => format!("~/{}", shell::word(below.as_os_str().as_encoded_bytes())),
            Err(_) => shell::word(key.as_os_str().as_encoded_bytes()),
        };
        line.push_str(&format!(" -i {key}"));
    }
    if let Some(port) = overrides.port.or(server.port) {
        line.push_str(&format!(" -p {port}"));
    }
    let user = overrides.user.as_ref().or(server.user.as_ref()).map(|user| format!("{user}@")).unwrap_or_default();
    format!("{line} {}", shell::word(format!("{user}{}", server.host).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            name: "web".to_owned(),
            host: "web.example.org".to_owned(),
            user: Some("deploy".to_owned()),
            key: Some("keys/web".into()),
            port: Some(2222),
            checks: None,
            group_checks: Vec::new(),
            roots: std::collections::BTreeMap::new(),
        }
    }

    fn tail(server: &Server, overrides: &Overrides) -> String {
        let connect = Duration::from_secs(7);
        let command = command(server, overrides, Path::new("/repo"), connect, Some((8, 6)), "driftlock collect");
        let command: Vec<_> = command.iter().map(|argument| argument.to_str().unwrap()).collect();
        let (start, rest) = command.split_at(2 + 2 * OPTIONS.len());
        assert_eq!(start[..4], ["ssh", "-T", "-o", "BatchMode=yes"]);
        rest.join(" ")
    }

    #[test]
    fn the_declaration_says_how_and_the_command_line_better() {
        let end = "-p 2222 -l deploy -- web.example.org driftlock collect";
        let key = "-o ConnectTimeout=7 -o IdentitiesOnly=yes -i";
        assert_eq!(tail(&server(), &Overrides::default()), format!("{key} /repo/keys/web {end}"));
        let home = Server { key: Some("~/.ssh/web".into()), ..server() };
        assert_eq!(tail(&home, &Overrides::default()), format!("{key} ~/.ssh/web {end}"));
        let overrides = Overrides { user: Some("root".to_owned()), key: Some("k".into()), port: Some(22) };
        assert_eq!(tail(&server(), &overrides), format!("{key} k -p 22 -l root -- web.example.org driftlock collect"));
        let plain = Server { user: None, key: None, port: None, ..server() };
        let plain = tail(&plain, &Overrides::default());
        assert_eq!(plain, "-o ConnectTimeout=7 -- web.example.org driftlock collect");
    }

    #[test]
    fn an_older_ssh_is_given_what_it_knows() {
        for (printed, expected) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19 27 Jan 2026", Some((9, 2))),
            ("OpenSSH_10.0p2, LibreSSL 4.1.0", Some((10, 0))),
            ("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", Some((8, 1))),
            ("OpenSSH_8.6p1", Some((8, 6))),
            ("Dropbear v2022.83", None),
            ("", None),
        ] {
            assert_eq!(version(printed), expected, "{printed}");
        }
        let options = |version| {
            let server = Server { user: None, key: None, port: None, ..server() };
            command(&server, &Overrides::default(), Path::new("/"), Duration::from_secs(7), version, "x").len()
        };
        assert_eq!(options(None), options(Some((8, 6))));
        assert_eq!(options(Some((8, 7))), options(None) + 2 * NEWER_OPTIONS.len());
        assert_eq!(options(Some((10, 0))), options(Some((8, 7))));
    }
}
