//! What this machine lets a test do, with what only these tests have the means to try.

#[path = "../machine/mod.rs"]
mod any;

use std::sync::OnceLock;

pub use any::*;

use crate::containers::engines::Engine;
use crate::servers::site::{Far, Site};

/// Docker's engine, which starts.
pub fn docker() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        ["docker", "dockerd", "busybox", "tar"].into_iter().try_for_each(program)?;
        root()?;
        Engine::docker().map(drop).map_err(|why| format!("dockerd does not start: {why}"))
    };
    TRIED.get_or_init(attempt).clone()
}

/// Podman, whose service starts.
pub fn podman() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        ["podman", "busybox", "tar"].into_iter().try_for_each(program)?;
        root()?;
        Engine::podman().map(drop).map_err(|why| format!("podman does not start: {why}"))
    };
    TRIED.get_or_init(attempt).clone()
}

/// OpenSSH, whose sshd lets the user of the tests in.
pub fn sshd() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        ["ssh", "ssh-keygen", "sshd"].into_iter().try_for_each(program)?;
        let directory = std::path::Path::new("/run/sshd");
        if rustix::process::geteuid().is_root() {
            // Where sshd locks its unprivileged half in.
            std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        // A site panics with what sshd said.
        let login = || Site::new(&[("here", Far::Driftlock)]).login("here");
        match std::panic::catch_unwind(login) {
            Ok(login) => login.map_err(|why| format!("sshd refuses every login: {why}")),
            Err(panic) => {
                Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "sshd does not start".to_owned()))
            }
        }
    };
    TRIED.get_or_init(attempt).clone()
}
