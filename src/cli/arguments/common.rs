//! The arguments of all commands.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Effort;
use crate::walk::RunStart;

#[derive(Debug, Args)]
pub struct Common {
    /// The declaration [default: driftlock.toml or driftlock.json, here or in a directory above]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run only this check; may be given several times
    #[arg(long = "check", global = true, value_name = "NAME")]
    pub checks: Vec<String>,
    /// Run as this declared server: with its checks, and the roots that they have there
    #[arg(long = "as", global = true, value_name = "SERVER")]
    pub as_server: Option<String>,
    /// Print only JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only problems, and nothing on success
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colour the text
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    #[command(flatten)]
    pub effort: Effort,
    /// Refuse to run unless both Landlock and seccomp hold
    #[arg(long, global = true)]
    pub require_sandbox: bool,
    /// Report a read that gets no answer for this many seconds
    #[arg(long, global = true, hide = true, value_name = "SECONDS", default_value = "30")]
    pub stalled_after: NonZeroU32,
    /// When the run started.
    #[arg(skip)]
    pub start: RunStart,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}
