//! What `Cargo.toml` says of the packages, and what they bring.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use crate::{BINARY, REPOSITORY, directory, python, read};

/// Where a package puts each file, by its source; what differs between distributions is left out.
fn assets(of: &str) -> BTreeMap<String, String> {
    let manifest =
        python("import json, sys, tomllib; print(json.dumps(tomllib.loads(sys.argv[1])))", &read("Cargo.toml"));
    let assets = manifest["package"]["metadata"][of]["assets"].as_array().unwrap();
    let field = |asset: &Value, at: usize, key: &str| {
        let value = asset.get(at).or_else(|| asset.get(key)).unwrap_or_else(|| panic!("{asset} has no {key}"));
        value.as_str().unwrap().trim_start_matches('/').to_owned()
    };
    let mut files = BTreeMap::new();
    for asset in assets {
        let (source, mut to, mode) = (field(asset, 0, "source"), field(asset, 1, "dest"), field(asset, 2, "mode"));
        if source.ends_with(".zsh") || source.contains("LICENSE") || source.ends_with("copyright") {
            continue;
        }
        if to.ends_with('/') && !source.contains('*') {
            to.push_str(source.rsplit('/').next().unwrap());
        }
        files.insert(source, format!("{to} {mode}"));
    }
    files
}

#[needs(yaml)]
fn both_packages_put_the_same_files_in_the_same_places() {
    let deb = assets("deb");
    assert_eq!(deb, assets("generate-rpm"));
    assert!(deb.len() > 8, "{deb:#?}");
    for source in deb.keys().filter(|source| !source.starts_with("target/")) {
        let folder = Path::new(REPOSITORY).join(source.trim_end_matches('*'));
        assert!(folder.exists(), "there is no {source}");
    }
}

/// The names of files and tags in the pages are those of this version.
#[test]
fn the_pages_name_this_version() {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let pages = ["docs/install.md", "docs/ci.md"].map(read).concat();
    let mut named = 0;
    for before in ["OWNER/driftlock@v", "rev: v", "--branch v", "driftlock_", "driftlock-"] {
        for behind in pages.split(before).skip(1).filter(|behind| behind.starts_with(|c: char| c.is_ascii_digit())) {
            assert!(behind.starts_with(VERSION), "{before}{}", &behind[..20]);
            named += 1;
        }
    }
    assert!(named >= 6, "{named}");
}

/// What the module's unit sets and the package's does not, because it would hide or replace what a check may declare, or because a
/// template does not know the roots.
const LEFT_OUT: [&str; 13] = [
    "BindPaths",
    "BindReadOnlyPaths",
    "InaccessiblePaths",
    "PrivateTmp",
    "PrivateUsers",
    "ProtectKernelModules",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RestrictSUIDSGID",
    "RootDirectory",
    "RuntimeDirectory",
    "SupplementaryGroups",
    "ExecStart",
];

#[test]
fn the_unit_of_the_packages_is_as_closed_as_the_module_s() {
    let unit = read("packaging/systemd/driftlock@.service");
    let module = read("nixos-module/unit.nix");
    let (_, config) = module.split_once("serviceConfig = {").unwrap();
    let keys: BTreeSet<_> = config
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" =").map(|(key, _)| key))
        .filter(|key| key.chars().next().is_some_and(char::is_uppercase))
        .collect();
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let is_set = unit.lines().any(|line| line.starts_with(&format!("{key}=")));
        assert!(is_set || LEFT_OUT.contains(&key), "{key} is not set");
    }
}

#[needs("systemd-analyze")]
fn systemd_takes_the_units_and_rates_them_as_closed() {
    let folder = directory();
    let service = folder.path().join("driftlock@example.service");
    // It looks for what is started.
    let scripts = format!("{REPOSITORY}/nixos-module/");
    let unit = read("packaging/systemd/driftlock@.service").replace("/usr/bin/driftlock", BINARY);
    fs::write(&service, unit.replace("/usr/lib/driftlock/", &scripts)).unwrap();
    fs::copy(format!("{REPOSITORY}/packaging/systemd/driftlock@.timer"), folder.path().join("driftlock@example.timer"))
        .unwrap();
    let analyze = |arguments: &[&str], names: &[&str]| {
        let mut systemd = Command::new("systemd-analyze");
        let output = systemd.args(arguments).args(names).current_dir(folder.path()).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let verify = || {
        let options = ["verify", "--man=no", "--recursive-errors=no"];
        analyze(&options, &["./driftlock@example.service", "./driftlock@example.timer"])
    };
    let (passed, said) = verify();
    assert!(passed && !said.contains("driftlock@"), "{said}");
    // A tenth of what it prints. Versions of systemd differ in what they count.
    let rate = || analyze(&["security", "--offline=yes", "--threshold=15"], &["./driftlock@example.service"]);
    let (closed, said) = rate();
    assert!(closed, "{said}");
    let open = fs::read_to_string(&service)
        .unwrap()
        .replace("ProtectSystem=strict\n", "")
        .replace("SystemCallFilter=", "SystemCalls=");
    fs::write(&service, open).unwrap();
    let (_, said) = verify();
    assert!(said.contains("SystemCalls"), "a wrong key goes unnoticed: {said}");
    assert!(!rate().0, "an open unit goes unnoticed");
}

#[needs(landlock)]
fn the_example_of_the_packages_is_a_declaration() {
    let folder = directory();
    let example = read("packaging/example.toml");
    let roots = ["/etc/pam.d", "/etc/security"];
    let mut here = example.replace("/var/lib/driftlock/example", folder.path().to_str().unwrap());
    for root in roots {
        assert!(here.contains(root), "{here}");
        fs::create_dir_all(folder.path().join(&root[1..])).unwrap();
        here = here.replace(root, folder.path().join(&root[1..]).to_str().unwrap());
    }
    fs::write(folder.path().join("etc/pam.d/login"), "auth required pam_unix.so\n").unwrap();
    fs::write(folder.path().join("etc/security/limits.conf"), "\n").unwrap();
    fs::write(folder.path().join("driftlock.toml"), here).unwrap();
    for command in ["lock", "check"] {
        let output = Command::new(BINARY).arg(command).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}
