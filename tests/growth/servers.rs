//! What a server answers, read and compared.

use driftlock::internals::compare::{DifferenceBudget, compare};
use driftlock::internals::declaration::{Check, Declaration, Format};
use driftlock::internals::digest::Sha256;
use driftlock::internals::manifest::{AttributeSet, Boundary, Crossing, Kind, List};
use driftlock::internals::path::EntryPath;
use driftlock::internals::remote::followup::{self, Wanted};
use driftlock::internals::remote::{Answer, encode};
use driftlock::internals::sandbox::Enforced;
use driftlock::internals::session::Collected;

use crate::samples::{Tree, entries};
use crate::trees::{Pair, WORST};
use crate::{Case, Input};

/// What differences with a server may take.
const BUDGET: usize = 64 << 20;

pub fn cases() -> Vec<Case> {
    let answers = WORST.iter().map(|&(name, make)| {
        Case::new(format!("answer/{name}"), move |size| {
            let Pair { kind, locked, live } = make(size);
            read(check(kind, &live, &locked), locked, said(&live, Vec::new()))
        })
    });
    type Change = fn(Vec<u8>, usize) -> Vec<u8>;
    let others: [(&str, Change); 5] = [
        ("many-signs-of-life", |answer, size| {
            let (first, rest) = answer.split_at(answer.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1));
            [first, &b"{\"progress\":{\"entries\":1,\"bytes\":1}}\n".repeat(size / 40), rest].concat()
        }),
        ("a-long-line-that-is-wrong", |answer, size| {
            let at = answer.len() - 10;
            [&answer[..at], &b"\x1b".repeat(size), b"\n"].concat()
        }),
        ("a-long-text", |_, size| {
            format!("{{\"failed\":{{\"problem\":\"{}\",\"remedy\":\"\"}}}}\n", "x".repeat(size)).into_bytes()
        }),
        ("no-answer", |_, size| b"Last login: today\x1b".repeat(size / 18)),
        ("a-line-without-an-end", |answer, size| [&answer[..answer.len() - 1], &b"x".repeat(size)].concat()),
    ];
    let others = others.into_iter().map(|(name, change)| {
        Case::new(format!("answer/{name}"), move |size| {
            let tree = Tree::new().dir("m");
            read(check(Kind::Trees, &tree, &tree), tree.clone(), change(said(&tree, Vec::new()), size))
        })
    });
    let mounts = Case::new("answer/many-mounts", |size| {
        let tree = Tree::new().dir("m");
        let mounts =
            (0..size / 40).map(|number| Crossing::into(Boundary::FileSystem, format!("m/{number:06}"))).collect();
        read(check(Kind::Trees, &tree, &tree), tree.clone(), said(&tree, mounts))
    });
    answers.chain(others).chain([mounts]).chain(conversations()).collect()
}

/// The second request and the answer to it: of few large files, and of as many as may be asked for.
fn conversations() -> Vec<Case> {
    let paths = |number: usize, length: usize| -> Vec<EntryPath> {
        let path = |number| format!("m/{}/{number:06}", "\"".repeat(length));
        (0..number).map(|number| EntryPath::new(path(number).into_bytes()).expect("a path")).collect()
    };
    let case = |name: &str, files: fn(usize) -> (usize, usize, usize)| {
        Case::new(format!("contents/{name}"), move |size| {
            let (number, length, bytes) = files(size);
            let paths = paths(number, length);
            let file = vec![b'x'; bytes];
            let mut hasher = Sha256::new();
            hasher.update(&file);
            let sha256 = hasher.finish();
            let mut said = Vec::new();
            encode::hello(&mut said, &Enforced { landlock: None, seccomp: true }).expect("memory has no errors");
            encode::done(&mut said, 0).expect("memory has no errors");
            for index in 0..number {
                followup::write(&mut said, index, None, Some(Ok(&file))).expect("memory has no errors");
            }
            encode::done(&mut said, number).expect("memory has no errors");
            let bytes = said.len() + number * length;
            let asked = paths.clone();
            let request = move || {
                let wanted: Vec<_> =
                    asked.iter().map(|path| Wanted { check: "tree", path, contents: Some(sha256) }).collect();
                let line = followup::line(&wanted).expect("it is small");
                followup::parse(&line, &["tree"]).map_or_else(|trouble| trouble.to_string().len(), |found| found.len())
            };
            let read = move || {
                let wanted: Vec<_> =
                    paths.iter().map(|path| Wanted { check: "tree", path, contents: Some(sha256) }).collect();
                let (mut answer, _) = Answer::new(&said[..]).expect("an answer");
                answer.checks_end().expect("no checks");
                answer.read_follow_up(&wanted).expect("contents").contents(sha256).expect("they are there").len()
            };
            Input { bytes, work: vec![("request", Box::new(request)), ("read", Box::new(read))] }
        })
    };
    vec![
        case("a-large-file", |size| (1, 1, size)),
        case("many-files", |size| (size / 100, 1, 20)),
        case("long-names", |size| (2, size / 4, 20)),
    ]
}

/// The check whose answer has these entries.
fn check(kind: Kind, live: &Tree, locked: &Tree) -> Check {
    let first = live.0.values().chain(locked.0.values()).find_map(|found| found.as_ref().ok());
    let attributes = first.map_or(AttributeSet::default(), driftlock::internals::manifest::Record::attribute_set);
    let names: Vec<_> = attributes.names().map(|name| format!("\"{name}\"")).collect();
    let of_kind = match kind {
        Kind::Containers => "socket = \"/run/s\"",
        Kind::Files => "root = \"/srv\"\ninclude = [\"**\"]",
        _ => "root = \"/srv\"",
    };
    let text = format!("[check.tree]\nkind = \"{}\"\n{of_kind}\nattributes = [{}]\n", kind.name(), names.join(","));
    Declaration::parse("t", Format::Toml, text.as_bytes()).expect("a declaration").checks.remove(0)
}

fn said(live: &Tree, mounts: Vec<Crossing>) -> Vec<u8> {
    let found = live.0.iter().map(|(path, found)| (EntryPath::new(path.as_slice()).expect("a path"), found.clone()));
    let mut collected = Collected::from(List::new(found.collect()));
    collected.mounts = mounts;
    let mut out = Vec::new();
    encode::hello(&mut out, &Enforced { landlock: None, seccomp: true }).expect("memory has no errors");
    encode::check(&mut out, "tree", Some("/srv"), &Ok(collected)).expect("memory has no errors");
    encode::done(&mut out, 1).expect("memory has no errors");
    out
}

fn read(check: Check, locked: Tree, said: Vec<u8>) -> Input {
    let bytes = said.len() + crate::locks::lock(check.kind, &locked).len();
    let work = move || {
        let mut budget = DifferenceBudget::refusing(BUDGET);
        let mut read = || {
            let (mut answer, _) = Answer::new(&said[..]).map_err(|error| error.to_string())?;
            let mut collected =
                answer.check(&check).map_err(|error| error.to_string())?.map_err(|trouble| trouble.to_string())?;
            let compared = compare(&mut budget, &mut entries(&locked), &mut collected);
            collected.finish(&mut budget).map_err(|error| error.to_string())?;
            let found = compared.map_err(|error| error.to_string())?;
            answer.end().map_err(|error| error.to_string())?;
            Ok::<usize, String>(found.drift.len() + found.unverified.len())
        };
        read().unwrap_or_else(|refused| refused.len())
    };
    Input::to("read", bytes, work)
}
