//! The field `details`: what failed in a check, in the form of the scripts that driftlock replaces.

use crate::manifest::Kind;
use crate::path::escaped;
use crate::report::format::{Prose, shown_path};
use crate::report::group::groups;
use crate::report::row::Row;
use crate::report::seal::SealReport;
use crate::report::uncovered;
use crate::report::{CheckReport, HostReport, Outcome, ServerReport};

/// The details of a row.
pub(in crate::report) fn of(host: &HostReport, row: Row<'_>) -> String {
    match row {
        Row::LockFiles(host) => lock_files(host),
        Row::Collection(server) => collection(server),
        Row::Seal(report) => seal(report),
        Row::Check(check) => self::check(check, host.mode()),
    }
}

/// For `lock_files_exist`: `1 lock file missing: audit/locks/compose_hashes.lock.json;`.
fn lock_files(host: &HostReport) -> String {
    let mut text = String::new();
    let missing: Vec<_> = host.missing_locks().collect();
    let names = missing.iter().map(|lock| escaped(lock.as_bytes()).to_string());
    list(&mut text, &counted(missing.len(), "lock file", "lock files"), "missing", names);
    text
}

/// For `server_collection`: `not collected: it sent nothing;`.
fn collection(server: &ServerReport) -> String {
    let mut text = String::new();
    if let Some(trouble) = &server.trouble {
        push(&mut text, &format!("not collected: {}", Prose(&trouble.problem)));
    }
    text
}

/// For `seal`: `the lock audit/locks/compose_hashes.lock.json is not the one that was sealed;`.
fn seal(seal: &SealReport) -> String {
    let mut text = String::new();
    seal.troubles.iter().for_each(|trouble| push(&mut text, &Prose(&trouble.problem).to_string()));
    text
}

/// For a check: `2 files drifted: a;b;`, `1 entry unverified: c;`, or both with a blank between them.
fn check(check: &CheckReport, mode: &str) -> String {
    let mut text = String::new();
    match &check.outcome {
        Outcome::Compared { comparison, .. } => {
            let groups = groups(check.kind, &comparison.drift);
            let modules = groups.iter().filter(|group| group.module).count();
            let files = groups.len() - modules;
            let what = match (check.kind, modules, files) {
                (Kind::Containers | Kind::Compose, ..) => counted(files, "container", "containers"),
                (Kind::Files | Kind::ContainerFiles, ..) | (Kind::Trees, 0, _) => counted(files, "file", "files"),
                (Kind::Trees, _, 0) => counted(modules, "module", "modules"),
                (Kind::Trees, ..) => {
                    format!("{} and {}", counted(modules, "module", "modules"), counted(files, "file", "files"))
                }
            };
            let names = groups.iter().map(|group| {
                if group.module { escaped(group.path).to_string() } else { shown_path(&check.root, group.path) }
            });
            list(&mut text, &what, "drifted", names);
            let unverified = &comparison.unverified;
            let names = unverified.iter().map(|entry| shown_path(&check.root, entry.path.as_bytes()));
            list(&mut text, &counted(unverified.len(), "entry", "entries"), "unverified", names);
            let left_out = comparison.left_out;
            if !left_out.is_nothing() {
                let (drifted, unverified) = (left_out.drifted, left_out.unverified);
                push(&mut text, &format!(" and {drifted} more drifted and {unverified} more unverified, not listed"));
            }
            if check.uncovered_is_trouble {
                let names = check.uncovered.iter().map(|one| uncovered::item(&check.root, one));
                list(&mut text, &check.uncovered.len().to_string(), "uncovered", names);
            }
        }
        Outcome::Failed(trouble) => push(&mut text, &format!("not checked: {}", Prose(&trouble.problem))),
        Outcome::NoLock => push(&mut text, "not checked: its lock file is missing"),
        Outcome::OtherMode => push(&mut text, &format!("not checked: not for mode {mode}")),
        Outcome::NotCollected => push(&mut text, "not checked: not collected"),
    }
    text
}

fn list(text: &mut String, what: &str, how: &str, names: impl ExactSizeIterator<Item = String>) {
    if names.len() == 0 {
        return;
    }
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(&format!("{what} {how}: "));
    names.for_each(|name| push(text, &name));
}

/// Appends one item. [`escaped`] never writes `\x3b`: it writes `\x` only for bytes that are not UTF-8.
fn push(text: &mut String, item: &str) {
    text.push_str(&item.replace(';', "\\x3b"));
    text.push(';');
}

/// Without commas in large numbers, so that programs can parse it.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
