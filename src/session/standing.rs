//! This machine as a server of the declaration: what `--server` would read there, without a connection.

use crate::capability::{Declared, shown};
use crate::path::escaped;
use crate::trouble::Trouble;

/// Makes the checks that are for a server those of this machine, with the roots that they have there. Gives their places in
/// the declaration, if not all that are for servers are for this one.
///
/// # Errors
/// A server that is not declared, and a check of which nothing says where its root lies.
pub(super) fn stand_for(declared: &mut Declared, name: &str) -> Result<Option<Vec<usize>>, Trouble> {
    let file = shown(&declared.file);
    let declaration = declared.change();
    let Some(server) = declaration.servers.iter().find(|server| server.name == name) else {
        let known: Vec<_> = declaration.servers.iter().map(|server| server.name.as_str()).collect();
        let remedy = if known.is_empty() {
            "declare it: [server.NAME]".to_owned()
        } else {
            format!("name one of: {}", known.join(", "))
        };
        let problem = format!("--as {}: {file} declares no such server", escaped(name.as_bytes()));
        return Err(Trouble::new(problem, remedy));
    };
    for (place, check) in declaration.checks.iter_mut().enumerate() {
        check.modes.local = check.modes.server && server.is_asked_for(place);
        if !check.modes.local || check.engine.is_some() {
            continue;
        }
        let Some(root) = server.root(check).map(std::path::Path::to_path_buf) else {
            return Err(Trouble::new(
                format!("nothing says where the root of the check {} lies on {}", check.name, escaped(name.as_bytes())),
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
