//! The errors of a declaration, and what to write instead.

use std::fmt;

use super::Format;
use crate::manifest::Spoiled;
use crate::path::escaped;

/// The most declared names that a message lists.
const MOST_NAMES: usize = 20;

/// The first error of a declaration: where it is, what it is, and what to write instead, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}{}", self.location(), self.help())]
pub struct DeclarationError {
    /// The declaration's name, as given.
    pub file: String,
    /// Remedies use the declaration's format.
    pub format: Format,
    /// From 1; `None` for an error about the whole file.
    pub line: Option<usize>,
    /// From 1, in characters; only for errors without a key.
    pub column: Option<usize>,
    /// Dotted, with names quoted where TOML requires it.
    pub key: Option<String>,
    pub problem: Box<Problem>,
}

/// What is wrong. Values are as they are in the file; messages escape them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("byte {offset} is not UTF-8")]
    NotUtf8 { offset: usize },
    #[error("the file is UTF-16")]
    Utf16,
    #[error("the file starts with a byte order mark (EF BB BF)")]
    ByteOrderMark,
    #[error("{0}")]
    Spoiled(Spoiled),
    #[error("a typographic quote, `{quote}`, which TOML and JSON do not accept as a quote")]
    TypographicQuote { quote: char },
    #[error("the file is empty")]
    Empty,
    #[error("{}", excerpt(.message))]
    Syntax { message: String },
    /// `kind = files`
    #[error("`{}` is not a value: a string needs quotes", excerpt(.word))]
    Unquoted { word: String },
    #[error("nested too deeply")]
    TooDeep,
    #[error("duplicate key{}", first_on(*.first))]
    DuplicateKey { first: Option<usize> },
    #[error("two checks have this name{}", first_on(*.first))]
    DuplicateCheck { first: Option<usize> },
    #[error("no checks are declared")]
    NoChecks,
    #[error("unknown key")]
    UnknownKey { nearest: Option<&'static str>, known: &'static [&'static str] },
    /// `[check.a.b]`: a table `b` in the check `a`.
    #[error("unknown key, or a {table} name with an unquoted dot")]
    UnquotedDot { table: &'static str, name: String },
    #[error("missing")]
    Missing { example: &'static str },
    #[error("must be {expected}, not {found}")]
    WrongType { expected: &'static str, found: &'static str, example: &'static str },
    /// `[[check]]`, or a check's keys directly in `[check]`.
    #[error("must be a table, not {found}")]
    NotATable { found: &'static str },
    #[error("empty string")]
    EmptyString,
    #[error("contains a NUL character, which paths and names can't have")]
    Nul,
    #[error("`{}` is not a valid {what} name", excerpt(.name))]
    Name { what: &'static str, name: String },
    #[error("`{}` is not a valid host", excerpt(.host))]
    Host { host: String },
    #[error("{}", excerpt(&format!("`{host}` includes the port {port}")))]
    HostWithPort { host: String, port: String },
    #[error("`{}` is not a valid user name", excerpt(.user))]
    User { user: String },
    #[error("{number} is not a port number")]
    Port { number: i64 },
    #[error("can't keep {number} reports: the newest one is always kept")]
    KeepsNothing { number: i64 },
    #[error("`{}` is relative, but a path on a server must be absolute", excerpt(.path))]
    NotAbsolute { path: String },
    #[error("no check has this name")]
    NoSuchCheck { checks: Vec<String> },
    #[error("there is no {what} named `{}`", excerpt(.name))]
    NotDeclared { what: &'static str, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("the `modes` of the check `{}` do not include `server`", excerpt(.check))]
    NotForServers { check: String },
    #[error("a check with `lock_per_server` applies only to servers")]
    LocalLockPerServer,
    #[error("the folder for the locks of `{}` would have the same name as the lock of check `{}`", excerpt(.server), excerpt(.check))]
    ServerIsALock { server: String, check: String },
    #[error("empty: nothing would be checked")]
    EmptyChecks,
    #[error("empty: a group without servers")]
    EmptyGroup,
    #[error("`{name}` is a reserved name in reports")]
    ReservedName { name: &'static str },
    #[error("unknown {what} `{}`", excerpt(.value))]
    UnknownWord { what: &'static str, value: String, nearest: Option<&'static str>, known: &'static [&'static str] },
    #[error("`{kind}` has no key `{}`, which is a key of `{other}`", excerpt(.key))]
    KeyOfOtherKind { key: String, kind: &'static str, other: &'static str, known: &'static [&'static str] },
    #[error("empty: it would select no containers")]
    EmptyContainers,
    #[error("empty: it would not filter anything")]
    EmptyLabels,
    #[error("`{}` is not a valid container name", excerpt(.name))]
    ContainerName { name: String },
    #[error("`{}` is not an absolute path without `.` and `..`", excerpt(.root))]
    ContainerRoot { root: String },
    /// `path`: the path in `unix://…`; `None` for other addresses.
    #[error("an address instead of the path of a UNIX socket")]
    SocketScheme { path: Option<String> },
    #[error("longer than {} bytes, the limit for the path of a socket", super::engine::LONGEST_SOCKET)]
    SocketTooLong,
    #[error("`trees` has no key `include`: it records everything below its root")]
    IncludeOnTrees,
    #[error("empty: it would select nothing")]
    EmptyInclude,
    #[error("empty: the check would never run")]
    EmptyModes,
    #[error("`{}` is listed twice", excerpt(.value))]
    ListedTwice { value: String },
    /// `below`: the rest after the root, if the glob starts with it.
    #[error("glob `{}` is absolute", excerpt(.glob))]
    GlobAbsolute { glob: String, below: Option<String> },
    #[error("glob `{}` has `**` within a name, where it means the same as `*`", excerpt(.glob))]
    GlobStars { glob: String, instead: String },
    #[error("glob `{}` starts with `!`, but globs can't be negated", excerpt(.glob))]
    GlobNegated { glob: String },
    #[error("glob `{}` contains `{name}`, which no path below a root does", excerpt(.glob))]
    GlobDots { glob: String, name: &'static str },
    #[error("glob `{}` contains an empty name (`//`, or a trailing `/`)", excerpt(.glob))]
    GlobEmptyName { glob: String },
    #[error("glob `{}` is malformed: {}", excerpt(.glob), excerpt(.reason))]
    GlobMalformed { glob: String, reason: String },
    #[error("glob `{}` has a non-ASCII character between brackets, which would never match", excerpt(.glob))]
    GlobClass { glob: String },
    #[error("glob `{}` has too many bytes, slashes or braces", excerpt(.glob))]
    GlobTooLarge { glob: String },
    #[error("the globs of all checks together have more than {most} bytes")]
    GlobsTooLarge { most: usize },
    #[error("`{}` is not a valid name for a lock file: {reason}", excerpt(.lock))]
    LockName { lock: String, reason: &'static str },
    #[error("`{}` has the sha256sum format, which does not support {what}", excerpt(.lock))]
    TextLock { lock: String, what: &'static str },
    #[error("lock file `{}` is already used by check `{}`{}", excerpt(.lock), excerpt(.check), on(*.line))]
    LockTaken { lock: String, check: String, line: usize },
}

impl DeclarationError {
    fn location(&self) -> ErrorLocation<'_> {
        ErrorLocation(self)
    }

    /// What to write instead, after a semicolon; empty if the problem already says it.
    fn help(&self) -> String {
        let help = self.problem.help(self.format, self.key.as_deref().unwrap_or_default());
        if help.is_empty() { help } else { format!("; {help}") }
    }
}

/// `driftlock.toml:7:1: check.a.kind`, as far as known.
struct ErrorLocation<'a>(&'a DeclarationError);

impl fmt::Display for ErrorLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.0;
        escaped(error.file.as_bytes()).fmt(f)?;
        if let Some(line) = error.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = error.column {
            write!(f, ":{column}")?;
        }
        if let Some(key) = &error.key {
            write!(f, ": {key}")?;
        }
        Ok(())
    }
}

impl Problem {
    fn help(&self, format: Format, key: &str) -> String {
        let last = key.rsplit('.').next().unwrap_or_default();
        match self {
            Self::NotUtf8 { .. } | Self::Utf16 => "save it as UTF-8".to_owned(),
            Self::Spoiled(spoiled) => spoiled.help().to_owned(),
            Self::TypographicQuote { .. } => "use plain quotes, `\"`".to_owned(),
            Self::ByteOrderMark => "save it as UTF-8 without it".to_owned(),
            Self::Empty | Self::NoChecks => {
                format!("write {}, or run `driftlock init` for an example", a_check(format))
            }
            Self::Syntax { .. } => String::new(),
            Self::Unquoted { word } => format!("write `\"{}\"`", excerpt(word)),
            Self::TooDeep => match format {
                Format::Toml => "write each check as its own table, `[check.NAME]`, with plain keys".to_owned(),
                Format::Json => "a declaration is an object of checks, which are objects".to_owned(),
            },
            Self::DuplicateKey { .. } => "keep one of the two".to_owned(),
            Self::DuplicateCheck { .. } => "give one of them another name".to_owned(),
            Self::UnknownKey { nearest, known } | Self::UnknownWord { nearest, known, .. } => instead(*nearest, known),
            Self::UnquotedDot { table, name } => match format {
                Format::Toml => format!("write `[{table}.\"{}\"]`", excerpt(name)),
                Format::Json => format!("write a {table} named `{}`", excerpt(name)),
            },
            Self::Missing { example } | Self::WrongType { example, .. } => {
                format!("write `{}`", setting(format, last, example))
            }
            Self::NotATable { .. } if last == "roots" && key.starts_with("server.") => {
                format!("write `{}`", setting(format, "roots", a_root(format)))
            }
            Self::NotATable { .. } if key == "server" || key.starts_with("server.") => {
                format!("write {}", a_server(format))
            }
            Self::NotATable { .. } if key == "group" || key.starts_with("group.") => {
                format!("write {}", a_group(format))
            }
            Self::NotATable { .. } => format!("write {}", a_check(format)),
            Self::EmptyString => "write a value, or remove the key".to_owned(),
            Self::Nul => "remove it".to_owned(),
            Self::Name { .. } => "use 1 to 100 characters of `A-Z a-z 0-9 _ . -`, the first a letter or a digit".to_owned(),
            Self::Host { .. } => {
                "write a name, an address, or an alias from `~/.ssh/config`, without user and port".to_owned()
            }
            Self::HostWithPort { host, port } => {
                format!(
                    "write `{}` and `{}`",
                    setting(format, "host", &format!("\"{}\"", excerpt(host))),
                    setting(format, "port", &excerpt(port))
                )
            }
            Self::User { .. } => "write the name of a user on the server".to_owned(),
            Self::Port { .. } => "write a number from 1 to 65535".to_owned(),
            Self::KeepsNothing { .. } => "write a number of at least 1, or remove the key to keep all reports".to_owned(),
            Self::NotAbsolute { path } => format!("write an absolute path, such as `/srv/{}`", excerpt(path)),
            Self::NoSuchCheck { checks } => {
                let checks: Vec<_> = checks.iter().map(String::as_str).collect();
                instead(None, &checks)
            }
            Self::NotDeclared { what: "server", known, .. } if known.is_empty() => {
                format!("declare it: {}", a_server(format))
            }
            Self::NotDeclared { nearest, known, .. } => {
                let known: Vec<_> = known.iter().take(MOST_NAMES).map(String::as_str).collect();
                instead(nearest.as_deref(), &known)
            }
            Self::NotForServers { .. } => {
                format!("remove it, or write `{}` in the check", setting(format, "modes", "[\"local\", \"server\"]"))
            }
            Self::LocalLockPerServer => "write only `server`, or remove `modes`".to_owned(),
            Self::ServerIsALock { .. } => "give the server another name".to_owned(),
            Self::EmptyChecks => "name checks, or remove `checks` for all of them".to_owned(),
            Self::EmptyGroup => "name servers, or remove the group".to_owned(),
            Self::ReservedName { .. } => "give the check another name".to_owned(),
            Self::KeyOfOtherKind { known, .. } => format!("remove it, or {}", instead(None, known)),
            Self::EmptyContainers => "name containers, or remove `containers` for all of them".to_owned(),
            Self::EmptyLabels => format!(
                "write `{}`, or remove `labels`",
                match format {
                    Format::Toml => "labels = { \"com.docker.compose.project\" = \"shop\" }",
                    Format::Json => "\"labels\": {\"com.docker.compose.project\": \"shop\"}",
                }
            ),
            Self::ContainerName { name } => match name.strip_prefix('/') {
                Some(name) if super::engine::is_container_name(name) => format!("write `{name}`"),
                _ => "write the name that `docker ps` shows: `A-Z a-z 0-9 _ . -`, the first a letter or a digit".to_owned(),
            },
            Self::ContainerRoot { .. } => format!("write a path such as `{}`", setting(format, "root", "\"/etc/nginx\"")),
            Self::SocketScheme { path: Some(path) } => format!("write `{}`", excerpt(path)),
            Self::SocketScheme { path: None } => {
                "write the path of the engine's socket, and run driftlock on the engine's machine: it opens no network connections".to_owned()
            }
            Self::SocketTooLong => "use a shorter path: a relative one, or a link".to_owned(),
            Self::IncludeOnTrees => "remove `include`, and list what to leave out in `exclude`".to_owned(),
            Self::EmptyInclude => {
                format!("write `{}`, or `[\"**\"]` for everything", setting(format, "include", "[\"*.conf\"]"))
            }
            Self::EmptyModes => "write `local`, `server` or both, or remove `modes`".to_owned(),
            Self::ListedTwice { .. } => "remove one".to_owned(),
            Self::GlobAbsolute { below: Some(below), .. } => format!("write `{}`, without the check's root", excerpt(below)),
            Self::GlobAbsolute { below: None, .. } => {
                "write it relative to the check's root, without the root's path".to_owned()
            }
            Self::GlobStars { instead, .. } => format!("write `{}`", excerpt(instead)),
            Self::GlobNegated { glob } => {
                let name = excerpt(glob.trim_start_matches('!'));
                let wanted = match format {
                    Format::Toml => format!("'\\!{name}'"),
                    Format::Json => format!("\"\\\\!{name}\""),
                };
                format!(
                    "write `{wanted}` for a name that starts with `!`; to select all except some, list the wanted ones in `include` of a `files` check"
                )
            }
            Self::GlobDots { name, .. } => match *name {
                ".." => "write it relative to the check's root, or choose a root further up".to_owned(),
                _ => "remove it".to_owned(),
            },
            Self::GlobEmptyName { glob } => match glob.strip_suffix('/') {
                Some(directory) if !directory.is_empty() && !directory.ends_with('/') => {
                    format!("write `{0}`, or `{0}/**` for all below it", excerpt(directory))
                }
                _ => "write single slashes between names".to_owned(),
            },
            Self::GlobMalformed { .. } => "put `\\` before a special character to use it literally".to_owned(),
            Self::GlobClass { .. } => "write alternatives in braces: `{é,x}`".to_owned(),
            Self::GlobTooLarge { .. } => "write several shorter globs".to_owned(),
            Self::GlobsTooLarge { .. } => "write fewer globs, with `*` and `**` for what they have in common".to_owned(),
            Self::LockName { lock, .. } if lock.ends_with(".hash.txt") => {
                "use it in a check of kind `trees`, or choose another name".to_owned()
            }
            Self::LockName { .. } => "write a plain name that ends in `.lock.json` or `.lock.txt`".to_owned(),
            Self::TextLock { .. } => "write a name that ends in `.lock.json`".to_owned(),
            Self::LockTaken { .. } => {
                format!("give each check its own lock: `{}`", setting(format, "lock", "\"NAME.lock.json\""))
            }
        }
    }
}

/// `kind = "files"` or `"kind": "files"`.
fn setting(format: Format, key: &str, value: &str) -> String {
    match format {
        Format::Toml => format!("{key} = {value}"),
        Format::Json => format!("\"{key}\": {value}"),
    }
}

const fn a_check(format: Format) -> &'static str {
    match format {
        Format::Toml => "`[check.NAME]` with its `kind` and `root`",
        Format::Json => "`{\"check\": {\"NAME\": {\"kind\": …, \"root\": …}}}`",
    }
}

const fn a_server(format: Format) -> &'static str {
    match format {
        Format::Toml => "`[server.NAME]` with its `host`",
        Format::Json => "`{\"server\": {\"NAME\": {\"host\": …}}}`",
    }
}

const fn a_group(format: Format) -> &'static str {
    match format {
        Format::Toml => "`[group.NAME]` with its `servers`",
        Format::Json => "`{\"group\": {\"NAME\": {\"servers\": […]}}}`",
    }
}

const fn a_root(format: Format) -> &'static str {
    match format {
        Format::Toml => "{ CHECK = \"/srv/stacks\" }",
        Format::Json => "{\"CHECK\": \"/srv/stacks\"}",
    }
}

fn instead(nearest: Option<&str>, known: &[&str]) -> String {
    match (nearest, known) {
        (Some(nearest), _) => format!("write `{nearest}`"),
        (None, []) => String::new(),
        (None, [only]) => format!("write `{only}`"),
        (None, [first @ .., last]) => format!("write one of `{}` or `{last}`", first.join("`, `")),
    }
}

fn first_on(line: Option<usize>) -> String {
    line.map(|line| format!(", the first on line {line}")).unwrap_or_default()
}

fn on(line: usize) -> String {
    format!(" (line {line})")
}

/// A value from the file, escaped, and cut if it is long.
fn excerpt(value: &str) -> String {
    const LONGEST: usize = 120;
    let (start, end) = match value.char_indices().nth(LONGEST) {
        Some((cut, _)) => (&value[..cut], "…"),
        None => (value, ""),
    };
    format!("{}{end}", escaped(start.as_bytes()))
}
