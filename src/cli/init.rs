//! `driftlock init`: a commented declaration for what is found here.

use std::io::{self, Write};

use cap_std::fs::Dir;

use super::after_printing;
use super::arguments::Common;
use crate::capability::{self, DECLARATION_NAMES, shown};
use crate::error::{Error, ErrorKind};
use crate::init::{self, Suggestion};
use crate::sandbox::Grants;
use crate::session::{enter, not_written};
use crate::store;

/// Writes `driftlock.toml` into the working directory, unless there is a declaration.
///
/// # Errors
/// There is a declaration already, or the directory can't be read or written.
pub fn run(common: &Common) -> Result<u8, Error> {
    if let Some(config) = &common.config {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "init writes {} into the working directory, so --config {} is not possible",
                DECLARATION_NAMES[0],
                shown(config)
            ),
            "change to the directory that it should describe, and leave out --config",
        ));
    }
    let here = capability::here()?;
    let grants = Grants { read: Vec::new(), write: vec![std::os::fd::AsFd::as_fd(&here)], ..Grants::default() };
    enter(&grants, common.plan().requirement)?;
    if let Some(name) = DECLARATION_NAMES.into_iter().find(|name| here.dir.symlink_metadata(name).is_ok()) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("there is a {name} already, and init never overwrites one"),
            "edit it, or move it away first",
        ));
    }
    let guess = init::suggest(&here.dir).map_err(|error| {
        Error::new(
            ErrorKind::Input,
            format!("the working directory could not be read: {error}"),
            "run driftlock as a user who may read it",
        )
    })?;
    let Some(Suggestion { text, uncovered }) = guess else {
        return Err(Error::new(
            ErrorKind::Input,
            "there is nothing to lock here yet: no files were found",
            format!(
                "run `driftlock init` where your files are, or write a {} with `[check.NAME]`, its `kind` and its `root`",
                DECLARATION_NAMES[0]
            ),
        ));
    };
    let name = DECLARATION_NAMES[0];
    store::create_new(&here.dir, name, text.as_bytes()).map_err(|error| not_written(name, &error))?;
    let is_set_up = attributes(&here.dir).map_err(|error| not_written(&format!("{LOCKS}/{GIT_ATTRIBUTES}"), &error))?;
    let mut out = io::stdout().lock();
    let printed = match (common.json, common.quiet) {
        (true, _) => {
            let written = serde_json::json!({ "written": name, "uncovered": uncovered, "merge_driver": MERGE_DRIVER });
            crate::report::json::write_value(&mut out, &written)
        }
        (false, true) => Ok(()),
        (false, false) => told(&mut out, name, &uncovered, is_set_up),
    };
    Ok(after_printing(0, printed))
}

/// The locks directory of the declaration that is written.
const LOCKS: &str = "audit/locks";
const GIT_ATTRIBUTES: &str = ".gitattributes";

/// Makes git keep the line endings of locks, and merge locks by entry.
const ATTRIBUTES: &str = "* -text\n*.lock.json merge=driftlock\n";
/// Tells git how to merge them. Each clone needs it in its configuration.
const MERGE_DRIVER: &str =
    "git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L --path %P %O %A %B'";

/// Writes the attributes for git, unless there are some; returns whether it did.
fn attributes(here: &Dir) -> io::Result<bool> {
    here.create_dir_all(LOCKS)?;
    match store::create_new(&here.open_dir(LOCKS)?, GIT_ATTRIBUTES, ATTRIBUTES.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true),
    }
}

/// The most uncovered items to print. The summary is shorter, except in unusual trees.
const TOLD: usize = 500;

fn told(out: &mut impl Write, name: &str, uncovered: &[String], is_set_up: bool) -> io::Result<()> {
    writeln!(out, "wrote {name}; read it through, then run `driftlock lock`")?;
    writeln!(out, "so that git merges locks by entry, once in each clone:\n    {MERGE_DRIVER}")?;
    if !is_set_up {
        writeln!(
            out,
            "    and add this to {LOCKS}/{GIT_ATTRIBUTES}, which exists already: *.lock.json merge=driftlock"
        )?;
    }
    if uncovered.is_empty() {
        return Ok(());
    }
    writeln!(out, "not covered by it:")?;
    for line in uncovered.iter().take(TOLD) {
        writeln!(out, "    {line}")?;
    }
    match uncovered.len().checked_sub(TOLD) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "    … and {more} more"),
    }
}
