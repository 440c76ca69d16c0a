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
