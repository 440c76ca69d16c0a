//! The sandbox of the real binary: what the kernel sees of a run, what the report says of it, and what becomes of a run
//! on a kernel that gives less. That each layer refuses what it should is proven in `tests/sandbox`.

mod degraded;
mod probe;
mod traced;
