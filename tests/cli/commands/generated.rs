//! What is made from the definitions of the command line: help, completions, man pages.

use std::fs;
use std::process::Command;

use crate::harness::World;
use crate::watch::{names, no_panic, says, shell};
use needs::needs;

const COMMANDS: [&str; 14] = [
    "init",
    "lock",
    "accept",
    "check",
    "diff",
    "export",
    "hash",
    "capabilities",
    "collect",
    "completions",
    "man",
    "merge-driver",
    "report",
    "seal",
];

#[test]
fn help_lists_every_command() {
    let world = World::new();
    let help = world.driftlock(["--help"]).code(0);
    assert_eq!(help.stderr(), "");
    for command in COMMANDS {
        says(&help.stdout(), &[&format!("\n  {command} ")]);
    }
    says(&help.stdout(), &["Exit codes are bits: 0 all verified; 1 drift", "--require-sandbox", "--config <FILE>"]);
    let version = world.driftlock(["--version"]).code(0).stdout();
    assert_eq!(version, format!("driftlock {}\n", env!("CARGO_PKG_VERSION")));
}

/// The lines behind `Examples:` in a help text, without what explains them.
fn examples(help: &str) -> Vec<String> {
    let behind = help.lines().skip_while(|line| !line.starts_with("Example")).skip(1);
    let examples = behind.take_while(|line| line.starts_with("  ")).map(str::trim);
    examples.map(|line| line.split("   ").next().unwrap().to_owned()).collect()
}

/// Each example is a command line that the parser takes: what it then does depends on files that are not there.
#[test]
fn every_help_has_examples_and_every_example_parses() {
    let mut seen = 0;
    for command in std::iter::once(&[][..]).chain(COMMANDS.chunks(1)) {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        let help = world.driftlock([command, &["--help"]].concat()).code(0).stdout();
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{command:?} has no example:\n{help}");
        for example in examples {
            let start = [&["driftlock"], command].concat().join(" ");
            assert!(example.starts_with(&start), "{example} in the help of {command:?}");
            let parts = example.split(" && ").map(|part| part.split(" | ").next().unwrap());
            for line in parts.filter(|line| line.starts_with("driftlock ")) {
                let line = line.split(" > ").next().unwrap();
                // Not where they would be on a real machine.
                let line = line.replace("~/", "home/").replace("/var/lib/", "var/");
                let arguments: Vec<_> = line.split_whitespace().skip(1).collect();
                let mut run = world.driftlock(&arguments);
                let output = run.command.output().unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(!stderr.starts_with("error: "), "{example}: {stderr}");
                assert!(!stderr.contains("panicked") && output.status.code().is_some(), "{example}: {stderr}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 18, "{seen} examples");
}

#[needs("bash", "zsh", "fish")]
fn completions_are_valid_in_their_shells() {
    let world = World::new();
    for (name, check) in [
        ("bash", "bash -n script && . ./script && complete -p driftlock"),
        ("zsh", "zsh -n script"),
        ("fish", "fish --no-execute script"),
    ] {
        let script = world.driftlock(["completions", name]).code(0);
        assert_eq!(script.stderr(), "");
        for word in ["driftlock", "require-sandbox", "capabilities", "dry-run"] {
            says(&script.stdout(), &[word]);
        }
        fs::write(world.path("script"), &script.output.stdout).unwrap();
        let finished = shell(&world, "bash", check).env("HOME", "/nonexistent").code(0);
        no_panic(&finished);
        assert_eq!(finished.stderr(), "", "{name}");
        // A broken script would have been told from a good one.
        fs::write(world.path("script"), [&script.output.stdout[..], b"\nif ((( \"\n"].concat()).unwrap();
        let broken = shell(&world, "bash", check.split(" && ").next().unwrap()).command.output().unwrap();
        assert!(!broken.status.success(), "{name} finds nothing wrong with a broken script");
    }
}

#[test]
fn completion_in_bash_knows_commands_and_options() {
    let world = World::new();
    let script = "eval \"$(\"$DRIFTLOCK\" completions bash)\"\n\
                  complete_of() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _driftlock driftlock \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; echo \"${COMPREPLY[*]}\"; }\n\
                  complete_of driftlock ch\ncomplete_of driftlock check --req\ncomplete_of driftlock hash --format \"\"";
    let text = shell(&world, "bash", script).code(0).stdout();
    assert_eq!(text, "check\n--require-sandbox\nsha256sum nar json\n");
}

#[needs("groff")]
fn man_pages_render_without_warnings() {
    let world = World::new();
    world.driftlock(["man", "--output", "man/man1"]).code(0);
    let mut expected: Vec<_> = COMMANDS.iter().map(|command| format!("driftlock-{command}.1")).collect();
    expected.push("driftlock.1".to_owned());
    expected.sort();
    assert_eq!(names(world.path("man/man1")), expected);
    let render = |page: &str| {
        let mut command = Command::new("groff");
        command.args(["-man", "-Tutf8", "-ww", "-P-cbou", page]);
        let finished = world.command(command).code(0);
        (finished.stdout(), finished.stderr())
    };
    for page in &expected {
        let (text, warnings) = render(&format!("man/man1/{page}"));
        assert_eq!(warnings, "", "{page}");
        says(&text, &["NAME", "SYNOPSIS", "DESCRIPTION", page.trim_end_matches(".1")]);
    }
    assert_eq!(world.driftlock(["man"]).code(0).output.stdout, fs::read(world.path("man/man1/driftlock.1")).unwrap());
    fs::write(world.path("broken.1"), ".TH x 1\n.nonsense \\*[undefined]\n").unwrap();
    assert_ne!(render("broken.1").1, "", "groff warns of what is wrong");
    // Written again over what is there, byte for byte the same: nothing in a page says when it was made.
    let before: Vec<_> = expected.iter().map(|page| fs::read(world.path("man/man1").join(page)).unwrap()).collect();
    world.driftlock(["man", "--output", "man/man1"]).code(0);
    let after: Vec<_> = expected.iter().map(|page| fs::read(world.path("man/man1").join(page)).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn man_pages_that_can_not_be_written() {
    let world = World::new();
    fs::write(world.path("file"), "precious").unwrap();
    let finished = world.driftlock(["man", "--output", "file"]).code(2);
    says(&finished.stderr(), &["the output directory file could not be created", "--output"]);
    assert_eq!(fs::read(world.path("file")).unwrap(), b"precious");
}
