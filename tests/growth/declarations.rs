//! Declarations in both formats, and the requests that hold one.

use std::fmt::Write as _;

use driftlock::internals::declaration::{Declaration, Format};
use driftlock::internals::remote::{PROTOCOL, request};

use crate::{Case, Input};

type Make = fn(usize) -> String;

/// Of TOML. What is wrong on purpose is at the end, so that all of it is read.
const TOML: &[(&str, Make)] = &[
    ("many-checks", |size| (0..size / 60).fold(String::new(), |text, number| text + &check(&format!("c{number}"), ""))),
    ("many-checks-and-one-twice", |size| {
        (0..size / 60).fold(check("c0", ""), |text, number| text + &check(&format!("c{number}"), ""))
    }),
    ("many-checks-and-one-key-unknown", |size| {
        (0..size / 60).fold(String::new(), |text, number| text + &check(&format!("c{number}"), "")) + "x = 1\n"
    }),
    ("many-lines-before-an-error", |size| "# comment\n".repeat(size / 10) + "x = \n"),
    ("a-long-line-with-an-error", |size| format!("locks = \"{}\" x\n", "a".repeat(size))),
    ("many-globs", |size| of_globs("include", size / 16, |number| format!("a{number}/*.yml"))),
    ("many-globs-that-are-plain", |size| of_globs("include", size / 16, |number| format!("a{number}/b/c"))),
    ("many-globs-that-are-excluded", |size| of_globs("exclude", size / 16, |number| format!("**/a{number}*"))),
    ("many-globs-of-many-names", |size| {
        of_globs("include", size / 260, |number| format!("{}x{number}", "*/".repeat(120)))
    }),
    ("many-globs-of-long-names", |size| {
        of_globs("include", size / 2000, |number| format!("{}x{number}", "abcdefghi/".repeat(128)))
    }),
    ("many-globs-with-braces", |size| {
        of_globs("include", size / 140, |number| format!("{}{{x,y}}{number}", "{a,b}/".repeat(20)))
    }),
    ("many-checks-with-globs", |size| {
        let one =
            |text: String, number| text + &check(&format!("c{number}"), &format!("exclude = [\"**/{number}/*.x\"]\n"));
        (0..size / 90).fold(String::new(), one)
    }),
    ("a-long-key", |size| format!("{}{} = 1\n", check("c", ""), "k".repeat(size))),
    ("a-long-table-with-many-keys", |size| {
        let keys = (0..size / 20).fold(String::new(), |text, number| text + &format!("k{number} = 1\n"));
        format!("[check.\"{}\"]\n{keys}", "n".repeat(size / 2))
    }),
    ("a-long-table-with-a-key-twice", |size| {
        let keys = (0..size / 20).fold(String::new(), |text, number| text + &format!("k{number} = 1\n"));
        format!("[check.\"{}\"]\n{keys}k0 = 2\n", "n".repeat(size / 2))
    }),
    ("tables-in-tables", |size| {
        (0..size / 70).fold(String::new(), |text, number| text + &format!("[check.{}c{number}]\n", "a.".repeat(30)))
    }),
    ("many-tables-in-a-row", |size| "[[check]]\nkind = \"trees\"\n".repeat(size / 25)),
    ("dotted-keys", |size| {
        (0..size / 30).fold(String::new(), |text, number| text + &format!("check.c{number}.kind = \"trees\"\n"))
    }),
    ("inline-tables", |size| {
        let one = |number| format!("c{number} = {{ kind = \"trees\", root = \"r\" }}\n");
        (0..size / 45).map(one).fold("[check]\n".to_owned(), |text, one| text + &one)
    }),
    ("an-array-of-arrays", |size| format!("locks = {}\n", format!("[{}],", "[],".repeat(20)).repeat(size / 62))),
    ("many-containers", |size| {
        let names: Vec<_> = (0..size / 12).map(|number| format!("\"web{number}\"")).collect();
        format!("[check.c]\nkind = \"containers\"\nsocket = \"/s\"\ncontainers = [{}]\n", names.join(", "))
    }),
    ("many-servers", |size| {
        let server = |text: String, number| text + &format!("[server.s{number}]\nhost = \"h{number}\"\n");
        (0..size / 35).fold(check("c", ""), server)
    }),
    ("many-servers-with-checks-of-their-own", |size| {
        let checks = (0..size / 90).fold(String::new(), |text, number| text + &check(&format!("c{number}"), ""));
        let server = |text: String, number| {
            text + &format!("[server.s{number}]\nhost = \"h{number}\"\nchecks = [\"c{number}\"]\n")
        };
        (0..size / 90).fold(checks, server)
    }),
    ("a-group-of-many-servers-with-many-checks", |size| {
        let number = size / 120;
        let names = |letter: &str| {
            let names: Vec<_> = (0..number).map(|number| format!("\"{letter}{number}\"")).collect();
            names.join(", ")
        };
        let checks = (0..number).fold(String::new(), |text, number| text + &check(&format!("c{number}"), ""));
        let server = |text: String, number| text + &format!("[server.s{number}]\nhost = \"h{number}\"\n");
        let servers = (0..number).fold(checks, server);
        format!("{servers}[group.g]\nservers = [{}]\nchecks = [{}]\n", names("s"), names("c"))
    }),
    ("many-servers-with-locks-of-their-own", |size| {
        let one = |text: String, number| {
            text + &check(&format!("c{number}"), "lock_per_server = true\n")
                + &format!("[server.s{number}]\nhost = \"h{number}\"\n")
        };
        (0..size / 100).fold(String::new(), one)
    }),
    ("many-groups", |size| {
        let servers = (0..size / 90)
            .fold(check("c", ""), |text, number| text + &format!("[server.s{number}]\nhost = \"h{number}\"\n"));
        let group = |text: String, number| {
            text + &format!("[group.g{number}]\nservers = [\"s{number}\", \"s0\"]\nchecks = [\"c\"]\n")
        };
        (0..size / 90).fold(servers, group)
    }),
    ("many-servers-and-one-that-is-not-declared", |size| {
        let servers = (0..size / 40)
            .fold(check("c", ""), |text, number| text + &format!("[server.s{number}]\nhost = \"h{number}\"\n"));
        servers + "[group.g]\nservers = [\"t\"]\n"
    }),
    ("many-roots-on-servers", |size| {
        let number = (size / 40) as f64;
        let (checks, servers) = (number.sqrt() as usize, number.sqrt() as usize);
        let declared = (0..checks).fold(String::new(), |text, number| text + &check(&format!("c{number}"), ""));
        let roots: Vec<_> = (0..checks).map(|number| format!("c{number} = \"/srv/{number}\"")).collect();
        let roots = roots.join(", ");
        (0..servers)
            .fold(declared, |text, number| text + &format!("[server.s{number}]\nhost = \"h\"\nroots = {{ {roots} }}\n"))
    }),
    ("many-roots-of-many-checks", |size| {
        let declared = (0..size / 90).fold(String::new(), |text, number| text + &check(&format!("c{number}"), ""));
        let roots: Vec<_> = (0..size / 90).map(|number| format!("c{number} = \"/srv/{number}\"")).collect();
        format!("{declared}[server.s]\nhost = \"h\"\nroots = {{ {} }}\n", roots.join(", "))
    }),
    ("escapes", |size| format!("locks = \"{}\"\n{}", "\\u0041".repeat(size / 6), check("c", ""))),
];

fn check(name: &str, more: &str) -> String {
    format!("[check.{name}]\nkind = \"trees\"\nroot = \"r\"\n{more}")
}

fn of_globs(key: &str, number: usize, glob: fn(usize) -> String) -> String {
    let kind = if key == "include" { "files" } else { "trees" };
    let globs: Vec<_> = (0..number).map(|number| format!("\"{}\"", glob(number))).collect();
    format!("[check.c]\nkind = \"{kind}\"\nroot = \"r\"\n{key} = [{}]\n", globs.join(", "))
}

/// Of JSON.
const JSON: &[(&str, Make)] = &[
    ("many-checks", |size| of_checks((0..size / 40).map(|number| (format!("c{number}"), String::new())))),
    ("many-checks-and-one-twice", |size| {
        let names = (0..size / 40).map(|number| (format!("c{number}"), String::new()));
        of_checks(names.chain([("c0".to_owned(), String::new())]))
    }),
    ("many-checks-and-one-key-unknown", |size| {
        let names = (0..size / 40).map(|number| (format!("c{number}"), String::new()));
        of_checks(names.chain([("d".to_owned(), ",\"x\":1".to_owned())]))
    }),
    ("many-checks-with-globs", |size| {
        of_checks((0..size / 80).map(|number| (format!("c{number}"), format!(",\"exclude\":[\"**/{number}/*.x\"]"))))
    }),
    ("many-globs", |size| {
        let globs: Vec<_> = (0..size / 16).map(|number| format!("\"a{number}/*.yml\"")).collect();
        of_checks([("c".to_owned(), format!(",\"exclude\":[{}]", globs.join(",")))])
    }),
    ("many-globs-of-many-names", |size| {
        let globs: Vec<_> = (0..size / 260).map(|number| format!("\"{}x{number}\"", "*/".repeat(120))).collect();
        of_checks([("c".to_owned(), format!(",\"exclude\":[{}]", globs.join(",")))])
    }),
    ("a-long-table-with-many-keys", |size| {
        let keys: Vec<_> = (0..size / 20).map(|number| format!("\"k{number}\":1")).collect();
        format!("{{\"check\":{{\"{}\":{{{}}}}}}}", "n".repeat(size / 2), keys.join(","))
    }),
    ("nested", |size| format!("{{\"check\":{}{}{}}}", "[".repeat(30), "1,".repeat(size / 2) + "1", "]".repeat(30))),
    ("nested-with-long-keys", |size| {
        let key = "k".repeat(size / 80);
        let keys: Vec<_> = (0..size / 30).map(|number| format!("\"k{number}\":1")).collect();
        let mut text = String::new();
        for _ in 0..28 {
            let _ = write!(text, "{{\"{key}\":");
        }
        text + &format!("{{{}}}", keys.join(",")) + &"}".repeat(28)
    }),
    ("many-lines-before-an-error", |size| format!("{{{}x}}", "\n".repeat(size))),
    ("a-string-with-escapes", |size| format!("{{\"locks\":\"{}\"}}", "\\u0041".repeat(size / 6))),
    ("a-long-number", |size| format!("{{\"locks\":{}}}", "1".repeat(size))),
    ("many-servers", |size| {
        let servers: Vec<_> = (0..size / 25).map(|number| format!("\"s{number}\":{{\"host\":\"h\"}}")).collect();
        format!("{{\"check\":{{\"c\":{{\"kind\":\"trees\",\"root\":\"/r\"}}}},\"server\":{{{}}}}}", servers.join(","))
    }),
];

fn of_checks(checks: impl IntoIterator<Item = (String, String)>) -> String {
    let checks: Vec<_> = checks
        .into_iter()
        .map(|(name, more)| format!("\"{name}\":{{\"kind\":\"trees\",\"root\":\"/r\"{more}}}"))
        .collect();
    format!("{{\"check\":{{{}}}}}", checks.join(","))
}

pub fn cases() -> Vec<Case> {
    let declaration = |format: Format, text: String| {
        let bytes = text.len();
        let parsed = move || Declaration::parse("t", format, text.as_bytes());
        // What a seal would cover of it, too.
        let read = move || parsed().map_or_else(|error| error.to_string().len(), |declared| declared.canonical().len());
        Input::to("read", bytes, read)
    };
    let request = |text: String| {
        let line = format!(
            "{{\"driftlock_collect\":{PROTOCOL},\"require_sandbox\":false,\"extent\":\"entries\",\"declaration\":{text}}}\n"
        );
        let bytes = line.len();
        let parsed = move || request::parse(line.as_bytes());
        Input::to("read", bytes, move || parsed().map_or_else(|trouble| trouble.to_string().len(), |_| 0))
    };
    let toml = TOML.iter().map(move |&(name, make)| {
        Case::new(format!("declaration/toml/{name}"), move |size| declaration(Format::Toml, make(size)))
    });
    let json = JSON.iter().flat_map(move |&(name, make)| {
        [
            Case::new(format!("declaration/json/{name}"), move |size| declaration(Format::Json, make(size))),
            Case::new(format!("request/{name}"), move |size| request(make(size))),
        ]
    });
    toml.chain(json).collect()
}
