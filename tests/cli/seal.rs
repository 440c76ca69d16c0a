//! Seals: made with real keys by real `ssh-keygen`, which is also the oracle for what is a signature.

mod made;
mod scene;
