//! `driftlock capabilities`: what a run would read and write, and what it is denied, for an auditor.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::Common;
use super::{after_printing, exit};
use crate::capability::{self, Declared, shown};
use crate::declaration::{Check, Declaration, Engine, Server};
use crate::error::{Error, ErrorKind};
use crate::manifest::Kind;
use crate::path::escaped;
use crate::sandbox::{self, Enforced};
use crate::seal;
use crate::session::{LocksAccess, Reads, Session};

/// What seccomp refuses.
const DENIED: &str = "starting programs, sockets and connections, tracing, signals to others, mounting, \
                      changing modes, owners and attributes, removing and linking files, and every other call that is not on the list in src/sandbox/seccomp.rs";

/// Prints what runs with this declaration may do, or tries to open a path from inside the sandbox.
///
/// # Errors
/// The declaration is wrong. With `--probe`: a `check` could not start, or the path does not exist.
pub fn run(common: &Common, probe: Option<&Path>) -> Result<u8, Error> {
    match probe {
        Some(path) => try_path(common, path),
        None => {
            // This opens only the declaration, so it works where the roots do not exist: in a build, for example.
            let declared = capability::declaration(common.config.as_deref())?;
            let offered = sandbox::available();
            let mut out = io::stdout().lock();
            let printed = if common.json {
                print_json(&mut out, &declared, &offered)
            } else {
                print(&mut out, &declared, &offered)
            };
            Ok(after_printing(0, printed))
        }
    }
}

fn try_path(common: &Common, path: &Path) -> Result<u8, Error> {
    let session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Here)?;
    let outside = capability::probe(path);
    if let Err(error) = &outside
        && error.kind() == io::ErrorKind::NotFound
    {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{} does not exist", shown(path)),
            "probe a path that exists",
        ));
    }
    let run = session.enter(&[])?;
    let inside = capability::probe(path);
    let path = shown(path);
    let tell = |result: &io::Result<()>| match result {
        Ok(()) => "opened".to_owned(),
        Err(error) => format!("refused: {error}"),
    };
    let mut out = io::stdout().lock();
    let printed = if common.json {
        let value = serde_json::json!({
            "path": path,
            "outside": tell(&outside),
            "inside": tell(&inside),
            "reachable": inside.is_ok(),
            "landlock": run.enforced.landlock.as_ref().map(|landlock| landlock.abi),
            "seccomp": run.enforced.seccomp,
        });
        crate::report::json::write_value(&mut out, &value)
    } else {
        writeln!(out, "outside the sandbox: {path}: {}", tell(&outside))
            .and_then(|()| writeln!(out, "inside the sandbox:  {path}: {}", tell(&inside)))
            .and_then(|()| {
                writeln!(out, "{}", if inside.is_ok() { "a check can read it" } else { "out of reach of a check" })
            })
    };
    Ok(after_printing(if inside.is_ok() { exit::DRIFT } else { 0 }, printed))
}

/// Prints the declared directories and what they are for.
fn print(out: &mut impl Write, declared: &Declared, offered: &Enforced) -> io::Result<()> {
    let declaration = &declared.declaration;
    let base = |path: &Path| shown(&declared.base.join(path));
    writeln!(out, "declaration: {}", shown(&declared.file))?;
    writeln!(out, "\nread, everything below, through a handle that is opened before the sandbox is entered:")?;
    for check in declaration.checks.iter().filter(|check| check.engine.is_none()) {
        let globs = match (&check.selection.include[..], &check.selection.exclude[..]) {
            ([], []) => "everything".to_owned(),
            ([], exclude) => format!("everything but {}", quoted(exclude)),
            (include, []) => quoted(include),
            (include, exclude) => format!("{} but not {}", quoted(include), quoted(exclude)),
        };
        writeln!(out, "  {}  (root of the check {}: records {globs})", base(&check.root), check.name)?;
    }
    for (check, reference) in declaration.checks.iter().filter_map(|check| Some((check, check.reference.as_ref()?))) {
        writeln!(
            out,
            "  {}  (reference of the check {}; by `diff --patch`, `accept`, and `check` where it shows changes)",
            base(reference),
            check.name
        )?;
    }
    for (check, files) in declaration.checks.iter().filter_map(|check| Some((check, check.compose.as_ref()?))) {
        writeln!(out, "  {}  (what Compose says of the check {})", base(&files.config), check.name)?;
        if let Some(hashes) = &files.hashes {
            writeln!(out, "  {}  (hashes of Compose's of the check {})", base(hashes), check.name)?;
        }
    }
    writeln!(out, "  {}  (lock files; `check`, `lock --dry-run` and `diff` only read them)", base(&declaration.locks))?;
    writeln!(out, "  /etc/driftlock/allowed_signers, or the FILE of --seal  (who may seal; by `check` alone)")?;
    writeln!(out, "  the FILE of --sealed-declaration  (the declaration that was sealed; by `check` alone)")?;
    let engines: Vec<_> = declaration.checks.iter().filter_map(|check| Some((check, check.engine.as_ref()?))).collect();
    if !engines.is_empty() {
        writeln!(
            out,
            "\nasked, only with GET requests, through a connection that is made before the sandbox is entered:"
        )?;
    }
    for (check, engine) in engines {
        let what = match check.kind {
            Kind::ContainerFiles => format!("files in {}", escaped(check.place().as_bytes())),
            Kind::Compose => "the containers of its Compose project".to_owned(),
            _ => containers(check, engine),
        };
        writeln!(out, "  {}  (engine of the check {}: records {what})", base(&engine.socket), check.name)?;
    }
    writeln!(out, "\nwritten:")?;
    for check in &declaration.checks {
        writeln!(out, "  {}  (by `lock` and `accept` alone)", base(&declaration.locks.join(check.lock.path(None))))?;
    }
    for name in [seal::NAME, seal::SIGNATURE_NAME] {
        writeln!(out, "  {}  (by `seal` alone)", base(&declaration.locks.join(name)))?;
    }
    writeln!(out, "  {}/<time>/  (reports, by `check` alone)", base(&declaration.reports))?;
    if let Some(most) = declaration.reports_keep {
        writeln!(
            out,
            "\nremoved, by `check` alone, which keeps {most} reports; nothing can be removed elsewhere:\n  {}/<time>/",
            base(&declaration.reports)
        )?;
    }
    writeln!(
        out,
        "  FILE  (by `check --stat-cache`, `--metrics` and `--seal-state FILE` alone, which may write in that directory)"
    )?;
    if !declaration.servers.is_empty() {
        writeln!(out, "\nconnected to, by `check --server` alone, which opens no root here:")?;
        for server in &declaration.servers {
            let user = server.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let port = server.port.map(|port| format!(", port {port}")).unwrap_or_default();
            writeln!(
                out,
                "  {}{port}  (server {}: by `ssh`, which a launcher starts outside of the sandbox and which runs `driftlock collect` there{})",
                escaped(format!("{user}{}", server.host).as_bytes()),
                server.name,
                asked(declaration, server)
                    .map_or_else(String::new, |names| format!("; asked for {}", names.join(", ")))
            )?;
        }
    }
    writeln!(out, "\ndenied, permanently, as soon as a run has opened its files:")?;
    match &offered.landlock {
        Some(landlock) => {
            let covers = landlock.restrictions.join(", ");
            writeln!(
                out,
                "  by Landlock (ABI {}: {covers}): every other file and directory of this machine",
                landlock.abi
            )?;
        }
        None => writeln!(
            out,
            "  Landlock: NOT OFFERED by this kernel; other files are kept out of reach by the code alone"
        )?,
    }
    if offered.seccomp {
        writeln!(out, "  by seccomp: {}", DENIED)
    } else {
        writeln!(out, "  seccomp: NOT OFFERED by this kernel")
    }
}

/// The checks that a server is asked for; `None` if that is all checks for servers.
fn asked<'a>(declaration: &'a Declaration, server: &Server) -> Option<Vec<&'a str>> {
    let places = server.named_checks()?;
    Some(places.into_iter().map(|place| declaration.checks[place].name.as_str()).collect())
}

/// The containers that a check records.
fn containers(check: &Check, engine: &Engine) -> String {
    let mut what = if engine.containers.is_empty() { "all containers".to_owned() } else { quoted(&engine.containers) };
    if !check.selection.exclude.is_empty() {
        what.push_str(&format!(" but not {}", quoted(&check.selection.exclude)));
    }
    let labels: Vec<_> = engine.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !labels.is_empty() {
        what.push_str(&format!(", of them those with {}", quoted(&labels)));
    }
    if engine.one_off {
        what.push_str(", one-off ones too");
    }
    what
}

fn quoted(globs: &[String]) -> String {
    globs.iter().map(|glob| format!("\"{}\"", escaped(glob.as_bytes()))).collect::<Vec<_>>().join(", ")
}

fn print_json(out: &mut impl Write, declared: &Declared, offered: &Enforced) -> io::Result<()> {
    let declaration = &declared.declaration;
    let base = |path: &Path| shown(&declared.base.join(path));
    let roots: Vec<_> = declaration
        .checks
        .iter()
        .map(|check| {
            serde_json::json!({
                "check": check.name,
                "kind": check.kind.name(),
                "root": match &check.engine {
                    None => base(&check.root),
                    Some(_) => escaped(check.place().as_bytes()).to_string(),
                },
                "reference": check.reference.as_ref().map(|reference| base(reference)),
                "socket": check.engine.as_ref().map(|engine| base(&engine.socket)),
                "containers": check.engine.as_ref().map(|engine| &engine.containers),
                "labels": check.engine.as_ref().map(|engine| &engine.labels),
                "config": check.compose.as_ref().map(|files| base(&files.config)),
                "hashes": check.compose.as_ref().and_then(|files| files.hashes.as_deref()).map(base),
                "one_off": check.engine.as_ref().map(|engine| engine.one_off),
                "include": if check.kind.is_of_containers() { &[][..] } else { &check.selection.include[..] },
                "exclude": check.selection.exclude,
                "lock": base(&declaration.locks.join(check.lock.path(None))),
            })
        })
        .collect();
    let value = serde_json::json!({
        "declaration": shown(&declared.file),
        "read": roots,
        "servers": declaration
            .servers
            .iter()
            .map(|server| {
                let checks = asked(declaration, server);
                serde_json::json!({
                    "server": server.name, "host": server.host, "user": server.user, "port": server.port, "checks": checks,
                })
            })
            .collect::<Vec<_>>(),
        "locks": base(&declaration.locks),
        "reports": base(&declaration.reports),
        "reports_keep": declaration.reports_keep,
        "offered": {
            "landlock": offered.landlock.as_ref().map(|landlock| serde_json::json!({"abi": landlock.abi, "restrictions": landlock.restrictions})),
            "seccomp": offered.seccomp,
        },
    });
    crate::report::json::write_value(out, &value)
}
