//! Hostile streams, derived from an answer of `driftlock collect`.

use std::io::{self, BufReader, Read};

use proptest::prelude::*;

use super::*;
use crate::compare::{Comparison, DifferenceBudget, compare};
use crate::declaration::{Declaration, Format};
use crate::manifest::{
    Boundary, Cause, Content, Crossing, List, LockError, Record, Sha256Digest, Uncovered, Unverified, json,
};
use crate::path::EntryPath;
use crate::remote::encode;
use crate::sandbox::Enforced;
use crate::session;

const DECLARATION: &str = r#"
    [check.tree]
    kind = "trees"
    root = "/srv"
    [check.files]
    kind = "files"
    root = "/etc"
    include = ["**"]
    [check.images]
    kind = "containers"
    socket = "/run/s"
    containers = ["web"]
"#;

const UNLIMITED: usize = usize::MAX;

fn checks() -> Vec<Check> {
    Declaration::parse("t", Format::Toml, DECLARATION.as_bytes()).unwrap().checks
}

fn file(size: u64) -> Result<Record, Unverified> {
    Ok(Record { content: Content::File { executable: false, size, sha256: Sha256Digest([7; 32]) }, attributes: None })
}

fn list(entries: &[(&[u8], Result<Record, Unverified>)]) -> List {
    List::new(entries.iter().map(|(path, state)| (EntryPath::new(*path).unwrap(), state.clone())).collect())
}

/// The entries of each check, both live and locked.
fn found() -> Vec<List> {
    let directory = Ok(Record { content: Content::Directory { nar: None }, attributes: None });
    let link = Ok(Record { content: Content::Symlink { target: b"\x1b[2J".as_slice().into() }, attributes: None });
    vec![
        list(&[(b"m", directory), (b"m/a\n\x1b", file(1)), (b"m/b\xff", file(2)), (b"m/l", link)]),
        list(&[(b"passwd", file(3))]),
        List::default(),
    ]
}

/// The whole answer of a server with these entries.
fn answer(found: Vec<List>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::hello(&mut out, &Enforced { landlock: None, seccomp: true }).unwrap();
    encode::progress(&mut out, 5, 600).unwrap();
    let checks = checks();
    for (check, found) in checks.iter().zip(found) {
        let mut collected = session::Collected::from(found);
        if check.name == "tree" {
            collected.mounts = vec![Crossing::into(Boundary::BindMount, "m")];
            collected.touched = vec![b"a".to_vec(), b"m/\xff".to_vec()];
        }
        encode::check(&mut out, &check.name, Some("/srv"), &Ok(collected)).unwrap();
    }
    encode::done(&mut out, checks.len()).unwrap();
    out
}

/// Compares an answer with the locks, as a run does.
fn compared(answer: impl Read, budget: usize) -> Result<Vec<Comparison>, AnswerError> {
    compared_up_to(ANSWER_LIMIT, answer, budget)
}

/// The same where an answer may not be longer than this.
fn compared_up_to(limit: u64, answer: impl Read, budget: usize) -> Result<Vec<Comparison>, AnswerError> {
    let mut budget = DifferenceBudget::refusing(budget);
    let (mut answer, _) = Answer::new(BufReader::with_capacity(100, answer))?;
    answer.left = answer.left.min(limit);
    let mut comparisons = Vec::new();
    for (check, locked) in checks().iter().zip(found()) {
        let mut collected = answer.check(check)?.map_err(AnswerError::Told)?;
        let compared = compare(&mut budget, &mut locked.entries(), &mut collected);
        if matches!(compared, Err(LockError::TooDifferent)) {
            return Err(AnswerError::TooDifferent { check: check.name.clone() });
        }
        collected.finish(&mut budget)?;
        comparisons.push(compared.expect("an error of the answer is said by `finish`"));
    }
    answer.end()?;
    Ok(comparisons)
}

fn passes(comparisons: &[Comparison]) -> bool {
    comparisons.iter().all(|found| found.counts.verified == found.counts.entries)
}

/// Drift, an unreadable entry, and a missing container.
fn drifted() -> Vec<List> {
    let mut lists = found();
    lists[0] = list(&[(b"m", Err(Unverified::Vanished)), (b"n", file(1))]);
    lists[2] = list(&[(b"web", Err(Unverified::Absent))]);
    lists
}

#[test]
fn what_is_written_is_what_is_read() {
    let clean = compared(&*answer(found()), UNLIMITED).unwrap();
    assert!(passes(&clean));
    assert_eq!(clean[0].counts.entries, 4);
    let drifted = compared(&*answer(drifted()), UNLIMITED).unwrap();
    assert!(!passes(&drifted));
    // Entries below an unreadable directory are not removed.
    assert_eq!((drifted[0].counts.unverified, drifted[0].counts.drifted), (4, 1));
    assert_eq!(drifted[2].unverified[0].reason, Unverified::Absent);
}

#[test]
fn all_that_stands_beside_the_entries_is_read() {
    let [check, ..] = &checks()[..] else { panic!("no check") };
    let uncovered =
        Uncovered::Link { path: EntryPath::new(&b"m/l"[..]).unwrap(), target: b"/nowhere".as_slice().into() };
    let mut collected = session::Collected::from(found().swap_remove(0));
    collected.mounts = vec![Crossing::into(Boundary::BindMount, "m")];
    collected.uncovered = vec![uncovered.clone()];
    collected.touched = vec![b"m/l".to_vec()];
    let mut line = Vec::new();
    encode::hello(&mut line, &Enforced { landlock: None, seccomp: true }).unwrap();
    encode::check(&mut line, &check.name, None, &Ok(collected)).unwrap();
    let (mut answer, _) = Answer::new(&*line).unwrap();
    let beside = answer.check(check).unwrap().unwrap().finish(&mut DifferenceBudget::unlimited()).unwrap();
    assert_eq!((beside.mounts.len(), beside.uncovered, beside.touched), (1, vec![uncovered], vec![b"m/l".to_vec()]));
}

#[test]
fn a_declared_container_that_was_locked_and_is_gone_was_removed() {
    let container = r#"{"path":"web","type":"container","image":"web:1","image_id":"sha256:0000000000000000000000000000000000000000000000000000000000000000","repo_digests":[]}"#;
    let locked = json::read_entry(container.as_bytes()).map(|entry| entry.record);
    let locked = list(&[(b"web", Ok(locked.unwrap()))]);
    let check = checks().swap_remove(2);
    let mut line = Vec::new();
    let absent = session::Collected::from(list(&[(b"web", Err(Unverified::Absent))]));
    encode::hello(&mut line, &Enforced { landlock: None, seccomp: true }).unwrap();
    encode::check(&mut line, "images", None, &Ok(absent)).unwrap();
    let (mut answer, _) = Answer::new(&*line).unwrap();
    let mut collected = answer.check(&check).unwrap().unwrap();
    let found = compare(&mut DifferenceBudget::unlimited(), &mut locked.entries(), &mut collected).unwrap();
    assert_eq!((found.counts.drifted, found.counts.unverified), (1, 0));
    assert_eq!(found.drift[0].change, crate::compare::Change::Removed);
}

/// Files can't be absent.
#[test]
fn only_a_container_is_absent() {
    let answer = String::from_utf8(answer(drifted())).unwrap();
    let at = answer.find("{\"unverified\":\"unstable").unwrap();
    let end = at + answer[at..].find(",\"cause\"").unwrap();
    let lie = [&answer[..at], "{\"unverified\":null", &answer[end..]].concat();
    let refused = compared(lie.as_bytes(), UNLIMITED).unwrap_err();
    assert!(refused.to_string().contains("only a container can be declared and absent"), "{refused}");
}

#[test]
fn a_sandbox_that_is_required_has_to_hold_there() {
    let head = |landlock, seccomp| Head { driftlock: "1".to_owned(), landlock, seccomp };
    for (head, missing) in
        [(head(None, true), "Landlock"), (head(Some(4), false), "seccomp"), (head(None, false), "Landlock and seccomp")]
    {
        let refused = head.fits(Requirement::Everything).unwrap_err();
        assert!(matches!(&refused, AnswerError::Unsandboxed { missing: found } if found == missing), "{refused}");
        head.fits(Requirement::AsAvailable).unwrap();
    }
    head(Some(4), true).fits(Requirement::Everything).unwrap();
}

/// A line of megabytes in an error would be printed, stored, and multiplied by the number of servers.
#[test]
fn what_is_said_of_a_bad_line_is_short_and_harmless() {
    let long = "\u{1b}]0;x\u{7}".repeat(100_000);
    let quoted = serde_json::to_string(&long).unwrap();
    let good = String::from_utf8(answer(found())).unwrap();
    for (from, to) in [
        ("\"check\":\"tree\"", format!("\"check\":{quoted}")),
        ("\"resolved_root\"", quoted.clone()),
        ("\"resolved_root\":\"/srv\"", format!("\"resolved_root\":{quoted}")),
        ("{\"mount\":\"m\"", format!("{{\"mount\":{quoted}")),
        ("\"path\":\"m\",\"type\":\"directory\"", format!("\"path\":{quoted}, \"type\":\"directory\"")),
        ("\"type\":\"directory\"", format!("\"type\":{quoted}")),
        ("{\"progress\"", format!("{{\"failed\":{{\"problem\":{quoted},\"remedy\":\"\"}}}}\n{{\"progress\"")),
    ] {
        let bad = good.replacen(from, &to, 1);
        assert_ne!(bad, good);
        let refused = compared(bad.as_bytes(), UNLIMITED).unwrap_err();
        let (text, help) = (refused.to_string(), refused.help());
        assert!(text.len() < 4 * PROBLEM_LIMIT && help.len() < 1000, "{from}: {} bytes", text.len());
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{from}: {text}");
    }
}

#[test]
fn what_people_read_keeps_the_escapes_that_it_has() {
    let mut lists = found();
    lists[0] = list(&[
        (b"m", Err(Unverified::Reported(Cause::Io, r"the directory a\n could not be read".into()))),
        (b"z", file(1)),
    ]);
    let found = compared(&*answer(lists), UNLIMITED).unwrap();
    assert_eq!(found[0].unverified[0].reason.to_string(), r"the directory a\n could not be read");
}

/// Everything that is stored until the report is written counts.
#[test]
fn what_a_server_makes_us_keep_is_bounded() {
    let text = "x".repeat(TEXT_LIMIT);
    let path = |number: u32| EntryPath::new(format!("x{number}").into_bytes()).unwrap();
    let mut lists = found();
    let reason = Unverified::Reported(Cause::Io, text.into());
    lists[0] = List::new((0..200).map(|number| (path(number), Err(reason.clone()))).collect());
    let kept = compared(&*answer(lists.clone()), UNLIMITED).unwrap()[0].unverified.len();
    assert_eq!(kept, 200);
    let refused = compared(&*answer(lists), kept * TEXT_LIMIT).unwrap_err();
    assert!(matches!(&refused, AnswerError::TooDifferent { check } if check == "tree"), "{refused}");

    // The limit is for all checks together: each of these fits alone.
    let mut lists = found();
    for list in &mut lists[..2] {
        *list = List::new(
            (0..100).map(|number| (EntryPath::new(format!("x{number}").into_bytes()).unwrap(), file(1))).collect(),
        );
    }
    let one = size_of::<crate::compare::Drift>() * 150;
    let refused = compared(&*answer(lists), one).unwrap_err();
    assert!(matches!(&refused, AnswerError::TooDifferent { check } if check == "files"), "{refused}");

    // Mounts.
    let good = String::from_utf8(answer(found())).unwrap();
    let (before, after) = good.split_once("{\"mount\":\"m\",\"what\":\"bind_mount\"}\n").unwrap();
    let mounts: String =
        (100_000..200_000).map(|number| format!("{{\"mount\":\"{number}\",\"what\":\"subvolume\"}}\n")).collect();
    let refused = compared([before, &mounts, after].concat().as_bytes(), UNLIMITED).unwrap_err();
    assert!(refused.to_string().contains("bytes of mounts"), "{refused}");

    // Touched paths: too many, out of order, and in the wrong position.
    let line = |number: u32| format!("{{\"touched\":\"{number:0>200}\"}}\n");
    let (before, after) = good.split_once("{\"touched\":\"a\"}\n{\"touched_base64\":\"bS//\"}\n").unwrap();
    let touched: String = (0..300_000).map(line).collect();
    let refused = compared([before, &touched, after].concat().as_bytes(), UNLIMITED).unwrap_err();
    assert!(matches!(refused, AnswerError::TooDifferent { .. }), "{refused}");
    for wrong in [line(2) + &line(1), line(1) + &line(1), line(1) + "{\"mount\":\"z\",\"what\":\"subvolume\"}\n"] {
        let refused = compared([before, &wrong, after].concat().as_bytes(), UNLIMITED).unwrap_err();
        assert!(refused.to_string().contains("is out of order"), "{wrong}: {refused}");
    }
}

#[test]
fn an_answer_without_end_is_left() {
    // The real limit is a gigabyte, which takes a build for tests half a minute.
    const LIMIT: u64 = LINE_LIMIT + (2 << 20);
    let good = answer(found());
    let lines: Vec<_> = good.split_inclusive(|&byte| byte == b'\n').collect();
    let endless = |start: &[u8], over: &'static [u8]| {
        compared_up_to(LIMIT, start.chain(Endless(over, 0)).take(LIMIT + (1 << 20)), UNLIMITED).unwrap_err()
    };
    let head = lines[0];
    assert!(matches!(endless(b"", b"x"), AnswerError::NotAnAnswer { .. }));
    assert!(matches!(endless(head, b"x"), AnswerError::LineTooLong { line: 2, limit: LINE_LIMIT }));
    assert!(matches!(endless(head, b"\n"), AnswerError::Malformed { line: 2, .. }));
    let progress = b"{\"progress\":{\"entries\":1,\"bytes\":1}}\n";
    assert!(matches!(endless(head, progress), AnswerError::TooLong { limit: ANSWER_LIMIT }));
}

/// Repeats the same bytes.
struct Endless(&'static [u8], usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[self.1..];
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        self.1 = (self.1 + read) % self.0.len();
        Ok(read)
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
    Drop(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let token = prop::sample::select(vec!["0", "9", "\"", ",", "{", "}", "null", "\n", " ", "\\u0000", "\u{e9}"]);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), token).prop_map(|(at, token)| Mutation::Insert(at, token.as_bytes().to_vec())),
        (at(), 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        at().prop_map(Mutation::Cut),
        at().prop_map(Mutation::Repeat),
        at().prop_map(Mutation::Drop),
        (at(), at()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutated(answer: &[u8], mutation: &Mutation) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    let mut lines: Vec<_> = answer.split_inclusive(|&byte| byte == b'\n').collect();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(answer.len())] = *byte,
        Mutation::Insert(at, token) => {
            let at = at.index(answer.len());
            bytes.splice(at..at, token.iter().copied());
        }
        Mutation::Remove(at, length) => {
            let at = at.index(answer.len());
            bytes.drain(at..(at + length).min(answer.len()));
        }
        Mutation::Cut(at) => bytes.truncate(at.index(answer.len())),
        Mutation::Repeat(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at]);
            bytes = lines.concat();
        }
        Mutation::Drop(at) => {
            lines.remove(at.index(lines.len()));
            bytes = lines.concat();
        }
        Mutation::Swap(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            bytes = lines.concat();
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A modified answer is refused or means the same: a drifted server never passes, and a clean one is never accused.
    #[test]
    fn a_mutated_answer_is_refused_or_says_the_same(clean in any::<bool>(), mutation in mutation()) {
        let good = answer(if clean { found() } else { drifted() });
        let expected = compared(&*good, UNLIMITED).unwrap();
        prop_assert_eq!(passes(&expected), clean);
        if let Ok(found) = compared(&*mutated(&good, &mutation), UNLIMITED) {
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_answer(start in prop::sample::Index::arbitrary(), bytes in any::<Vec<u8>>()) {
        let good = answer(found());
        let start = &good[..start.index(good.len())];
        let sent = [start, &bytes].concat();
        prop_assume!(sent != good);
        let read = compared(&*sent, UNLIMITED);
        prop_assert!(read.is_err());
    }

    #[test]
    fn a_request_of_arbitrary_bytes_is_refused_and_no_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(crate::remote::request::parse(&bytes).is_err());
    }
}
