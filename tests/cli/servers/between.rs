//! `diff --server A --server B`: two hosts, without a lock.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use needs::needs;
use serde_json::json;

use super::site::{Far, Site};

#[needs(sshd)]
fn two_servers_are_compared_with_one_another() {
    let site = Site::new(&[("a", Far::Driftlock), ("b", Far::Driftlock), ("dead", Far::Nothing)]);
    let other = site.world.path("other");
    fs::create_dir_all(other.join("module")).unwrap();
    fs::write(other.join("module/a.py"), "changed\n").unwrap();
    fs::write(other.join("module/new.py"), "new\n").unwrap();
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let roots = format!("\n[server.b]\nhost = \"b\"\nroots = {{ tree = \"{}\" }}\n", other.display());
    fs::write(site.world.path("driftlock.toml"), declaration + &roots).unwrap();
    // No lock is looked at.
    fs::remove_dir_all(site.world.path("locks")).unwrap();

    let same = site.driftlock(&["diff", "--server", "a", "--server", "127.0.0.1", "--json"]);
    assert!(same.code(2).stderr().contains("127.0.0.1: "), "a host that is not reached");
    let found = site.driftlock(&["diff", "--server", "a", "--server", "b", "--json"]).code(1).json();
    assert_eq!(found["servers"], json!(["a", "b"]));
    let drift: Vec<_> = found["checks"][0]["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drift| (&drift["change"], &drift["path"]))
        .collect();
    assert_eq!(
        drift,
        [
            (&json!("modified"), &json!("module/a.py")),
            (&json!("removed"), &json!("module/b.py")),
            (&json!("added"), &json!("module/new.py"))
        ]
    );
    let text = site.driftlock(&["diff", "--server", "b", "--server", "a"]).code(1).stdout();
    assert!(text.starts_with("b → a\ntree: 4 entries, 3 differ, 0 could not be read\n"), "{text}");
    assert!(text.contains("    added: ") && text.contains("/module/b.py"), "{text}");

    fs::write(other.join("module/a.py"), "a\n").unwrap();
    fs::rename(other.join("module/new.py"), other.join("module/b.py")).unwrap();
    fs::write(other.join("module/b.py"), "b\n").unwrap();
    site.driftlock(&["diff", "--server", "a", "--server", "b"]).code(0);

    for servers in [["a", "dead"], ["dead", "a"]] {
        let stderr = site.driftlock(&["diff", "--server", servers[0], "--server", servers[1]]).code(2).stderr();
        assert!(stderr.contains("dead: it has no driftlock to start"), "{stderr}");
    }
    for arguments in
        [&["--server", "a"][..], &["--server", "a", "--server", "b", "--server", "dead"], &["--all-servers"]]
    {
        let stderr = site.driftlock(&[&["diff"], arguments].concat()).code(2).stderr();
        assert!(stderr.contains("diff compares two servers"), "{stderr}");
    }
}

/// What lies below a directory that one of them can't read is not what the other has more.
#[needs(root, sshd)]
fn what_one_of_them_can_not_read_is_unverified() {
    let script = format!(
        "install -m 755 {} \"$TMPDIR/../copy\"\n\
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$TMPDIR/../copy\" \"$@\"",
        env!("CARGO_BIN_EXE_driftlock")
    );
    let site = Site::new(&[("all", Far::Driftlock), ("less", Far::Script(script))]);
    site.world.write("module/closed/x", "x");
    fs::set_permissions(site.world.root("module/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    for servers in [["all", "less"], ["less", "all"]] {
        let found = site.driftlock(&["diff", "--json", "--server", servers[0], "--server", servers[1]]).code(2).json();
        let counts = &found["checks"][0]["counts"];
        assert_eq!((&counts["drifted"], &counts["unverified"]), (&json!(0), &json!(2)), "{servers:?}: {found:#}");
    }
}
