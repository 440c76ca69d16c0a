//! What can be wrong with a declaration, and what to write instead.

use std::fmt;

use super::Format;
use crate::manifest::Spoiled;
use crate::path::escaped;

/// Names of what is declared that a message lists.
const MOST_NAMES: usize = 20;

/// The first thing that is wrong with a declaration: where, what, and what to write instead, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}{}", self.place(), self.remedy())]
pub struct DeclarationError {
    /// The declaration's name, as it was given.
    pub file: String,
    /// Remedies are written in the declaration's own format.
    pub format: Format,
    /// From 1; `None` where the whole file is meant.
    pub line: Option<usize>,
    /// From 1, in characters; only where no key tells the place in the line.
    pub column: Option<usize>,
    /// Dotted, with names quoted where TOML would need it.
    pub key: Option<String>,
    pub problem: Box<Problem>,
}

/// What is wrong. Values from the file are kept as they are, and are made harmless where they are shown.
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
    #[error("a typographic quote, `{quote}`, which is no quote to TOML or JSON")]
    TypographicQuote { quote: char },
    #[error("the file is empty")]
    Empty,
    #[error("{}", shown(.message))]
    Syntax { message: String },
    /// `kind = files`
    #[error("`{}` is neither a string in quotes nor any other value", shown(.word))]
    Unquoted { word: String },
    #[error("nested too deep")]
    TooDeep,
    #[error("duplicate key{}", first_on(*.first))]
    DuplicateKey { first: Option<usize> },
    #[error("two checks of one name{}", first_on(*.first))]
    DuplicateCheck { first: Option<usize> },
    #[error("no checks are declared")]
    NoChecks,
    #[error("unknown key")]
    UnknownKey { nearest: Option<&'static str>, known: &'static [&'static str] },
    /// `[check.a.b]`, which is a table `b` in the check `a`.
    #[error("unknown key, or a {table}'s name with an unquoted dot in it")]
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
    #[error("a NUL character, which no path and no name can hold")]
    Nul,
    #[error("`{}` can't name a {what}", shown(.name))]
    Name { what: &'static str, name: String },
    #[error("`{}` can't be a host", shown(.host))]
    Host { host: String },
    #[error("{}", shown(&format!("`{host}` has the port {port} behind it")))]
    HostWithPort { host: String, port: String },
    #[error("`{}` can't be a user", shown(.user))]
    User { user: String },
    #[error("{number} is no port")]
    Port { number: i64 },
    #[error("{number} reports can't be kept: the one that was just made is")]
    KeepsNothing { number: i64 },
    #[error("`{}` is not absolute, and a server has nothing that it could be relative to", shown(.path))]
    NotAbsolute { path: String },
    #[error("no check has this name")]
    NoSuchCheck { checks: Vec<String> },
    #[error("no {what} is called `{}`", shown(.name))]
    NotDeclared { what: &'static str, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("the check `{}` is for this machine alone, as its `modes` say", shown(.check))]
    NotForServers { check: String },
    #[error("a check with a lock for each server is for servers alone")]
    LocalLockPerServer,
    #[error("the locks of `{}` would lie in a folder that has the name of the lock of check `{}`", shown(.server), shown(.check))]
    ServerIsALock { server: String, check: String },
    #[error("empty: it would be asked for nothing")]
    EmptyChecks,
    #[error("empty: a group without servers")]
    EmptyGroup,
    #[error("`{name}` is a reserved name: reports use it themselves")]
    ReservedName { name: &'static str },
    #[error("unknown {what} `{}`", shown(.value))]
    UnknownWord { what: &'static str, value: String, nearest: Option<&'static str>, known: &'static [&'static str] },
    #[error("`{kind}` takes no `{}`, which is a key of `{other}`", shown(.key))]
    KeyOfOtherKind { key: String, kind: &'static str, other: &'static str, known: &'static [&'static str] },
    #[error("empty: it would pick no container")]
    EmptyContainers,
    #[error("empty: it would leave no container out")]
    EmptyLabels,
    #[error("`{}` can't be a container's name", shown(.name))]
    ContainerName { name: String },
    #[error("`{}` is no absolute path in a container without `.` and `..`", shown(.root))]
    ContainerRoot { root: String },
    /// `unix://…`, whose path is the one to write, or what is no UNIX socket at all.
    #[error("the address of an engine, and not the path of its UNIX socket")]
    SocketScheme { path: Option<String> },
    #[error("longer than {} bytes, which no path of a socket may be", super::engine::LONGEST_SOCKET)]
    SocketTooLong,
    #[error("`trees` takes no `include`: it records everything below its root")]
    IncludeOnTrees,
    #[error("empty: it would pick nothing")]
    EmptyInclude,
    #[error("empty: the check would never run")]
    EmptyModes,
    #[error("`{}` is listed twice", shown(.value))]
    ListedTwice { value: String },
    /// `below`: what is left of it without the root that it starts with.
    #[error("glob `{}` is absolute", shown(.glob))]
    GlobAbsolute { glob: String, below: Option<String> },
    #[error("glob `{}` has `**` inside of a name, where it is no more than `*`", shown(.glob))]
    GlobStars { glob: String, instead: String },
    #[error("glob `{}` begins with `!`, and globs can't be negated", shown(.glob))]
    GlobNegated { glob: String },
    #[error("glob `{}` has the name `{name}` in it, which no path below a root has", shown(.glob))]
    GlobDots { glob: String, name: &'static str },
    #[error("glob `{}` has an empty name in it (`//`, or `/` at its end)", shown(.glob))]
    GlobEmptyName { glob: String },
    #[error("glob `{}` is malformed: {}", shown(.glob), shown(.reason))]
    GlobMalformed { glob: String, reason: String },
    #[error("glob `{}` has a character outside of ASCII between brackets, where it would never match", shown(.glob))]
    GlobClass { glob: String },
    #[error("glob `{}` has too many bytes, slashes or braces", shown(.glob))]
    GlobTooLarge { glob: String },
    #[error("with these, the globs of all checks have more than {most} bytes")]
    GlobsTooLarge { most: usize },
    #[error("`{}` is no name for a lock file: {reason}", shown(.lock))]
    LockName { lock: String, reason: &'static str },
    #[error("`{}` is a lock in sha256sum's format, which can't hold {what}", shown(.lock))]
    TextLock { lock: String, what: &'static str },
    #[error("lock file `{}` is already that of check `{}`{}", shown(.lock), shown(.check), on(*.line))]
    LockTaken { lock: String, check: String, line: usize },
}

impl DeclarationError {
    fn place(&self) -> Place<'_> {
        Place(self)
    }

    /// What to write instead, after a semicolon; nothing where the problem says it already.
    fn remedy(&self) -> String {
        let remedy = self.problem.remedy(self.format, self.key.as_deref().unwrap_or_default());
        if remedy.is_empty() { remedy } else { format!("; {remedy}") }
    }
}

/// `driftlock.toml:7:1: check.a.kind`, as far as it is known.
struct Place<'a>(&'a DeclarationError);

impl fmt::Display for Place<'_> {
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
    fn remedy(&self, format: Format, key: &str) -> String {
        let last = key.rsplit('.').next().unwrap_or_default();
        match self {
            Self::NotUtf8 { .. } | Self::Utf16 => "save it as UTF-8".to_owned(),
            Self::Spoiled(spoiled) => spoiled.remedy().to_owned(),
            Self::TypographicQuote { .. } => "write the plain one, `\"`".to_owned(),
            Self::ByteOrderMark => "save it as UTF-8 without one".to_owned(),
            Self::Empty | Self::NoChecks => {
                format!("write {}, or let `driftlock init` write an example", a_check(format))
            }
            Self::Syntax { .. } => String::new(),
            Self::Unquoted { word } => format!("write `\"{}\"`", shown(word)),
            Self::TooDeep => match format {
                Format::Toml => "give each check a table of its own, `[check.NAME]`, with plain keys".to_owned(),
                Format::Json => "a declaration is an object of checks, which are objects".to_owned(),
            },
            Self::DuplicateKey { .. } => "keep one of the two".to_owned(),
            Self::DuplicateCheck { .. } => "give one of them another name".to_owned(),
            Self::UnknownKey { nearest, known } | Self::UnknownWord { nearest, known, .. } => instead(*nearest, known),
            Self::UnquotedDot { table, name } => match format {
                Format::Toml => format!("write `[{table}.\"{}\"]`", shown(name)),
                Format::Json => format!("write a {table} named `{}`", shown(name)),
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
            Self::EmptyString => "write something, or leave the key out".to_owned(),
            Self::Nul => "remove it".to_owned(),
            Self::Name { .. } => "write 1 to 100 of `A-Z a-z 0-9 _ . -`, the first a letter or a digit".to_owned(),
            Self::Host { .. } => {
                "write a name, an address, or an alias from `~/.ssh/config`, without user and port".to_owned()
            }
            Self::HostWithPort { host, port } => {
                format!(
                    "write `{}` and `{}`",
                    setting(format, "host", &format!("\"{}\"", shown(host))),
                    setting(format, "port", &shown(port))
                )
            }
            Self::User { .. } => "write the name of a user on the server".to_owned(),
            Self::Port { .. } => "write a number from 1 to 65535".to_owned(),
            Self::KeepsNothing { .. } => "write a number from 1 on, or leave it out to keep all".to_owned(),
            Self::NotAbsolute { path } => format!("write where it lies there, like `/srv/{}`", shown(path)),
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
            Self::LocalLockPerServer => "write `server` alone, or leave `modes` out".to_owned(),
            Self::ServerIsALock { .. } => "give the server another name".to_owned(),
            Self::EmptyChecks => "name checks, or leave `checks` out for all of them".to_owned(),
            Self::EmptyGroup => "name servers, or remove the group".to_owned(),
            Self::ReservedName { .. } => "give the check another name".to_owned(),
            Self::KeyOfOtherKind { known, .. } => format!("remove it, or {}", instead(None, known)),
            Self::EmptyContainers => "name containers, or leave `containers` out for all of them".to_owned(),
            Self::EmptyLabels => format!(
                "write `{}`, or leave `labels` out",
                match format {
                    Format::Toml => "labels = { \"com.docker.compose.project\" = \"shop\" }",
                    Format::Json => "\"labels\": {\"com.docker.compose.project\": \"shop\"}",
                }
            ),
            Self::ContainerName { name } => match name.strip_prefix('/') {
                Some(name) if super::engine::is_container_name(name) => format!("write `{name}`"),
                _ => "write the name that `docker ps` shows: `A-Z a-z 0-9 _ . -`, the first a letter or a digit".to_owned(),
            },
            Self::ContainerRoot { .. } => format!("write it like `{}`", setting(format, "root", "\"/etc/nginx\"")),
            Self::SocketScheme { path: Some(path) } => format!("write `{}`", shown(path)),
            Self::SocketScheme { path: None } => {
                "driftlock reaches no network: write the path of the engine's socket, and run it on the engine's machine".to_owned()
            }
            Self::SocketTooLong => "write a shorter one: a relative path, or that of a link".to_owned(),
            Self::IncludeOnTrees => "remove `include`, and name what to leave out in `exclude`".to_owned(),
            Self::EmptyInclude => {
                format!("write `{}`, or `[\"**\"]` for everything", setting(format, "include", "[\"*.conf\"]"))
            }
            Self::EmptyModes => "write `local`, `server` or both, or leave `modes` out".to_owned(),
            Self::ListedTwice { .. } => "remove one".to_owned(),
            Self::GlobAbsolute { below: Some(below), .. } => format!("write `{}`, without the check's root", shown(below)),
            Self::GlobAbsolute { below: None, .. } => {
                "it has to be relative to the check's root: write what is left of it without the root's path".to_owned()
            }
            Self::GlobStars { instead, .. } => format!("write `{}`", shown(instead)),
            Self::GlobNegated { glob } => {
                let name = shown(glob.trim_start_matches('!'));
                let wanted = match format {
                    Format::Toml => format!("'\\!{name}'"),
                    Format::Json => format!("\"\\\\!{name}\""),
                };
                format!(
                    "write `{wanted}` for a name that begins with `!`; for all but some, let `include` name those that are \
                     wanted, in a check of kind `files`"
                )
            }
            Self::GlobDots { name, .. } => match *name {
                ".." => "write it relative to the check's root, or choose a root further up".to_owned(),
                _ => "leave it out".to_owned(),
            },
            Self::GlobEmptyName { glob } => match glob.strip_suffix('/') {
                Some(directory) if !directory.is_empty() && !directory.ends_with('/') => {
                    format!("write `{0}`, or `{0}/**` for all below it", shown(directory))
                }
                _ => "write single slashes between names".to_owned(),
            },
            Self::GlobMalformed { .. } => "put `\\` before a character that stands for itself".to_owned(),
            Self::GlobClass { .. } => "write alternatives in braces: `{é,x}`".to_owned(),
            Self::GlobTooLarge { .. } => "write several shorter globs".to_owned(),
            Self::GlobsTooLarge { .. } => "write fewer, with `*` and `**` for what they have in common".to_owned(),
            Self::LockName { lock, .. } if lock.ends_with(".hash.txt") => {
                "write it in a check of kind `trees`, or another name".to_owned()
            }
            Self::LockName { .. } => "write a plain name that ends in `.lock.json` or `.lock.txt`".to_owned(),
            Self::TextLock { .. } => "write a name that ends in `.lock.json`".to_owned(),
            Self::LockTaken { .. } => {
                format!("give one of them its own: `{}`", setting(format, "lock", "\"NAME.lock.json\""))
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

/// A value from the file, harmless and of a length that leaves the message readable.
fn shown(value: &str) -> String {
    const LONGEST: usize = 120;
    let (start, end) = match value.char_indices().nth(LONGEST) {
        Some((cut, _)) => (&value[..cut], "…"),
        None => (value, ""),
    };
    format!("{}{end}", escaped(start.as_bytes()))
}
