//! The way in which all of this process computes SHA-256.

use std::sync::OnceLock;

use driftlock_lanes::Kernel;

static CHOSEN: OnceLock<Kernel> = OnceLock::new();

/// Has everything from now on be computed by this kernel. Only the first call counts, and only before anything was computed.
pub fn choose(kernel: Kernel) {
    let _ = CHOSEN.set(kernel);
}

/// The kernel that was chosen, or the fastest that this CPU has.
#[must_use]
pub fn kernel() -> Kernel {
    *CHOSEN.get_or_init(Kernel::detect)
}
