//! Feeds any bytes to the readers of the old locks.

use std::path::Path;

use super::{Spellings, modules, old};
use crate::declaration::{Declaration, Format};
use crate::manifest::text;

/// Reads bytes as each of the old locks.
pub fn old(data: &[u8]) {
    let text = b"[check.a]\nkind = \"files\"\nroot = \"infra/stacks\"\ninclude = [\"**/*.yml\", \"**/*.yaml\"]\n";
    let Ok(declared) = Declaration::parse("fuzzed", Format::Toml, text) else { panic!("the declaration is good") };
    let selection = &declared.checks[0].selection;
    let spellings = Spellings::new(Path::new("infra/stacks"), [Path::new("/srv/stacks")]);
    if old::is_images(data) {
        let _ = old::images(data);
    }
    let _ = modules::read(data, selection);
    if let Ok(lines) = text::lines(data)
        && let Ok(old::RootInPaths::Here(root)) = old::root_of(&lines, &spellings, selection)
    {
        let _ = old::without_root(lines, &root);
    }
}
