use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use proptest::prelude::*;

use super::*;
use crate::declaration::{Declaration, Format};
use crate::manifest::Kind;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let handle = handle(dir.path());
    for file in files {
        let path = Path::new(file);
        if let Some(parent) = path.parent() {
            handle.create_dir_all(parent).unwrap();
        }
        handle.write(path, "").unwrap();
    }
    dir
}

#[allow(clippy::disallowed_methods, reason = "a test makes the tree that it looks at")]
fn handle(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

fn text(files: &[&str]) -> String {
    guess(&handle(tree(files).path())).unwrap()
}

fn parsed(text: &str) -> Declaration {
    Declaration::parse("driftlock.toml", Format::Toml, text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Name, kind, root, include and exclude of each check.
fn checks(files: &[&str]) -> Vec<(String, Kind, PathBuf)> {
    parsed(&text(files)).checks.into_iter().map(|check| (check.name, check.kind, check.root)).collect()
}

fn check(name: &str, kind: Kind, root: &str) -> (String, Kind, PathBuf) {
    (name.to_owned(), kind, root.into())
}

#[test]
fn an_odoo_stack() {
    insta::assert_snapshot!(text(&[
        "infra/stacks/web/docker-compose.yml",
        "infra/stacks/odoo/docker-compose.prod.yaml",
        "odoo_modules/seisei/qr_ordering/__manifest__.py",
        "odoo_modules/seisei/qr_ordering/__init__.py",
        "odoo_modules/seisei/qr_ordering/models/__init__.py",
        "odoo_modules/seisei/pos/__manifest__.py",
    ]), @r###"
# What driftlock locks and checks. Written by `driftlock init` from what it found: read it, and change it.
#
# Paths are relative to this file. In globs, `*` stays within one name, and `**` goes through directories.

# Where lock files live. They belong into git.
locks = "audit/locks"
# Where reports go, one folder a run.
reports = "audit/runtime"

# Compose files, each locked by its content.
[check.compose_hashes]
kind = "files"
root = "infra/stacks"
include = [
    "*/docker-compose*.yml",
    "*/docker-compose*.yaml",
    "*/compose*.yml",
    "*/compose*.yaml",
]
# Where the same root lies on a server, for `--server`:
# server_root = "/srv/stacks"

# Everything below the root (2 modules when this was written), but for what is made on the spot.
[check.addon_hashes]
kind = "trees"
root = "odoo_modules/seisei"
exclude = [
    "**/*.pyc",
    "**/.git",
    "**/__pycache__",
]
"###);
}

#[test]
fn nothing_found_gives_examples_only() {
    let text = text(&["README.md", "compose.txt", "src/main.rs", "one/package.json"]);
    insta::assert_snapshot!(text, @r###"
# What driftlock locks and checks. Written by `driftlock init` from what it found: read it, and change it.
#
# Paths are relative to this file. In globs, `*` stays within one name, and `**` goes through directories.

# Where lock files live. They belong into git.
locks = "audit/locks"
# Where reports go, one folder a run.
reports = "audit/runtime"

# No compose files were found. This would lock single files picked by globs:
#
# [check.compose_hashes]
# kind = "files"
# root = "infra/stacks"
# include = ["*/docker-compose*.yml", "*/docker-compose*.yaml"]
# # Where the same root lies on a server, for `--server`:
# server_root = "/srv/stacks"

# No directory with several modules was found. This would lock everything below a root, each directory directly below
# it being a module:
#
# [check.addon_hashes]
# kind = "trees"
# root = "addons"
# exclude = ["**/__pycache__", "**/*.pyc"]
"###);
    let uncommented: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|line| line.starts_with(['[', '#']) || line.contains(" = ")).unwrap_or("")
        })
        .collect::<Vec<_>>()
        .join("\n");
    let names: Vec<_> = parsed(&uncommented).checks.into_iter().map(|check| check.name).collect();
    assert_eq!(names, ["compose_hashes", "addon_hashes"], "the examples are valid");
}

#[test]
fn what_is_there_already_is_not_proposed_twice() {
    // Stacks in stacks: one root. A stack at the top: a root of its own, for its own files only.
    let stacks = [
        "compose.yml",
        "apps/a/compose.yml",
        "apps/a/dev/compose.yml",
        "apps/b/dev/compose.yaml",
        "apps/0/z/compose.yml",
    ];
    let names = [check("compose_top", Kind::Files, "."), check("compose_apps", Kind::Files, "apps")];
    assert_eq!(checks(&stacks), names);
    let declared = parsed(&text(&stacks));
    let picking = |path: &[u8]| declared.checks[1].selection.includes(path);
    assert!(picking(b"a/compose.yml") && picking(b"a/dev/compose.yml") && !picking(b"compose.yml"));
    assert!(!declared.checks[0].selection.includes(b"apps/compose.yml"));

    // A module's parts, and compose files in modules, are locked with the module.
    let modules = ["m/a/package.json", "m/b/package.json", "m/b/x/package.json", "m/b/y/Cargo.toml", "m/a/compose.yml"];
    assert_eq!(checks(&modules), [check("module_hashes", Kind::Trees, "m")]);
    let addon = ["m/a/__manifest__.py", "m/a/models/__init__.py", "m/a/wizards/__init__.py"];
    assert_eq!(checks(&addon), [check("addon_hashes", Kind::Trees, "m")]);
    let workspace = ["Cargo.toml", "crates/a/Cargo.toml", "crates/b/Cargo.toml"];
    assert_eq!(checks(&workspace), [check("module_hashes", Kind::Trees, "crates")]);
}

#[test]
fn the_top_is_a_root_only_where_there_is_no_better() {
    let top = ["a/go.mod", "b/composer.json"];
    assert_eq!(checks(&top), [check("module_hashes", Kind::Trees, ".")]);
    assert_eq!(
        parsed(&text(&top)).checks[0].selection.exclude,
        ["**/.git", "**/vendor", "audit", "driftlock.toml"],
        "driftlock's own files would drift with every run"
    );
    let deeper = ["a/go.mod", "b/go.mod", "x/y/c/go.mod", "x/y/d/go.mod"];
    assert_eq!(checks(&deeper), [check("module_hashes", Kind::Trees, "x/y")]);
    let stacks = ["a/go.mod", "b/go.mod", "b/compose.yml"];
    assert_eq!(checks(&stacks), [check("compose_hashes", Kind::Files, ".")]);
}

#[test]
fn looks_only_so_far() {
    assert_eq!(checks(&["1/2/3/4/compose.yml"]), [check("compose_hashes", Kind::Files, "1/2/3")]);
    for file in ["1/2/3/4/5/compose.yml", ".git/a/compose.yml", "a/node_modules/compose.yml", "target/compose.yml"] {
        assert!(text(&[file]).contains("No compose files were found"), "{file}");
    }
    let environment = ["x/pyvenv.cfg", "x/lib/a/__init__.py", "x/lib/b/__init__.py"];
    assert!(text(&environment).contains("No directory with several modules"));

    let dir = tree(&["real/stacks/a/compose.yml"]);
    let handle = handle(dir.path());
    handle.symlink("real/stacks", "link").unwrap();
    handle.symlink("..", "real/stacks/loop").unwrap();
    assert_eq!(parsed(&guess(&handle).unwrap()).checks.len(), 1);
}

#[test]
fn says_what_it_passed_over() {
    let dir = tree(&["a/compose.yml"]);
    let handle = handle(dir.path());
    handle.create_dir_all(Path::new(OsStr::from_bytes(b"sub/\xff\n[check.x]"))).unwrap();
    handle.create_dir("many").unwrap();
    for number in 0..=2000 {
        handle.create(format!("many/{number}")).unwrap();
    }
    let text = guess(&handle).unwrap();
    assert!(
        text.ends_with(
            "\n# Not looked into:\n#   many: more than 2000 entries\n\
             #   sub/\\xff\\n[check.x]: the name is not UTF-8, as TOML must be\n"
        ),
        "{text}"
    );
    assert_eq!(parsed(&text).checks.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_names_give_a_declaration_that_parses_and_is_always_the_same(
        paths in prop::collection::btree_set(
            (prop::collection::vec("([^/\0]|[\"\\\\\n\u{202e}\u{7f}a]){1,12}", 0..4), 0..4_usize),
            1..12,
        )
    ) {
        const FILES: [&str; 4] = ["compose.yml", "__manifest__.py", "package.json", "x"];
        // A directory named as a file would make the order in which they are made matter.
        let (forwards, backwards) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut compose = false;
        let make = |dir: &Dir, (names, file): &(Vec<String>, usize)| {
            let names = names.iter().map(String::as_str);
            let path: PathBuf = names.filter(|name| !([".", ".."].contains(name) || FILES.contains(name))).collect();
            dir.create_dir_all(&path).is_ok() && dir.write(path.join(FILES[*file]), "").is_ok()
        };
        let first = handle(forwards.path());
        for path in &paths {
            compose |= make(&first, path) && path.1 == 0;
        }
        let second = handle(backwards.path());
        for path in paths.iter().rev() {
            make(&second, path);
        }
        let text = guess(&first).unwrap();
        prop_assert_eq!(&text, &guess(&second).unwrap());
        prop_assert!(!text.chars().any(|character| character != '\n' && crate::path::is_hazardous(character)));
        if compose || text.lines().any(|line| line.starts_with('[')) {
            let declared = parsed(&text);
            for check in declared.checks {
                prop_assert!(first.is_dir(&check.root), "{:?}", check.root);
            }
        }
    }
}
