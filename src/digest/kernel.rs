//! Selects how this process computes SHA-256.

use std::sync::OnceLock;

use driftlock_lanes::Kernel;

static CHOSEN: OnceLock<Kernel> = OnceLock::new();

/// Selects the kernel for all later computations. Only the first call has an effect, and only before anything was
/// computed.
pub fn choose(kernel: Kernel) {
    let _ = CHOSEN.set(kernel);
}

/// The selected kernel, or the fastest that this CPU has.
#[must_use]
pub fn kernel() -> Kernel {
    *CHOSEN.get_or_init(Kernel::detect)
}
