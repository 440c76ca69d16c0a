//! `driftlock report`, and `driftlock check --format`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use needs::needs;

use crate::harness::{FILES, World};
use crate::watch::{names, says, snapshot};

const FORMATS: [&str; 8] = ["text", "json", "github", "junit", "sarif", "slack", "prometheus", "html"];

/// A locked tree in which something was modified, added and removed since.
fn drifted(declaration: &str) -> World {
    let world = World::declaring(declaration);
    for name in ["a", "b", "c"] {
        world.write(name, name);
    }
    world.lock();
    world.write("b", "changed");
    world.write("new", "new");
    fs::remove_file(world.root("c")).unwrap();
    world
}

#[needs(landlock)]
fn a_report_says_the_same_as_the_check_that_kept_it() {
    for format in FORMATS {
        let world = drifted(FILES);
        let said = world.driftlock(["check", "--format", format, "--title", "shop"]).code(1).stdout();
        let kept = snapshot(&world, &["."]);
        let report = world.driftlock(["report", "--format", format, "--title", "shop", "--require-sandbox"]).code(0);
        assert_eq!((report.stdout(), report.stderr()), (said.clone(), String::new()), "{format}");
        assert_eq!(snapshot(&world, &["."]), kept, "{format}: it only reads");
        let folder = &names(world.path("reports"))[0];
        for named in [format!("reports/{folder}"), format!("reports/{folder}/drift_report.json")] {
            let report = world.driftlock(["report", "--format", format, "--title", "shop", &named]).code(0);
            assert_eq!(report.stdout(), said, "{format} {named}");
        }
    }
}

#[needs(landlock)]
fn without_a_format_it_is_text_or_json() {
    let world = drifted(FILES);
    let text = world.driftlock(["check"]).code(1).stdout();
    assert_eq!(world.driftlock(["report"]).code(0).stdout(), text);
    let folder = &names(world.path("reports"))[0];
    let json = fs::read_to_string(world.path("reports").join(folder).join("drift_report.json")).unwrap();
    assert_eq!(world.driftlock(["report", "--json"]).code(0).stdout(), json);
    assert_eq!(world.driftlock(["report", "--json", "--format", "json"]).code(0).stdout(), json);
    assert!(world.driftlock(["report", "--quiet"]).code(0).stdout().starts_with("[FAIL] Tree drift: root/b\n"));
    let refused = world.driftlock(["report", "--json", "--format", "html"]).code(2).stderr();
    says(&refused, &["--json and --format choose two formats"]);
}

#[test]
fn annotations_are_on_the_lines_of_the_declaration_and_of_the_lock() {
    let text_lock = format!("{FILES}lock = \"tree.lock.txt\"\n");
    for (declaration, lock) in [(FILES, "tree.lock.json"), (&text_lock, "tree.lock.txt")] {
        let world = drifted(declaration);
        // From above, as a workflow runs it.
        let name = world.path("").file_name().unwrap().to_str().unwrap().to_owned();
        let config = format!("../{name}/driftlock.toml");
        let check = world.driftlock(["check", "--config", &config, "--format", "github"]).code(1).stdout();
        let report = world.driftlock(["report", "--config", &config, "--format", "github"]).code(0).stdout();
        assert_eq!(check, report);
        let line_of = |file: &Path, what: &str| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().position(|line| line.contains(what)).unwrap() + 1
        };
        let lock_line = |path: &str| {
            let what = if lock.ends_with("txt") { format!("  {path}") } else { format!("\"path\":\"{path}\"") };
            (format!("../{name}/locks/{lock}"), line_of(&world.path("locks").join(lock), &what))
        };
        let declared = (format!("../{name}/driftlock.toml"), line_of(&world.path("driftlock.toml"), "[check.tree]"));
        let expected = [("modified: ", lock_line("b")), ("removed: ", lock_line("c")), ("added: ", declared)];
        for ((what, (file, line)), said) in expected.iter().zip(check.lines()) {
            let command = format!("::error file={file},line={line},title=driftlock%3A tree::{what}");
            assert!(said.starts_with(&command), "{said}\n{command}");
        }
        let sarif = world.driftlock(["report", "--config", &config, "--format", "sarif"]).code(0).json();
        let results = sarif["runs"][0]["results"].as_array().unwrap().clone();
        let lines = results.iter().map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            (place["artifactLocation"]["uri"].clone(), place["region"]["startLine"].clone())
        });
        let expected = expected.map(|(_, (file, line))| (json!(file), json!(line)));
        assert!(lines.eq(expected), "{results:#?}");
    }
}

#[test]
fn a_report_far_from_its_declaration_is_rendered_all_the_same() {
    let world = drifted(FILES);
    world.driftlock(["check"]).code(1);
    let elsewhere = World::new();
    fs::remove_file(elsewhere.path("driftlock.toml")).unwrap();
    let folder = world.path("reports").join(&names(world.path("reports"))[0]);
    for format in FORMATS {
        let run = elsewhere.driftlock(["report", "--format", format, folder.to_str().unwrap()]).code(0);
        assert_eq!(run.stderr(), "");
    }
    let missing = elsewhere.driftlock(["report"]).code(2).stderr();
    says(&missing, &["there is no driftlock.toml or driftlock.json here or in a directory above"]);
}

#[test]
fn a_missing_report_is_trouble() {
    let world = drifted(FILES);
    says(
        &world.driftlock(["report"]).code(2).stderr(),
        &["the reports directory reports could not be opened", "to do: run"],
    );
    fs::create_dir(world.path("reports")).unwrap();
    says(&world.driftlock(["report"]).code(2).stderr(), &["there is no report in reports"]);
    fs::create_dir(world.path("reports/20260129_153042")).unwrap();
    for named in [vec!["report"], vec!["report", "reports/20260129_153042"]] {
        let said = world.driftlock(named).code(2).stderr();
        says(&said, &["reports/20260129_153042 is a directory without a readable drift_report.json"]);
    }
    says(&world.driftlock(["report", "nowhere"]).code(2).stderr(), &["nowhere could not be opened"]);
    // What would hold a reader up.
    let fifo = world.path("reports/20260129_153042/drift_report.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    says(&world.driftlock(["report"]).code(2).stderr(), &["it is not a regular file"]);
}

#[test]
fn a_report_of_another_form_cut_or_changed_by_hand_is_refused() {
    let world = drifted(FILES);
    world.driftlock(["check"]).code(1);
    let folder = world.path("reports").join(&names(world.path("reports"))[0]);
    let good = fs::read_to_string(folder.join("drift_report.json")).unwrap();
    let edited = |edit: fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        edit(&mut value);
        value.to_string()
    };
    for (text, problem) in [
        (good.replace("driftlock-report-1", "driftlock-report-2"), "its schema is driftlock-report-2, and only"),
        (good[..good.len() / 2].to_owned(), "it ends in the middle, at line "),
        (String::new(), "it is empty"),
        (good.replace("\"FAIL\"", "\"PASS\""), "it contradicts itself, so it was changed by hand or damaged"),
        (edited(|report| report["overall"] = json!("PASS")), "its verdict does not fit its checks"),
        (edited(|report| report["checks"][1]["counts"]["verified"] = json!(2)), "its counts do not fit its entries"),
        (
            edited(|report| report["checks"][1]["drift"][0]["change"] = json!("touched")),
            "the change \"touched\" is unknown",
        ),
        (edited(|report| report["checks"][1]["details"] = json!("")), "its details do not fit its entries"),
        ("{\"overall\": \"PASS\"}".to_owned(), "it is not a report of driftlock"),
    ] {
        fs::write(folder.join("drift_report.json"), text).unwrap();
        for format in FORMATS {
            let refused = world.driftlock(["report", "--format", format]).code(2);
            assert_eq!(refused.stdout(), "", "{format}");
            says(&refused.stderr(), &["is refused: ", problem, "to do: "]);
        }
    }
}

#[test]
fn a_form_that_is_not_known_is_refused() {
    let world = drifted(FILES);
    for command in ["check", "report"] {
        let said = world.driftlock([command, "--format", "pdf"]).code(2).stderr();
        says(&said, &["invalid value 'pdf'", "[possible values: text, json, github"]);
    }
    assert!(!world.path("reports").exists());
}
