//! What the README, the page on lock formats and `--help` show is what happens: every `console` block is run, and every
//! example of the help too.
//!
//! In a block, `$ ` starts a command, and what stands below it is all that it prints. There `…` stands for anything in
//! a line, a line of `…` alone for any lines, and one time of a run for any other.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests open what they like by name")]

mod machine;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use needs::needs;
use tempfile::TempDir;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const BINARY: &str = env!("CARGO_BIN_EXE_driftlock");

/// In the place of `cargo` and `nix`: what the two ways to run the program do, without building it once more.
const STAND_IN: &str = r#"#!/bin/sh
case "$*" in
'run --release -- '*) shift 3; exec driftlock "$@" ;;
'run . -- '*) shift 3; exec driftlock "$@" ;;
esac
"#;

/// Nix, but for what it says of a machine without a network.
const WITHOUT_NETWORK: &str = r#""$REAL_NIX" "$@" 2>"$TMPDIR/said"; code=$?
grep -v "^warning: you don't have Internet access" "$TMPDIR/said" >&2
exit $code"#;

/// The examples as a fresh clone has them, and what a shell needs to run the commands of a page.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap());
        for directory in ["bin", "home/.local/share/bash-completion/completions", "tmp", "repository"] {
            fs::create_dir_all(scene.path(directory)).unwrap();
        }
        let bin = scene.path("bin");
        symlink(BINARY, bin.join("driftlock")).unwrap();
        for (name, otherwise) in [("cargo", "echo \"not to be run here: cargo $*\""), ("nix", WITHOUT_NETWORK)] {
            fs::write(bin.join(name), format!("{STAND_IN}{otherwise}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for example in ["odoo-stack", "odoo-stack-drifted"] {
            let to = scene.path("repository/examples").join(example);
            copy(&Path::new(REPOSITORY).join("examples").join(example), &to);
            // A clone has no reports of earlier runs.
            fs::remove_dir_all(to.join("audit/runtime")).unwrap_or_default();
        }
        scene
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    /// Runs a script with nothing of the tester's environment but the path.
    fn shell(&self, directory: &str, script: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut nix = path.split(':').map(|directory| Path::new(directory).join("nix"));
        let nix = nix.find(|nix| nix.is_file()).expect("this test needs nix (Debian: nix-bin)");
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).current_dir(self.path(directory)).stdin(Stdio::null()).env_clear();
        bash.env("PATH", format!("{}:{path}", self.path("bin").display())).env("REAL_NIX", nix);
        bash.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("LC_ALL", "C.UTF-8");
        bash.env("EDITOR", "true").output().expect("this test needs bash")
    }
}

/// Copies a directory with its modes and links.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let file_type = entry.file_type().unwrap();
        if file_type.is_dir() {
            copy(&from, &to);
        } else if file_type.is_symlink() {
            symlink(fs::read_link(from).unwrap(), to).unwrap();
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// The blocks of a page that are marked as `language`, with the line they start on.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let text = fs::read_to_string(Path::new(REPOSITORY).join(page)).unwrap();
    let mut lines = text.lines().zip(2..);
    let mut blocks = Vec::new();
    while let Some((line, number)) = lines.next() {
        if let Some(marked) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
            if marked == language {
                blocks.push((number, block.join("\n")));
            }
        }
    }
    blocks
}

/// The commands of a block, each with the lines that it is to print.
fn commands(block: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("a block starts with a command, not with {line:?}"),
        }
    }
    commands
}

/// Runs all commands in one shell, and gives what each printed.
fn run(scene: &Scene, commands: &[&str]) -> Vec<String> {
    const END: &str = "(end of what a command printed)\n";
    let mut script = "exec 2>&1\n".to_owned();
    for command in commands {
        // The status goes on to the next command, for `echo $?`.
        script.push_str(&format!("{command}\nstatus=$?; printf '{}\\n'; (exit $status)\n", END.trim_end()));
    }
    let output = String::from_utf8(scene.shell("repository", &script).stdout).unwrap();
    let printed: Vec<_> = output.split(END).map(str::to_owned).collect();
    assert_eq!(printed.len(), commands.len() + 1, "a command ended the shell: {commands:?}\n{output}");
    printed[..commands.len()].to_vec()
}

/// `20260129_153042` as `<time>`, wherever it stands, and the status of a file on the machine at hand as `<status>`.
fn without_times(line: &str) -> String {
    const SHAPE: &[u8] = b"dddddddd_dddddd";
    let fits = |byte: u8, shape: u8| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let is_time = |window: &[u8]| window.iter().zip(SHAPE).all(|(&byte, &shape)| fits(byte, shape));
    let mut line = line.to_owned();
    while let Some(at) = line.as_bytes().windows(SHAPE.len()).position(is_time) {
        line.replace_range(at..at + SHAPE.len(), "<time>");
    }
    let status = line.find(", mtime ").and_then(|at| Some((at, at + line[at..].find(", gid ")? + ", gid ".len())));
    if let Some((at, gid)) = status {
        let end = gid + line[gid..].bytes().take_while(u8::is_ascii_digit).count();
        line.replace_range(at..end, ", <status>");
    }
    line
}

fn line_fits(expected: &str, actual: &str) -> bool {
    let (expected, actual) = (without_times(expected), without_times(actual));
    let mut parts: Vec<_> = expected.split('…').collect();
    let first = parts.remove(0);
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn fits(expected: &[&str], actual: &[&str]) -> bool {
    match expected {
        [] => actual.is_empty(),
        ["…", rest @ ..] => (0..=actual.len()).any(|skipped| fits(rest, &actual[skipped..])),
        [line, rest @ ..] => {
            actual.split_first().is_some_and(|(first, more)| line_fits(line, first) && fits(rest, more))
        }
    }
}

fn console_blocks_hold(page: &str) {
    let blocks = blocks(page, "console");
    assert!(!blocks.is_empty());
    for (line, block) in blocks {
        let commands = commands(&block);
        let printed = run(&Scene::new(), &commands.iter().map(|(command, _)| *command).collect::<Vec<_>>());
        for ((command, expected), printed) in commands.iter().zip(printed) {
            let actual: Vec<_> = printed.lines().collect();
            assert!(fits(expected, &actual), "{page}:{line}: $ {command}\n{printed}\nis not\n{}", expected.join("\n"));
        }
    }
}

/// From its first block to its last in one shell, as a newcomer would.
#[needs(landlock, "bash", "nix", "jq")]
fn the_readme_holds_from_top_to_bottom() {
    const PAGE: &str = "README.md";
    assert!(fs::read_to_string(Path::new(REPOSITORY).join(PAGE)).unwrap().lines().count() <= 150);
    let blocks = blocks(PAGE, "console");
    let commands: Vec<_> = blocks.iter().flat_map(|(_, block)| commands(block)).collect();
    assert!(commands.len() > 5);
    let printed = run(&Scene::new(), &commands.iter().map(|(command, _)| *command).collect::<Vec<_>>());
    for ((command, expected), printed) in commands.iter().zip(printed) {
        let actual: Vec<_> = printed.lines().collect();
        assert!(fits(expected, &actual), "{PAGE}: $ {command}\n{printed}\nis not\n{}", expected.join("\n"));
    }
}

/// In a repository that has no declaration yet: what was added can be committed, and nothing else of ours is left.
#[needs("bash", "nix", "git")]
fn the_quick_start_of_the_readme_ends_with_a_pass() {
    let blocks = blocks("README.md", "sh");
    let (_, start) = blocks.iter().find(|(_, block)| block.contains("driftlock init")).unwrap();
    let scene = Scene::new();
    let here = scene.path("repository");
    copy(&here.join("examples/odoo-stack"), &here);
    for ours in ["examples", "audit"] {
        fs::remove_dir_all(here.join(ours)).unwrap();
    }
    fs::remove_file(here.join("driftlock.toml")).unwrap();
    let done = scene.shell("repository", &format!("set -e; git init -q; git add -A; {start}\ngit status --short"));
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("OVERALL: PASS"), "{done:?}");
    assert!(!said.contains("?? "), "reports are not to be committed: {said}");
}

#[needs(landlock, "bash", "nix", "jq")]
fn the_sessions_on_the_page_of_reports_happen() {
    console_blocks_hold("docs/reports.md");
}

#[needs(landlock, "bash", "nix")]
fn the_sessions_on_the_page_of_the_threat_model_happen() {
    console_blocks_hold("docs/threat-model.md");
}

#[needs("bash", "nix")]
fn the_sessions_on_the_page_of_lock_formats_happen() {
    console_blocks_hold("docs/lock-format.md");
}

#[needs("bash", "nix")]
fn the_sessions_on_the_page_of_resolving_happen() {
    console_blocks_hold("docs/resolving.md");
}

#[needs("bash", "nix")]
fn the_sessions_on_the_page_of_containers_happen() {
    console_blocks_hold("docs/containers.md");
}

/// What the scripts ran to make their locks.
const SCRIPTS: &str = r#"set -euo pipefail; export LC_ALL=C
find infra/stacks -name 'docker-compose*.y*ml' -exec sha256sum {} + >audit/locks/compose_sha256.lock.txt
for module in $(ls odoo_modules/seisei); do
    hash=$(find odoo_modules/seisei/$module -type f -exec sha256sum {} + | sort | sha256sum | cut -d' ' -f1)
    echo "$hash  $module"
done >audit/locks/odoo_addons_modules.hash.txt
"#;

/// One session from its first block to its last, in a repository that the scripts have looked after.
#[needs(landlock, "bash", "nix")]
fn the_steps_of_the_page_on_migrating_are_taken() {
    const PAGE: &str = "docs/migrating.md";
    let scene = Scene::new();
    let here = scene.path("repository");
    copy(&here.join("examples/odoo-stack"), &here);
    fs::remove_dir_all(here.join("audit/locks")).unwrap();
    fs::create_dir(here.join("audit/locks")).unwrap();
    assert!(scene.shell("repository", SCRIPTS).status.success());
    let [(_, declaration)] = &blocks(PAGE, "toml")[..] else { panic!("there is one declaration") };
    fs::write(here.join("driftlock.toml"), declaration).unwrap();
    let blocks = blocks(PAGE, "console");
    let commands: Vec<_> = blocks.iter().flat_map(|(_, block)| commands(block)).collect();
    assert!(commands.len() > 4);
    let printed = run(&scene, &commands.iter().map(|(command, _)| *command).collect::<Vec<_>>());
    for ((command, expected), printed) in commands.iter().zip(printed) {
        let actual: Vec<_> = printed.lines().collect();
        assert!(fits(expected, &actual), "{PAGE}: $ {command}\n{printed}\nis not\n{}", expected.join("\n"));
    }
    let locks: Vec<_> =
        fs::read_dir(here.join("audit/locks")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut locks: Vec<_> =
        locks.iter().map(|name| name.to_str().unwrap()).filter(|name| !name.starts_with('.')).collect();
    locks.sort_unstable();
    assert_eq!(locks, ["addon_hashes.lock.json", "compose_hashes.lock.json"]);
}

#[test]
fn what_fits_a_session_and_what_does_not() {
    for (expected, actual) in [
        (&["a", "…", "c"][..], &["a", "b", "b", "c"][..]),
        (&["…"], &[]),
        (&["x 20260129_153042 … z"], &["x 19991231_235959 y z"]),
        (&["a …→ …)"], &["a b→ c)"]),
    ] {
        assert!(fits(expected, actual), "{expected:?} {actual:?}");
    }
    for (expected, actual) in [
        (&["a"][..], &["a", "b"][..]),
        (&["a", "b"], &["a"]),
        (&["a", "…", "c"], &["a", "b"]),
        (&["a … c"], &["a b"]),
        (&["a"], &["ab"]),
        (&["a", "…"], &["b"]),
        (&["2026"], &["2027"]),
        (&[], &["a"]),
    ] {
        assert!(!fits(expected, actual), "{expected:?} {actual:?}");
    }
}

#[needs("bash", "nix")]
fn the_declaration_of_its_page_is_valid_and_has_every_key() {
    let [(_, declaration)] = &blocks("docs/declaration.md", "toml")[..] else { panic!("there is one declaration") };
    every_key_is_in(declaration, &["wrong = 1\n", "[check.a]\nkind = \"files\"\nroot = \".\"\nwrong = 1\n"]);
}

#[needs("bash", "nix")]
fn the_declaration_of_the_page_on_containers_is_valid_and_has_every_key() {
    let [(_, declaration)] = &blocks("docs/containers.md", "toml")[..] else { panic!("there is one declaration") };
    let kind = |kind: &str| format!("[check.a]\nkind = \"{kind}\"\nwrong = 1\n");
    // These are as for other checks, as the page says.
    let whole = format!("{declaration}\nlock = \"a.lock.json\"\nlock_per_server = true\nallow_empty = true\n");
    every_key_is_in(&whole, &[&kind("containers"), &kind("container_files"), &kind("compose")]);
}

/// Whether a declaration is valid, and has all the keys that the refusals of these name as known.
fn every_key_is_in(declaration: &str, wrong: &[&str]) {
    let scene = Scene::new();
    let capabilities_of = |declaration: &str| {
        fs::write(scene.path("repository/driftlock.toml"), declaration).unwrap();
        scene.shell("repository", "driftlock capabilities")
    };
    let output = capabilities_of(declaration);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The refusal of an unknown key names all that are known.
    for wrong in wrong {
        let message = String::from_utf8(capabilities_of(wrong).stderr).unwrap();
        let known = message.split("unknown key").nth(1).unwrap_or_else(|| panic!("{message}"));
        let keys: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() >= 3, "{message}");
        for key in keys {
            let sets = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
            let opens = |line: &str| line.starts_with(&format!("[{key}."));
            assert!(declaration.lines().any(|line| sets(line) || opens(line)), "the page leaves out `{key}`");
        }
    }
}

/// Every command that stands as an example in the help.
fn examples(scene: &Scene) -> Vec<String> {
    let help = |command: &str| {
        let output = scene.shell("repository", &format!("driftlock {command} --help"));
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let top = help("");
    let listed = top.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"check"), "{top}");
    let mut examples = Vec::new();
    for text in names.iter().filter(|name| **name != "help").map(|name| help(name)).chain([top.clone()]) {
        let behind = text.split_once("\nExample").and_then(|(_, behind)| behind.split_once(":\n"));
        let (_, behind) = behind.unwrap_or_else(|| panic!("there is no example in\n{text}"));
        let before = examples.len();
        for line in behind.lines().take_while(|line| line.starts_with("  ")) {
            // What it does stands behind it, three blanks or more away.
            examples.push(line.trim().split("   ").next().unwrap().trim().to_owned());
        }
        assert!(examples.len() > before, "{text}");
    }
    examples
}

#[needs(landlock, "bash", "nix", "ssh-keygen")]
fn the_examples_of_the_help_work() {
    let examples = examples(&Scene::new());
    assert!(examples.len() > 15, "{examples:#?}");
    for example in examples {
        assert!(example.starts_with("driftlock "), "{example}");
        // Where the examples are meant to be typed: in a stack with its declaration, beside reports and an older lock.
        let scene = Scene::new();
        let here = scene.path("repository");
        copy(&here.join("examples/odoo-stack"), &here);
        if example.starts_with("driftlock init") {
            fs::remove_file(here.join("driftlock.toml")).unwrap();
            fs::remove_dir_all(here.join("examples")).unwrap();
        }
        copy(&here.join("audit/locks"), &here.join("old"));
        for report in example.split_whitespace().filter(|word| word.starts_with("audit/runtime/")) {
            let made = scene.shell(
                "repository",
                &format!("driftlock check --output made && mkdir -p audit/runtime && mv made/* {report}"),
            );
            assert!(made.status.success(), "{made:?}");
        }
        if example.starts_with("driftlock report") {
            assert!(scene.shell("repository", "driftlock check").status.success());
        }
        if example.starts_with("driftlock accept") {
            let changed = "cp -a examples/odoo-stack-drifted/infra examples/odoo-stack-drifted/odoo_modules .";
            let made = scene.shell("repository", &format!("rm -r infra odoo_modules && {changed}"));
            assert!(made.status.success(), "{made:?}");
        }
        if example.starts_with("driftlock merge-driver") {
            for side in ["base", "ours", "theirs"] {
                fs::copy(here.join("audit/locks/addon_hashes.lock.json"), here.join(format!("{side}.lock.json")))
                    .unwrap();
            }
        }
        if let Some((_, key)) = example.split_once("seal --key ") {
            // A key of software in place of one of hardware.
            let key = key.split(' ').next().unwrap().trim_end_matches(".pub");
            let made =
                scene.shell("repository", &format!("mkdir -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f {key}"));
            assert!(made.status.success(), "{made:?}");
        }
        if example.contains("--reference ../checkout") {
            let made = scene.shell("repository", "mkdir ../checkout && cp -a . ../checkout");
            assert!(made.status.success(), "{made:?}");
        }
        if let Some((_, export)) = example.split_once("--from ") {
            let export = export.split(' ').next().unwrap();
            let made = scene.shell("repository", &format!("driftlock export --output {export}"));
            assert!(made.status.success(), "{made:?}");
        }
        // Files of the machine that not every machine has, or should get by a test.
        fs::create_dir(scene.path("etc")).unwrap();
        fs::create_dir_all(scene.path("var/lib/node_exporter")).unwrap();
        for name in ["shadow", "hostname"] {
            fs::write(scene.path("etc").join(name), "x\n").unwrap();
        }
        if example.contains("/var/lib/driftlock/reports") {
            let made = scene.shell(
                "repository",
                "driftlock check && mkdir -p ../var/lib/driftlock && cp -a audit/runtime ../var/lib/driftlock/reports",
            );
            assert!(made.status.success(), "{made:?}");
        }
        let mut command = example.clone();
        for directory in ["/etc/", "/var/"] {
            command = command.replace(&format!(" {directory}"), &format!(" ..{directory}"));
        }
        let output = scene.shell("repository", &format!("set -o pipefail\n{{ {command}; }} </dev/null"));
        // The servers are in tests/cli/servers; here they are missing, and that is what has to be said.
        let is_of_servers = example.contains("-servers") || example.contains("--group");
        if is_of_servers || example.starts_with("driftlock collect") {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            let problems = ["declares no server", "declares no such group", "the request ends in the middle"];
            assert!(problems.iter().any(|problem| said.contains(problem)), "{said}");
            assert_eq!(output.status.code(), Some(2), "{said}");
            continue;
        }
        if example == "driftlock accept" {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("there is no terminal to ask on"), "{said}");
            assert_eq!(output.status.code(), Some(2), "{said}");
            continue;
        }
        assert!(output.status.success(), "{example}: {output:?}");
        if example.contains("jq -r .overall") {
            assert_eq!(output.stdout, b"PASS\n", "{example}");
        }
    }
}

#[test]
fn what_the_pages_link_to_is_there() {
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/comparison.md",
        "docs/declaration.md",
        "docs/lock-format.md",
        "docs/containers.md",
        "docs/reports.md",
        "docs/servers.md",
        "docs/threat-model.md",
        "docs/migrating.md",
        "docs/resolving.md",
        "docs/fleet.md",
        "docs/alerting.md",
        "docs/ci.md",
        "docs/install.md",
    ] {
        let path = Path::new(REPOSITORY).join(page);
        let text = fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{page} links to {link}");
            if anchor.is_empty() {
                continue;
            }
            let heading = |line: &str| {
                let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
            };
            let text = fs::read_to_string(target).unwrap();
            let mut headings = text.lines().filter(|line| line.starts_with('#')).map(heading);
            assert!(headings.any(|heading| heading == anchor), "{page} links to {link}");
        }
    }
}
