//! The archives in which engines send files, read as a stream.
//!
//! Source: POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Interchange Format", and GNU tar's manual, "Basic Tar
//! Format", for long names and large numbers. Engines write with Go's `archive/tar`, which uses all of these.
//!
//! An archive is read as one from a stranger. What this does not know (sparse files, several volumes, global headers)
//! is refused, as is an archive that ends before its end is marked; names are bounded, and contents never kept.

use super::error::EngineError;

/// Headers and contents come in blocks of so many bytes.
const BLOCK: usize = 512;
/// The longest name, and the most extended attributes of one entry, in bytes.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// The most zeros that are read behind the end, in bytes. Go writes none; GNU tar fills up 10 KiB.
const PADDING_LIMIT: usize = 1 << 20;

/// Where an archive comes from: some bytes at a time, none at the end alone.
pub trait Source {
    /// # Errors
    /// Those of whatever is behind it.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError>;
}

impl Source for super::http::Body<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        Self::read(self, into)
    }
}

/// What stands before the contents of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// Bytes of contents, which only files have.
    pub size: u64,
    /// Permission bits with set-user-ID, set-group-ID and sticky.
    pub mode: u16,
    pub owner: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    /// Another name of the file that came under this one before.
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Directory,
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// An archive that is being read.
pub struct Archive<S> {
    source: S,
    /// Contents of the current entry that were not read yet, and the zeros behind them.
    left: u64,
    padding: u64,
}

/// What headers before an entry's own say of it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    user: Option<u64>,
    group: Option<u64>,
}

impl<S: Source> Archive<S> {
    pub const fn new(source: S) -> Self {
        Self { source, left: 0, padding: 0 }
    }

    /// The next entry, whether the contents of the one before were read or not; nothing at the end.
    ///
    /// # Errors
    /// An archive that is malformed or cut off.
    pub fn next(&mut self) -> Result<Option<Header>, EngineError> {
        let mut extended = Extended::default();
        let mut extends = false;
        loop {
            self.skip()?;
            let mut block = [0; BLOCK];
            self.exactly(&mut block)?;
            if block == [0; BLOCK] {
                if extends {
                    return Err(malformed("it ends behind a header that belongs to the next entry"));
                }
                return self.end().map(|()| None);
            }
            checksum(&block)?;
            let size = number(&block[124..136])?;
            match block[156] {
                b'x' => self.pax(size, &mut extended)?,
                b'L' => extended.path = Some(self.name(size)?),
                b'K' => extended.link = Some(self.name(size)?),
                flag => return self.entry(&block, flag, size, extended).map(Some),
            }
            extends = true;
        }
    }

    /// Reads contents of the current entry; nothing at their end.
    ///
    /// # Errors
    /// An archive that is cut off.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.source.read(&mut into[..most])? {
            0 => Err(malformed("it is cut off")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }

    fn entry(&mut self, block: &[u8; BLOCK], flag: u8, size: u64, extended: Extended) -> Result<Header, EngineError> {
        let size = extended.size.unwrap_or(size);
        let link = || extended.link.clone().unwrap_or_else(|| text(&block[157..257]).to_vec());
        let device = || Ok::<_, EngineError>((small(number(&block[329..337])?)?, small(number(&block[337..345])?)?));
        let kind = match flag {
            b'0' | 0 => EntryKind::File,
            b'1' => EntryKind::HardLink(link()),
            b'2' => EntryKind::Symlink(link()),
            b'3' => device().map(|(major, minor)| EntryKind::CharDevice(major, minor))?,
            b'4' => device().map(|(major, minor)| EntryKind::BlockDevice(major, minor))?,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(malformed(format!("it has an entry of type {:?}", char::from(other)))),
        };
        if kind != EntryKind::File && size != 0 {
            return Err(malformed("something that is no file has contents"));
        }
        self.expect(size)?;
        let mode = number(&block[100..108])?;
        let user = extended.user.map_or_else(|| number(&block[108..116]), Ok)?;
        let group = extended.group.map_or_else(|| number(&block[116..124]), Ok)?;
        Ok(Header {
            path: extended.path.unwrap_or_else(|| own_path(block)),
            kind,
            size,
            // Only the lower bits: older writers put the file's type above them.
            mode: (mode & 0o7777) as u16,
            owner: (small(user)?, small(group)?),
        })
    }

    /// Sets how much there is to read, or to pass over, before the next header.
    fn expect(&mut self, size: u64) -> Result<(), EngineError> {
        if size > u64::MAX / 2 {
            return Err(malformed("an entry is larger than any file"));
        }
        (self.left, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
        Ok(())
    }

    /// Passes over what is left of the current entry.
    fn skip(&mut self) -> Result<(), EngineError> {
        let mut buffer = [0; 8 << 10];
        self.left += std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn exactly(&mut self, into: &mut [u8]) -> Result<(), EngineError> {
        let mut have = 0;
        while have < into.len() {
            match self.source.read(&mut into[have..])? {
                0 => return Err(malformed("it is cut off")),
                read => have += read,
            }
        }
        Ok(())
    }

    /// The second block of zeros, and nothing but zeros up to where the source ends.
    fn end(&mut self) -> Result<(), EngineError> {
        let mut block = [0; BLOCK];
        self.exactly(&mut block)?;
        let mut zeros = 0;
        loop {
            if block != [0; BLOCK] || zeros > PADDING_LIMIT {
                return Err(malformed("there is something behind its end"));
            }
            match self.source.read(&mut block)? {
                0 => return Ok(()),
                read => {
                    zeros += read;
                    block[read..].fill(0);
                }
            }
        }
    }

    /// The contents of an entry that says something of the next one.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, EngineError> {
        if size > EXTENSION_LIMIT {
            return Err(EngineError::TooLarge { what: "bytes for one name in an archive", limit: EXTENSION_LIMIT });
        }
        self.expect(size)?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.exactly(&mut bytes)?;
        self.left = 0;
        Ok(bytes)
    }

    /// A name that is too long for a header, as GNU tar writes it.
    fn name(&mut self, size: u64) -> Result<Vec<u8>, EngineError> {
        Ok(text(&self.extension(size)?).to_vec())
    }

    /// Records `<length> <key>=<value>\n`, the length being that of the whole record.
    fn pax(&mut self, size: u64, extended: &mut Extended) -> Result<(), EngineError> {
        let bytes = self.extension(size)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (record, behind) = record(rest).ok_or_else(|| malformed("an extended header is malformed"))?;
            let (key, value) = record;
            let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let number = || number().ok_or_else(|| malformed("an extended header has no number where one should be"));
            match key {
                b"path" => extended.path = Some(value.to_vec()),
                b"linkpath" => extended.link = Some(value.to_vec()),
                b"size" => extended.size = Some(number()?),
                b"uid" => extended.user = Some(number()?),
                b"gid" => extended.group = Some(number()?),
                _ if key.starts_with(b"GNU.sparse") => return Err(malformed("it has a sparse file")),
                // Times, names of owners, extended attributes: none of these is recorded.
                _ => {}
            }
            rest = behind;
        }
        let has_nul = |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(|bytes| bytes.contains(&0));
        if has_nul(&extended.path) || has_nul(&extended.link) {
            return Err(malformed("a name has a NUL byte in it"));
        }
        Ok(())
    }
}

type Record<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let blank = bytes.iter().position(|&byte| byte == b' ')?;
    let digits = bytes[..blank].iter().all(u8::is_ascii_digit);
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok().filter(|_| digits)?.parse().ok()?;
    let (record, behind) = bytes.split_at_checked(length)?;
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), behind))
}

fn malformed(problem: impl Into<String>) -> EngineError {
    EngineError::Malformed(format!("the archive: {}", problem.into()))
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The path in a header: in the format of POSIX with a prefix.
fn own_path(block: &[u8; BLOCK]) -> Vec<u8> {
    let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

/// A number: octal digits, or with the highest bit set a number in base 256, as GNU tar and Go write large ones.
fn number(field: &[u8]) -> Result<u64, EngineError> {
    let wrong = || malformed("a header has no number where one should be");
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let mut number = u64::from(first & 0x7f);
        for &byte in rest {
            number = number.checked_mul(256).ok_or_else(wrong)? | u64::from(byte);
        }
        return Ok(number);
    }
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    u64::from_str_radix(digits.ok_or_else(wrong)?, 8).map_err(|_| wrong())
}

fn small(number: u64) -> Result<u32, EngineError> {
    u32::try_from(number).map_err(|_| malformed("a header has a number that is too large"))
}

/// The sum of all bytes of a header, those of the sum itself taken for blanks.
fn checksum(block: &[u8; BLOCK]) -> Result<(), EngineError> {
    let stated = number(&block[148..156])?;
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let actual = sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..]);
    if stated == actual || cfg!(all(fuzzing, feature = "unchecked")) {
        Ok(())
    } else {
        Err(malformed("the checksum of a header is wrong"))
    }
}
