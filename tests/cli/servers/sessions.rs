//! From a drift to the end of it, as sessions at a shell: the three options of "Resolving drift" in the document that the
//! project came from, and the four tasks that operators have most. Each says how many commands it takes.

use std::fs;

use needs::needs;

use super::super::harness::{Finished, World};
use super::super::watch::{says, shell};
use super::site::{Far, Site};

/// A repository that is committed, locks and all, and a server with the same stacks at another place.
fn site() -> Site {
    let world = World::new();
    for (path, contents) in [("edge/a.yml", "one\ntwo\n"), ("edge/b.yml", "b\n"), ("shop/c.yml", "c\n")] {
        world.write(path, contents);
    }
    shell(&world, "bash", "mkdir srv && cp -a root srv/stacks").code(0);
    let declaration = format!(
        "locks = \"locks\"\nreports = \"reports\"\n\n[check.stacks]\nkind = \"files\"\nroot = \"root\"\ninclude = \
         [\"**\"]\nserver_root = \"{}\"\n",
        world.path("srv/stacks").display()
    );
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    world.lock();
    let site = Site::with(world, &[("web", Far::Driftlock)]);
    typed(
        &site,
        "git init -q && git config user.name Ann && git config user.email a@b && git add root locks driftlock.toml && git commit -qm all",
    )
    .code(0);
    site
}

/// What an operator types, with driftlock and the site's ssh on the path.
fn typed<'a>(site: &'a Site, line: &str) -> super::super::harness::Run<'a> {
    let path = format!(
        "PATH=\"{}:$(dirname \"$DRIFTLOCK\"):$PATH\"\nexport GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=\"$PWD\" HOME=\"$PWD/home\" GIT_PAGER=cat",
        site.bin().display()
    );
    shell(&site.world, "bash", &format!("{path}\n{line}\n"))
}

/// Types the lines, of which there may be so many; gives what the last one printed.
fn session(site: &Site, most: usize, lines: &[&str]) -> Finished {
    assert!(lines.len() <= most, "{lines:?} are more than {most}");
    let mut finished = None;
    for line in lines {
        finished = Some(typed(site, line).code(0));
    }
    finished.unwrap()
}

/// What one file has on the server.
fn on_server(site: &Site, path: &str, contents: &str) {
    fs::write(site.world.path("srv/stacks").join(path), contents).unwrap();
}

fn both_pass(site: &Site) {
    typed(site, "driftlock check --local").code(0);
    typed(site, "driftlock check --server web").code(0);
}

/// What a report of this machine, or of the server, says behind `what`.
fn told(site: &Site, arguments: &str, what: &str) -> String {
    let report = typed(site, &format!("driftlock check --no-report {arguments}")).code(1).stdout();
    let mut lines = report.lines().filter_map(|line| line.trim_start().strip_prefix(what));
    lines.next().unwrap_or_else(|| panic!("no {what} in {report}")).trim().to_owned()
}

/// Option 1, and promoting what a server has: the change on it was wanted.
#[needs(sshd, "git", "bash")]
fn what_a_server_has_becomes_the_baseline_with_two_commands() {
    let site = site();
    on_server(&site, "edge/a.yml", "one\n2\n");
    on_server(&site, "edge/new.yml", "new\n");
    fs::remove_file(site.world.path("srv/stacks/shop/c.yml")).unwrap();
    let fetch = told(&site, "--server web", "fetch it");
    session(&site, 3, &[&fetch, "driftlock lock"]);
    both_pass(&site);
    says(
        &typed(&site, "git status --porcelain root locks").code(0).stdout(),
        &[" M locks/stacks.lock.json\n M root/edge/a.yml\n"],
    );
}

/// The same by way of an export: the lock is new and what is here is old, and the line that is printed fetches it.
#[needs(sshd, "git", "bash")]
fn what_was_exported_is_fetched_with_the_line_that_lock_prints() {
    let site = site();
    on_server(&site, "edge/a.yml", "one\n2\n");
    on_server(&site, "edge/new.yml", "new\n");
    let export = "rm -rf out && driftlock export --quiet --server web --output out";
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    fs::write(site.world.path("driftlock.toml"), declaration + "\n[server.web]\nhost = \"web\"\n").unwrap();
    for take in ["lock", "accept root"] {
        typed(&site, "git checkout -q -- locks root && git clean -fdq root").code(0);
        typed(&site, export).code(0);
        let said = typed(&site, &format!("driftlock {take} --from out")).code(0).stdout();
        says(&said, &["[WARN] stacks: 2 entries here differ from this baseline\n"]);
        typed(&site, "driftlock check --local").code(1);
        let line = said.lines().find_map(|line| line.strip_prefix("    fetch them: ")).expect(&said);
        session(&site, 1, &[line]);
        both_pass(&site);
        let again = typed(&site, &format!("{export} && driftlock lock --from out --json")).code(0).json();
        assert_eq!(again["locks"][0]["differ_here"], serde_json::Value::Null);
    }
    // One of the two: what git has leads to both, so there is no line.
    typed(&site, "git checkout -q -- locks root && git clean -fdq root").code(0);
    let said = typed(&site, "driftlock accept root/edge/new.yml --from out").code(0).stdout();
    says(&said, &["1 entry here differs from this baseline\n", "`driftlock check` fails here until they are equal\n"]);
    let json = typed(&site, "git checkout -q -- locks && driftlock lock --from out --json").code(0).json();
    assert_eq!(json["locks"][0]["differ_here"], 2);
}

/// Option 2: the change was not wanted, here or there.
#[needs(sshd, "git", "bash")]
fn a_change_is_undone_with_one_command() {
    let site = site();
    site.world.write("edge/a.yml", "one\n2\n");
    let line = told(&site, "--local", "undo it");
    session(&site, 1, &[&line]);
    both_pass(&site);
    on_server(&site, "edge/a.yml", "one\n2\n");
    let line = told(&site, "--server web", "undo it");
    session(&site, 1, &[&line]);
    both_pass(&site);
}

/// Option 3: what is it that differs?
#[needs(sshd, "git", "bash")]
fn a_discrepancy_is_one_command_from_its_lines() {
    let site = site();
    on_server(&site, "edge/a.yml", "one\n2\n");
    let line = told(&site, "--server web", "see it");
    let seen = typed(&site, &line).code(1).stdout();
    says(&seen, &["--- a/root/edge/a.yml\n+++ b/root/edge/a.yml\n", "-two\n+2\n"]);
    let line = told(&site, "--server web", "who did it");
    says(&session(&site, 1, &[&line]).stdout(), &["srv/stacks/edge/a.yml", "Uid:"]);
    let report = typed(&site, "driftlock check --server web --json").code(1).json();
    assert_eq!(report["checks"][2]["declared_root"], "root");
    says(
        &typed(&site, "driftlock check --server web").code(1).stdout(),
        &["srv/stacks on the server is root here\n", ", mtime 2", ", uid "],
    );
    site.world.write("shop/c.yml", "here\n");
    let line = told(&site, "--local", "see it");
    says(&session(&site, 1, &[&line]).stdout(), &["-c\n+here\n"]);
}

/// Of three changes one is wanted, and one is not: the others are left alone.
#[needs(sshd, "git", "bash")]
fn one_change_of_several_is_taken_or_undone_with_one_command() {
    let site = site();
    for path in ["edge/a.yml", "edge/b.yml", "shop/c.yml"] {
        site.world.write(path, "changed\n");
    }
    says(&session(&site, 1, &["driftlock accept root/edge/b.yml"]).stdout(), &["accepted 1, 2 drifts left\n"]);
    let line = told(&site, "--local", "undo it");
    session(&site, 1, &[&line.replace("root/shop/c.yml", "")]);
    let report = typed(&site, "driftlock check --no-report").code(1).stdout();
    says(&report, &["root/shop/c.yml"]);
    assert!(!report.contains("root/edge/"), "{report}");
}
