//! A release as its users meet it: verified by hand, through the action, the hook, and the recipe for GitLab.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use needs::needs;
use serde_json::Value;

use crate::scene::Scene;
use crate::{BINARY, block, read, yaml};

#[needs("bash", "python3", "ssh-keygen", "curl", "tar")]
fn a_release_is_verified_as_the_page_says() {
    let scene = Scene::new();
    scene.sign();
    let to = scene.release();
    let verify = block("docs/install.md", "sh", "ssh-keygen -Y verify");
    let verify = format!("cd {to} && cp ../../tree/packaging/allowed_signers . && {verify}");
    assert!(scene.bash(&verify, 0).contains("Good \"driftlock-release\" signature for release@driftlock"));
    // Another file, another list, another key, and a seal's namespace.
    scene.bash(&format!("echo more >>{to}/*.tar.gz"), 0);
    assert!(scene.bash(&verify, 1).contains("FAILED"));
    scene.sign();
    scene.bash(&format!("sed -i 's/^./0/' {to}/SHA256SUMS"), 0);
    assert!(scene.bash(&verify, 255).contains("incorrect signature"));
    for forged in ["-f other -n driftlock-release", "-f key -n driftlock"] {
        scene.bash(&format!("rm {to}/*.sig && ssh-keygen -q -Y sign {forged} {to}/SHA256SUMS"), 0);
        scene.bash(&verify, 255);
    }
    // What could not be verified is not signed.
    let said = scene.bash(&format!("tree/scripts/release sign {to} other"), 2);
    assert!(said.contains("does not list this key"), "{said}");
    assert!(!scene.path(&to).join("SHA256SUMS.sig").exists());
}

#[needs("bash", yaml, "ssh-keygen", "curl", "tar")]
fn the_action_installs_what_was_signed_and_nothing_else() {
    let scene = Scene::new();
    let action = yaml(&read("action.yml"));
    let install = &action["runs"]["steps"][0];
    let installed = scene.path("runner/driftlock/driftlock");
    let fails = |why: &str| {
        let output = scene.step(install, ".", &BTreeMap::new());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
        assert!(!installed.exists());
    };
    fails("SHA256SUMS could not be downloaded");
    scene.sign();
    scene.allow("other");
    fails("is not signed by a key of packaging/allowed_signers");
    scene.allow("key");
    scene.bash(&format!("cp {to}/*.gz kept && echo more >>{to}/*.gz", to = scene.release()), 0);
    fails("is not the file that was signed");
    scene.bash(&format!("mv kept {}/*.gz", scene.release()), 0);
    assert!(scene.step(install, ".", &BTreeMap::new()).status.success());
    assert!(installed.exists());
}

#[needs(landlock, "bash", yaml, "ssh-keygen", "curl", "tar")]
fn the_action_checks_and_its_inputs_are_no_script() {
    let scene = Scene::new();
    scene.sign();
    let action = yaml(&read("action.yml"));
    assert_eq!(action["runs"]["using"], "composite");
    let defaults = action["inputs"].as_object().unwrap().iter();
    let defaults: BTreeMap<_, _> =
        defaults.map(|(name, input)| (name.clone(), input["default"].as_str().unwrap().to_owned())).collect();
    let Some([install, check]) = action["runs"]["steps"].as_array().map(Vec::as_slice) else { panic!("{action}") };
    assert!(scene.step(install, ".", &defaults).status.success());
    let run = |folder: &str, given: &[(&str, &str)], code: i32| {
        let mut inputs = defaults.clone();
        for (name, value) in given {
            assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "there is no input {name}");
        }
        let output = scene.step(check, folder, &inputs);
        assert_eq!(output.status.code(), Some(code), "{given:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run("odoo-stack", &[], 0);
    let said = run("odoo-stack-drifted", &[], 1);
    assert!(said.contains("::error file=../odoo-stack/audit/locks/compose_hashes.lock.json,line=7,"), "{said}");
    let given = [
        ("config", "odoo-stack-drifted/driftlock.toml"),
        ("format", "json"),
        ("args", "--check  addon_hashes\n--no-report"),
    ];
    let report: Value = serde_json::from_str(&run(".", &given, 1)).unwrap();
    let names: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["lock_files_exist", "addon_hashes"]);
    for hostile in
        ["$(touch pwned)", "`touch pwned`", "\"; touch pwned; \"", "'; touch pwned; '", "x\ntouch pwned", "--help"]
    {
        for input in ["config", "format"] {
            run("odoo-stack", &[(input, hostile)], 2);
        }
        if hostile != "--help" {
            run("odoo-stack", &[("args", hostile)], 2);
        }
        assert!(!scene.path("odoo-stack/pwned").exists(), "{hostile}");
    }
}

/// The recipe of docs/ci.md that uses the action gives it only inputs that it has, with values as their defaults.
#[needs(yaml)]
fn the_workflow_with_the_action_fits_it() {
    let workflow = yaml(&block("docs/ci.md", "yaml", "uses: OWNER/driftlock"));
    let steps = workflow["jobs"]["drift"]["steps"].as_array().unwrap();
    let given = steps.last().unwrap()["with"].as_object().unwrap();
    let action = yaml(&read("action.yml"));
    assert_eq!(given.len(), action["inputs"].as_object().unwrap().len());
    for (name, value) in given.iter().filter(|(name, _)| *name != "args") {
        assert_eq!(*value, action["inputs"][name]["default"], "{name}");
    }
}

#[needs(landlock, "bash", yaml)]
fn the_hook_fails_a_commit_that_drifted() {
    let scene = Scene::new();
    let hooks = yaml(&read(".pre-commit-hooks.yaml"));
    let [hook] = hooks.as_array().unwrap().as_slice() else { panic!("{hooks}") };
    let recipe = yaml(&block("docs/ci.md", "yaml", "repos:"));
    assert_eq!(recipe["repos"][0]["hooks"][0]["id"], hook["id"]);
    symlink(BINARY, scene.path("bin/driftlock")).unwrap();
    for (example, code) in [("odoo-stack", 0), ("odoo-stack-drifted", 1)] {
        let output = scene.bash_with(hook["entry"].as_str().unwrap(), example, &[]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(!scene.path(example).join("audit/runtime").exists());
    }
}

#[needs(landlock, "bash", yaml, "ssh-keygen", "curl", "tar", "xmllint")]
fn the_recipe_for_gitlab_works() {
    let scene = Scene::new();
    scene.sign();
    let job = &yaml(&block("docs/ci.md", "yaml", "before_script"))["drift"];
    // Debian's packages and the clone are not to be had here.
    let [packages, clone, install] = job["before_script"].as_array().unwrap().as_slice() else { panic!("{job}") };
    assert!(packages.as_str().unwrap().starts_with("apt-get update && apt-get install"));
    assert!(clone.as_str().unwrap().ends_with(" /opt/driftlock"));
    let here = |line: &Value| {
        let line = line.as_str().unwrap().replace("/opt/driftlock", scene.path("tree").to_str().unwrap());
        line.replace("/usr/local/bin", scene.path("bin").to_str().unwrap())
    };
    let [check] = job["script"].as_array().unwrap().as_slice() else { panic!("{job}") };
    let output = scene.bash_with(&format!("{}\n{}", here(install), here(check)), "odoo-stack-drifted", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    scene.bash(
        &format!("xmllint --noout odoo-stack-drifted/{}", job["artifacts"]["reports"]["junit"].as_str().unwrap()),
        0,
    );
}
