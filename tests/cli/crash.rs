//! Runs that are killed, disks that are full or broken: the old lock or the new one, never half of one, never a PASS.

mod faults;
mod full_disk;
mod killed;
mod unreadable;
