//! `--as`: runs the checks of a declared server on this machine, which is that server.

use crate::capability::{Declared, shown};
use crate::error::{Error, ErrorKind};
use crate::path::escaped;

/// Changes the declaration so that the checks of the server run on this machine, with the server's roots. Returns the
/// indices of these checks if the server is not asked for all checks.
///
/// # Errors
/// The server is not declared, or the declaration does not say where a root is on it.
pub(super) fn become_server(declared: &mut Declared, name: &str) -> Result<Option<Vec<usize>>, Error> {
    let file = shown(&declared.file);
    let declaration = declared.change();
    let Some(server) = declaration.servers.iter().find(|server| server.name == name) else {
        let known: Vec<_> = declaration.servers.iter().map(|server| server.name.as_str()).collect();
        let help = if known.is_empty() {
            "declare it: [server.NAME]".to_owned()
        } else {
            format!("name one of: {}", known.join(", "))
        };
        let problem = format!("--as {}: {file} declares no such server", escaped(name.as_bytes()));
        return Err(Error::new(ErrorKind::Usage, problem, help));
    };
    for (place, check) in declaration.checks.iter_mut().enumerate() {
        check.modes.local = check.modes.server && server.is_asked_for(place);
        if !check.modes.local || check.engine.is_some() {
            continue;
        }
        let Some(root) = server.root(check).map(std::path::Path::to_path_buf) else {
            return Err(Error::new(
                ErrorKind::Declaration,
                format!(
                    "the declaration does not say where the root of the check {} is on {}",
                    check.name,
                    escaped(name.as_bytes())
                ),
                format!(
                    "write `server_root` in the check, `roots = {{ {} = \"/…\" }}` in the server, or `modes = [\"local\"]`",
                    check.name
                ),
            ));
        };
        check.root = root;
    }
    Ok(server.named_checks())
}
