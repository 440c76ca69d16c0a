//! The canonical form of a declaration, which seals cover: everything that changes what is checked, for TOML and JSON.
//!
//! It is JSON without blanks, with the keys of every object sorted and strings as in locks. Comments, the order of keys
//! and the format of the file do not change it, and defaults are written out. `docs/lock-format.md` specifies it.
//!
//! Each type is taken apart by all its fields, so that a new one has to be placed here.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Check, ComposeFiles, Declaration, Engine, Group, LockFile, LockFormat, Modes, Server};
use crate::digest::{Sha256, Sha256Digest};
use crate::manifest::json::push_string;

/// Keys and values of an object; the values are JSON.
type Object = BTreeMap<String, Vec<u8>>;

impl Declaration {
    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        // The seal lies with the locks, wherever that is. Reports change nothing of what is checked.
        let Self { locks: _, reports: _, reports_keep: _, checks, servers, groups } = self;
        object([
            ("driftlock_declaration", b"1".to_vec()),
            ("checks", map(checks.iter().map(|each| (each.name.clone(), check(each))))),
            ("servers", map(servers.iter().map(|each| (each.name.clone(), server(each, checks))))),
            ("groups", map(groups.iter().map(|each| (each.name.clone(), group(each, servers, checks))))),
        ])
    }

    /// The digest of the canonical form.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        let mut hasher = Sha256::new();
        hasher.update(&self.canonical());
        hasher.finish()
    }
}

fn check(check: &Check) -> Vec<u8> {
    let Check {
        name: _,
        line: _,
        kind,
        root,
        server_root,
        // What reports show of a drift.
        reference: _,
        show_changes: _,
        selection,
        attributes,
        lock,
        modes,
        allow_empty,
        one_file_system,
        uncovered_is_trouble,
        strict,
        engine,
        compose,
    } = check;
    let (include, exclude) = selection.declared();
    let mut names: Vec<_> = attributes.names().collect();
    names.sort_unstable();
    object([
        ("kind", string(kind.name())),
        ("root", path(root)),
        ("server_root", server_root.as_deref().map_or_else(null, path)),
        ("include", strings(include)),
        ("exclude", strings(exclude)),
        ("attributes", strings(&names)),
        ("lock", lock_file(lock)),
        ("modes", self::modes(*modes)),
        ("allow_empty", boolean(*allow_empty)),
        ("one_file_system", boolean(*one_file_system)),
        ("uncovered_is_trouble", boolean(*uncovered_is_trouble)),
        ("strict", boolean(*strict)),
        ("engine", engine.as_ref().map_or_else(null, self::engine)),
        ("compose", compose.as_ref().map_or_else(null, self::compose)),
    ])
}

fn lock_file(lock: &LockFile) -> Vec<u8> {
    let LockFile { name, format, old, per_server } = lock;
    let format = match format {
        LockFormat::Json => "json",
        LockFormat::Sha256sum => "sha256sum",
    };
    object([
        ("name", string(name)),
        ("format", string(format)),
        ("old", old.as_deref().map_or_else(null, string)),
        ("per_server", boolean(*per_server)),
    ])
}

fn modes(modes: Modes) -> Vec<u8> {
    let Modes { local, server } = modes;
    object([("local", boolean(local)), ("server", boolean(server))])
}

fn engine(engine: &Engine) -> Vec<u8> {
    let Engine { socket, containers, labels, one_off } = engine;
    object([
        ("socket", path(socket)),
        ("containers", strings(containers)),
        ("labels", map(labels.iter().map(|(name, value)| (name.clone(), string(value))))),
        ("one_off", boolean(*one_off)),
    ])
}

fn compose(compose: &ComposeFiles) -> Vec<u8> {
    let ComposeFiles { config, hashes } = compose;
    object([("config", path(config)), ("hashes", hashes.as_deref().map_or_else(null, path))])
}

fn server(server: &Server, known: &[Check]) -> Vec<u8> {
    // A server's `authorized_keys` may run another command for another key. What groups name stands with the groups:
    // once, however many servers they have.
    let Server { name: _, host, user, key, port, roots, checks, group_checks: _ } = server;
    object([
        ("host", string(host)),
        ("user", user.as_deref().map_or_else(null, string)),
        ("key", key.as_deref().map_or_else(null, path)),
        ("port", port.map_or_else(null, |port| port.to_string().into_bytes())),
        ("roots", map(roots.iter().map(|(check, root)| (check.clone(), path(root))))),
        ("checks", named(checks.as_deref(), known)),
    ])
}

fn group(group: &Group, servers: &[Server], known: &[Check]) -> Vec<u8> {
    let Group { name: _, servers: places, checks } = group;
    let members = places.iter().filter_map(|&place| servers.get(place)).map(|server| &*server.name);
    object([("servers", sorted(members)), ("checks", named(checks.as_deref(), known))])
}

/// The names of checks that a server or a group names.
fn named(places: Option<&[usize]>, known: &[Check]) -> Vec<u8> {
    let names =
        |places: &[usize]| sorted(places.iter().filter_map(|&place| known.get(place)).map(|check| &*check.name));
    places.map_or_else(null, names)
}

/// Each of these names once, sorted.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    strings(&names)
}

fn null() -> Vec<u8> {
    b"null".to_vec()
}

fn boolean(value: bool) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_string(&mut out, text);
    out
}

fn path(path: &Path) -> Vec<u8> {
    // A declaration is UTF-8, so nothing is replaced here.
    string(&path.to_string_lossy())
}

fn strings<S: AsRef<str>>(texts: &[S]) -> Vec<u8> {
    let texts: Vec<_> = texts.iter().map(|text| string(text.as_ref())).collect();
    [&b"["[..], &texts.join(&b','), b"]"].concat()
}

fn object<const N: usize>(entries: [(&str, Vec<u8>); N]) -> Vec<u8> {
    map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)))
}

fn map(entries: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let entries: Object = entries.collect();
    let entries: Vec<_> = entries.into_iter().map(|(key, value)| [&string(&key)[..], b":", &value].concat()).collect();
    [&b"{"[..], &entries.join(&b','), b"}"].concat()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn declaration(text: &str) -> Declaration {
        let format = if text.starts_with('{') { Format::Json } else { Format::Toml };
        Declaration::parse("driftlock", format, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    const BOTH: &str = "locks = \"l\"\n[check.a]\nkind = \"files\"\nroot = \"r\"\ninclude = [\"x\"]\n\
                        [check.b]\nkind = \"trees\"\nroot = \"s\"\n[server.w]\nhost = \"w.example.org\"\nchecks = [\"b\"]\n\
                        [server.v]\nhost = \"v\"\n[group.g]\nservers = [\"w\", \"v\"]\n";

    #[test]
    fn the_bytes_are_these() {
        let check = |kind: &str, root: &str, include: &str, lock: &str| {
            format!(
                "{{\"allow_empty\":false,\"attributes\":[],\"compose\":null,\"engine\":null,\"exclude\":[],\"include\":[{include}],\
                 \"kind\":\"{kind}\",\"lock\":{{\"format\":\"json\",\"name\":\"{lock}.lock.json\",\"old\":null,\"per_server\":false}},\
                 \"modes\":{{\"local\":true,\"server\":true}},\"one_file_system\":false,\"root\":\"{root}\",\"server_root\":null,\
                 \"strict\":false,\"uncovered_is_trouble\":false}}"
            )
        };
        let server = |host: &str, checks: &str| {
            format!(
                "{{\"checks\":{checks},\"host\":\"{host}\",\"key\":null,\"port\":null,\"roots\":{{}},\"user\":null}}"
            )
        };
        let expected = format!(
            "{{\"checks\":{{\"a\":{},\"b\":{}}},\"driftlock_declaration\":1,\"groups\":{{\"g\":{{\"checks\":null,\"servers\":[\"v\",\"w\"]}}}},\
             \"servers\":{{\"v\":{},\"w\":{}}}}}",
            check("files", "r", "\"x\"", "a"),
            check("trees", "s", "", "b"),
            server("v", "null"),
            server("w.example.org", "[\"b\"]"),
        );
        assert_eq!(String::from_utf8(declaration(BOTH).canonical()).unwrap(), expected);
    }

    #[test]
    fn comments_blanks_the_order_of_keys_and_the_format_of_the_file_do_not_count() {
        let same = "# a comment\nreports = \"elsewhere\"\nlocks   =   \"m\"\n\n[group.g]\nservers = [\"v\", \"w\"]\n\
                    [server.v]\nhost = \"v\"\n[server.w]\nchecks = [\"b\"]\nhost = \"w.example.org\"\n\
                    [check.b]\nroot = \"s\"\nkind = \"trees\"\nstrict = false\n[check.a]\nroot = \"r\"\nreference = \"o\"\n\
                    include = [\n  \"x\", # one\n]\nkind = \"files\"\n";
        assert_eq!(declaration(same).canonical(), declaration(BOTH).canonical());
        let json = "{\"locks\": \"l\", \"check\": {\"b\": {\"root\": \"s\", \"kind\": \"trees\"}, \"a\": {\"kind\": \"files\", \
                    \"root\": \"r\", \"include\": [\"x\"]}}, \"server\": {\"w\": {\"host\": \"w.example.org\", \"checks\": [\"b\"]}, \
                    \"v\": {\"host\": \"v\"}}, \"group\": {\"g\": {\"servers\": [\"w\", \"v\"]}}}";
        assert_eq!(declaration(json).canonical(), declaration(BOTH).canonical());
    }

    #[test]
    fn whatever_changes_what_is_checked_counts() {
        let mut seen = vec![declaration(BOTH).digest()];
        for (from, to) in [
            ("root = \"r\"", "root = \"r\"\nexclude = [\"x/y\"]"),
            ("root = \"r\"", "root = \"q\""),
            ("root = \"r\"", "root = \"r\"\nserver_root = \"/r\""),
            ("root = \"r\"", "root = \"r\"\nattributes = [\"mode\"]"),
            ("root = \"r\"", "root = \"r\"\nlock = \"a.lock.txt\""),
            ("root = \"r\"", "root = \"r\"\nlock = \"c.lock.json\""),
            ("root = \"r\"", "root = \"r\"\nlock_per_server = true"),
            ("root = \"r\"", "root = \"r\"\nmodes = [\"local\"]"),
            ("root = \"r\"", "root = \"r\"\nallow_empty = true"),
            ("root = \"r\"", "root = \"r\"\none_file_system = true"),
            ("root = \"r\"", "root = \"r\"\nuncovered = \"trouble\""),
            ("root = \"r\"", "root = \"r\"\nstrict = true"),
            ("\"x\"", "\"x\", \"y\""),
            ("\"x\"", "\"z\""),
            ("kind = \"trees\"", "kind = \"trees\"\nlock = \"b.hash.txt\""),
            ("[check.b]\nkind = \"trees\"\nroot = \"s\"\n", "[check.b]\nkind = \"containers\"\nsocket = \"/s\"\n"),
            ("[check.b]\nkind = \"trees\"\nroot = \"s\"\n", "[check.b]\nkind = \"containers\"\nsocket = \"/t\"\n"),
            (
                "[check.b]\nkind = \"trees\"\nroot = \"s\"\n",
                "[check.b]\nkind = \"containers\"\nsocket = \"/s\"\ncontainers = [\"c\"]\n",
            ),
            (
                "[check.b]\nkind = \"trees\"\nroot = \"s\"\n",
                "[check.b]\nkind = \"containers\"\nsocket = \"/s\"\none_off = true\n",
            ),
            (
                "[check.b]\nkind = \"trees\"\nroot = \"s\"\n",
                "[check.b]\nkind = \"containers\"\nsocket = \"/s\"\nlabels = { a = \"b\" }\n",
            ),
            (
                "[check.b]\nkind = \"trees\"\nroot = \"s\"\n",
                "[check.b]\nkind = \"compose\"\nsocket = \"/s\"\nconfig = \"c\"\n",
            ),
            (
                "[check.b]\nkind = \"trees\"\nroot = \"s\"\n",
                "[check.b]\nkind = \"compose\"\nsocket = \"/s\"\nconfig = \"c\"\nhashes = \"h\"\n",
            ),
            ("host = \"v\"", "host = \"u\""),
            ("host = \"v\"", "host = \"v\"\nuser = \"u\""),
            ("host = \"v\"", "host = \"v\"\nkey = \"k\""),
            ("host = \"v\"", "host = \"v\"\nport = 23"),
            ("host = \"v\"", "host = \"v\"\nroots = { a = \"/a\" }"),
            ("host = \"v\"", "host = \"v\"\nchecks = [\"a\"]"),
            ("checks = [\"b\"]", ""),
            ("servers = [\"w\", \"v\"]", "servers = [\"w\"]"),
            ("servers = [\"w\", \"v\"]", "servers = [\"w\", \"v\"]\nchecks = [\"a\"]"),
            ("servers = [\"w\", \"v\"]", "servers = [\"w\", \"v\"]\nchecks = [\"b\"]"),
        ] {
            let other = BOTH.replacen(from, to, 1);
            assert_ne!(other, BOTH, "{from}");
            let digest = declaration(&other).digest();
            assert!(!seen.contains(&digest), "{from} → {to}");
            seen.push(digest);
        }
    }
}
