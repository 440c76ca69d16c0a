//! `[group.NAME]`, `checks` of servers and groups, and locks of servers: what is read, and what is refused.

use super::*;

/// Three checks, of which `c` is for this machine alone, two servers, and more, from line 14 on.
fn servers_and(more: &str) -> String {
    let check = |name: &str, more: &str| format!("[check.{name}]\nkind = \"trees\"\nroot = \"/{name}\"\n{more}");
    let checks = [check("a", ""), check("b", ""), check("c", "modes = [\"local\"]\n")].concat();
    checks.trim_end().to_owned() + "\n[server.web]\nhost = \"h\"\n[server.db]\n" + more
}

/// The names of the checks that each server is asked for; nothing for all.
fn asked(declaration: &Declaration) -> Vec<Option<Vec<&str>>> {
    let names = |places: Vec<usize>| places.into_iter().map(|place| declaration.checks[place].name.as_str()).collect();
    declaration.servers.iter().map(|server| server.named_checks().map(names)).collect()
}

#[test]
fn a_server_is_asked_for_what_it_and_its_groups_name() {
    let none = toml(&servers_and("host = \"h\"")).unwrap();
    assert_eq!(asked(&none), [None, None]);
    assert!(none.servers[0].is_asked_for(0) && none.groups.is_empty());

    let own = toml(&servers_and("host = \"h\"\nchecks = [\"b\"]")).unwrap();
    assert_eq!(asked(&own), [None, Some(vec!["b"])]);
    assert_eq!([0, 1].map(|place| own.servers[1].is_asked_for(place)), [false, true]);

    let more = "host = \"h\"\nchecks = [\"b\"]\n[group.all]\nservers = [\"db\", \"web\"]\nchecks = [\"b\", \"a\"]\n\
                [group.plain]\nservers = [\"web\"]\n[group.web]\nservers = [\"web\"]\nchecks = [\"b\"]";
    let groups = toml(&servers_and(more)).unwrap();
    assert_eq!(asked(&groups), [Some(vec!["a", "b"]), Some(vec!["a", "b"])]);
    let [all, plain, web] = &groups.groups[..] else { panic!("{:?}", groups.groups) };
    assert_eq!((all.name.as_str(), &all.servers[..]), ("all", &[1, 0][..]), "in the order in which they are named");
    assert_eq!((plain.name.as_str(), &plain.servers[..], web.name.as_str()), ("plain", &[0][..], "web"));

    // A group without `checks` is a name and nothing else.
    let plain = toml(&servers_and("host = \"h\"\n[group.plain]\nservers = [\"web\"]")).unwrap();
    assert_eq!(asked(&plain), [None, None]);
    let json = json(
        "{\"check\": {\"a\": {\"kind\": \"trees\", \"root\": \"/r\"}}, \"server\": {\"web\": {\"host\": \"h\"}}, \
         \"group\": {\"g\": {\"servers\": [\"web\"], \"checks\": [\"a\"]}}}",
    );
    assert_eq!(asked(&json.unwrap()), [Some(vec!["a"])]);
}

#[test]
fn refuses_checks_of_servers() {
    let server = |line: &str| servers_and(&format!("host = \"h\"\n{line}"));
    refuses(&server("checks = [\"bb\", \"x\"]"), "15: server.db.checks: there is no check named `bb`; write `b`");
    refuses(
        &server("checks = []"),
        "15: server.db.checks: empty: nothing would be checked; name checks, or remove `checks` for all of them",
    );
    refuses(&server("checks = [\"a\", \"a\"]"), "15: server.db.checks: `a` is listed twice; remove one");
    refuses(
        &server("checks = \"a\""),
        "15: server.db.checks: must be an array of strings, not a string; write `checks = [\"compose_hashes\"]`",
    );
    refuses(
        &server("checks = [\"a\",\n \"c\"]"),
        "16: server.db.checks: the `modes` of the check `c` do not include `server`; remove it, or write `modes = \
         [\"local\", \"server\"]` in the check",
    );
}

#[test]
fn refuses_groups() {
    let group = |lines: &str| servers_and(&format!("host = \"h\"\n[group.all]\n{lines}"));
    refuses(&group("checks = [\"a\"]"), "15: group.all.servers: missing; write `servers = [\"web1\", \"web2\"]`");
    refuses(
        &group("servers = []"),
        "16: group.all.servers: empty: a group without servers; name servers, or remove the group",
    );
    refuses(
        &group("servers = [\"web\", \"web2\"]"),
        "16: group.all.servers: there is no server named `web2`; write `web`",
    );
    refuses(
        &group("servers = [\"web\"]\nchecks = [\"c\"]"),
        "17: group.all.checks: the `modes` of the check `c` do not include `server`; remove it, or write `modes = [\"local\", \"server\"]` in the check",
    );
    refuses(&group("server = [\"web\"]"), "16: group.all.server: unknown key; write `servers`");
    refuses(
        "[check.a]\nkind = \"trees\"\nroot = \"/r\"\n[group.g]\nservers = [\"w\"]",
        "5: group.g.servers: there is no server named `w`; declare it: `[server.NAME]` with its `host`",
    );
    refuses(
        "[check.a]\nkind = \"trees\"\nroot = \"/r\"\n[group.\"a/b\"]\n",
        "4: group.\"a/b\": `a/b` is not a valid group name; use 1 to 100 characters of `A-Z a-z 0-9 _ . -`, the first a letter or a digit",
    );
    refuses(
        "[check.a]\nkind = \"trees\"\nroot = \"/r\"\n[group.a.b]\nservers = []",
        "4: group.a.b: unknown key, or a group name with an unquoted dot; write `[group.\"a.b\"]`",
    );
    refuses(
        "group = 1\n[check.a]\nkind = \"trees\"\nroot = \"/r\"",
        "1: group: must be a table, not an integer; write `[group.NAME]` with its `servers`",
    );
    refuses_json(
        "{\"check\": {\"a\": {\"kind\": \"trees\", \"root\": \"/r\"}}, \"group\": {\"g\": 1}}",
        "1: group.g: must be a table, not an integer; write `{\"group\": {\"NAME\": {\"servers\": […]}}}`",
    );
    // Of many names those are listed that a person reads.
    let many = (0..100).fold(String::new(), |text, number| text + &format!("[server.s{number}]\nhost = \"h\"\n"));
    let message =
        refused(toml(&format!("{many}[check.a]\nkind = \"trees\"\nroot = \"/r\"\n[group.g]\nservers = [\"x\"]")));
    assert!(message.contains("there is no server named `x`; write one of `s0`") && message.len() < 300, "{message}");
}

#[test]
fn a_check_with_a_lock_for_each_server_is_for_servers_alone() {
    let read = |more: &str| toml(&tree_with(&format!("lock_per_server = true\n{more}"))).unwrap().checks.remove(0);
    for more in ["", "modes = [\"server\"]"] {
        let check = read(more);
        assert_eq!(check.modes, Modes { local: false, server: true });
        assert_eq!(check.lock.path(Some("web")), "web/a.lock.json");
        assert_eq!(check.lock.path(None), "<server>/a.lock.json");
    }
    assert_eq!(read("lock = \"b.lock.json\"").lock.path(Some("web")), "web/b.lock.json");
    let text = toml(&with("lock = \"a.lock.txt\"\nlock_per_server = true")).unwrap().checks.remove(0);
    assert_eq!((text.lock.path(Some("web")).as_str(), text.lock.format), ("web/a.lock.txt", LockFormat::Sha256sum));
    let shared = toml(&tree_with("lock_per_server = false")).unwrap().checks.remove(0);
    assert_eq!((shared.lock.path(Some("web")).as_str(), shared.modes.local), ("a.lock.json", true));

    refuses(
        &tree_with("lock_per_server = true\nmodes = [\"server\", \"local\"]"),
        "5: check.a.modes: a check with `lock_per_server` applies only to servers; write only `server`, or remove `modes`",
    );
    refuses(
        &tree_with("lock_per_server = true\nlock = \"modules.hash.txt\""),
        "5: check.a.lock: `modules.hash.txt` is not a valid name for a lock file: `.hash.txt` is for old locks, which all servers share; use it in a check of kind `trees`, or choose another name",
    );
    refuses(
        &tree_with("lock_per_server = \"yes\""),
        "4: check.a.lock_per_server: must be true or false, not a string; write `lock_per_server = true`",
    );
    // A folder can't have the name of a file.
    let server = "[check.b]\nkind = \"trees\"\nroot = \"r\"\n[server.\"b.lock.json\"]\nhost = \"h\"";
    refuses(
        &tree_with(&format!("lock_per_server = true\n{server}")),
        "8: server.\"b.lock.json\": the folder for the locks of `b.lock.json` would have the same name as the lock of check `b`; \
         give the server another name",
    );
    assert!(toml(&tree_with(server)).is_ok(), "there are no such folders");
    assert!(toml(&tree_with(&format!("lock_per_server = true\n{}", server.replace("b.lock", "a.lock")))).is_ok());
}
