//! The rules of a declaration: values → [`Declaration`], or the first error.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::section::{Section, StringValue, nearest};
use super::source::{Source, dotted};
use super::value::{Data, Key, Value};
use super::{
    Check, Declaration, DeclarationError, LockFile, LockFormat, Modes, Problem, Server, engine, group, selected, server,
};
use crate::manifest::{AttributeSet, Kind};

pub(super) const TOP_KEYS: &[&str] = &["locks", "reports", "reports_keep", "check", "server", "group"];
pub(super) const CHECK_KEYS: &[&str] = &[
    "kind",
    "root",
    "server_root",
    "reference",
    "include",
    "exclude",
    "attributes",
    "lock",
    "lock_per_server",
    "modes",
    "allow_empty",
    "one_file_system",
    "uncovered",
    "strict",
    "show_changes",
];
const CONTAINERS_KEYS: &[&str] = &[
    "kind",
    "socket",
    "containers",
    "exclude",
    "labels",
    "one_off",
    "attributes",
    "lock",
    "lock_per_server",
    "modes",
    "allow_empty",
    "uncovered",
];
const CONTAINER_FILES_KEYS: &[&str] = &[
    "kind",
    "socket",
    "container",
    "root",
    "include",
    "exclude",
    "attributes",
    "lock",
    "lock_per_server",
    "modes",
    "allow_empty",
    "uncovered",
];
const COMPOSE_KEYS: &[&str] =
    &["kind", "socket", "config", "hashes", "lock", "lock_per_server", "modes", "allow_empty"];
const KINDS: &[&str] = &["files", "trees", "containers", "container_files", "compose"];
const MODES: &[&str] = &["local", "server"];
const UNCOVERED: &[&str] = &["warn", "trouble"];
/// Names of checks that reports add: whether the locks exist, and whether servers were reached.
const RESERVED: &[&str] = &["lock_files_exist", "server_collection", "seal", "live"];
const LONGEST_CHECK_NAME: usize = 100;
/// The size of all globs together, in bytes: each needs a kilobyte of memory when compiled.
pub(super) const MOST_GLOBS: usize = 128 << 10;
/// Linux allows 255 bytes; a lock is first written under a longer, temporary name.
const LONGEST_LOCK_NAME: usize = 200;

/// Validates a whole declaration.
pub fn declaration(source: Source<'_>, root: &Value) -> Result<Declaration, DeclarationError> {
    let Data::Table(entries) = &root.data else {
        return Err(source.error(root.span.start, "", Problem::NotATable { found: root.data.type_name() }));
    };
    let top = Section { source, path: "", at: root.span.start, entries };
    top.only(TOP_KEYS)?;
    let locks = path(top, "locks", "\"audit/locks\"")?.unwrap_or_else(|| "audit/locks".into());
    let reports = path(top, "reports", "\"audit/runtime\"")?.unwrap_or_else(|| "audit/runtime".into());
    let reports_keep = reports_keep(top)?;
    let declared = tables(top, "check")?;
    if declared.is_empty() {
        return Err(source.error_in_file(Problem::NoChecks));
    }
    let mut checks: Vec<Check> = Vec::with_capacity(declared.len());
    // The check that uses a lock file, and the line that declares it.
    let mut taken: HashMap<String, (&str, usize)> = HashMap::with_capacity(declared.len());
    let mut room_for_globs = MOST_GLOBS;
    for (key, value) in declared {
        let (check, lock_at) = check(source, key, value, &mut room_for_globs)?;
        let line = source.line(lock_at);
        for lock in [Some(&check.lock.name), check.lock.old.as_ref()].into_iter().flatten() {
            if let Some((other, line)) = taken.insert(lock.clone(), (&key.name, line)) {
                let problem = Problem::LockTaken { lock: lock.clone(), check: other.to_owned(), line };
                return Err(source.error(lock_at, &dotted(&dotted("check", &key.name), "lock"), problem));
            }
        }
        checks.push(check);
    }
    let indices = checks.iter().enumerate().map(|(index, check)| (check.name.as_str(), index)).collect();
    let known = group::CheckIndex { checks: &checks, indices: &indices };
    let servers = tables(top, "server")?;
    let mut servers = server::servers(source, servers, known, |name| self::name("server", name))?;
    distinct_folders(top, &servers, &checks)?;
    let groups = group::groups(source, tables(top, "group")?, known, &mut servers, |name| self::name("group", name))?;
    Ok(Declaration { locks, reports, reports_keep, checks, servers, groups })
}

/// Refuses a server whose folder of locks would have the name of a lock.
fn distinct_folders(top: Section<'_>, servers: &[Server], checks: &[Check]) -> Result<(), DeclarationError> {
    if !checks.iter().any(|check| check.lock.per_server) {
        return Ok(());
    }
    let shared = checks.iter().filter(|check| !check.lock.per_server);
    let locks: HashMap<&str, &str> = shared.map(|check| (check.lock.name.as_str(), check.name.as_str())).collect();
    for (server, (key, _)) in servers.iter().zip(tables(top, "server")?) {
        if let Some(check) = locks.get(server.name.as_str()) {
            let problem = Problem::ServerIsALock { server: server.name.clone(), check: (*check).to_owned() };
            return Err(top.source.error(key.span.start, &dotted("server", &key.name), problem));
        }
    }
    Ok(())
}

/// The named tables below a key; empty if the key is missing.
fn tables<'a>(top: Section<'a>, name: &str) -> Result<&'a [(Key, Value)], DeclarationError> {
    match top.get(name) {
        None => Ok(&[]),
        Some((_, Value { data: Data::Table(tables), .. })) => Ok(tables),
        Some((key, value)) => Err(not_a_table(top.source, key, name, value)),
    }
}

/// How many reports are kept: at least the newest one.
fn reports_keep(top: Section<'_>) -> Result<Option<NonZeroUsize>, DeclarationError> {
    let Some((_, value)) = top.get("reports_keep") else { return Ok(None) };
    let Data::Integer(number) = value.data else {
        return Err(top.wrong_type("reports_keep", value, "an integer", "30"));
    };
    match usize::try_from(number).ok().and_then(NonZeroUsize::new) {
        Some(keep) => Ok(Some(keep)),
        None => Err(top.error(value.span.start, "reports_keep", Problem::KeepsNothing { number })),
    }
}

/// Validates one check. Also returns where its lock file is declared, or the check itself.
fn check(
    source: Source<'_>,
    key: &Key,
    value: &Value,
    room_for_globs: &mut usize,
) -> Result<(Check, usize), DeclarationError> {
    let path = dotted("check", &key.name);
    name("check", &key.name).map_err(|problem| source.error(key.span.start, &path, problem))?;
    let Data::Table(entries) = &value.data else {
        return Err(not_a_table(source, key, &path, value));
    };
    let section = Section { source, path: &path, at: key.span.start, entries };
    // Comes first, because it determines the other keys.
    let kind = kind(section)?;
    keys(section, kind)?;
    let Some(kind) = kind else { return Err(section.missing("kind", "\"files\"")) };
    let root = match kind {
        Kind::Containers | Kind::Compose => PathBuf::new(),
        Kind::ContainerFiles => engine::root(section)?,
        Kind::Files | Kind::Trees => {
            let root = self::path(section, "root", "\"infra/stacks\"")?;
            root.ok_or_else(|| section.missing("root", "\"infra/stacks\""))?
        }
    };
    let engine = engine::engine(section, kind)?;
    let compose = engine::compose(section, kind)?;
    let server_root = section.get("server_root");
    let server_root = server_root.map(|(_, value)| server::absolute(section, "server_root", value)).transpose()?;
    let selection = selected::selection(section, kind, room_for_globs)?;
    let attributes = attributes(section, kind)?;
    let (lock, lock_at) = lock(section, &key.name, kind, attributes)?;
    let check = Check {
        name: key.name.clone(),
        line: source.line(key.span.start),
        kind,
        root,
        server_root,
        show_changes: section.boolean("show_changes")?,
        reference: self::path(section, "reference", "\"/nix/store/…-stacks\"")?,
        selection,
        attributes,
        lock,
        modes: modes(section)?,
        allow_empty: section.boolean("allow_empty")?,
        one_file_system: section.boolean("one_file_system")?,
        uncovered_is_trouble: uncovered(section)?,
        strict: section.boolean("strict")?,
        engine,
        compose,
    };
    Ok((check, lock_at))
}

/// Refuses keys of other kinds, and unknown keys.
fn keys(section: Section<'_>, kind: Option<Kind>) -> Result<(), DeclarationError> {
    let known = keys_of(kind.unwrap_or(Kind::Files));
    for (key, _) in section.entries {
        let of_others = |&other: &Kind| keys_of(other).contains(&key.name.as_str());
        if let (Some(kind), Some(other)) = (kind, Kind::ALL.iter().find(|other| of_others(other)))
            && !known.contains(&key.name.as_str())
        {
            let problem =
                Problem::KeyOfOtherKind { key: key.name.clone(), kind: kind.name(), other: other.name(), known };
            return Err(section.error(key.span.start, &key.name, problem));
        }
    }
    section.only(known)
}

pub(super) const fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Files | Kind::Trees => CHECK_KEYS,
        Kind::Containers => CONTAINERS_KEYS,
        Kind::ContainerFiles => CONTAINER_FILES_KEYS,
        Kind::Compose => COMPOSE_KEYS,
    }
}

const fn attributes_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Files | Kind::Trees => &["mode", "owner", "xattrs"],
        Kind::Containers => &["state", "mounts", "networks", "ports", "labels", "env", "security", "compose"],
        Kind::ContainerFiles => &["mode", "owner"],
        Kind::Compose => &[],
    }
}

fn not_a_table(source: Source<'_>, key: &Key, path: &str, value: &Value) -> DeclarationError {
    source.error(key.span.start, path, Problem::NotATable { found: value.data.type_name() })
}

/// `[A-Za-z0-9][A-Za-z0-9_.-]{0,99}`, and not reserved. It names a file or a folder, and appears in reports unchanged.
fn name(what: &'static str, name: &str) -> Result<(), Problem> {
    let bytes = name.as_bytes();
    let fits = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= LONGEST_CHECK_NAME
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    if !fits {
        return Err(Problem::Name { what, name: name.to_owned() });
    }
    match RESERVED.iter().find(|reserved| **reserved == name) {
        Some(name) if what == "check" => Err(Problem::ReservedName { name }),
        _ => Ok(()),
    }
}

fn path(section: Section<'_>, name: &str, example: &'static str) -> Result<Option<PathBuf>, DeclarationError> {
    Ok(section.string(name, example)?.map(|StringValue { text, .. }| text.into()))
}

fn kind(section: Section<'_>) -> Result<Option<Kind>, DeclarationError> {
    let Some(StringValue { at, text }) = section.string("kind", "\"files\"")? else { return Ok(None) };
    match Kind::ALL.into_iter().find(|kind| kind.name() == text) {
        Some(kind) => Ok(Some(kind)),
        None => Err(section.error(at, "kind", unknown("kind", text, KINDS))),
    }
}

fn unknown(what: &'static str, value: &str, known: &'static [&'static str]) -> Problem {
    Problem::UnknownWord { what, value: value.to_owned(), nearest: nearest(value, known), known }
}

fn attributes(section: Section<'_>, kind: Kind) -> Result<AttributeSet, DeclarationError> {
    let known = attributes_of(kind);
    let example = if kind == Kind::Containers { "[\"state\", \"mounts\"]" } else { "[\"mode\", \"owner\"]" };
    // A check of kind `compose` always compares these.
    let is_compose = kind == Kind::Compose;
    let mut attributes = AttributeSet { state: is_compose, compose: is_compose, ..AttributeSet::default() };
    for StringValue { at, text } in section.strings("attributes", example)?.unwrap_or_default() {
        match attributes.named(text) {
            Some(wanted) if known.contains(&text) => *wanted = true,
            _ => return Err(section.error(at, "attributes", unknown("attribute", text, known))),
        }
    }
    Ok(attributes)
}

/// Whether uncovered entries are trouble.
fn uncovered(section: Section<'_>) -> Result<bool, DeclarationError> {
    match section.string("uncovered", "\"trouble\"")? {
        None => Ok(false),
        Some(StringValue { at, text }) => match text {
            "warn" => Ok(false),
            "trouble" => Ok(true),
            _ => Err(section.error(at, "uncovered", unknown("word", text, UNCOVERED))),
        },
    }
}

/// Where a check applies. With `lock_per_server`, it applies only to servers.
fn modes(section: Section<'_>) -> Result<Modes, DeclarationError> {
    let per_server = section.boolean("lock_per_server")?;
    let Some(declared) = section.strings("modes", "[\"local\", \"server\"]")? else {
        return Ok(Modes { local: !per_server, server: true });
    };
    let mut modes = Modes { local: false, server: false };
    for StringValue { at, text } in declared {
        match text {
            "local" if per_server => return Err(section.error(at, "modes", Problem::LocalLockPerServer)),
            "local" => modes.local = true,
            "server" => modes.server = true,
            _ => return Err(section.error(at, "modes", unknown("mode", text, MODES))),
        }
    }
    match section.get("modes") {
        Some((_, value)) if !(modes.local || modes.server) => {
            Err(section.error(value.span.start, "modes", Problem::EmptyModes))
        }
        _ => Ok(modes),
    }
}

/// The lock file, and where it is declared: at its own key, or by the check's name.
fn lock(
    section: Section<'_>,
    check: &str,
    kind: Kind,
    attributes: AttributeSet,
) -> Result<(LockFile, usize), DeclarationError> {
    let per_server = section.boolean("lock_per_server")?;
    let Some(StringValue { at, text }) = section.string("lock", "\"NAME.lock.json\"")? else {
        return Ok((
            LockFile { name: format!("{check}.lock.json"), format: LockFormat::Json, old: None, per_server },
            section.at,
        ));
    };
    let refuse = |reason| Err(section.error(at, "lock", Problem::LockName { lock: text.to_owned(), reason }));
    if text.contains('/') {
        return refuse("it contains `/`, but locks are directly in the `locks` directory");
    }
    if text.starts_with('.') {
        return refuse("it starts with `.`");
    }
    if text.len() > LONGEST_LOCK_NAME {
        return refuse("it is longer than 200 bytes");
    }
    if text.ends_with(".hash.txt") {
        return match kind {
            _ if per_server => refuse("`.hash.txt` is for old locks, which all servers share"),
            Kind::Trees => {
                let (name, old) = (format!("{check}.lock.json"), Some(text.to_owned()));
                Ok((LockFile { name, format: LockFormat::Json, old, per_server: false }, at))
            }
            _ => refuse("`.hash.txt` is for old locks of `trees`"),
        };
    }
    let format = if text.ends_with(".lock.json") {
        LockFormat::Json
    } else if text.ends_with(".lock.txt") {
        LockFormat::Sha256sum
    } else {
        return refuse("it ends in neither `.lock.json` nor `.lock.txt`");
    };
    let cannot_hold = match (format, kind) {
        (LockFormat::Sha256sum, Kind::Trees) => Some("`trees`"),
        (LockFormat::Sha256sum, Kind::Containers) => Some("`containers`"),
        (LockFormat::Sha256sum, Kind::ContainerFiles) => Some("`container_files`"),
        (LockFormat::Sha256sum, Kind::Compose) => Some("`compose`"),
        (LockFormat::Sha256sum, Kind::Files) if !attributes.is_empty() => Some("`attributes`"),
        (LockFormat::Sha256sum, Kind::Files) | (LockFormat::Json, _) => None,
    };
    match cannot_hold {
        Some(what) => Err(section.error(at, "lock", Problem::TextLock { lock: text.to_owned(), what })),
        None => Ok((LockFile { name: text.to_owned(), format, old: None, per_server }, at)),
    }
}
