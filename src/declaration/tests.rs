//! Every refusal, by its exact message: line, key, what is wrong and what to write instead.

mod groups;
mod names;
mod sealed;
mod servers;
mod syntax;

use proptest::prelude::*;

use super::*;

fn toml(text: &str) -> Result<Declaration, DeclarationError> {
    Declaration::parse("driftlock.toml", Format::Toml, text.as_bytes())
}

fn json(text: &str) -> Result<Declaration, DeclarationError> {
    Declaration::parse("driftlock.json", Format::Json, text.as_bytes())
}

fn refused(result: Result<Declaration, DeclarationError>) -> String {
    let message = result.map(|_| ()).unwrap_err().to_string();
    assert!(!message.chars().any(char::is_control), "{message:?}");
    message
}

/// A valid `files` check in four lines, and one more, the fifth.
fn with(line: &str) -> String {
    format!("[check.a]\nkind = \"files\"\nroot = \"r\"\ninclude = [\"*\"]\n{line}\n")
}

/// A valid `trees` check in three lines, and one more, the fourth.
fn tree_with(line: &str) -> String {
    format!("[check.a]\nkind = \"trees\"\nroot = \"r\"\n{line}\n")
}

#[track_caller]
fn refuses(text: &str, message: &str) {
    assert_eq!(refused(toml(text)), format!("driftlock.toml:{message}"), "{text:.200}");
}

#[track_caller]
fn refuses_json(text: &str, message: &str) {
    assert_eq!(refused(json(text)), format!("driftlock.json:{message}"), "{text:.200}");
}

const FULL_TOML: &str = r#"
locks = "l"
reports = "r"
reports_keep = 30

[check.compose_hashes]
kind = "files"
root = "infra/stacks"
server_root = "/srv/stacks"
include = ["*/docker-compose*.yml", "Grüße/*"]
exclude = ["old/**"]
lock = "compose_sha256.lock.txt"
modes = ["server"]
allow_empty = true
one_file_system = true
strict = true

[check."addon.hashes"]
kind = "trees"
root = "odoo_modules/seisei"
exclude = ["**/__pycache__", "**/*.pyc"]
attributes = ["xattrs", "mode"]
"#;

const FULL_JSON: &str = r#"{
    "locks": "l", "reports": "r", "reports_keep": 30,
    "check": {
        "compose_hashes": {
            "kind": "files", "root": "infra\/stacks", "server_root": "/srv/stacks",
            "include": ["*/docker-compose*.yml", "Gr\u00fc\u00dfe/*"], "exclude": ["old/**"],
            "lock": "compose_sha256.lock.txt", "modes": ["server"], "allow_empty": true, "one_file_system": true, "strict": true
        },
        "addon.hashes": {
            "k\u0069nd": "trees", "root": "odoo_modules/seisei",
            "exclude": ["**/__pycache__", "**/*.pyc"], "attributes": ["xattrs", "mode"]
        }
    }
}"#;

#[test]
fn reads_every_key_and_both_formats_alike() {
    let [mut declared, mut alike] = [toml(FULL_TOML).unwrap(), json(FULL_JSON).unwrap()];
    let lines = |declared: &mut Declaration| -> Vec<usize> {
        declared.checks.iter_mut().map(|check| std::mem::take(&mut check.line)).collect()
    };
    assert_eq!((lines(&mut declared), lines(&mut alike)), (vec![6, 18], vec![4, 9]));
    assert_eq!(format!("{declared:?}"), format!("{alike:?}"));

    assert_eq!((declared.locks, declared.reports), ("l".into(), "r".into()));
    assert_eq!(declared.reports_keep.map(NonZeroUsize::get), Some(30));
    let [files, trees] = &declared.checks[..] else { panic!("{:?}", declared.checks) };
    assert_eq!((files.name.as_str(), files.kind, &files.root), ("compose_hashes", Kind::Files, &"infra/stacks".into()));
    assert_eq!(files.server_root, Some("/srv/stacks".into()));
    assert_eq!(files.selection.include, ["*/docker-compose*.yml", "Grüße/*"]);
    assert_eq!(files.selection.exclude, ["old/**"]);
    assert!(files.attributes.is_empty());
    assert_eq!((&*files.lock.name, files.lock.format), ("compose_sha256.lock.txt", LockFormat::Sha256sum));
    assert_eq!(files.modes, Modes { local: false, server: true });
    assert!(files.allow_empty && files.one_file_system && files.strict);

    assert_eq!((trees.name.as_str(), trees.kind, &trees.server_root), ("addon.hashes", Kind::Trees, &None));
    assert_eq!(trees.attributes, AttributeSet { mode: true, xattrs: true, ..AttributeSet::default() });
    assert!(trees.selection.include.is_empty());
}

#[test]
fn defaults() {
    for declared in [
        toml("check.b = { kind = 'trees', root = 'b' }\n[check.a]\nroot = 'a'\nkind = 'trees'\n").unwrap(),
        json(r#"{"check": {"b": {"kind": "trees", "root": "b"}, "a": {"root": "a", "kind": "trees"}}}"#).unwrap(),
    ] {
        assert_eq!((declared.locks, declared.reports), ("audit/locks".into(), "audit/runtime".into()));
        let names: Vec<_> = declared.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["b", "a"], "in the order of the file");
        let check = &declared.checks[0];
        assert_eq!(
            check.lock,
            LockFile { name: "b.lock.json".to_owned(), format: LockFormat::Json, old: None, per_server: false }
        );
        assert_eq!(check.modes, Modes { local: true, server: true });
        assert!(!check.allow_empty && !check.one_file_system && !check.strict);
    }
}

#[test]
fn a_refusal_is_typed() {
    assert_eq!(
        toml(&with("inclued = []")).unwrap_err(),
        DeclarationError {
            file: "driftlock.toml".to_owned(),
            format: Format::Toml,
            line: Some(5),
            column: None,
            key: Some("check.a.inclued".to_owned()),
            problem: Box::new(Problem::UnknownKey { nearest: Some("include"), known: validate::CHECK_KEYS }),
        }
    );
}

#[test]
fn refuses_unknown_keys() {
    const DOT: &str = "unknown key, or a check name with an unquoted dot";
    const CHECK: &str = "`kind`, `root`, `server_root`, `reference`, `include`, `exclude`, `attributes`, `lock`, `lock_per_server`, \
                         `modes`, `allow_empty`, `one_file_system`, `uncovered`, `strict` or `show_changes`";
    for (written, help) in [
        ("inclued", "`include`"),
        ("excludes", "`exclude`"),
        ("roots", "`root`"),
        ("server", "`server_root`"),
        ("lockfile", "`lock`"),
        ("mode", "`modes`"),
        ("allowempty", "`allow_empty`"),
        ("one-filesystem", "`one_file_system`"),
        ("description", &format!("one of {CHECK}")),
    ] {
        refuses(&with(&format!("{written} = 1")), &format!("5: check.a.{written}: unknown key; write {help}"));
    }
    refuses("checks = 1", "1: checks: unknown key; write `check`");
    refuses(
        "foo = 1",
        "1: foo: unknown key; write one of `locks`, `reports`, `reports_keep`, `check`, `server` or `group`",
    );
    refuses(
        "\"\\u001b[31m\\u202e\\\"\" = 1",
        "1: \"\\u{1b}[31m\\u{202e}\\\"\": unknown key; write one of `locks`, `reports`, `reports_keep`, `check`, `server` or `group`",
    );
    refuses("[check.a.b]\nkind = 1", &format!("1: check.a.b: {DOT}; write `[check.\"a.b\"]`"));
    refuses_json("{\"check\":\n{\"a\": {\"b\": {}}}}", &format!("2: check.a.b: {DOT}; write a check named `a.b`"));
}

#[test]
fn refuses_kinds() {
    let kind = |kind: &str| format!("[check.a]\nkind = \"{kind}\"\nsocket = 1");
    refuses(&kind("file"), "2: check.a.kind: unknown kind `file`; write `files`");
    refuses(&kind("Trees"), "2: check.a.kind: unknown kind `Trees`; write `trees`");
    refuses(
        &kind("docker"),
        "2: check.a.kind: unknown kind `docker`; write one of `files`, `trees`, `containers`, `container_files` or `compose`",
    );
    refuses(&kind("container"), "2: check.a.kind: unknown kind `container`; write `containers`");
    refuses_json(
        "{\"check\": {\"a\": {\"kind\": \"containers\"}}}",
        "1: check.a.socket: missing; write `\"socket\": \"/var/run/docker.sock\"`",
    );
}

#[test]
fn refuses_what_is_missing() {
    for (text, message) in [
        ("[check.a]\nroot = 'r'", "1: check.a.kind: missing; write `kind = \"files\"`"),
        ("\n[check.a]\nkind = 'trees'", "2: check.a.root: missing; write `root = \"infra/stacks\"`"),
        (
            "[check.a]\nkind = 'files'\nroot = 'r'",
            "1: check.a.include: missing; write `include = [\"*/docker-compose*.yml\"]`",
        ),
        (
            "[check.a]\nkind = 'files'\nroot = 'r'\ninclude = []",
            "4: check.a.include: empty: it would select nothing; write `include = [\"*.conf\"]`, or `[\"**\"]` for everything",
        ),
    ] {
        refuses(text, message);
    }
    refuses_json(
        "{\"check\":\n{\"a\": {\"kind\": \"trees\"}}}",
        "2: check.a.root: missing; write `\"root\": \"infra/stacks\"`",
    );
    refuses(
        &tree_with("include = ['*']"),
        "4: check.a.include: `trees` has no key `include`: it records everything below its root; \
         remove `include`, and list what to leave out in `exclude`",
    );
    refuses(
        &with("modes = []"),
        "5: check.a.modes: empty: the check would never run; write `local`, `server` or both, or remove `modes`",
    );
}

#[test]
fn refuses_wrong_types() {
    for (text, message) in [
        ("locks = 1", "1: locks: must be a string, not an integer; write `locks = \"audit/locks\"`"),
        ("reports = []", "1: reports: must be a string, not an array; write `reports = \"audit/runtime\"`"),
        ("check = 1", "1: check: must be a table, not an integer; write `[check.NAME]` with its `kind` and `root`"),
        ("[[check]]", "1: check: must be a table, not an array; write `[check.NAME]` with its `kind` and `root`"),
        (
            "[check]\nkind = 'files'",
            "2: check.kind: must be a table, not a string; write `[check.NAME]` with its `kind` and `root`",
        ),
        ("[check.a]\nkind = 1.5", "2: check.a.kind: must be a string, not a float; write `kind = \"files\"`"),
        (
            "[check.a]\nkind = 'trees'\nroot = ['r']",
            "3: check.a.root: must be a string, not an array; write `root = \"infra/stacks\"`",
        ),
        (
            "[check.a]\nkind = 'files'\nroot = 'r'\ninclude = '*'",
            "4: check.a.include: must be an array of strings, not a string; write `include = [\"*/docker-compose*.yml\"]`",
        ),
    ] {
        refuses(text, message);
    }
    for (line, message) in [
        ("server_root = 1", "server_root: must be a string, not an integer; write `server_root = \"/srv/stacks\"`"),
        ("exclude = 1", "exclude: must be an array of strings, not an integer; write `exclude = [\"**/__pycache__\"]`"),
        (
            "modes = ['local', 1]",
            "modes: must be an array of strings, not an integer; write `modes = [\"local\", \"server\"]`",
        ),
        (
            "attributes = {}",
            "attributes: must be an array of strings, not a table; write `attributes = [\"mode\", \"owner\"]`",
        ),
        ("lock = 1979-05-27", "lock: must be a string, not a date or time; write `lock = \"NAME.lock.json\"`"),
        ("allow_empty = 'true'", "allow_empty: must be true or false, not a string; write `allow_empty = true`"),
        (
            "one_file_system = 1",
            "one_file_system: must be true or false, not an integer; write `one_file_system = true`",
        ),
    ] {
        refuses(&with(line), &format!("5: check.a.{message}"));
    }
    refuses_json("{\"locks\": null}", "1: locks: must be a string, not null; write `\"locks\": \"audit/locks\"`");
    refuses_json("{\"locks\": 1e999}", "1: locks: must be a string, not a number; write `\"locks\": \"audit/locks\"`");
}

#[test]
fn refuses_strings_that_say_nothing_or_hold_nul() {
    for key in ["server_root", "lock"] {
        let empty = format!("5: check.a.{key}: empty string; write a value, or remove the key");
        refuses(&with(&format!("{key} = ''")), &empty);
        let nul = format!("5: check.a.{key}: contains a NUL character, which paths and names can't have; remove it");
        refuses(&with(&format!("{key} = \"a\\u0000b\"")), &nul);
    }
    let listed = "[\n'a', '']";
    for key in ["exclude", "attributes", "modes"] {
        let empty = format!("6: check.a.{key}: empty string; write a value, or remove the key");
        refuses(&with(&format!("{key} = {listed}")), &empty);
    }
    refuses("locks = ''", "1: locks: empty string; write a value, or remove the key");
}

#[test]
fn refuses_globs() {
    for (glob, message) in [
        (
            "/etc/*",
            "glob `/etc/*` is absolute; \
             write it relative to the check's root, without the root's path",
        ),
        (
            "/",
            "glob `/` is absolute; \
             write it relative to the check's root, without the root's path",
        ),
        (
            "a/../b",
            "glob `a/../b` contains `..`, which no path below a root does; \
             write it relative to the check's root, or choose a root further up",
        ),
        ("./a", "glob `./a` contains `.`, which no path below a root does; remove it"),
        ("a//b", "glob `a//b` contains an empty name (`//`, or a trailing `/`); write single slashes between names"),
        ("a/", "glob `a/` contains an empty name (`//`, or a trailing `/`); write `a`, or `a/**` for all below it"),
    ] {
        refuses(&with(&format!("exclude = ['x',\n'{glob}']")), &format!("6: check.a.exclude: {message}"));
    }
    for (glob, reason) in [
        ("a[", "unclosed character class; missing ']'"),
        ("{a", "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
        ("a}", "unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)"),
        ("[z-a]", "invalid range; 'z' > 'a'"),
        ("a\\", "dangling '\\\\'"),
    ] {
        let shown = glob.replace('\\', "\\\\");
        refuses(
            &with(&format!("exclude = ['{glob}']")),
            &format!(
                "5: check.a.exclude: glob `{shown}` is malformed: {reason}; \
                 put `\\` before a special character to use it literally"
            ),
        );
    }
    refuses(
        "[check.a]\nkind = 'files'\nroot = 'r'\ninclude = ['a',\n'b', \"a\"]",
        "5: check.a.include: `a` is listed twice; remove one",
    );
    let long = "x".repeat(5000);
    refuses(
        &with(&format!("exclude = ['{long}']")),
        &format!(
            "5: check.a.exclude: glob `{}…` has too many bytes, slashes or braces; write several shorter globs",
            &long[..120]
        ),
    );
}

#[test]
fn refuses_attributes_and_modes() {
    for (line, message) in [
        ("attributes = ['modes']", "attributes: unknown attribute `modes`; write `mode`"),
        ("attributes = ['acl']", "attributes: unknown attribute `acl`; write one of `mode`, `owner` or `xattrs`"),
        ("attributes = ['mode', 'mode']", "attributes: `mode` is listed twice; remove one"),
        ("modes = ['Server']", "modes: unknown mode `Server`; write `server`"),
        ("modes = ['ci']", "modes: unknown mode `ci`; write one of `local` or `server`"),
        ("modes = ['local', 'local']", "modes: `local` is listed twice; remove one"),
    ] {
        refuses(&with(line), &format!("5: check.a.{message}"));
    }
}

/// What is tedious to compile must be compiled or refused, in little time and memory.
#[test]
fn survives_tedious_globs() {
    for glob in [
        "*/".repeat(128) + "*",
        "{a,".repeat(64) + "b" + &"}".repeat(64),
        "**/*".repeat(1000),
        "{a,b}".repeat(64),
        "[a-z]".repeat(800),
        "?".repeat(4096),
    ] {
        let text = format!("[check.a]\nkind = 'files'\nroot = 'r'\ninclude = ['{glob}']\nexclude = ['x', '{glob}']");
        let _ = toml(&text).map_err(|error| error.to_string());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Declaration::parse("d", Format::Toml, &bytes).map_err(|error| error.to_string());
        let _ = Declaration::parse("d", Format::Json, &bytes).map_err(|error| error.to_string());
    }

    #[test]
    fn no_text_of_the_formats_characters_panics(text in "[\\[\\]{}\"'.,=:#a\\\\n \n0é]{0,60}") {
        let _ = toml(&text).map_err(|error| error.to_string());
        let _ = json(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_mutated_declaration_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, "(\\PC|[\\[\\]{}\".=\n/*\0]){0,4}"), 1..6)
    ) {
        for (format, text) in [(Format::Toml, FULL_TOML), (Format::Json, FULL_JSON)] {
            let mut bytes = text.as_bytes().to_vec();
            for (at, length, insert) in &edits {
                let at = at.index(bytes.len() + 1);
                let end = (at + length).min(bytes.len());
                bytes.splice(at..end, insert.bytes());
            }
            let _ = Declaration::parse("d", format, &bytes).map_err(|error| error.to_string());
        }
    }
}
