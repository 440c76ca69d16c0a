//! What CI systems take for a command in a log, and what a terminal takes for one or shows as nothing: no name gets through
//! with it, whatever prints it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use needs::needs;

use crate::harness::{World, unprivileged};

const NAMES: [&str; 7] = [
    "::set-output name=a::b",
    "  ::error::x",
    "\u{3000}::warning::x",
    "##[error]x",
    "###vso[task.setvariable variable=a]b",
    "esc\u{1b}[31m",
    "hidden\u{3164}\u{34f}\u{fe0f}\u{e0041}",
];

/// A world in which all of these have drifted, are modules, link targets and unreadable.
fn world() -> World {
    let world = World::new();
    for name in NAMES {
        world.write(format!("{name}/{name}"), "1");
        symlink(name, world.root(format!("{name}/link"))).unwrap();
    }
    world.write("m/a", "1");
    world.lock();
    for name in NAMES {
        world.write(format!("{name}/{name}"), "2");
        world.write(format!("{name}/new{name}"), "2");
        fs::remove_file(world.root(format!("{name}/link"))).unwrap();
        symlink(format!("[{name}](https://x)"), world.root(format!("{name}/link"))).unwrap();
        world.write(format!("{name}-unread"), "3");
        fs::set_permissions(world.root(format!("{name}-unread")), fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::set_permissions(world.path("."), fs::Permissions::from_mode(0o777)).unwrap();
    world
}

fn is_harmless(command: &str, printed: &str, may_command: bool) {
    for line in printed.lines() {
        assert!(!line.contains("##"), "{command}: {line:?}");
        let starts = line.trim_start().starts_with("::");
        let ours =
            ["::error file=", "::error title=driftlock::", "::warning title=driftlock::", "::notice title=driftlock::"];
        assert!(!starts || may_command && ours.iter().any(|start| line.starts_with(start)), "{command}: {line:?}");
        let hidden = |character: char| {
            driftlock::internals::path::is_hazardous(character) || driftlock::internals::path::is_invisible(character)
        };
        assert!(!line.chars().any(hidden), "{command}: {line:?}");
    }
}

#[test]
fn no_command_of_a_ci_system_is_printed() {
    let world = world();
    fs::copy(world.path("locks/tree.lock.json"), world.path("copy.lock.json")).unwrap();
    for format in ["text", "json", "html", "github", "junit", "sarif", "slack", "prometheus"] {
        let run = world.command(unprivileged(&world, &["check", "--format", format])).code(3);
        is_harmless(format, &run.stdout(), format == "github");
        is_harmless(format, &run.stderr(), false);
    }
    for (arguments, code) in [
        (&["lock"][..], 2),
        (&["diff", "copy.lock.json", "live"], 3),
        (&["diff", "copy.lock.json", "live", "--json"], 3),
        (&["hash", "--format", "json", "root"], 2),
        (&["hash", "--format", "nar", "root"], 2),
        (&["report"], 0),
    ] {
        let run = world.command(unprivileged(&world, arguments)).code(code);
        is_harmless(arguments[0], &run.stdout(), false);
        is_harmless(arguments[0], &run.stderr(), false);
    }
    let sarif = world.driftlock(["report", "--format", "sarif"]).code(0).json();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        assert!(!result["message"]["text"].as_str().unwrap().contains("]("), "{result}");
    }
}

/// To a file or another program names go as they are, as those of `sha256sum` do; to a terminal they do not.
#[needs("script")]
fn hash_is_harmless_on_a_terminal() {
    let world = World::new();
    for name in NAMES {
        world.write(name, "1");
    }
    let mut script = Command::new("script");
    script.args(["-qec"]).arg(format!("{} hash root", env!("CARGO_BIN_EXE_driftlock"))).arg("/dev/null");
    let printed = world.command(script).code(0).stdout().replace('\r', "");
    is_harmless("hash", &printed, false);
    assert_eq!(printed.lines().count(), NAMES.len());
    let exact = world.driftlock(["hash", "root"]).code(0).stdout();
    assert!(exact.contains("esc\u{1b}[31m"));
}
