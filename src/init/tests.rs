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
    suggest(&handle(tree(files).path())).unwrap().unwrap().text
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
# What driftlock locks and checks. Written by `driftlock init` from what it found. Review it, and adapt it.
#
# Paths are relative to this file. In globs, `*` stays within one name, and `**` goes through directories.

# Where lock files live. Commit them to git.
locks = "audit/locks"
# Where reports go, one folder for each run.
reports = "audit/runtime"

# Compose files, each locked by its content.
[check.compose_hashes]
kind = "files"
root = "infra/stacks"
include = [
    "**/{docker-compose,compose}*.{yml,yaml}",
]
exclude = [
    "**/.git",
    "**/node_modules",
    "**/target",
    "**/.direnv",
    "**/result",
    "**/__pycache__",
    "**/.venv",
    "**/venv",
    "**/vendor",
    "**/.tox",
    "**/.cache",
]
# Where the same root lies on a server, for `--server`:
# server_root = "/srv/stacks"

# Everything below the root (2 modules when this was written), except for generated files.
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
fn nothing_known_is_covered_as_a_whole_and_nothing_at_all_is_nothing() {
    assert_eq!(checks(&["README.md", "compose.txt", "src/main.rs"]), [check("tree_hashes", Kind::Trees, ".")]);
    for nothing in [&[][..], &["audit/locks/.gitattributes"], &["driftlock.toml"]] {
        assert!(suggest(&handle(tree(nothing).path())).unwrap().is_none(), "{nothing:?}");
    }
}

#[test]
fn what_is_there_already_is_not_proposed_twice() {
    // Stacks in stacks: one root. A stack at the top: all are below its root.
    let stacks = ["compose.yml", "apps/a/compose.yml", "apps/a/dev/compose.yml"];
    assert_eq!(checks(&stacks), [check("compose_hashes", Kind::Files, ".")]);
    let two = ["a/x/compose.yml", "a/y/z/compose.yml", "b/x/compose.yml"];
    assert_eq!(checks(&two), [check("compose_a", Kind::Files, "a"), check("compose_b", Kind::Files, "b")]);
    let selection = &parsed(&text(&stacks)).checks[0].selection;
    for (path, expected) in [
        ("compose.yml", true),
        ("a/b/c/d/e/f/docker-compose.prod.yaml", true),
        ("a/compose.txt", false),
        ("a/my-compose.yml", false),
    ] {
        assert_eq!(selection.picks(path.as_bytes()), expected, "{path}");
    }
    assert!(!selection.picks(b"a/node_modules/x/compose.yml"));

    // A module's parts, and compose files in modules, are locked with the module.
    let modules = ["m/a/package.json", "m/b/package.json", "m/b/x/package.json", "m/b/y/Cargo.toml", "m/a/compose.yml"];
    assert_eq!(checks(&modules), [check("module_hashes", Kind::Trees, "m")]);
    let addon = ["m/a/__manifest__.py", "m/a/models/__init__.py", "m/a/wizards/__init__.py"];
    assert_eq!(checks(&addon), [check("addon_hashes", Kind::Trees, "m")]);
}

#[test]
fn the_top_is_a_root_where_it_holds_modules() {
    let top = ["a/go.mod", "b/composer.json"];
    assert_eq!(checks(&top), [check("module_hashes", Kind::Trees, ".")]);
    let excluded = &parsed(&text(&top)).checks[0].selection.exclude;
    for ours in ["audit", "driftlock.toml"] {
        assert!(excluded.iter().any(|glob| glob == ours), "driftlock's own files would drift with every run");
    }
    let beside = ["a/go.mod", "b/go.mod", "b/compose.yml", "compose.yml"];
    assert_eq!(checks(&beside), [check("module_hashes", Kind::Trees, ".")]);
}

#[test]
fn looks_only_so_far_and_says_so() {
    let deep = "1/2/3/4/5/6/7/8/compose.yml";
    assert_eq!(checks(&[deep]), [check("compose_hashes", Kind::Files, "1/2/3/4/5/6/7")]);
    let said = |files: &[&str]| suggest(&handle(tree(files).path())).unwrap().unwrap().uncovered;
    // What is below a covered root is covered, however deep.
    assert!(said(&["a", "1/2/3/4/5/6/7/8/9/compose.yml"]).is_empty());
    assert_eq!(said(&["compose.yml", "1/2/3/4/5/6/7/8/9/a"]), ["1/2/3/4/5/6/7/8: deeper than 8 directories"]);
    assert_eq!(said(&["compose.yml", "node_modules/x"]), ["node_modules: generated by tools, or maintained elsewhere"]);

    let dir = tree(&["real/stacks/a/compose.yml"]);
    let handle = handle(dir.path());
    handle.symlink("real/stacks", "link").unwrap();
    handle.symlink("..", "real/stacks/loop").unwrap();
    let suggestion = suggest(&handle).unwrap().unwrap();
    assert_eq!(parsed(&suggestion.text).checks.len(), 1);
    assert!(suggestion.uncovered.contains(&"link -> real/stacks: a link, which is not followed".to_owned()));
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
    let text = suggest(&handle).unwrap().unwrap().text;
    assert!(
        text.ends_with(
            "\n# Not looked into:\n#   many: more than 2000 entries\n\
             #   sub/\\xff\\n[check.x]: the name is not UTF-8, which TOML requires\n"
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
        let text = |dir| suggest(dir).unwrap().map_or_else(String::new, |suggestion| suggestion.text);
        let (text, again) = (text(&first), text(&second));
        prop_assert_eq!(&text, &again);
        prop_assert!(!text.chars().any(|character| character != '\n' && crate::path::is_hazardous(character)));
        if compose || text.lines().any(|line| line.starts_with('[')) {
            let declared = parsed(&text);
            for check in declared.checks {
                prop_assert!(first.is_dir(&check.root), "{:?}", check.root);
            }
        }
    }
}
