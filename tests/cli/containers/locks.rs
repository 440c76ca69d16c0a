//! Locks of containers: whatever can be in one is read as what was written, and nothing else is one.

use driftlock::internals::manifest::container::{Compose, Container, Mount, Security, sorted};
use driftlock::internals::manifest::{AttributeSet, Content, Entry, Kind, LockError, Record, Sha256Digest, json};
use driftlock::internals::path::EntryPath;
use proptest::prelude::*;

use crate::damage::{is_read_as_written, read};

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![any::<String>(), "[a-b\\\\\"\n\u{7f}-\u{a0}\u{200b}]{0,8}"].prop_map(String::into_boxed_str)
}

fn texts() -> impl Strategy<Value = Vec<Box<str>>> {
    prop::collection::vec(text(), 0..4).prop_map(sorted)
}

fn digest() -> impl Strategy<Value = Sha256Digest> {
    any::<[u8; 32]>().prop_map(Sha256Digest)
}

fn security() -> impl Strategy<Value = Security> {
    let lists = (texts(), texts(), texts(), texts());
    let words = (text(), text(), text(), text(), text());
    (any::<[bool; 2]>(), lists, words).prop_map(
        |([privileged, read_only_root], (cap_add, cap_drop, security_opt, devices), words)| {
            let (user, pid_mode, ipc_mode, userns_mode, restart) = words;
            Security {
                privileged,
                cap_add,
                cap_drop,
                user,
                pid_mode,
                ipc_mode,
                userns_mode,
                security_opt,
                devices,
                read_only_root,
                restart,
            }
        },
    )
}

fn compose() -> impl Strategy<Value = Compose> {
    let words = (text(), text(), text());
    words.prop_map(|(project, service, config_hash)| Compose { project, service, config_hash })
}

fn container() -> impl Strategy<Value = Container> {
    let mount = (text(), text(), prop::option::of(text()), any::<bool>())
        .prop_map(|(destination, kind, source, read_only)| Mount { destination, kind, source, read_only });
    let labels = prop::collection::btree_map(text(), digest(), 0..3);
    let always = (text(), prop::option::of(digest()), texts());
    let settings =
        (text(), prop::collection::vec(mount, 0..3), texts(), texts(), labels, (texts(), security(), compose()));
    (always, settings).prop_map(
        |((image, image_id, repo_digests), (state, mounts, networks, ports, labels, (env, security, compose)))| {
            Container {
                image,
                image_id,
                repo_digests,
                state: Some(state),
                mounts: Some(sorted(mounts)),
                networks: Some(networks),
                ports: Some(ports),
                labels: Some(labels.into_iter().collect()),
                env: Some(env),
                security: Some(Box::new(security)),
                compose: Some(Box::new(compose)),
            }
        },
    )
}

/// Any lock of containers, with any attributes.
fn lock() -> impl Strategy<Value = (json::Header, Vec<Entry>)> {
    let set = any::<[bool; 8]>().prop_map(|[state, mounts, networks, ports, labels, env, security, compose]| {
        AttributeSet { state, mounts, networks, ports, labels, env, security, compose, ..AttributeSet::default() }
    });
    let entries = prop::collection::btree_map("[a-z][a-z_.-]{0,3}", container(), 0..5);
    let kind = prop::sample::select(vec![Kind::Containers, Kind::Compose]);
    (set, entries, kind).prop_map(|(set, entries, kind)| {
        let entry = |(name, mut container): (String, Container)| {
            container.state = container.state.filter(|_| set.state);
            container.mounts = container.mounts.filter(|_| set.mounts);
            container.networks = container.networks.filter(|_| set.networks);
            container.ports = container.ports.filter(|_| set.ports);
            container.labels = container.labels.filter(|_| set.labels);
            container.env = container.env.filter(|_| set.env);
            container.security = container.security.filter(|_| set.security);
            container.compose = container.compose.filter(|_| set.compose);
            let record = Record { content: Content::Container(Box::new(container)), attributes: None };
            Entry { path: EntryPath::new(name.into_bytes()).unwrap(), record }
        };
        let header = json::Header { check: "c".to_owned(), kind, attributes: set };
        (header, entries.into_iter().map(entry).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same((header, entries) in lock()) {
        is_read_as_written(header, entries)?;
    }
}

const ENTRY: &str = r#"{"path":"a","type":"container","image":"i","image_id":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","repo_digests":["a","b"],"mounts":[{"destination":"/a","type":"volume"},{"destination":"/b","type":"bind","source":"/s","read_only":true}],"labels":{"a":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#;

fn with_security() -> String {
    let security = r#"{"privileged":true,"cap_add":["A","B"],"cap_drop":[],"user":"","pid_mode":"","ipc_mode":"","userns_mode":"","security_opt":[],"devices":[],"read_only_root":false,"restart":"no"}"#;
    format!("{},\"security\":{security}}}", ENTRY.strip_suffix('}').unwrap())
}

fn lock_of(kind: &str, entry: &str) -> Result<usize, LockError> {
    lock_with(kind, "\"mounts\", \"labels\"", entry)
}

fn lock_with(kind: &str, attributes: &str, entry: &str) -> Result<usize, LockError> {
    use sha2::Digest as _;
    let digest = Sha256Digest(sha2::Sha256::digest(format!("{entry}\n")).into()).sri();
    let lock = format!(
        "{{\n\"driftlock\": 1,\n\"check\": \"c\",\n\"kind\": \"{kind}\",\n\"attributes\": [{attributes}],\n\
         \"digest\": \"{digest}\",\n\"entries\": [\n{entry}\n]\n}}\n"
    );
    read(lock.as_bytes()).map(|(_, entries)| entries.len())
}

#[test]
fn what_is_not_canonical_is_refused() {
    assert_eq!(lock_of("containers", ENTRY).unwrap(), 1);
    let attributes = "\"mounts\", \"labels\", \"security\"";
    assert_eq!(lock_with("containers", attributes, &with_security()).unwrap(), 1);
    for (from, to) in [
        (r#"["a","b"]"#, r#"["b","a"]"#),
        (r#"["a","b"]"#, r#"["a","a"]"#),
        (r#"["a","b"]"#, r#"["a", "b"]"#),
        (r#""image_id":"sha256:e3"#, r#""image_id":"sha256:E3"#),
        (r#""image_id":"sha256:e3"#, r#""image_id":"e3"#),
        (r#","repo_digests":["a","b"]"#, ""),
        (r#""image":"i","#, ""),
        (r#""/a""#, r#""/c""#),
        (r#","read_only":true"#, r#","read_only":false"#),
        (r#""source":"/s""#, r#""source":null"#),
        (r#","labels":{"a":"#, r#","labels":{"a":"x","a":"#),
        (r#","labels""#, r#","env":[],"labels""#),
        (r#","labels""#, r#","state":"x","labels""#),
        (r#""path":"a""#, r#""path":"a/b""#),
        (r#""type":"container","#, r#""type":"fifo","#),
        (r#""type":"container","#, r#""type":"container","size":1,"#),
        (r#""type":"container","#, r#""type":"container","mode":"0644","#),
    ] {
        assert!(ENTRY.contains(from), "{from}");
        let refused = lock_of("containers", &ENTRY.replacen(from, to, 1));
        assert!(matches!(refused, Err(LockError::NotCanonical { .. })), "{from} → {to}: {refused:?}");
    }
    for (from, to) in [
        (r#""privileged":true"#, r#""privileged":1"#),
        (r#""privileged":true,"#, ""),
        (r#""cap_add":["A","B"]"#, r#""cap_add":["B","A"]"#),
        (r#","cap_drop":[],"user":"""#, r#","user":"","cap_drop":[]"#),
        (r#""restart":"no""#, r#""restart":null"#),
        (r#""restart":"no""#, r#""restart":"no","gpus":[]"#),
        (r#""restart":"no"}"#, r#""restart":"no","restart":"no"}"#),
    ] {
        let entry = with_security();
        assert!(entry.contains(from), "{from}");
        let refused = lock_with("containers", "\"mounts\", \"labels\", \"security\"", &entry.replacen(from, to, 1));
        assert!(matches!(refused, Err(LockError::NotCanonical { .. })), "{from} → {to}: {refused:?}");
    }
    for kind in ["files", "trees", "container_files"] {
        assert!(lock_of(kind, ENTRY).is_err(), "{kind}");
    }
}
