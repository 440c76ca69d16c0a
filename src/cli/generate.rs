//! `driftlock completions` and `driftlock man`: both from the same clap definitions as the help.

use std::io::{self, Write as _};
use std::path::Path;

use clap::CommandFactory as _;

use super::after_printing;
use super::arguments::{Arguments, Shell};
use crate::capability::{self, shown};
use crate::error::{Error, ErrorKind};
use crate::session::not_written;
use crate::store;

fn print(bytes: &[u8]) -> u8 {
    let mut out = io::stdout().lock();
    after_printing(0, out.write_all(bytes).and_then(|()| out.flush()))
}

/// Prints a completion script.
pub fn completions(shell: Shell) -> u8 {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "driftlock", &mut script);
    print(&script)
}

/// Prints the man page, or writes one for every command into a directory.
///
/// # Errors
/// The directory can't be written to.
pub fn man(output: Option<&Path>) -> Result<u8, Error> {
    let mut command = Arguments::command();
    command.build();
    let Some(path) = output else {
        return Ok(print(&page(&command)?));
    };
    let directory = capability::writable(path, "output", "--output")?;
    let commands = command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
    for command in std::iter::once(&command).chain(commands) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let name = format!("{}.1", name.replace(' ', "-"));
        store::create(&directory.dir, &name, &page(command)?)
            .map_err(|error| not_written(&shown(&path.join(&name)), &error))?;
    }
    Ok(0)
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Error> {
    let mut page = Vec::new();
    // A date in the footer would differ from build to build; the page has the version.
    let man = clap_mangen::Man::new(command.clone()).date("");
    man.render(&mut page).map_err(|error| {
        Error::new(ErrorKind::Output, format!("the man page could not be generated: {error}"), "report this as a bug")
    })?;
    Ok(page)
}
