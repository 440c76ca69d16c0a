//! The entries that drifted, in groups, up to a limit.

use std::io::{self, Write};

use super::page::{Page, Tag};
use super::{describe, more_of};
use crate::compare::{Drift, Excerpt};
use crate::path::escaped;
use crate::report::CheckReport;
use crate::report::findings::{emptied, share};
use crate::report::format::{Prose, counted, shown_path};
use crate::report::group::{self, Group};

pub(super) fn drift(
    page: &mut Page<impl Write>,
    check: &CheckReport,
    title: &str,
    groups: &[Group<'_>],
) -> io::Result<()> {
    if let Some(emptied) = emptied(check) {
        return page.line(Tag::Fail, format_args!("{title} drift: {emptied}"));
    }
    let lines = groups.iter().map(|group| 1 + group.items.len()).sum::<usize>();
    let most = page.lines;
    let fit = lines <= most;
    // Each group gets its line; what is left of the limit is shared evenly for details.
    let shown_groups = if fit { groups.len() } else { groups.len().min(most / 2) };
    let (groups, hidden) = groups.split_at(shown_groups);
    let details =
        if fit { usize::MAX } else { share(groups.iter().map(|group| group.items.len()), most - shown_groups) };
    for group in groups {
        let subject = if group.module { escaped(group.path).to_string() } else { shown_path(&check.root, group.path) };
        page.line(Tag::Fail, format_args!("{title} drift: {subject}"))?;
        let (items, cut) = group.items.split_at(group.items.len().min(details));
        for item in items {
            let (label, text) = describe::item(&check.root, item);
            if group.module {
                page.detail(format_args!("{label}: {} ({text})", shown_path(&check.root, item.path)))?;
            } else {
                page.detail(format_args!("{label}: {text}"))?;
            }
            excerpt(page, item)?;
        }
        if !cut.is_empty() {
            more_of(page, cut.iter().map(group::Item::entries).sum(), "")?;
        }
    }
    if hidden.is_empty() {
        return Ok(());
    }
    let entries = hidden.iter().flat_map(|group| &group.items).map(group::Item::entries).sum();
    match hidden.iter().filter(|group| group.module).count() as u64 {
        0 => more_of(page, entries, ""),
        modules => more_of(page, entries, &format!(" in {}", counted(modules, "more module", "more modules"))),
    }
}

/// The lines that changed, if they were asked for.
fn excerpt(page: &mut Page<impl Write>, item: &group::Item<'_>) -> io::Result<()> {
    let group::Shape::Entry(Drift { diff: Some(diff), .. }) = item.shape else { return Ok(()) };
    match &**diff {
        Excerpt::Hidden(why) => page.detail(format_args!("  ({})", why.phrase())),
        Excerpt::Lines { lines, left_out } => {
            lines.iter().try_for_each(|line| page.detail(format_args!("  {}", Prose(line))))?;
            if *left_out > 0 {
                page.detail(format_args!("  … and {} more", counted(*left_out, "line", "lines")))?;
            }
            Ok(())
        }
    }
}
