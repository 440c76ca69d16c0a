//! Selects the SHA-256 kernel that the environment names.

use std::os::unix::ffi::OsStrExt as _;

use driftlock_lanes::{Kernel, NoKernel};

use crate::error::{Error, ErrorKind};
use crate::path::escaped;

/// Forces a kernel, for tests and measurements.
const VARIABLE: &str = "DRIFTLOCK_SHA256_KERNEL";

/// The kernel that `DRIFTLOCK_SHA256_KERNEL` names; the fastest that this CPU has, if the variable is unset or empty.
///
/// # Errors
/// No kernel has this name, or this CPU can't run it.
pub fn sha256_kernel() -> Result<Kernel, Error> {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Ok(Kernel::detect()) };
    let name = name.as_bytes();
    Kernel::named(name).map_err(|error| {
        let problem = match error {
            NoKernel::Unknown => {
                format!(
                    "{VARIABLE} is not the name of a kernel: {}; there are {}",
                    escaped(name),
                    Kernel::NAMES.join(", ")
                )
            }
            NoKernel::Missing => format!("{VARIABLE} names a kernel that this CPU does not have: {}", escaped(name)),
        };
        let here: Vec<_> = Kernel::all().into_iter().map(Kernel::name).collect();
        Error::new(
            ErrorKind::Usage,
            problem,
            format!("unset {VARIABLE}, or set it to one that this CPU has: {}", here.join(", ")),
        )
    })
}
