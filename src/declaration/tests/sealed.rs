//! Which keys of a declaration a seal covers. The keys come from the lists that the parser has, so a new key has to be
//! placed here.

use std::collections::BTreeSet;

use super::super::{group, server, validate};
use super::*;

/// Keys that seals leave out: where the locks lie, and what reports show and where they go.
const NOT_SEALED: [&str; 5] = ["locks", "reports", "reports_keep", "reference", "show_changes"];

/// Lines of a table: each key that is needed, with its value; then each key with another value.
type Table = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const TREES: Table = (
    &[("kind", "\"trees\""), ("root", "\"r\"")],
    &[
        ("root", "\"q\""),
        ("server_root", "\"/s\""),
        ("reference", "\"o\""),
        ("exclude", "[\"y\"]"),
        ("attributes", "[\"mode\"]"),
        ("lock", "\"other.lock.json\""),
        ("lock_per_server", "true"),
        ("modes", "[\"server\"]"),
        ("allow_empty", "true"),
        ("one_file_system", "true"),
        ("uncovered", "\"trouble\""),
        ("strict", "true"),
        ("show_changes", "true"),
    ],
);

const FILES: Table = (
    &[("kind", "\"files\""), ("root", "\"r\""), ("include", "[\"x\"]")],
    &[
        ("root", "\"q\""),
        ("server_root", "\"/s\""),
        ("reference", "\"o\""),
        ("include", "[\"x\", \"y\"]"),
        ("exclude", "[\"y\"]"),
        ("attributes", "[\"owner\"]"),
        ("lock", "\"a.lock.txt\""),
        ("lock_per_server", "true"),
        ("modes", "[\"server\"]"),
        ("allow_empty", "true"),
        ("one_file_system", "true"),
        ("uncovered", "\"trouble\""),
        ("strict", "true"),
        ("show_changes", "true"),
    ],
);

const CONTAINERS: Table = (
    &[("kind", "\"containers\""), ("socket", "\"/s\"")],
    &[
        ("socket", "\"/t\""),
        ("containers", "[\"c\"]"),
        ("exclude", "[\"d\"]"),
        ("labels", "{ a = \"b\" }"),
        ("one_off", "true"),
        ("attributes", "[\"state\"]"),
        ("lock", "\"other.lock.json\""),
        ("lock_per_server", "true"),
        ("modes", "[\"server\"]"),
        ("allow_empty", "true"),
        ("uncovered", "\"trouble\""),
    ],
);

const CONTAINER_FILES: Table = (
    &[("kind", "\"container_files\""), ("socket", "\"/s\""), ("container", "\"c\""), ("root", "\"/r\"")],
    &[
        ("socket", "\"/t\""),
        ("container", "\"d\""),
        ("root", "\"/q\""),
        ("include", "[\"x\"]"),
        ("exclude", "[\"y\"]"),
        ("attributes", "[\"mode\"]"),
        ("lock", "\"other.lock.json\""),
        ("lock_per_server", "true"),
        ("modes", "[\"server\"]"),
        ("allow_empty", "true"),
        ("uncovered", "\"trouble\""),
    ],
);

const COMPOSE: Table = (
    &[("kind", "\"compose\""), ("socket", "\"/s\""), ("config", "\"c\"")],
    &[
        ("socket", "\"/t\""),
        ("config", "\"d\""),
        ("hashes", "\"h\""),
        ("lock", "\"other.lock.json\""),
        ("lock_per_server", "true"),
        ("modes", "[\"server\"]"),
        ("allow_empty", "true"),
    ],
);

const SERVER: Table = (
    &[("host", "\"v\"")],
    &[
        ("host", "\"w\""),
        ("user", "\"u\""),
        ("key", "\"k\""),
        ("port", "23"),
        ("roots", "{ a = \"/a\" }"),
        ("checks", "[\"a\"]"),
    ],
);

const GROUP: Table = (&[("servers", "[\"v\"]")], &[("servers", "[\"v\", \"w\"]"), ("checks", "[\"a\"]")]);

/// Lines of the whole file, by the keys that they add.
const TOP: [(&str, &str); 6] = [
    ("locks", "locks = \"l\"\n"),
    ("reports", "reports = \"r\"\n"),
    ("reports_keep", "reports_keep = 7\n"),
    ("check", "[check.b]\nkind = \"trees\"\nroot = \"r\"\n"),
    ("server", "[server.x]\nhost = \"x\"\n"),
    ("group", "[group.h]\nservers = [\"v\"]\n"),
];

/// A declaration with these lines in one table.
fn with_table(table: &str, lines: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, needed) in [
        ("check.a", TREES.0),
        ("server.v", SERVER.0),
        ("server.w", &[("host", "\"w.example.org\"")][..]),
        ("group.g", GROUP.0),
    ] {
        let lines = if name == table { lines } else { needed };
        text.push_str(&format!("[{name}]\n"));
        lines.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
    }
    text
}

fn digest(text: &str) -> String {
    toml(text).unwrap_or_else(|error| panic!("{text}{error}")).digest().sri()
}

/// Changes each key of a table by itself.
fn each_key_of(name: &str, (needed, others): Table, known: &[&str], is_elsewhere: impl Fn(&str) -> bool) {
    let tried: BTreeSet<_> = others.iter().map(|(key, _)| *key).collect();
    let known: BTreeSet<_> = known.iter().copied().filter(|key| !is_elsewhere(key)).collect();
    assert_eq!(tried, known, "{name}");
    let plain = digest(&with_table(name, needed));
    for (key, value) in others {
        let mut lines: Vec<_> = needed.iter().filter(|(other, _)| other != key).copied().collect();
        lines.push((key, value));
        let changes = digest(&with_table(name, &lines)) != plain;
        assert_eq!(changes, !NOT_SEALED.contains(key), "{name}: {key} = {value}");
    }
}

#[test]
fn every_key_is_sealed_or_is_named_as_not_sealed() {
    each_key_of("server.v", SERVER, server::KEYS, |_| false);
    each_key_of("group.g", GROUP, group::KEYS, |_| false);
    let kinds = [
        (Kind::Trees, TREES),
        (Kind::Files, FILES),
        (Kind::Containers, CONTAINERS),
        (Kind::ContainerFiles, CONTAINER_FILES),
        (Kind::Compose, COMPOSE),
    ];
    for (kind, table) in kinds {
        // `trees` refuses what its list has for `files`.
        let is_elsewhere = |key: &str| key == "kind" || (kind == Kind::Trees && key == "include");
        each_key_of("check.a", table, validate::keys_of(kind), is_elsewhere);
    }
    let of_kinds: BTreeSet<_> = kinds.iter().map(|(_, table)| digest(&with_table("check.a", table.0))).collect();
    assert_eq!(of_kinds.len(), Kind::ALL.len());
    assert_eq!(BTreeSet::from(TOP.map(|(key, _)| key)), validate::TOP_KEYS.iter().copied().collect());
    let plain = with_table("", &[]);
    for (key, lines) in TOP {
        // Plain keys stand before the first table.
        let text = if lines.starts_with('[') { format!("{plain}{lines}") } else { format!("{lines}{plain}") };
        assert_eq!(digest(&text) != digest(&plain), !NOT_SEALED.contains(&key), "{key}");
    }
}
