//! Seals: made with real keys by real `ssh-keygen`, which is also the oracle for what is a signature.

mod checked;
mod folders;
mod killed;
mod made;
mod recorded;
mod rollback;
pub mod scene;
mod servers;
mod signers;
mod tampered;
