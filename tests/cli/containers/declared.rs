//! Declarations of engines that are refused, with what to write instead.

use crate::harness::World;

#[test]
fn what_is_refused() {
    const CONTAINERS: &str = "[check.a]\nkind = \"containers\"\nsocket = \"s\"\n";
    const FILES: &str = "[check.a]\nkind = \"container_files\"\nsocket = \"s\"\ncontainer = \"c\"\nroot = \"/etc\"\n";
    let too_long = format!("socket = \"{}\"", "s".repeat(108));
    let with = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    for (text, message) in [
        (
            format!("{CONTAINERS}root = \"x\""),
            "driftlock.toml:4: check.a.root: `containers` has no key `root`, which is a key of `files`; remove it, or write one of \
             `kind`, `socket`, `containers`, `exclude`, `labels`, `one_off`, `attributes`, `lock`, `lock_per_server`, \
             `modes`, `allow_empty` or `uncovered`",
        ),
        (format!("{CONTAINERS}include = []"), "4: check.a.include: `containers` has no key `include`"),
        (format!("{CONTAINERS}container = \"x\""), "has no key `container`, which is a key of `container_files`"),
        (format!("{FILES}containers = []"), "6: check.a.containers: `container_files` has no key `containers`"),
        (format!("{FILES}one_file_system = true"), "`container_files` has no key `one_file_system`"),
        (format!("{CONTAINERS}sockets = 1"), "4: check.a.sockets: unknown key; write `socket`"),
        (
            "[check.a]\nkind = \"trees\"\nroot = \"r\"\nsocket = \"s\"".to_owned(),
            "4: check.a.socket: `trees` has no key `socket`",
        ),
        (
            with(CONTAINERS, "socket = \"s\"", ""),
            "1: check.a.socket: missing; write `socket = \"/var/run/docker.sock\"`",
        ),
        (
            with(CONTAINERS, "\"s\"", "\"unix:///run/d.sock\""),
            "an address instead of the path of a UNIX socket; write `/run/d.sock`",
        ),
        (with(CONTAINERS, "\"s\"", "\"tcp://h:2375\""), "it opens no network connections"),
        (with(CONTAINERS, "socket = \"s\"", &too_long), "longer than 107 bytes"),
        (
            format!("{CONTAINERS}containers = []"),
            "4: check.a.containers: empty: it would select no containers; name containers, or remove",
        ),
        (format!("{CONTAINERS}containers = [\"/web\"]"), "`/web` is not a valid container name; write `web`"),
        (
            format!("{CONTAINERS}containers = [\"w+\"]"),
            "`w+` is not a valid container name; write the name that `docker ps` shows",
        ),
        (format!("{CONTAINERS}containers = [\"a/*\"]"), "containers: `a/*` is not a valid container name"),
        (
            format!("{CONTAINERS}exclude = [\"/web\"]"),
            "4: check.a.exclude: `/web` is not a valid container name; write `web`",
        ),
        (format!("{CONTAINERS}containers = [\"w[\"]"), "check.a.containers: glob `w[` is malformed"),
        (format!("{CONTAINERS}exclude = [\"w{{\"]"), "check.a.exclude: glob `w{` is malformed"),
        (
            format!("{CONTAINERS}labels = \"a=b\""),
            "check.a.labels: must be a table of labels, each in quotes with its value in quotes, not a string",
        ),
        (
            format!("{CONTAINERS}labels = {{ a = 1 }}"),
            "must be a table of labels, each in quotes with its value in quotes, not an integer; write `labels = {",
        ),
        (format!("{CONTAINERS}labels = {{}}"), "labels: empty: it would not filter anything; write `labels = {"),
        (
            format!("{CONTAINERS}labels = {{ com.docker.compose.project = \"shop\" }}"),
            "in quotes, not a table; write `labels = { \"com.docker.compose.project\" = \"shop\" }`",
        ),
        (format!("{CONTAINERS}one_off = 1"), "one_off: must be true or false"),
        (
            format!("{FILES}labels = {{ a = \"b\" }}"),
            "`container_files` has no key `labels`, which is a key of `containers`",
        ),
        (format!("{CONTAINERS}containers = [\"a\", \"a\"]"), "`a` is listed twice"),
        (format!("{CONTAINERS}attributes = [\"mode\"]"), "unknown attribute `mode`; write one of `state`, `mounts`"),
        (format!("{FILES}attributes = [\"xattrs\"]"), "unknown attribute `xattrs`; write one of `mode` or `owner`"),
        (format!("{FILES}include = []"), "empty: it would select nothing"),
        (format!("{FILES}exclude = [\"/x\"]"), "glob `/x` is absolute"),
        (with(FILES, "container = \"c\"\n", ""), "check.a.container: missing; write `container = \"nginx\"`"),
        (with(FILES, "root = \"/etc\"\n", ""), "check.a.root: missing; write `root = \"/etc/nginx\"`"),
        (with(FILES, "/etc", "etc"), "`etc` is not an absolute path"),
        (with(FILES, "/etc", "/etc/../x"), "is not an absolute path without `.` and `..`; write a path such as"),
        (format!("{CONTAINERS}lock = \"x.lock.txt\""), "has the sha256sum format, which does not support `containers`"),
        (format!("{FILES}lock = \"x.lock.txt\""), "which does not support `container_files`"),
        (with(CONTAINERS, "containers", "container"), "unknown kind `container`; write `containers`"),
    ] {
        let world = World::declaring(&text);
        let said = world.driftlock(["check"]).code(2).stderr();
        assert!(said.contains(message), "{text}\n{said}");
    }
}
