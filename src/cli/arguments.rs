//! The command line, as clap types: the source of help, completions and man pages.

mod common;
mod effort;
mod seal;

pub use common::{Color, Common};
pub use effort::Effort;
pub use seal::{SealArguments, SealOptions};

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use crate::capability::launcher;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Pins the state of servers in reproducible lock files, and says exactly what has drifted.
#[derive(Debug, Parser)]
#[command(
    name = "driftlock",
    version,
    max_term_width = 100,
    after_help = "Exit codes are bits: 0 all verified; 1 drift, or a lock file is missing; 2 trouble (bad declaration or \
                  lock, something could not be read); 3 both.\n\n\
                  Examples:\n  \
                  driftlock init          write a commented driftlock.toml for what is here\n  \
                  driftlock lock          write the lock files; commit them\n  \
                  driftlock check         report what drifted since"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Servers")]
pub struct Servers {
    /// Use this server, over SSH: a declared name, or a host; may be given several times
    #[arg(long = "server", value_name = "NAME|[USER@]HOST")]
    pub servers: Vec<String>,
    /// Use the servers of this group; may be given several times, and together with --server
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Use every declared server
    #[arg(long, conflicts_with_all = ["servers", "groups"])]
    pub all_servers: bool,
    /// Log in as this user, on every server
    #[arg(long, value_name = "USER")]
    pub ssh_user: Option<String>,
    /// Log in with this private key, on every server
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// Connect to this port, on every server
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ssh_port: Option<u16>,
    /// Send this program to the servers, for servers without driftlock; it must be a static build
    #[arg(long)]
    pub push: bool,
    /// Send the program in this file to the servers
    #[arg(long, value_name = "FILE")]
    pub push_binary: Option<PathBuf>,
    /// Number of connections at once [default: 64]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Give up a server after this many seconds without a connection [default: 15]
    #[arg(long, value_name = "SECONDS")]
    pub connect_timeout: Option<NonZeroU32>,
    /// Give up a server that sends nothing for this many seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub idle_timeout: Option<NonZeroU32>,
    /// Give up a server that has not finished after this many seconds [default: 3600]; without servers, the check itself [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<NonZeroU32>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented declaration for the working directory; never overwrites one
    #[command(after_help = "Example:\n  driftlock init && $EDITOR driftlock.toml && driftlock lock")]
    Init,
    /// Read the declared paths and write the lock files
    #[command(after_help = "Examples:\n  \
                            driftlock lock --dry-run                show what would change, write nothing\n  \
                            driftlock lock --check compose_hashes   write one lock\n  \
                            driftlock lock --all-servers            lock the state of the servers\n  \
                            driftlock lock --from runtime           make an export the baseline")]
    Lock {
        /// Show what would change, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Lock what `driftlock export` wrote into this directory, and read nothing else
        #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers"])]
        from: Option<PathBuf>,
        #[command(flatten)]
        servers: Servers,
    },
    /// Take single drifted entries into the locks, and leave all other entries unchanged
    #[command(after_help = "Examples:\n  \
                            driftlock accept                        ask about each drift, on a terminal\n  \
                            driftlock accept infra/stacks/edge-traefik/docker-compose.yml\n  \
                            driftlock accept qr_ordering            a whole module\n  \
                            driftlock accept 'infra/stacks/*/*.yml' --dry-run\n  \
                            driftlock accept --from runtime qr_ordering")]
    Accept(AcceptArguments),
    /// Read the declared paths again and report what drifted
    #[command(after_help = "Examples:\n  \
                            driftlock check\n  \
                            driftlock check --config examples/odoo-stack/driftlock.toml\n  \
                            driftlock check --json | jq -r .overall\n  \
                            driftlock check --format junit > driftlock.xml\n  \
                            driftlock check --metrics /var/lib/node_exporter/driftlock.prom --every 24h\n  \
                            driftlock check --expect-until 2026-01-29T18:00:00Z --reason deploy\n  \
                            driftlock check --all-servers --jobs 16\n  \
                            driftlock check --group web --server db\n  \
                            driftlock check --quiet --require-sandbox --output /var/lib/driftlock")]
    Check(CheckArguments),
    /// Sign the locks and the declaration with an SSH key
    #[command(after_help = "Examples:\n  \
                            driftlock seal --key ~/.ssh/id_ed25519_sk       a security key: touch it when it blinks\n  \
                            driftlock seal --key ~/.ssh/id_ed25519.pub      the agent has the other half\n  \
                            driftlock seal --dry-run                        show what would be sealed, sign nothing")]
    Seal(SealArguments),
    /// Print a report that `check` wrote, in any format
    #[command(after_help = "Examples:\n  \
                            driftlock report\n  \
                            driftlock report --format html > driftlock.html\n  \
                            driftlock report --list /var/lib/driftlock/reports | tail -n 1\n  \
                            driftlock report --format slack audit/runtime/20260129_153042")]
    Report {
        /// The folder of a report, or its JSON [default: the latest below the declaration's `reports`]; with --list, a
        /// directory of reports
        report: Option<PathBuf>,
        /// Print only the folders of all reports, oldest first
        #[arg(long, conflicts_with_all = ["format", "title"])]
        list: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Compare two locks, two reports, or a lock with the live state; or print a patch
    #[command(after_help = "Examples:\n  \
                            driftlock diff old/compose_hashes.lock.json audit/locks/compose_hashes.lock.json\n  \
                            driftlock diff audit/runtime/20260129_153042 audit/runtime/20260129_154215\n  \
                            driftlock diff audit/locks/compose_hashes.lock.json live\n  \
                            driftlock diff --patch --reference ../checkout   for `git apply`\n  \
                            driftlock diff --all-servers   how two servers differ, without a lock")]
    Diff {
        /// A lock file, a report folder, or a report's JSON
        #[arg(required_unless_present_any = ["servers", "groups", "all_servers", "patch"], conflicts_with_all = ["servers", "groups", "all_servers", "patch"])]
        a: Option<PathBuf>,
        /// The same, or `live`: the live state of the check that the lock A belongs to
        #[arg(required_unless_present_any = ["servers", "groups", "all_servers", "patch"])]
        b: Option<PathBuf>,
        /// Print the lines that drifted, here or on one server, as a patch for `git apply` in the declaration's directory
        #[arg(long)]
        patch: bool,
        /// Reverse the patch: from the live state to the locked state
        #[arg(long, requires = "patch")]
        reverse: bool,
        /// A tree with the locked contents, instead of the declaration's directory: another checkout, a backup
        #[arg(long, value_name = "DIR", requires = "patch")]
        reference: Option<PathBuf>,
        #[command(flatten)]
        servers: Servers,
    },
    /// Write the live state into files: locks, digests, and what container engines have
    #[command(after_help = "Example:\n  driftlock export --output runtime")]
    Export {
        /// The directory to write to; it must be empty or must not exist
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        servers: Servers,
    },
    /// Print digests of files and trees, without a declaration
    #[command(after_help = "Examples:\n  \
                            driftlock hash /etc/hostname\n  \
                            driftlock hash --format nar odoo_modules/seisei/qr_ordering\n  \
                            driftlock hash --format json infra/stacks")]
    Hash {
        #[arg(long, value_name = "FORMAT", default_value = "sha256sum")]
        format: HashFormat,
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Print exactly what a run would read, write and be denied
    #[command(after_help = "Examples:\n  \
                            driftlock capabilities\n  \
                            driftlock capabilities --probe /etc/shadow   try to open it from inside the sandbox")]
    Capabilities {
        /// Enter the sandbox of a `check` and try to open this path; exit code 0 if this is refused, otherwise 1
        #[arg(long, value_name = "PATH")]
        probe: Option<PathBuf>,
    },
    /// Answer a request on stdin; `--server` starts this on a server
    #[command(after_help = "Example:\n  \
                            driftlock collect --require-sandbox --allow /srv   as the forced command of a key")]
    Collect {
        /// Open only roots in this directory; may be given several times
        #[arg(long = "allow", value_name = "DIR")]
        allowed: Vec<PathBuf>,
        /// Give the contents of files that a check covers to `diff --server NAME --patch`
        #[arg(long)]
        contents: bool,
    },
    /// Merge locks entry by entry, for git
    #[command(after_help = "To set it up:\n  \
                            git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L --path %P %O %A %B'\n  \
                            echo '*.lock.json merge=driftlock' >>audit/locks/.gitattributes\n\n\
                            Example:\n  \
                            driftlock merge-driver base.lock.json ours.lock.json theirs.lock.json   writes over ours")]
    MergeDriver(MergeDriverArguments),
    /// Start connections for `check --server`, outside its sandbox
    #[command(hide = true, name = launcher::SUBCOMMAND)]
    Launcher {
        /// Run the command in place of this process, a child of the launcher with this process id
        #[arg(long, requires = "command")]
        parent: Option<i32>,
        #[arg(last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Print a completion script
    #[command(
        after_help = "Example:\n  driftlock completions bash > ~/.local/share/bash-completion/completions/driftlock"
    )]
    Completions { shell: Shell },
    /// Print the man page, or write one for every command into a directory
    #[command(after_help = "Example:\n  driftlock man --output ~/.local/share/man/man1")]
    Man {
        /// Write driftlock.1, driftlock-check.1 and so on here
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct MergeDriverArguments {
    /// The common ancestor of both locks, empty if there is none: git's %O
    pub base: PathBuf,
    /// Our lock; the merged lock replaces it: git's %A
    pub ours: PathBuf,
    /// Their lock: git's %B
    pub theirs: PathBuf,
    /// The length of conflict markers: git's %L
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub marker_size: u16,
    /// The name of the lock in messages: git's %P
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AcceptArguments {
    /// What to take: paths as `check` shows them, directories with everything below them, names of modules or containers, or
    /// globs. Without any, driftlock asks you on a terminal
    #[arg(value_name = "PATH|GLOB")]
    pub paths: Vec<std::ffi::OsString>,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take the state that `driftlock export` wrote into this directory, and read nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub from: Option<PathBuf>,
    /// A tree with the locked contents, instead of the declaration's directory: to see a change before you take it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers", "from"])]
    pub reference: Option<PathBuf>,
    #[command(flatten)]
    pub servers: Servers,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Check this machine (default; accepted for compatibility)
    #[arg(long, conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub local: bool,
    /// Write the report's folder below this directory instead of the declaration's `reports`
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Write no report, and nothing else: for hooks and read-only systems
    #[arg(long, conflicts_with = "output")]
    pub no_report: bool,
    /// Show the changed lines of text files in the report. A check needs a `reference` with the locked contents. Files with
    /// names of secrets (`*.env`, `*.pem`, keys) are left out. With --server, the root here is a reference too, and the
    /// server must give contents
    #[arg(long)]
    pub show_changes: bool,
    /// Read only what changed since the last run with this FILE, which stores the rest. A user who can write FILE can hide
    /// drift: keep it in a directory that only this user can write to, and run full checks too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub stat_cache: Option<PathBuf>,
    /// Write metrics to this FILE, whose name ends in .prom, for the textfile collector of Prometheus' node_exporter
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// How often this check should run (90s, 30m, 24h, 7d), for the metrics: an alert fires if a run is overdue
    #[arg(long, value_name = "DURATION", requires = "metrics", value_parser = super::metrics::duration)]
    pub every: Option<u64>,
    /// Expect drift until this TIME (RFC 3339, such as 2026-01-29T18:00:00+09:00): it is still reported, but alerts wait
    /// until then
    #[arg(long, value_name = "TIME", requires = "reason")]
    pub expect_until: Option<String>,
    /// Why drift is expected
    #[arg(long, value_name = "TEXT", requires = "expect_until")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub seal: SealOptions,
    #[command(flatten)]
    pub form: Form,
    #[command(flatten)]
    pub servers: Servers,
}

/// How to print a report.
#[derive(Debug, Args)]
pub struct Form {
    /// The format of the report on stdout [default: text, or json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// What was checked, for the heading of `slack` and `html`: the name of the machine, for example
    #[arg(long, value_name = "TEXT", default_value = "driftlock")]
    pub title: String,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for a terminal
    Text,
    /// The whole report, for programs
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// JUnit XML, for CI systems
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// The body for an incoming webhook of Slack or Mattermost
    Slack,
    /// Metrics for Prometheus
    Prometheus,
    /// A single page, to attach to a ticket
    Html,
}

/// The output formats of `hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HashFormat {
    /// `<hex>  <path>` for every file, as sha256sum prints it
    Sha256sum,
    /// The digest of the Nix archive of each path, as `nix hash path` prints it
    Nar,
    /// The entries of a lock, as a JSON array
    Json,
}

/// Shells with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
