//! Commands for a server: its contents come as a patch, and other commands run there over ssh.

use std::path::Component;

use super::{Ground, Step, there};
use crate::declaration::Server;
use crate::path::{joined, split_last};
use crate::remote::ssh::{self, Overrides};
use crate::report::group::Item;
use crate::report::{CheckReport, ServerReport};
use crate::shell;

/// Adds the commands for "see it", "who did it", "fetch it" and "undo it". `patch` makes the command that prints the
/// patch, with the given options, if the locked contents may be here.
pub(super) fn steps(
    steps: &mut Vec<Step>,
    ground: &Ground,
    (server, check): (&ServerReport, &CheckReport),
    items: &[&Item<'_>],
    patch: Option<&impl Fn(&str) -> String>,
) {
    if let Some(patch) = patch {
        steps.push(Step::new("see it", patch("")));
    }
    // A server that is not declared is named by its host. Another user may have written the report, so check the name.
    let named = || {
        let host = Server::undeclared(&server.host).ok().filter(|host| host.name == server.name)?;
        Some(ssh::typed(&host, &Overrides::default(), &ground.base))
    };
    let ssh = ground.ssh.get(&server.name).cloned().or_else(named);
    let paths: Vec<_> = there(items).map(|item| joined(&check.root, item.path)).collect();
    if let Some(ssh) = ssh.as_ref().filter(|_| !paths.is_empty()) {
        let stat = format!("stat {}", shell::arguments(&paths));
        steps.push(Step::new("who did it", format!("{ssh} {}", shell::word(stat.as_bytes()))));
    }
    let Some(patch) = patch else { return };
    steps.push(Step::new("fetch it", format!("{} | git{} apply", patch(""), ground.git_directory())));
    let declared = check
        .declared_root
        .as_ref()
        .filter(|root| ground.checks.get(&check.name).is_some_and(|known| known.place == **root));
    if let (Some(ssh), Some(declared)) = (&ssh, declared) {
        // Paths in the patch begin at the top of the work tree here, but at the root there. git must ignore a work tree
        // above that root.
        let declared = ground.below_work_tree.join(declared);
        let names = declared.components().filter(|part| matches!(part, Component::Normal(_))).count();
        let root = check.root.trim_end_matches('/').as_bytes();
        let ceiling = match split_last(root) {
            (b"", _) => b"/",
            (above, _) => above,
        };
        let (root, ceiling) = (shell::word(check.root.as_bytes()), shell::word(ceiling));
        let apply = format!("cd {root} && env GIT_CEILING_DIRECTORIES={ceiling} git apply -p{}", 1 + names);
        steps.push(Step::new("undo it", format!("{} | {ssh} {}", patch(" --reverse"), shell::word(apply.as_bytes()))));
    }
}
