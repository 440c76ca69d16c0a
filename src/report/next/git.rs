//! Commands for a git work tree. They compare with the last commit that changed the lock.

use std::os::unix::ffi::OsStrExt as _;

use super::{Ground, InGit, MOST, Step};
use crate::compare::{Change, Drift};
use crate::manifest::Content;
use crate::path::{ROOT, joined};
use crate::report::group::{Item, Shape};
use crate::shell;

/// The paths of the items that drifted, by what git must do with them.
#[derive(Default)]
struct Paths {
    /// Paths that the commit has.
    before: Vec<Vec<u8>>,
    /// Paths that it does not have, to be removed.
    new: Vec<Vec<u8>>,
}

/// Adds the commands for "see it", "who did it" and "undo it".
pub(super) fn steps(steps: &mut Vec<Step>, ground: &Ground, in_git: &InGit, items: &[&Item<'_>]) {
    let root = in_git.root.to_string_lossy();
    let few = items.len() <= MOST;
    let mut paths = Paths::default();
    for item in items.iter().take(if few { MOST } else { 1 }) {
        paths.add(&root, item);
    }
    let Paths { before, new } = &paths;
    let mut all: Vec<&[u8]> = before.iter().chain(new).map(Vec::as_slice).collect();
    if all.is_empty() {
        return;
    }
    let whole = joined(&root, ROOT);
    let whole = if whole.is_empty() { b".".to_vec() } else { whole };
    if !few {
        all = vec![&whole];
    }
    let lock = in_git.lock.as_os_str().as_bytes();
    let git = |paths: &[&[u8]], command: &str| {
        // In a pathspec, these names would be patterns or magic.
        let literal =
            paths.iter().any(|path| path.starts_with(b":") || path.iter().any(|byte| b"*?[\\".contains(byte)));
        let literal = if literal { " --literal-pathspecs" } else { "" };
        format!("git{literal}{} {command}", ground.git_directory())
    };
    let words = |paths: &[&[u8]]| paths.iter().map(|path| shell::word(path)).collect::<Vec<_>>().join(" ");
    let commit = format!("$({} -- {})", git(&[lock], "log -1 --format=%h"), words(&[lock]));
    let changed: Vec<&[u8]> = if few { before.iter().map(Vec::as_slice).collect() } else { vec![&whole] };
    let see = match &changed[..] {
        [] => format!("{} -- {}", git(&all, "status --short --untracked-files=all"), words(&all)),
        changed => format!("{} {commit} -- {}", git(changed, "diff"), words(changed)),
    };
    steps.push(Step::new("see it", see));
    let log = git(&all, "log --format='%h %an, %ar: %s'");
    steps.push(Step::new("who did it", format!("{log} {commit}.. -- {}", words(&all))));
    let before: Vec<&[u8]> = before.iter().map(Vec::as_slice).collect();
    let new: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
    let mut undo = Vec::new();
    if !new.is_empty() {
        undo.push(format!("{} -- {}", git(&new, "clean -fdxq"), words(&new)));
    }
    if !before.is_empty() {
        undo.push(format!("{} {commit} -- {}", git(&before, "checkout"), words(&before)));
    }
    steps.push(Step::new(if few { "undo it" } else { "undo one" }, undo.join(" && ")));
}

impl Paths {
    fn add(&mut self, root: &str, item: &Item<'_>) {
        let path = joined(root, item.path);
        match item.shape {
            Shape::Entry(drift) if !is_known(drift) || (item.below == 0 && is_empty_directory(drift)) => {}
            Shape::Entry(drift) => match (drift.change, &drift.from) {
                (Change::Added, _) => self.new.push(path),
                (Change::Moved, Some(from)) if drift.expected.is_some() => {
                    self.new.push(path);
                    self.before.push(joined(root, from.as_bytes()));
                }
                (Change::TypeChanged, _) => {
                    if matches!(drift.actual.as_ref().map(|record| &record.content), Some(Content::Directory { .. })) {
                        self.new.push(path.clone());
                    }
                    self.before.push(path);
                }
                _ => self.before.push(path),
            },
            Shape::MovedWhole { from } => {
                self.new.push(path);
                self.before.push(joined(root, from));
            }
            Shape::MovedAway { .. } => {}
        }
    }
}

/// Whether it is an empty directory that is gone. git does not keep empty directories.
fn is_empty_directory(drift: &Drift) -> bool {
    let expected = drift.expected.as_ref().map(|record| &record.content);
    drift.change == Change::Removed && matches!(expected, Some(Content::Directory { .. }))
}

/// Whether git records what differs.
fn is_known(drift: &Drift) -> bool {
    let of_git = |content: &Content| {
        matches!(
            content,
            Content::File { .. } | Content::Checksum { .. } | Content::Symlink { .. } | Content::Directory { .. }
        )
    };
    let records = [&drift.expected, &drift.actual].into_iter().flatten();
    let attributes = matches!(drift.change, Change::ModeChanged | Change::OwnerChanged | Change::XattrsChanged);
    !attributes && records.into_iter().all(|record| of_git(&record.content))
}
