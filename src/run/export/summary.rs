//! `SUMMARY.md`: the contents of an export, for people.

use std::fmt::Write as _;

use super::{CONFIG_HASHES, Export, Exported, LOCKS};
use crate::manifest::{Content, Entries as _, json};
use crate::path::escaped;

/// Writes the page. Text from outside can't be markup in it. The same state gives the same page.
pub(super) fn of(server: Option<&str>, export: &Export<'_>) -> String {
    let of = server.map_or_else(String::new, |server| format!(" of {}", cell(server)));
    let mut page = format!("# Runtime state{of}\n\n");
    if !export.is_whole {
        page.push_str("**This export is not complete. `driftlock export` printed what is missing, and why.**\n\n");
    }
    page.push_str("## Locks\n\n");
    let rows = export.checks.iter().map(|Exported { check: open, entries }| {
        let check = open.check;
        let lock = format!("{LOCKS}/{}", check.lock.name);
        [check.name.clone(), check.kind.name().to_owned(), open.place(), entries.to_string(), lock]
    });
    table(&mut page, ["check", "kind", "of", "entries", "lock"], rows);
    let _ = writeln!(page, "\nThe digests of single files are in {CONFIG_HASHES}, as sha256sum prints them.");
    for engine in &export.engines {
        let inventory = &engine.inventory;
        let _ = writeln!(page, "\n## Engine at {}\n\n### Containers\n", cell(&engine.socket));
        let mut rows = Vec::new();
        let mut containers = inventory.containers.entries();
        while let Ok(Some(entry)) = containers.next() {
            if let Ok(record) = entry.state
                && let Content::Container(container) = &record.content
            {
                let state = container.state.as_deref().unwrap_or_default().to_owned();
                let name = String::from_utf8_lossy(entry.path).into_owned();
                let id = container.image_id.as_ref().map(json::image_id).unwrap_or_default();
                rows.push([name, container.image.to_string(), id, state]);
            }
        }
        table(&mut page, ["container", "image", "image id", "state"], rows);
        page.push_str("\n### Images\n\n");
        let images = inventory.images.iter();
        table(&mut page, ["image id", "tags"], images.map(|image| [image.id.clone(), image.repo_tags.join(", ")]));
        page.push_str("\n### Networks\n\n");
        let networks = inventory.networks.iter();
        table(&mut page, ["network", "driver"], networks.map(|network| [network.name.clone(), network.driver.clone()]));
        page.push_str("\n### Volumes\n\n");
        let volumes = inventory.volumes.iter();
        table(&mut page, ["volume", "driver"], volumes.map(|volume| [volume.name.clone(), volume.driver.clone()]));
    }
    page.push_str(
        "\n## Make this the baseline\n\nRun `driftlock lock --from` with the path of this directory. Review the change, and commit it.\n",
    );
    page
}

fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        page.push_str("None.\n");
        return;
    }
    let _ = writeln!(page, "| {} |\n|{}", head.join(" | "), " --- |".repeat(N));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.map(|text| cell(&text)).join(" | "));
    }
}

/// Text in Markdown, escaped so that none of it is markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for character in escaped(text.as_bytes()).to_string().chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(cell("a|b\n[x](y) <i>&amp; *_~`"), "a\\|b\\\\n\\[x\\](y) &lt;i>&amp;amp; \\*\\_\\~\\`");
    }
}
