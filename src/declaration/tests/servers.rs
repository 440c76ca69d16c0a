//! Refusals of `[server.NAME]`, and what is read of it.

use super::*;

/// A valid check in three lines, a server, and one more line, the sixth.
fn server_with(line: &str) -> String {
    format!("[check.a]\nkind = \"trees\"\nroot = \"r\"\n[server.web]\nhost = \"h\"\n{line}\n")
}

#[test]
fn reads_every_key() {
    let text = "[check.a]\nkind = \"trees\"\nroot = \"r\"\nserver_root = \"/c\"\n[check.b]\nkind = \"trees\"\nroot = \"/b\"\n\
                [check.c]\nkind = \"trees\"\nroot = \"c\"\n[server.\"a.b\"]\nhost = \"[fe80::1%eth0]\"\nuser = \"déploy@corp\"\n\
                key = \"~/k\"\nport = 65535\nroots = { a = \"/d\" }\n[server.plain]\nhost = \"alias_1\"\n";
    let declaration = toml(text).unwrap();
    let [full, plain] = &declaration.servers[..] else { panic!("{:?}", declaration.servers) };
    assert_eq!((full.name.as_str(), full.host.as_str()), ("a.b", "fe80::1%eth0"));
    assert_eq!((full.user.as_deref(), full.port), (Some("déploy@corp"), Some(65535)));
    assert_eq!(full.key.as_deref(), Some(Path::new("~/k")));
    // The server's, else the check's, else its root if it is absolute.
    for (server, roots) in [(full, ["/d", "/b", ""]), (plain, ["/c", "/b", ""])] {
        for (check, root) in declaration.checks.iter().zip(roots) {
            assert_eq!(server.root(check), Some(Path::new(root)).filter(|root| root.is_absolute()), "{}", check.name);
        }
    }
    assert_eq!((&plain.user, &plain.key, plain.port), (&None, &None, None));
}

#[test]
fn refuses_hosts() {
    const HELP: &str = "write a name, an address, or an alias from `~/.ssh/config`, without user and port";
    assert!(
        refused(toml(&server_with("").replace("\"h\"", &format!("\"{}\"", "h".repeat(256)))))
            .contains("is not a valid host")
    );
    for host in ["-oProxyCommand=x", "", ".", "a b", "a;b", "a/b", "u@h", "h:22 x", "$(x)", "`x`", "ä", "%h"] {
        let text = server_with("").replace("\"h\"", &format!("\"{host}\""));
        let empty = "5: server.web.host: empty string; write a value, or remove the key".to_owned();
        let message = format!("5: server.web.host: `{host}` is not a valid host; {HELP}");
        refuses(&text, if host.is_empty() { &empty } else { &message });
    }
    refuses(
        &server_with("").replace("\"h\"", "\"a\\nb\""),
        &format!("5: server.web.host: `a\\nb` is not a valid host; {HELP}"),
    );
    refuses(
        &server_with("").replace("host = \"h\"", ""),
        "4: server.web.host: missing; write `host = \"web.example.org\"`",
    );
}

#[test]
fn refuses_users_ports_and_keys() {
    for user in ["-l", "a b", "a;b", "a|b", "a/b", "$a", "a'b", "a&b", "a`b", "a(b"] {
        let message =
            format!("6: server.web.user: `{user}` is not a valid user name; write the name of a user on the server");
        refuses(&server_with(&format!("user = \"{user}\"")), &message);
    }
    for port in ["0", "65536", "-1", "9223372036854775807"] {
        let message = format!("6: server.web.port: {port} is not a port number; write a number from 1 to 65535");
        refuses(&server_with(&format!("port = {port}")), &message);
    }
    refuses(&server_with("port = \"22\""), "6: server.web.port: must be an integer, not a string; write `port = 22`");
    refuses(&server_with("key = 1"), "6: server.web.key: must be a string, not an integer; write `key = \"keys/web\"`");
    refuses(
        &server_with("key = \"a\\u0000\""),
        "6: server.web.key: contains a NUL character, which paths and names can't have; remove it",
    );
}

#[test]
fn refuses_roots() {
    const ROOTS: &str = "write `roots = { CHECK = \"/srv/stacks\" }`";
    refuses(&server_with("roots = \"/x\""), &format!("6: server.web.roots: must be a table, not a string; {ROOTS}"));
    refuses(
        &server_with("roots = { a = \"x\" }"),
        "6: server.web.roots.a: `x` is relative, but a path on a server must be absolute; write an absolute path, such as `/srv/x`",
    );
    refuses(&server_with("roots = { b = \"/x\" }"), "6: server.web.roots.b: no check has this name; write `a`");
    refuses(
        &server_with("roots = { a = 1 }"),
        "6: server.web.roots.a: must be a string, not an integer; write `a = \"/srv/stacks\"`",
    );
}

#[test]
fn refuses_names_and_keys_of_servers() {
    const NAME: &str = "use 1 to 100 characters of `A-Z a-z 0-9 _ . -`, the first a letter or a digit";
    // Each is a folder of a report.
    for name in ["..", ".", "", "-a", "a/b", "a b", "ä", &"x".repeat(101)] {
        let text = server_with("").replace("server.web", &format!("server.\"{name}\""));
        let message = refused(toml(&text));
        assert!(message.contains(&format!("`{name}` is not a valid server name; {NAME}")), "{message}");
    }
    refuses(&server_with("hots = 1"), "6: server.web.hots: unknown key; write `host`");
    refuses(
        "[check.a]\nkind = \"trees\"\nroot = \"r\"\n[server.a.b]\nhost = \"h\"",
        "4: server.a.b: unknown key, or a server name with an unquoted dot; write `[server.\"a.b\"]`",
    );
    refuses(
        "server = 1\n[check.a]\nkind = \"trees\"\nroot = \"r\"",
        "1: server: must be a table, not an integer; write `[server.NAME]` with its `host`",
    );
    refuses(
        "[check.a]\nkind = \"trees\"\nroot = \"r\"\n[server]\nweb = \"h\"",
        "5: server.web: must be a table, not a string; write `[server.NAME]` with its `host`",
    );
    refuses_json(
        "{\"check\": {\"a\": {\"kind\": \"trees\", \"root\": \"r\"}}, \"server\": {\"web\": \"h\"}}",
        "1: server.web: must be a table, not a string; write `{\"server\": {\"NAME\": {\"host\": …}}}`",
    );
}
