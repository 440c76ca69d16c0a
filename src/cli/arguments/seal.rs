//! Arguments about seals.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use crate::run::sealing::SealPlan;

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

/// How the seal of the baseline is verified.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Seals")]
pub struct SealOptions {
    /// Verify the seal of the locks and the declaration: it must be signed by one of the allowed signers in this FILE,
    /// in the form of ssh-keygen [default: /etc/driftlock/allowed_signers, if it exists]
    #[arg(long, value_name = "FILE")]
    pub seal: Option<PathBuf>,
    /// Remember the newest seal in this FILE, and refuse an older one
    #[arg(long, value_name = "FILE")]
    pub seal_state: Option<PathBuf>,
    /// The declaration that was sealed, if the one of this run was generated from it; the run's own is then not verified
    #[arg(long, value_name = "FILE")]
    pub sealed_declaration: Option<PathBuf>,
}

impl SealOptions {
    /// The options as the plan of a run.
    pub fn plan(&self) -> SealPlan {
        let Self { seal, seal_state, sealed_declaration } = self.clone();
        SealPlan { signers: seal, state: seal_state, declaration: sealed_declaration }
    }
}
