//! The fuzz targets: one function for each parser of untrusted input, and one for the report formats.
//!
//! Compiled for tests, which replay `fuzz/corpus`, and for `cargo fuzz`, which sets `cfg(fuzzing)`; never for a
//! release. Each function accepts any bytes and panics if a promise is broken: accepted input is written again to the
//! same bytes, and rendered text can't be mistaken for something else.

mod render;

pub use render::{Forms, rendered};

use std::io::{BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::baseline::fuzzed as baseline;
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::compose::{Misfits, Project};
use crate::container::{ALL_ATTRIBUTES, fuzzed as container};
use crate::declaration::{Declaration, Format};
use crate::digest::Sha256;
use crate::manifest::list::List;
use crate::manifest::{Kind, Sha256Digest, json, text};
use crate::merge;
use crate::path::{EntryPath, is_hazardous};
use crate::remote::{self, Answer, AnswerError, followup};
use crate::report;
use crate::seal;
use crate::stat_cache::file as stat_cache_file;

/// A function that accepts any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 16] = [
    ("lock_json", lock_json),
    ("lock_text", lock_text),
    ("lock_old", lock_old),
    ("merge", merge),
    ("declaration_toml", declaration_toml),
    ("declaration_json", declaration_json),
    ("report", report),
    ("tar", tar),
    ("http", http),
    ("engine", engine),
    ("compose", compose),
    ("request", request),
    ("answer", answer),
    ("stat_cache", stat_cache),
    ("seal", seal),
    ("render", |data| drop(rendered(data))),
];

/// What a seal is verified by: a seal, a signature, a state or allowed signers. What is accepted has one form, but for the
/// allowed signers, which people write.
pub fn seal(data: &[u8]) {
    if let Ok(seal) = seal::Seal::parse(data) {
        assert_eq!(seal.write(), data);
    }
    if let Ok(state) = seal::State::parse(data) {
        assert_eq!(state.write(), data);
    }
    if let Ok(signature) = seal::Signature::parse(data) {
        assert_eq!(signature.armored().as_bytes(), data);
        let claimed = signature.claimed().clone();
        // No fuzzer can make a signature of bytes that it does not know.
        assert!(signature.verify(&claimed, b"no message that was signed").is_err());
    }
    let _ = seal::Signers::parse(data, &jiff::tz::TimeZone::UTC);
}

/// A lock: an accepted one is written again to the same bytes.
pub fn lock_json(data: &[u8]) {
    let Ok(mut reader) = json::Reader::new(data) else { return };
    let Ok(list) = List::read(&mut reader) else { return };
    let header = reader.header().clone();
    let Ok(digest) = json::digest(&mut list.entries()) else { panic!("a list has no errors") };
    // With `unchecked`, which skips the digest of locks, the header may state another digest.
    if !cfg!(all(fuzzing, feature = "unchecked")) {
        let mut written = Vec::new();
        assert!(json::write(&mut written, &header, digest, &mut list.entries()).is_ok());
        assert_eq!(written, data);
    }
}

/// A lock in the format of `sha256sum`: an accepted one is written, and read again as the same.
pub fn lock_text(data: &[u8]) {
    let Ok(mut reader) = text::Reader::new(data) else { return };
    let Ok(list) = List::read(&mut reader) else { return };
    let mut written = Vec::new();
    assert!(text::write(&mut written, &mut list.entries()).is_ok());
    let Ok(mut again) = text::Reader::new(&written) else { panic!("not read back: {written:?}") };
    let Ok(again) = List::read(&mut again) else { panic!("not read back: {written:?}") };
    assert_eq!(again, list);
}

/// The old locks of the scripts.
pub fn lock_old(data: &[u8]) {
    baseline::old(data);
}

/// Three locks, separated by NUL: a merge without conflicts is a lock, and one with conflicts is not.
pub fn merge(data: &[u8]) {
    let mut locks = data.splitn(3, |&byte| byte == 0).map(|lock| {
        let mut reader = json::Reader::new(lock).ok()?;
        let entries = merge::read(&mut reader).ok()?;
        Some((reader.header().clone(), reader.stated_digest().to_owned(), entries))
    });
    let base = locks.next().flatten();
    let (Some(Some(ours)), Some(Some(theirs))) = (locks.next(), locks.next()) else { return };
    let base = base.as_ref().map(|(.., entries)| &entries[..]);
    let merged = merge::merge(ours.0.kind, base, &ours.2, &theirs.2);
    let mut written = Vec::new();
    assert!(merge::write(&mut written, &ours.0, [&ours.1, &theirs.1], 7, &merged).is_ok());
    let read = json::Reader::new(&written[..]).and_then(|mut reader| List::read(&mut reader));
    // Their lock may have entries that our kind of check has not; the command refuses that before.
    if ours.0 == theirs.0 && !cfg!(all(fuzzing, feature = "unchecked")) {
        assert_eq!(read.is_ok(), merged.conflicts().next().is_none(), "{}", String::from_utf8_lossy(&written));
    }
}

/// A declaration in TOML.
pub fn declaration_toml(data: &[u8]) {
    declaration(Format::Toml, data);
}

/// A declaration in JSON.
pub fn declaration_json(data: &[u8]) {
    declaration(Format::Json, data);
}

fn declaration(format: Format, data: &[u8]) {
    match Declaration::parse("fuzzed", format, data) {
        Err(error) => harmless_lines(&error.to_string()),
        Ok(declared) => {
            assert!(!declared.checks.is_empty());
            for check in &declared.checks {
                let _ = check.selection.includes(b"a/b");
                let _ = check.selection.excludes(b"a/b");
                let _ = check.selection.descends(b"a");
            }
        }
    }
}

/// A kept report: an accepted one is written, and read again as the same.
pub fn report(data: &[u8]) {
    let _ = report::json::head(data);
    let write = |report: &report::Report| {
        let mut out = Vec::new();
        assert!(report::json::write(&mut out, report).is_ok());
        out
    };
    match report::json::read(data) {
        Err(error) => harmless_lines(&error.to_string()),
        Ok(read) => {
            let written = write(&read);
            // Another version may have other words in `details`.
            if !String::from_utf8_lossy(data).contains(env!("CARGO_PKG_VERSION")) {
                return;
            }
            let Ok(again) = report::json::read(&written) else {
                panic!("not read back: {}", String::from_utf8_lossy(&written))
            };
            assert_eq!(write(&again), written);
        }
    }
}

/// An archive from an engine.
pub fn tar(data: &[u8]) {
    container::archive(data);
}

/// Responses of an engine, over a real socket.
pub fn http(data: &[u8]) {
    // More would not fit into the socket, which is written before it is read.
    let data = &data[..data.len().min(16 << 10)];
    let Ok((ours, mut engine)) = UnixStream::pair() else { return };
    if engine.write_all(data).is_ok() && engine.shutdown(Shutdown::Write).is_ok() {
        container::answers(ours.as_fd(), Duration::from_secs(5));
    }
}

/// The responses of an engine about its containers, separated by NUL: the records are a lock that reads back.
pub fn engine(data: &[u8]) {
    let mut answers = Vec::new();
    let version: &[u8] = br#"{"ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}"#;
    for body in std::iter::once(version).chain(data[..data.len().min(16 << 10)].split(|&byte| byte == 0)) {
        assert!(write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).is_ok());
        answers.extend_from_slice(body);
    }
    // More would not fit into the socket, which is written before it is read.
    answers.truncate(64 << 10);
    let Ok((ours, mut engine)) = UnixStream::pair() else { return };
    if engine.write_all(&answers).is_err() || engine.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let Some(list) = container::recorded(ours.as_fd(), Duration::from_secs(5), ALL_ATTRIBUTES) else { return };
    let header = json::Header { check: "containers".to_owned(), kind: Kind::Containers, attributes: ALL_ATTRIBUTES };
    let Ok(digest) = json::digest(&mut list.entries()) else { return };
    let mut written = Vec::new();
    assert!(json::write(&mut written, &header, digest, &mut list.entries()).is_ok());
    let again = json::Reader::new(&written[..]).and_then(|mut reader| List::read(&mut reader));
    assert_eq!(again.as_ref().ok(), Some(&list), "{again:?}");
}

/// The output of Compose: a configuration, its hashes and a lock of live containers, separated by NUL. The expected
/// containers match the files.
pub fn compose(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let config = parts.next().unwrap_or_default();
    let hashes = parts.next().filter(|hashes| !hashes.is_empty());
    let project = match Project::parse(config, hashes) {
        Err(error) => return harmless_lines(&error.to_string()),
        Ok(project) => project,
    };
    let lock = parts.next().and_then(|lock| List::read(&mut json::Reader::new(lock).ok()?).ok()).unwrap_or_default();
    for live in [&List::default(), &lock] {
        let expected = project.expected(&lock, live);
        adds_up(
            &compare::compare(&mut DifferenceBudget::unlimited(), &mut expected.entries(), &mut live.entries()).ok(),
        );
        let all = project.expected(live, live);
        assert_eq!(project.misfits(&all), Misfits::default());
    }
}

/// A request to a server, the first or the second.
pub fn request(data: &[u8]) {
    if let Err(trouble) = remote::request::parse(data) {
        harmless_lines(&trouble.problem);
    }
    match followup::parse(data, &["tree", "files"]) {
        Ok(asked) => {
            assert!(asked.len() <= followup::MOST && asked.is_sorted_by_key(|asked| (asked.check, asked.path.clone())));
        }
        Err(trouble) => harmless_lines(&trouble.problem),
    }
}

/// The request for [`answer`].
const ASKED: &str = r#"
    [check.tree]
    kind = "trees"
    root = "r"
    [check.files]
    kind = "files"
    root = "r"
    include = ["**"]
    attributes = ["mode", "owner", "xattrs"]
    [check.images]
    kind = "containers"
    socket = "/run/s"
    attributes = ["state", "mounts", "networks", "ports", "labels", "env", "security"]
"#;

/// A server's answer, compared with empty locks.
pub fn answer(data: &[u8]) {
    let Ok(declared) = Declaration::parse("asked", Format::Toml, ASKED.as_bytes()) else {
        panic!("the declaration is good")
    };
    let read = || -> Result<(), AnswerError> {
        let (mut answer, _) = Answer::new(BufReader::with_capacity(100, data))?;
        let mut budget = DifferenceBudget::refusing(1 << 20);
        for check in &declared.checks {
            let Ok(mut collected) = answer.check(check)? else { continue };
            let compared = compare::compare(&mut budget, &mut List::default().entries(), &mut collected);
            let finished = collected.finish(&mut budget)?;
            assert!(finished.touched.is_sorted() && finished.mounts.is_sorted());
            adds_up(&compared.ok());
        }
        answer.end()
    };
    if let Err(error) = read() {
        harmless_lines(&error.to_string());
    }
    let second = || -> Result<(), AnswerError> {
        let (mut answer, _) = Answer::new(BufReader::with_capacity(100, data))?;
        answer.checks_end()?;
        let Ok(path) = EntryPath::new(&b"m/a"[..]) else { panic!("it is a path") };
        let sha256 = Sha256::new().finish();
        let wanted = followup::Wanted { check: "tree", path: &path, contents: Some(sha256) };
        let status = followup::Wanted { contents: None, ..wanted.clone() };
        let received = answer.read_follow_up(&[wanted.clone(), wanted, status])?;
        assert_eq!(received.live.len(), 3);
        match received.contents(sha256) {
            Ok(bytes) => assert_eq!(bytes, b""),
            Err(reason) => harmless_lines(&reason),
        }
        Ok(())
    };
    if let Err(error) = second() {
        harmless_lines(&error.to_string());
    }
}

fn adds_up(compared: &Option<Comparison>) {
    if let Some(Comparison { drift, unverified, counts, left_out }) = compared {
        assert_eq!(counts.entries, counts.verified + counts.drifted + counts.unverified);
        assert_eq!(counts.unverified, unverified.len() as u64 + left_out.unverified);
        assert!(counts.drifted >= drift.len() as u64 + left_out.drifted);
    }
}

/// A stat cache: an accepted one is written again to the same bytes.
pub fn stat_cache(data: &[u8]) {
    let binding = Sha256Digest(data.get(16..48).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 32]));
    let booted = data.get(48..56).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes);
    let origin = stat_cache_file::Origin { binding, booted };
    let Ok(facts) = stat_cache_file::read(&mut &*data, data.len() as u64, &origin) else { return };
    let mut written = Vec::new();
    assert!(stat_cache_file::write(&mut written, &origin, &facts).is_ok());
    let stated = data.len().saturating_sub(32);
    assert_eq!(written.get(..stated), data.get(..stated));
}

/// Checks text for people: no character moves the cursor, ends a line, or changes the order of other characters.
fn harmless_lines(text: &str) {
    for character in text.chars().filter(|&character| character != '\n') {
        assert!(!is_hazardous(character), "{character:?} in {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Replays every seed, and every input that once broke something.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test opens what it likes by name")]
    fn the_corpus_is_replayed() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut directories: Vec<_> = std::fs::read_dir(&corpora)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        directories.sort();
        let mut names = TARGETS.map(|(name, _)| name);
        names.sort_unstable();
        assert_eq!(directories, names, "each target has a corpus, and each corpus a target");
        for (name, target) in TARGETS {
            let mut seeds = 0;
            for seed in std::fs::read_dir(corpora.join(name)).unwrap() {
                let bytes = std::fs::read(seed.unwrap().path()).unwrap();
                target(&bytes);
                // Truncated input is what a fuzzer tries first.
                for cut in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
                    target(&bytes[..cut]);
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{name}");
        }
    }
}
