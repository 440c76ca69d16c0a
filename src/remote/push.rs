//! Sends this program to a server that has no driftlock.
//!
//! The server runs a POSIX shell script. It reads the request from the first line of stdin, and the program from the
//! rest. It writes the program into a private directory (`umask 077`, `mktemp -d`) on a file system that allows
//! execution, runs it, and removes the directory in any case, except after SIGKILL or a power failure.
//!
//! The script contains no single quote, backslash, exclamation mark or line feed, so that every login shell (sh, bash,
//! zsh, fish, csh) passes it to `sh` unchanged.
//!
//! An empty file, which the shell runs as a script, shows whether a file system allows execution.

use std::io;

use data_encoding::HEXLOWER;

use crate::capability::Program;
use crate::digest::Sha256;

/// The script, with `%TOOL%`, `%TAKE%`, `%MORE%` and `%COLLECT%`, which depend on whether a second request may follow,
/// and with `%SIZE%` and `%SHA256%` for the program. The command is fixed before the first conversation, so no server
/// can change which program the others get.
const SCRIPT: &str = "umask 077; \
    say() { echo \"driftlock --push: $1\" >&2; exit 2; }; \
    for tool in cat chmod%TOOL% mktemp rm wc; do command -v $tool >/dev/null || say \"it has no $tool\"; done; \
    IFS= read -r request || say \"the request did not arrive\"; \
    d=; \
    clean() { [ -z \"$d\" ] || rm -rf \"$d\"; }; \
    trap clean EXIT; trap \"exit 2\" HUP INT TERM PIPE; \
    for at in \"$XDG_RUNTIME_DIR\" \"$TMPDIR\" /tmp /var/tmp \"$HOME\"; do \
        [ -n \"$at\" ] || continue; \
        d=$(mktemp -d \"$at/.driftlock-push.XXXXXXXXXX\" 2>/dev/null) || { d=; continue; }; \
        { : >\"$d/try\" && chmod 700 \"$d/try\" && \"$d/try\"; } 2>/dev/null && break; \
        rm -rf \"$d\"; d=; \
    done; \
    [ -n \"$d\" ] || say \"there is no directory for the program: \
XDG_RUNTIME_DIR, TMPDIR, /tmp, /var/tmp and HOME are missing, full, not writable or mounted noexec\"; \
    %TAKE% >\"$d/driftlock\" || say \"the program could not be written to $d\"; \
    [ $(wc -c <\"$d/driftlock\") -eq %SIZE% ] || say \"the program arrived incomplete\"; \
    if command -v sha256sum >/dev/null; then \
        case $(sha256sum <\"$d/driftlock\") in %SHA256%*) ;; *) say \"the program that arrived is not the one that was sent\";; esac; \
    fi; \
    chmod 700 \"$d/driftlock\"; \
    \"$d/driftlock\" --version >/dev/null 2>&1 || say \"the program does not run on this machine ($(uname -s -m))\"; \
    { printf \"%s\" \"$request\"; echo%MORE%; } | \"$d/driftlock\" %COLLECT%";

/// The command that reads a request, then this program, and runs it. With `goes_on`, the rest of the input is a second
/// request.
///
/// # Errors
/// The program can't be read, or its size has changed.
pub fn command(program: &Program, goes_on: bool) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    while at < program.size {
        let read = program.read_at(&mut buffer, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    let digest = HEXLOWER.encode(&hasher.finish().0);
    let [tool, take, more, collect] =
        if goes_on { [" head", "head -c %SIZE%", "; cat", "collect --contents"] } else { ["", "cat", "", "collect"] };
    let script =
        SCRIPT.replace("%TOOL%", tool).replace("%TAKE%", take).replace("%MORE%", more).replace("%COLLECT%", collect);
    Ok(format!("exec sh -c '{}'", script.replace("%SIZE%", &program.size.to_string()).replace("%SHA256%", &digest)))
}
