//! The same lines in all forms for people, and what is said where there is nothing to check.

use std::fs;

use super::lines::lines;
use super::repository;
use crate::harness::{FILES, World};
use crate::watch::says;
use needs::needs;

/// In none with `--quiet`, and not in the JSON.
#[needs("git", "bash")]
fn in_all_forms_for_people() {
    let world = World::declaring(FILES);
    world.write("it's <b>", "1");
    repository(&world);
    world.write("it's <b>", "2");
    let text = world.driftlock(["check"]).code(1).stdout();
    says(
        &text,
        &[
            "    Likely a change of the configuration that was not committed: commit it and update the lock, or undo it.\n",
        ],
    );
    let expected = lines(&text);
    assert_eq!(expected.len(), 4, "{text}");
    let form = |form: &str| world.driftlock(["report", "--format", form]).code(0).stdout();
    let unescaped = |text: String| {
        let entities = [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&quot;", "\""), ("&amp;", "&")];
        entities.iter().fold(text, |text, (from, to)| text.replace(from, to))
    };
    let html = unescaped(form("html"));
    let slack: serde_json::Value = serde_json::from_str(&form("slack")).unwrap();
    let slack = unescaped(slack["blocks"][2]["text"]["text"].as_str().unwrap().to_owned());
    let github = form("github");
    for (what, line) in &expected {
        says(&html, &[&format!("{what}</span><code>{line}</code>")]);
        says(&slack, &[&format!("\n{what}: `{line}`")]);
        says(&github, &[&format!("\n{what}: {line}\n")]);
    }
    says(&github, &["::error file=root/it's <b>,line=1,title=driftlock%3A tree::modified: "]);
    let kept = world.driftlock(["report", "--list"]).code(0).stdout();
    let kept = |name: &str| fs::read_to_string(world.path(kept.lines().last().unwrap()).join(name)).unwrap();
    says(&kept("drift_report.txt"), &[&expected[0].1]);
    assert!(!kept("drift_report.json").contains("git diff"));
    for arguments in [&["check", "--quiet", "--no-report"][..], &["check", "--json", "--no-report"]] {
        let text = world.driftlock(arguments).code(1).stdout();
        assert!(!text.contains("git diff") && !text.contains("driftlock accept"), "{text}");
    }
}

/// What is gone is annotated on the lock, which has it still; so is what is not a file of the repository.
#[needs("git", "bash")]
fn annotations_sit_on_files_that_are_there() {
    let world = World::declaring(FILES);
    world.write("a", "1");
    world.write("b", "2");
    let annotated = |world: &World| world.driftlock(["check", "--no-report", "--format", "github"]).code(1).stdout();
    repository(&world);
    fs::remove_file(world.root("a")).unwrap();
    world.write("new", "3");
    says(&annotated(&world), &["::error file=locks/tree.lock.json,line=7,", "::error file=root/new,line=1,"]);
    fs::remove_dir_all(world.path(".git")).unwrap();
    says(&annotated(&world), &["::error file=driftlock.toml,line=4,title=driftlock%3A tree::added: root/new"]);
}

/// What there is nothing to do for says why, and what to do.
#[test]
fn no_check_at_all_is_trouble() {
    let world = World::declaring(&format!("{FILES}modes = [\"server\"]\n\n[server.web]\nhost = \"web.example.org\"\n"));
    world.write("a", "1");
    let from = "driftlock export --check tree --server web --output runtime, and then driftlock";
    for (command, remedy) in [
        (
            "lock",
            "driftlock lock --check tree --server web; on the server itself: driftlock lock --check tree --as web"
                .to_owned(),
        ),
        ("check", "driftlock check --check tree --server web".to_owned()),
        ("accept", format!("{from} accept --check tree --from runtime")),
    ] {
        let mut arguments = vec![command, "--check", "tree"];
        arguments.extend(Some("root/a").filter(|_| command == "accept"));
        let finished = world.driftlock(&arguments).code(2);
        assert_eq!(finished.stdout(), "");
        let problem = format!("there is nothing to {command} here: the check tree is only for servers");
        says(&finished.stderr(), &[&problem, &remedy]);
    }
    assert!(!world.path("locks/tree.lock.json").exists());
}
