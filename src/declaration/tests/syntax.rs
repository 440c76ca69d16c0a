//! Refusals of what can't be read at all.

use super::*;

#[test]
fn refuses_what_is_no_text() {
    const HELP: &str = "or run `driftlock init` for an example";
    let parse = |bytes: &[u8]| refused(Declaration::parse("d\n.toml", Format::Toml, bytes));
    assert_eq!(parse(b"#\n\n#\xff"), "d\\n.toml:3: byte 4 is not UTF-8; save it as UTF-8");
    assert_eq!(parse(b"\xff\xfea\0"), "d\\n.toml: the file is UTF-16; save it as UTF-8");
    assert_eq!(
        parse(b"\xef\xbb\xbf[check.a]"),
        "d\\n.toml: the file starts with a byte order mark (EF BB BF); save it as UTF-8 without it"
    );
    for empty in ["", " \n\r\n\t"] {
        refuses(empty, &format!(" the file is empty; write `[check.NAME]` with its `kind` and `root`, {HELP}"));
        let example = "`{\"check\": {\"NAME\": {\"kind\": …, \"root\": …}}}`";
        refuses_json(empty, &format!(" the file is empty; write {example}, {HELP}"));
    }
    for none in ["# nothing\n", "locks = 'l'", "[check]"] {
        refuses(none, &format!(" no checks are declared; write `[check.NAME]` with its `kind` and `root`, {HELP}"));
    }
}

#[test]
fn refuses_malformed_toml() {
    for (text, message) in [
        ("\nkind", "2:5: malformed TOML: key with no value, expected `=`"),
        ("[check.a", "1:9: malformed TOML: unclosed table, expected `]`"),
        ("\"ü\" = \"", "1:8: malformed TOML: invalid basic string, expected `\"`"),
        ("a = [1,", "1:8: malformed TOML: unclosed array, expected `]`"),
        ("a = 1\na.b = 1", "2:1: malformed TOML: cannot extend value of type integer with a dotted key"),
        ("kind = files # x", "1:8: `files` is not a value: a string needs quotes; write `\"files\"`"),
        ("modes = [local]", "1:10: `local` is not a value: a string needs quotes; write `\"local\"`"),
    ] {
        refuses(text, message);
    }
}

#[test]
fn refuses_malformed_json() {
    for (text, message) in [
        ("{", "1:1: malformed JSON: EOF while parsing an object"),
        ("{\n\"a\": {},\n}", "3:1: malformed JSON: trailing comma"),
        ("{\"a\": {}\n\"b\": 1}", "2:1: malformed JSON: expected `,` or `}`"),
        ("// x\n{}", "1:1: malformed JSON: expected value"),
        ("{} {}", "1:4: malformed JSON: trailing characters"),
        ("{\"ü\":\n \"\\ud800\"}", "2:9: malformed JSON: unexpected end of hex escape"),
        ("[]", "1: must be a table, not an array; write `{\"check\": {\"NAME\": {\"kind\": …, \"root\": …}}}`"),
    ] {
        refuses_json(text, message);
    }
}

#[test]
fn refuses_duplicate_keys() {
    for (text, message) in [
        (
            "[check.a]\n[check.b]\n[check.a]",
            "3: check.a: two checks have this name, the first on line 1; give one of them another name",
        ),
        (
            "check.a.kind = 1\n[check.a]\nkind = 1",
            "2: check.a: two checks have this name, the first on line 1; give one of them another name",
        ),
        (
            "[check.\"a.b\"]\nkind=1\nroot=2\n\"kind\"=3",
            "4: check.\"a.b\".kind: duplicate key, the first on line 2; keep one of the two",
        ),
        ("x = {b = 1}\nb = 1\nb = 2", "3: b: duplicate key, the first on line 2; keep one of the two"),
        ("x = {b = 1, b = 1}", "1: x.b: duplicate key, the first on line 1; keep one of the two"),
    ] {
        refuses(text, message);
    }
    refuses_json(
        "{\"check\": {\n\"a\": {},\n\"\\u0061\": {}}}",
        "3: check.a: two checks have this name, the first on line 2; give one of them another name",
    );
    refuses_json(
        "{\"check\": {\"a\": {\n\"kind\": 1,\n\"kind\": 1}}}",
        "3: check.a.kind: duplicate key, the first on line 2; keep one of the two",
    );
}

/// No input may take the stack down: neither while it is read, nor when what was read is dropped.
#[test]
fn bounds_nesting() {
    const JSON: &str = "nested too deeply; a declaration is an object of checks, which are objects";
    const TOML: &str = "nested too deeply; write each check as its own table, `[check.NAME]`, with plain keys";
    let deep = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    refuses_json(&format!("{{\n\"a\": {}}}", deep("[", "]", 100_000)), &format!("2: a: {JSON}"));
    assert!(refused(json(&deep("{\"a\":", "}", 100_000))).ends_with(JSON));
    refuses(&format!("[a{}]", ".a".repeat(100_000)), &format!("1:67: {TOML}"));
    let many_dots = format!("{{a{} =\n", ".a".repeat(31));
    assert!(refused(toml(&format!("a = {}", deep(&many_dots, "}", 8)))).ends_with(TOML));
    refuses(&format!("a = {}", deep("{a =\n", "}", 9)), &format!("9:1: {TOML}"));
    refuses(
        &format!("a = {}", deep("[", "]", 100_000)),
        "1:85: malformed TOML: cannot recurse further; max recursion depth met",
    );
    assert!(refused(toml(&format!("a = {}", deep("[", "]", 40)))).ends_with(TOML));
}

#[test]
fn says_what_stands_first_in_the_file() {
    refuses(
        "z = 1\na = 1",
        "1: z: unknown key; write one of `locks`, `reports`, `reports_keep`, `check`, `server` or `group`",
    );
    refuses("[check.z]\n[check.a]", "1: check.z.kind: missing; write `kind = \"files\"`");
}
