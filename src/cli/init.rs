//! `driftlock init`: a commented declaration for what is found here.

use std::io::{self, Write as _};

use super::after_printing;
use super::arguments::Common;
use crate::capability::{self, DECLARATION_NAMES, shown};
use crate::sandbox::Grants;
use crate::session::{enter, not_written};
use crate::trouble::Trouble;
use crate::{init, store};

/// Writes `driftlock.toml` into the working directory, unless there is a declaration already.
///
/// # Errors
/// A declaration that is there, and a directory that can't be read or written.
pub fn run(common: &Common) -> Result<u8, Trouble> {
    if let Some(config) = &common.config {
        return Err(Trouble::new(
            format!(
                "init writes {} into the working directory, and takes no --config {}",
                DECLARATION_NAMES[0],
                shown(config)
            ),
            "change to the directory that it is to describe, and leave --config out",
        ));
    }
    let here = capability::here()?;
    let grants = Grants { read: Vec::new(), write: vec![std::os::fd::AsFd::as_fd(&here)] };
    enter(&grants, common.request().requirement)?;
    if let Some(name) = DECLARATION_NAMES.into_iter().find(|name| here.dir.symlink_metadata(name).is_ok()) {
        return Err(Trouble::new(
            format!("there is a {name} already, and init never overwrites one"),
            "edit it, or move it away first",
        ));
    }
    let text = init::guess(&here.dir).map_err(|error| {
        Trouble::new(
            format!("the working directory could not be read: {error}"),
            "run driftlock as a user who may read it",
        )
    })?;
    let name = DECLARATION_NAMES[0];
    store::create_new(&here.dir, name, text.as_bytes()).map_err(|error| not_written(name, &error))?;
    let mut out = io::stdout().lock();
    let printed = match (common.json, common.quiet) {
        (true, _) => crate::report::json::write_value(&mut out, &serde_json::json!({ "written": name })),
        (false, true) => Ok(()),
        (false, false) => writeln!(out, "wrote {name}; read it through, then run `driftlock lock`"),
    };
    Ok(after_printing(0, printed))
}
