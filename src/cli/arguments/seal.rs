//! What is said about seals.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct SealArguments {
    /// The key to sign with: a private key, or a public key whose other half the agent has
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The serial number, instead of one more than the last; it must be higher than the last
    #[arg(long, value_name = "N")]
    pub serial: Option<NonZeroU64>,
    /// Show what would be sealed, and sign and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
