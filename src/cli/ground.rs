//! The reader's directory and checks, for the commands that a report suggests. Read before the sandbox is entered.

use std::path::{Path, PathBuf};

use super::arguments::Common;
use crate::capability::{self, Declared};
use crate::declaration::Check;
use crate::remote::ssh::{self, Overrides};
use crate::report::next::{Footing, Ground, InGit};

/// The ground for a declaration and its checks.
pub fn ground(common: &Common, declared: &Declared) -> Ground {
    let base = capability::future(&declared.base);
    let tree = base.as_deref().and_then(capability::work_tree);
    let locks = capability::future(&declared.base.join(&declared.declaration.locks));
    let server = common.as_server.as_deref();
    let checks = declared.declaration.checks.iter().map(|check| {
        let git = in_git(declared, (check, server), base.as_deref(), tree.as_deref(), locks.as_deref());
        let engine = check.engine.as_ref().map(|engine| declared.base.join(&engine.socket));
        (
            check.name.clone(),
            Footing {
                local: check.modes.local,
                place: check.place(),
                git,
                reference: check.reference.is_some(),
                engine,
            },
        )
    });
    let declared_servers = declared.declaration.servers.iter();
    let ssh =
        declared_servers.map(|server| (server.name.clone(), ssh::typed(server, &Overrides::default(), &declared.base)));
    Ground {
        ssh: ssh.collect(),
        below_work_tree: base.as_deref().map(capability::below_work_tree).unwrap_or_default(),
        config: common.config.clone(),
        as_server: common.as_server.clone(),
        base: declared.base.clone(),
        checks: checks.collect(),
    }
}

/// The paths of a check's root and lock for git, if both are in the work tree.
fn in_git(
    declared: &Declared,
    (check, server): (&Check, Option<&str>),
    base: Option<&Path>,
    tree: Option<&Path>,
    locks: Option<&Path>,
) -> Option<InGit> {
    let (base, tree, locks) = (base?, tree?, locks?);
    if check.engine.is_some() {
        return None;
    }
    let root = capability::future(&declared.base.join(&check.root))?;
    // A nested repository has its own files.
    let is_ours = |path: &Path| capability::work_tree(path).as_deref() == Some(tree);
    // Relative to the declaration's directory if possible. Links are resolved, because git does not follow them.
    let spelled = |path: &Path| path.strip_prefix(base).map_or_else(|_| path.to_path_buf(), PathBuf::from);
    let root = Some(root).filter(|root| is_ours(root) && root.to_str().is_some())?;
    is_ours(locks).then(|| InGit { root: spelled(&root), lock: spelled(&locks.join(check.lock.path(server))) })
}
