//! Sending this program along, to a server that has none.
//!
//! The server runs a script of POSIX shell which takes the request from the first line of its stdin and the program from
//! all behind it. It puts the program into a private directory (`umask 077`, `mktemp -d`) of a file system that lets
//! programs run, runs it, and removes the directory however that ends. What no script survives, SIGKILL or a power cut,
//! leaves the directory behind.
//!
//! The script has no single quote, backslash, exclamation mark or line feed in it: whatever shell the user has there (sh,
//! bash, zsh, fish, csh) hands it to `sh` as it is.
//!
//! Whether a file system lets programs run is tried with an empty file, which the shell then takes for a script.

use std::io;

use data_encoding::HEXLOWER;

use crate::capability::Program;
use crate::digest::Sha256;

/// The script, with `%TOOL%`, `%TAKE%`, `%MORE%` and `%COLLECT%` where [`command`] says how it goes on, `%SIZE%` where the
/// program's size in bytes belongs, and `%SHA256%` for its digest. The command is fixed before the first server is asked, so what
/// one of them may do to this process does not send another program to the rest.
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
    [ -n \"$d\" ] || say \"there is no directory to put it where programs may run: \
XDG_RUNTIME_DIR, TMPDIR, /tmp, /var/tmp and HOME are missing, full, not writable or mounted noexec\"; \
    %TAKE% >\"$d/driftlock\" || say \"the program could not be written to $d\"; \
    [ $(wc -c <\"$d/driftlock\") -eq %SIZE% ] || say \"the program did not arrive whole\"; \
    if command -v sha256sum >/dev/null; then \
        case $(sha256sum <\"$d/driftlock\") in %SHA256%*) ;; *) say \"another program has arrived than was sent\";; esac; \
    fi; \
    chmod 700 \"$d/driftlock\"; \
    \"$d/driftlock\" --version >/dev/null 2>&1 || say \"the program does not run on this machine ($(uname -s -m))\"; \
    { printf \"%s\" \"$request\"; echo%MORE%; } | \"$d/driftlock\" %COLLECT%";

/// The command that takes a request, then this program, and runs it. Where the conversation `goes_on`, what comes behind the
/// program is for that.
///
/// # Errors
/// A program that can't be read, or not as large as it was.
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
