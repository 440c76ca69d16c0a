//! Reads a lock as a stream, so that a large lock needs little memory, and refuses what driftlock would not write.

use std::io::{BufRead, Read as _};

use super::{Header, line, plain};
use crate::digest::BackgroundHasher;
use crate::manifest::{
    AttributeSet, Content, Entries, Entry, Kind, LockError, Observed, Record, Sha256Digest, Spoiled,
};
use crate::path::ROOT;

/// The longest line that is read, in bytes. A path of 5,000 names of 255 bytes, all of them escaped, fits.
const LINE_LIMIT: u64 = 16 << 20;

/// A lock that is being read. The header is checked at once, each entry when it is read, and order, digest and end by
/// the last call of [`Entries::next`]. So use the entries only if that call succeeds.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    stated: String,
    hasher: BackgroundHasher,
    /// Number of the line in `text`, from 1.
    number: u64,
    text: Vec<u8>,
    rewritten: Vec<u8>,
    entry: Option<Entry>,
    /// The path of the previous entry; empty before the first.
    previous: Vec<u8>,
    /// Whether the previous line had a comma, so that an entry must follow; `None` before the first.
    expects_more: Option<bool>,
    finished: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// The header is not one that driftlock writes.
    pub fn new(input: R) -> Result<Self, LockError> {
        let header = Header { check: String::new(), kind: Kind::Files, attributes: AttributeSet::default() };
        let mut reader = Self {
            input,
            header,
            stated: String::new(),
            hasher: BackgroundHasher::default(),
            number: 0,
            text: Vec::new(),
            rewritten: Vec::new(),
            entry: None,
            previous: Vec::new(),
            expects_more: None,
            finished: false,
        };
        reader.read_header()?;
        Ok(reader)
    }

    /// The underlying input.
    pub const fn input(&self) -> &R {
        &self.input
    }

    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The digest that the lock states. It is verified once the stream has ended.
    #[must_use]
    pub fn stated_digest(&self) -> &str {
        &self.stated
    }

    /// The line number, from 1, of the entry that was returned last.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.number
    }

    fn read_line(&mut self) -> Result<(), LockError> {
        self.text.clear();
        self.number += 1;
        let read = (&mut self.input).take(LINE_LIMIT).read_until(b'\n', &mut self.text)?;
        if self.text.last() == Some(&b'\n') {
            return Ok(());
        }
        Err(match read {
            0 if self.number == 1 => LockError::Empty,
            _ if read as u64 == LINE_LIMIT => LockError::LineTooLong { line: self.number, limit: LINE_LIMIT },
            _ => LockError::Truncated { line: self.number },
        })
    }

    fn not_canonical(&self, problem: impl Into<String>) -> LockError {
        if let Some(spoiled) = Spoiled::of_line(&self.text, self.number == 1) {
            return LockError::Spoiled(spoiled);
        }
        LockError::NotCanonical { line: self.number, problem: problem.into() }
    }

    fn expect_line(&mut self, expected: &str) -> Result<(), LockError> {
        self.read_line()?;
        if self.text == expected.as_bytes() {
            Ok(())
        } else {
            Err(self.not_canonical(format!("it should read `{}`", expected.trim_end())))
        }
    }

    /// The value of the line `"key": value,` in the current line.
    fn value<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T, LockError> {
        std::str::from_utf8(&self.text)
            .ok()
            .and_then(|text| text.strip_prefix('"')?.strip_prefix(key)?.strip_prefix("\": ")?.strip_suffix(",\n"))
            .and_then(|value| serde_json::from_str(value).ok())
            .ok_or_else(|| self.not_canonical(format!("it should hold `{key}`")))
    }

    fn read_header(&mut self) -> Result<(), LockError> {
        self.expect_line("{\n")?;
        self.read_line()?;
        let version: serde_json::Number = self.value("driftlock")?;
        if version.as_u64() != Some(1) {
            return Err(LockError::Version { found: version.to_string() });
        }
        let mut read = self.text.clone();
        read.splice(0..0, *b"{\n");

        self.read_line()?;
        read.extend_from_slice(&self.text);
        self.header.check = self.value("check")?;
        self.read_line()?;
        read.extend_from_slice(&self.text);
        let kind: String = self.value("kind")?;
        self.header.kind = Kind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| self.not_canonical("its `kind` is not known"))?;
        self.read_line()?;
        if self.text.starts_with(b"\"attributes\"") {
            let names: Vec<String> = self.value("attributes")?;
            for name in &names {
                match self.header.attributes.named(name) {
                    Some(wanted) => *wanted = true,
                    None => return Err(self.not_canonical("it names an attribute that is not known")),
                }
            }
            read.extend_from_slice(&self.text);
            self.read_line()?;
        }
        self.stated = self.value("digest")?;
        if Sha256Digest::from_sri(&self.stated).is_none() {
            return Err(self.not_canonical("its `digest` is not `sha256-` and Base64"));
        }
        read.extend_from_slice(&self.text);
        self.expect_line("\"entries\": [\n")?;
        read.extend_from_slice(&self.text);

        let mut rewritten = Vec::new();
        self.header.write(&mut rewritten, &self.stated);
        if rewritten != read {
            return Err(self.not_canonical("the lines up to here differ in spacing, order or escapes"));
        }
        Ok(())
    }

    fn read_entry(&mut self) -> Result<bool, LockError> {
        self.read_line()?;
        if self.text == b"]\n" {
            if self.expects_more == Some(true) {
                return Err(self.not_canonical("a comma before it says that another entry follows"));
            }
            self.expect_line("}\n")?;
            if !self.input.fill_buf()?.is_empty() {
                self.number += 1;
                return Err(self.not_canonical("there is data after the end"));
            }
            self.finished = true;
            let actual = std::mem::take(&mut self.hasher).finish().sri();
            if actual != self.stated && !cfg!(all(fuzzing, feature = "unchecked")) {
                return Err(LockError::Tampered { stated: self.stated.clone(), actual });
            }
            return Ok(false);
        }
        if self.expects_more == Some(false) {
            return Err(self.not_canonical("the line before it has no comma"));
        }
        self.hasher.update(&self.text);
        self.text.pop();
        let more = self.text.last() == Some(&b',');
        if more {
            self.text.pop();
        }
        let entry = match plain::parse_entry(&self.text) {
            Some(entry) => entry,
            None => self.parse_any_entry()?,
        };
        self.check_record(entry.path.as_bytes(), &entry.record)?;
        match self.previous.as_slice().cmp(entry.path.as_bytes()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Err(LockError::Duplicate { line: self.number, path: entry.path }),
            std::cmp::Ordering::Greater => return Err(LockError::OutOfOrder { line: self.number, path: entry.path }),
        }
        self.previous.clear();
        self.previous.extend_from_slice(entry.path.as_bytes());
        self.expects_more = Some(more);
        self.entry = Some(entry);
        Ok(true)
    }

    /// Checks that a lock of this kind can have this record, with the attributes in its header.
    fn check_record(&self, path: &[u8], record: &Record) -> Result<(), LockError> {
        fits(self.header.kind, self.header.attributes, path, record).map_err(|problem| self.not_canonical(problem))
    }

    /// Parses the entry in the current line, and writes it again to see whether it is canonical.
    fn parse_any_entry(&mut self) -> Result<Entry, LockError> {
        let entry = line::parse_entry(&self.text).map_err(|problem| self.not_canonical(problem))?;
        self.rewritten.clear();
        line::push_entry(&mut self.rewritten, entry.path.as_bytes(), &entry.record);
        if self.rewritten == self.text {
            return Ok(entry);
        }
        let canonical = crate::path::escaped(&self.rewritten).to_string();
        Err(self.not_canonical(format!("it should read `{canonical}`")))
    }
}

impl<R: BufRead> Entries for Reader<R> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        if self.finished || !self.read_entry()? {
            return Ok(None);
        }
        Ok(self.entry.as_ref().map(|entry| Observed { path: entry.path.as_bytes(), state: Ok(&entry.record) }))
    }

    /// An entry has only one encoding, so a line equals this entry if it has the bytes that we would write. Unusual
    /// entries, and a line that is not completely in the buffer, are left to [`read_entry`](Self::read_entry).
    fn skip_if_equal(&mut self, same: &Observed<'_>) -> Result<bool, LockError> {
        let Ok(record) = same.state else { return Ok(false) };
        // This format has no line for a checksum alone.
        if matches!(record.content, Content::Checksum { .. } | Content::Module { .. })
            || self.expects_more != Some(true)
            || self.previous.as_slice() >= same.path
            || self.check_record(same.path, record).is_err()
        {
            return Ok(false);
        }
        self.rewritten.clear();
        line::push_entry(&mut self.rewritten, same.path, record);
        let buffer = self.input.fill_buf()?;
        let more = match buffer.strip_prefix(self.rewritten.as_slice()) {
            Some([b',', b'\n', ..]) => true,
            Some([b'\n', ..]) => false,
            _ => return Ok(false),
        };
        let length = self.rewritten.len() + 1 + usize::from(more);
        self.hasher.update(&buffer[..length]);
        self.input.consume(length);
        self.number += 1;
        self.previous.clear();
        self.previous.extend_from_slice(same.path);
        self.expects_more = Some(more);
        Ok(true)
    }
}

/// Checks that a check of this kind can record this, with these attributes.
///
/// # Errors
/// Why it can't, in words.
pub fn fits(kind: Kind, attributes: AttributeSet, path: &[u8], record: &Record) -> Result<(), &'static str> {
    let nested = || path.contains(&b'/');
    if path == ROOT && !kind.is_of_containers() {
        return match record.content {
            Content::Directory { nar: None } if attributes.is_empty() => {
                Err("the root itself is an entry only where attributes are asked for")
            }
            Content::Directory { nar: None } if record.attribute_set() == attributes => Ok(()),
            Content::Directory { nar: None } => Err("its attributes are not those that were asked for"),
            _ => Err("the root is a directory without `nar`"),
        };
    }
    match (kind, &record.content) {
        (Kind::Containers | Kind::Compose, Content::Container(_)) if nested() || path == ROOT => {
            return Err("no container has such a name");
        }
        (Kind::Containers | Kind::Compose, Content::Container(_)) => {}
        (Kind::Containers | Kind::Compose, _) | (_, Content::Container(_)) => {
            return Err("a check of kind `containers` or `compose` records containers, and no other does");
        }
        (Kind::Files | Kind::ContainerFiles, Content::Directory { .. }) => {
            return Err("a check of this `kind` records no directories");
        }
        (Kind::Trees, Content::Directory { nar: Some(_) }) if nested() => {
            return Err("only a module, directly below the root, has a `nar`");
        }
        _ => {}
    }
    if record.attribute_set() == attributes { Ok(()) } else { Err("its attributes are not those that were asked for") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    /// Reads a lock with these entry lines and a matching digest.
    fn read(kind: &str, attributes: &str, lines: &str) -> Result<u64, LockError> {
        let mut hasher = Sha256::new();
        hasher.update(lines.as_bytes());
        let digest = hasher.finish().sri();
        let lock = format!(
            "{{\n\"driftlock\": 1,\n\"check\": \"c\",\n\"kind\": \"{kind}\",\n{attributes}\"digest\": \"{digest}\",\n\
             \"entries\": [\n{lines}]\n}}\n"
        );
        let mut reader = Reader::new(lock.as_bytes())?;
        let mut entries = 0;
        while reader.next()?.is_some() {
            entries += 1;
        }
        Ok(entries)
    }

    const NAR: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn reads_what_is_written() {
        let module = format!(
            "{{\"path\":\"m\",\"type\":\"directory\",\"nar\":\"{NAR}\"}},\n{{\"path\":\"m/d\",\"type\":\"directory\"}}\n"
        );
        assert_eq!(read("trees", "", &module).unwrap(), 2);
        assert_eq!(read("files", "", "").unwrap(), 0);
    }

    #[test]
    fn refuses_what_no_check_records() {
        let nested = format!("{{\"path\":\"m/d\",\"type\":\"directory\",\"nar\":\"{NAR}\"}}\n");
        let plain = "{\"path\":\"d\",\"type\":\"directory\"}\n";
        let mode = "{\"path\":\"d\",\"type\":\"fifo\",\"mode\":\"17777\"}\n";
        let asked = "\"attributes\": [\"mode\"],\n";
        for (kind, attributes, lines) in [("trees", "", &*nested), ("files", "", plain), ("files", asked, mode)] {
            let refused = read(kind, attributes, lines).unwrap_err();
            assert!(matches!(refused, LockError::NotCanonical { .. }), "{lines}: {refused}");
        }
        assert_eq!(read("files", asked, &mode.replace("17777", "7777")).unwrap(), 1);
        let root = "{\"path\":\".\",\"type\":\"directory\",\"mode\":\"0755\"}\n";
        assert_eq!(read("files", asked, root).unwrap(), 1);
        assert_eq!(read("trees", asked, root).unwrap(), 1);
        let without = root.replace(",\"mode\":\"0755\"", "");
        let fifo = root.replace("directory", "fifo");
        let nar = root.replace(",\"mode", &format!(",\"nar\":\"{NAR}\",\"mode"));
        for (attributes, lines) in [("", &without), (asked, &without), (asked, &fifo), (asked, &nar)] {
            assert!(read("trees", attributes, lines).is_err(), "{lines}");
        }
    }
}
