//! Reads the tar archives of engines, as a stream.
//!
//! Source: POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Interchange Format", and GNU tar's manual, "Basic Tar
//! Format", for long names and large numbers. Engines write with Go's `archive/tar`, which uses all of these.
//!
//! Archives are not trusted. Unsupported features (sparse files, several volumes, global headers) are refused, and so
//! is an archive without an end marker. Names are limited, and contents are not stored.

use super::error::EngineError;

/// The size of a block; headers and contents consist of blocks.
const BLOCK: usize = 512;
/// The longest name, and the largest extended header of one entry, in bytes.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// The most zeros after the end marker, in bytes. Go writes none; GNU tar pads to 10 KiB.
const PADDING_LIMIT: usize = 1 << 20;

/// A source of bytes; reads 0 bytes only at the end.
pub trait Source {
    /// # Errors
    /// Those of the source.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError>;
}

impl Source for super::http::Body<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        Self::read(self, into)
    }
}

/// The header of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// The size of the contents, which only files have.
    pub size: u64,
    /// Permission bits with set-user-ID, set-group-ID and sticky.
    pub mode: u16,
    pub owner: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    /// Another name of an earlier entry.
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Directory,
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// A reader of an archive.
pub struct Archive<S> {
    source: S,
    /// The unread contents of the current entry, and the zeros after them.
    left: u64,
    padding: u64,
}

/// Fields from extended headers before an entry's own header.
#[derive(Default)]
struct ExtendedHeader {
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

    /// The next entry, even if the contents of the previous one were not read; `None` at the end.
    ///
    /// # Errors
    /// The archive is malformed or truncated.
    pub fn next(&mut self) -> Result<Option<Header>, EngineError> {
        let mut extended = ExtendedHeader::default();
        let mut extends = false;
        loop {
            self.skip()?;
            let mut block = [0; BLOCK];
            self.read_exact(&mut block)?;
            if block == [0; BLOCK] {
                if extends {
                    return Err(malformed("it ends after a header for another entry"));
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

    /// Reads contents of the current entry; 0 at their end.
    ///
    /// # Errors
    /// The archive is truncated.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.source.read(&mut into[..most])? {
            0 => Err(malformed("it is truncated")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }

    fn entry(
        &mut self,
        block: &[u8; BLOCK],
        flag: u8,
        size: u64,
        extended: ExtendedHeader,
    ) -> Result<Header, EngineError> {
        let size = extended.size.unwrap_or(size);
        let link = || extended.link.clone().unwrap_or_else(|| until_nul(&block[157..257]).to_vec());
        let device = || Ok::<_, EngineError>((to_u32(number(&block[329..337])?)?, to_u32(number(&block[337..345])?)?));
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
            return Err(malformed("an entry that is not a file has contents"));
        }
        self.begin_contents(size)?;
        let mode = number(&block[100..108])?;
        let user = extended.user.map_or_else(|| number(&block[108..116]), Ok)?;
        let group = extended.group.map_or_else(|| number(&block[116..124]), Ok)?;
        Ok(Header {
            path: extended.path.unwrap_or_else(|| own_path(block)),
            kind,
            size,
            // Older writers put the file type into the upper bits.
            mode: (mode & 0o7777) as u16,
            owner: (to_u32(user)?, to_u32(group)?),
        })
    }

    /// Sets the size of the contents before the next header.
    fn begin_contents(&mut self, size: u64) -> Result<(), EngineError> {
        if size > u64::MAX / 2 {
            return Err(malformed("an entry is larger than any file"));
        }
        (self.left, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
        Ok(())
    }

    /// Skips the rest of the current entry.
    fn skip(&mut self) -> Result<(), EngineError> {
        let mut buffer = [0; 8 << 10];
        self.left += std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn read_exact(&mut self, into: &mut [u8]) -> Result<(), EngineError> {
        let mut have = 0;
        while have < into.len() {
            match self.source.read(&mut into[have..])? {
                0 => return Err(malformed("it is truncated")),
                read => have += read,
            }
        }
        Ok(())
    }

    /// Reads the second zero block, and only zeros up to the end of the source.
    fn end(&mut self) -> Result<(), EngineError> {
        let mut block = [0; BLOCK];
        self.read_exact(&mut block)?;
        let mut zeros = 0;
        loop {
            if block != [0; BLOCK] || zeros > PADDING_LIMIT {
                return Err(malformed("there is data after its end"));
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

    /// The contents of an extended header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, EngineError> {
        if size > EXTENSION_LIMIT {
            return Err(EngineError::TooLarge { what: "bytes for one name in an archive", limit: EXTENSION_LIMIT });
        }
        self.begin_contents(size)?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read_exact(&mut bytes)?;
        self.left = 0;
        Ok(bytes)
    }

    /// A long name in GNU tar's format.
    fn name(&mut self, size: u64) -> Result<Vec<u8>, EngineError> {
        Ok(until_nul(&self.extension(size)?).to_vec())
    }

    /// Parses pax records, `<length> <key>=<value>\n`, where the length is that of the whole record.
    fn pax(&mut self, size: u64, extended: &mut ExtendedHeader) -> Result<(), EngineError> {
        let bytes = self.extension(size)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (record, behind) = record(rest).ok_or_else(|| malformed("an extended header is malformed"))?;
            let (key, value) = record;
            let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let number = || number().ok_or_else(|| malformed("an extended header has an invalid number"));
            match key {
                b"path" => extended.path = Some(value.to_vec()),
                b"linkpath" => extended.link = Some(value.to_vec()),
                b"size" => extended.size = Some(number()?),
                b"uid" => extended.user = Some(number()?),
                b"gid" => extended.group = Some(number()?),
                _ if key.starts_with(b"GNU.sparse") => return Err(malformed("it contains a sparse file")),
                // Times, names of owners and extended attributes are not recorded.
                _ => {}
            }
            rest = behind;
        }
        let has_nul = |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(|bytes| bytes.contains(&0));
        if has_nul(&extended.path) || has_nul(&extended.link) {
            return Err(malformed("a name contains a NUL byte"));
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

/// The bytes up to the first NUL.
fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The path in a header, with the prefix of the POSIX format.
fn own_path(block: &[u8; BLOCK]) -> Vec<u8> {
    let (name, prefix) = (until_nul(&block[..100]), until_nul(&block[345..500]));
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

/// A number: octal digits, or, if the highest bit is set, base 256, which GNU tar and Go use for large numbers.
fn number(field: &[u8]) -> Result<u64, EngineError> {
    let wrong = || malformed("a header has an invalid number");
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let mut number = u64::from(first & 0x7f);
        for &byte in rest {
            number = number.checked_mul(256).ok_or_else(wrong)? | u64::from(byte);
        }
        return Ok(number);
    }
    let digits = until_nul(field).trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    u64::from_str_radix(digits.ok_or_else(wrong)?, 8).map_err(|_| wrong())
}

fn to_u32(number: u64) -> Result<u32, EngineError> {
    u32::try_from(number).map_err(|_| malformed("a header has a number that is too large"))
}

/// Verifies the sum of all bytes of a header, with blanks in place of the sum itself.
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
