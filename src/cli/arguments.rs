//! The command line, as clap types: the source of help, completions and man pages.

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
                  driftlock check         say what has drifted since"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub struct Common {
    /// The declaration [default: driftlock.toml or driftlock.json, here or in a directory above]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go through this check only; may be given several times
    #[arg(long = "check", global = true, value_name = "NAME")]
    pub checks: Vec<String>,
    /// Take this machine for a server that is declared: the checks that are for it, with the roots that they have there
    #[arg(long = "as", global = true, value_name = "SERVER")]
    pub as_server: Option<String>,
    /// Print JSON on stdout and nothing else
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only what is wrong: nothing at all on success
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colour the text
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Threads that read and hash [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Refuse to run unless both Landlock and seccomp hold
    #[arg(long, global = true)]
    pub require_sandbox: bool,
    /// Tell of a read that gets no answer for so many seconds
    #[arg(long, global = true, hide = true, value_name = "SECONDS", default_value = "30")]
    pub stalled_after: NonZeroU32,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Servers")]
pub struct Servers {
    /// Ask this server, over SSH: a name that is declared, or a host; may be given several times
    #[arg(long = "server", value_name = "NAME|[USER@]HOST")]
    pub servers: Vec<String>,
    /// Ask the servers of this group; may be given several times, and beside --server
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Ask every server that is declared
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
    /// Send this program along, for servers that have none: it has to be a static build
    #[arg(long)]
    pub push: bool,
    /// Send the program in this file along
    #[arg(long, value_name = "FILE")]
    pub push_binary: Option<PathBuf>,
    /// Connections at once [default: 64]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Give a server up that can't be connected to in so many seconds [default: 15]
    #[arg(long, value_name = "SECONDS")]
    pub connect_timeout: Option<NonZeroU32>,
    /// Give a server up that says nothing for so many seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub idle_timeout: Option<NonZeroU32>,
    /// Give a server up that has not finished after so many seconds [default: 3600]; without one, the check itself [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<NonZeroU32>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented declaration for what is found here; never overwrites one
    #[command(after_help = "Example:\n  driftlock init && $EDITOR driftlock.toml && driftlock lock")]
    Init,
    /// Read the declared paths and write the lock files
    #[command(after_help = "Examples:\n  \
                            driftlock lock --dry-run                show what would change, write nothing\n  \
                            driftlock lock --check compose_hashes   write one lock\n  \
                            driftlock lock --all-servers            lock what servers have\n  \
                            driftlock lock --from runtime           make an export the baseline")]
    Lock {
        /// Show what would change, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Take what `driftlock export` wrote into this directory, and read nothing else
        #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers"])]
        from: Option<PathBuf>,
        #[command(flatten)]
        servers: Servers,
    },
    /// Take single drifted entries into the locks, and leave all others as they were locked
    #[command(after_help = "Examples:\n  \
                            driftlock accept                        go through them, on a terminal\n  \
                            driftlock accept infra/stacks/edge-traefik/docker-compose.yml\n  \
                            driftlock accept qr_ordering            a whole module\n  \
                            driftlock accept 'infra/stacks/*/*.yml' --dry-run\n  \
                            driftlock accept --from runtime qr_ordering")]
    Accept(AcceptArguments),
    /// Read the declared paths again and say what has drifted
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
    /// Print a report that a `check` has kept, in another form
    #[command(after_help = "Examples:\n  \
                            driftlock report\n  \
                            driftlock report --format html > driftlock.html\n  \
                            driftlock report --list /var/lib/driftlock/reports | tail -n 1\n  \
                            driftlock report --format slack audit/runtime/20260129_153042")]
    Report {
        /// The folder of a report, or its JSON [default: the latest below the declaration's `reports`]; with --list, a
        /// directory of reports
        report: Option<PathBuf>,
        /// Print the folders of all reports, the oldest first, and nothing else
        #[arg(long, conflicts_with_all = ["format", "title"])]
        list: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Compare two locks, two reports, or a lock with what is there; or print a patch
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
        /// The same, or `live`: what is there now for the check that the lock A belongs to
        #[arg(required_unless_present_any = ["servers", "groups", "all_servers", "patch"])]
        b: Option<PathBuf>,
        /// Print the contents that drifted, here or on one server, as a patch that `git apply` takes in the declaration's directory
        #[arg(long)]
        patch: bool,
        /// From what is there to what is locked: the way back
        #[arg(long, requires = "patch")]
        reverse: bool,
        /// A tree that has what is locked, in the place of the declaration's directory: another checkout, a backup
        #[arg(long, value_name = "DIR", requires = "patch")]
        reference: Option<PathBuf>,
        #[command(flatten)]
        servers: Servers,
    },
    /// Write down what is there now: locks, digests, and what container engines have
    #[command(after_help = "Example:\n  driftlock export --output runtime")]
    Export {
        /// The directory to write to; it must be empty, or not be there yet
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
                            driftlock capabilities --probe /etc/shadow   try it from inside, and fail")]
    Capabilities {
        /// Enter the sandbox of a `check` and try to open this path; exit code 0 if that is refused, 1 if it is not
        #[arg(long, value_name = "PATH")]
        probe: Option<PathBuf>,
    },
    /// Answer a request on stdin: what `--server` starts there
    #[command(after_help = "Example:\n  \
                            driftlock collect --require-sandbox --allow /srv   as the forced command of a key")]
    Collect {
        /// Open roots in this directory only; may be given several times
        #[arg(long = "allow", value_name = "DIR")]
        allowed: Vec<PathBuf>,
        /// Give the contents of files that a check covers, to `diff --server NAME --patch`
        #[arg(long)]
        contents: bool,
    },
    /// Merge locks for git, by entry
    #[command(after_help = "To set it up:\n  \
                            git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L --path %P %O %A %B'\n  \
                            echo '*.lock.json merge=driftlock' >>audit/locks/.gitattributes\n\n\
                            Example:\n  \
                            driftlock merge-driver base.lock.json ours.lock.json theirs.lock.json   writes over ours")]
    MergeDriver(MergeDriverArguments),
    /// Start connections for a `check --server`, outside of its sandbox
    #[command(hide = true, name = launcher::SUBCOMMAND)]
    Launcher {
        /// Become the command, as a child of the launcher that has this number
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
    /// The lock that both sides grew out of, empty if there was none: git's %O
    pub base: PathBuf,
    /// Our lock, which the merged one is written over: git's %A
    pub ours: PathBuf,
    /// Their lock: git's %B
    pub theirs: PathBuf,
    /// How long the marks around a conflict are: git's %L
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub marker_size: u16,
    /// What the lock is called, for messages: git's %P
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AcceptArguments {
    /// What to take: paths as `check` shows them, directories with all in them, modules and containers by their names, or
    /// globs; without any you are asked, on a terminal
    #[arg(value_name = "PATH|GLOB")]
    pub paths: Vec<std::ffi::OsString>,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take it from what `driftlock export` wrote into this directory, and read nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub from: Option<PathBuf>,
    /// A tree that has what is locked, in the place of the declaration's directory: to see a change before you take it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "groups", "all_servers", "from"])]
    pub reference: Option<PathBuf>,
    #[command(flatten)]
    pub servers: Servers,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Check this machine, which is what happens anyway; kept for the scripts that say so
    #[arg(long, conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub local: bool,
    /// Write the report's folder below this directory instead of the declaration's `reports`
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Keep no report, and write nothing: for hooks, and systems that are read-only
    #[arg(long, conflicts_with = "output")]
    pub no_report: bool,
    /// Show the lines that changed, of text files, in the report: a check needs a `reference` that has what is locked. Secrets
    /// by their names (`*.env`, `*.pem`, keys) are left out. With --server the root here is the reference, too, and the server has
    /// to give contents
    #[arg(long)]
    pub show_changes: bool,
    /// Read only what changed since the last run with this FILE, and keep in it what is known of all else. A user who can
    /// write FILE can hide drift: keep it in a directory of this user alone, and run a full check beside it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["servers", "groups", "all_servers"])]
    pub stat_cache: Option<PathBuf>,
    /// Write metrics to this FILE, whose name ends in .prom, for the textfile collector of Prometheus' node_exporter
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// How often this check is meant to run (90s, 30m, 24h, 7d), for the metrics: a run that is overdue is an alert
    #[arg(long, value_name = "DURATION", requires = "metrics", value_parser = super::metrics::duration)]
    pub every: Option<u64>,
    /// Drift is expected until this TIME (RFC 3339, such as 2026-01-29T18:00:00+09:00): it is reported as ever, and
    /// alerts hold back until then
    #[arg(long, value_name = "TIME", requires = "reason")]
    pub expect_until: Option<String>,
    /// Why drift is expected
    #[arg(long, value_name = "TEXT", requires = "expect_until")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub form: Form,
    #[command(flatten)]
    pub servers: Servers,
}

/// In which form a report is printed.
#[derive(Debug, Args)]
pub struct Form {
    /// The form of the report on stdout [default: text, or json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// What was checked, for the head of `slack` and `html`: the name of the machine, say
    #[arg(long, value_name = "TEXT", default_value = "driftlock")]
    pub title: String,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people at a terminal
    Text,
    /// All of it, for programs
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// JUnit's XML, for CI systems
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// The payload of an incoming webhook of Slack or Mattermost
    Slack,
    /// Metrics
    Prometheus,
    /// A page of its own, to attach to a ticket
    Html,
}

/// The forms in which `hash` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HashFormat {
    /// `<hex>  <path>` for every file, as sha256sum prints it
    Sha256sum,
    /// The digest of the Nix archive of each path, as `nix hash path` prints it
    Nar,
    /// The entries as a lock has them, as a JSON array
    Json,
}

/// Shells that completions can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
