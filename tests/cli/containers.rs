//! Container engines: real ones that each test starts for itself, and one that lies.

mod archives;
mod coming;
pub mod compose;
mod declared;
pub mod engines;
mod export;
pub mod fake;
mod hostile;
mod locks;
mod picked;
mod real;
pub mod recorded;
mod security;
mod single;

use crate::harness::World;

/// The lock of the check `tree` is one to the reader that shares no code with ours.
fn verified(world: &World) {
    let mut verifier = std::process::Command::new("python3");
    verifier.args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/verify.py"), "locks/tree.lock.json"]);
    world.command(verifier).code(0);
}
