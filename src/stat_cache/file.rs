//! The cache's file: read whole and found right in every respect, or not used at all.
//!
//! All numbers are little-endian. There is one form of each content, so that what is read would be written the same:
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | `driftlock-stat-2`: what it is, and the version of this form |
//! | 32 | the [binding](super::binding): what the cache belongs to |
//! | 8 | when the machine was started, going by the clock that the cache was written by, in nanoseconds since 1970 |
//! | 4 | number of checks |
//! | 24 for each check | number of its files (8), number of its directories (8), bytes of the names in those (8) |
//! | | for each check, one after the other: |
//! | 72 for each file | stamp (40), SHA-256 (32) |
//! | 44 for each directory | stamp (40), bytes of the names in it (4) |
//! | | for each directory, the names in it: |
//! | 2 and the name's | type as in `getdents64(2)` (1), length (1), name |
//! | 32 | SHA-256 of all that is above |
//!
//! A stamp is the inode (8), size (8), mtime (8 seconds, 4 nanoseconds) and ctime (8 and 4). Files are sorted by inode, each
//! inode once, directories likewise, and the names in a directory by their bytes.

use std::io::{self, Read, Write};

use super::listing::Listings;
use super::{Fact, Facts, Moment, Stamp};
use crate::digest::{Aside, Sha256};
use crate::manifest::Sha256Digest;

/// How every version's file begins.
pub const NAME: &[u8] = b"driftlock-stat-";

const VERSION: u8 = b'2';

/// The bytes of a stamp.
const STAMP: usize = 40;

/// The bytes of a file's fact.
pub const FACT: usize = STAMP + 32;

/// The bytes of a directory, without the names in it.
pub const DIRECTORY: usize = STAMP + 4;

/// More files than this, or more directories, are neither written nor read: 1.2 GB of them.
pub const LIMIT: u64 = 1 << 24;

/// More checks than this no declaration has: it is read up to 4 MiB only.
const CHECKS: u32 = 1 << 20;

const DIGEST: u64 = 32;

/// The clock may have been set by less than this since a cache was written, in nanoseconds. It is less than what files
/// are given to [settle](super::SETTLING), so no file that was kept can be changed and have its old time once more.
pub const CLOCK_TOLERANCE: u64 = 1_000_000_000;

/// What a cache was written for, and under which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub binding: Sha256Digest,
    /// [`Circumstances::booted`](crate::capability::Circumstances::booted).
    pub booted: i64,
}

/// Why a cache is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("it could not be read: {0}")]
    Io(#[from] io::Error),
    #[error("it was written by another version of driftlock")]
    OtherVersion,
    #[error("it belongs to another declaration, lock, user or boot")]
    OtherBinding,
    #[error("the clock was set since it was written, or the machine started anew")]
    OtherClock,
    #[error("it is not as long as it has to be")]
    Length,
    #[error("its facts are not in order")]
    Order,
    #[error("it is damaged: its checksum does not fit")]
    Checksum,
    #[error("{0}")]
    Unsafe(&'static str),
}

/// Writes a cache.
///
/// # Errors
/// Those of `out`, and more facts than [`LIMIT`].
pub fn write(out: &mut impl Write, origin: &Origin, checks: &[Facts]) -> io::Result<()> {
    let too_many = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it would hold more than {LIMIT} files"));
    let files = checks.iter().map(|facts| facts.files.len() as u64).sum::<u64>();
    let directories = checks.iter().map(|facts| facts.listings.len() as u64).sum::<u64>();
    if files.max(directories) > LIMIT {
        return Err(too_many());
    }
    let count = u32::try_from(checks.len()).map_err(|_| too_many())?;
    let mut out = Hashing { inner: out, hasher: Sha256::new() };
    out.all(NAME)?;
    out.all(&[VERSION])?;
    out.all(&origin.binding.0)?;
    out.all(&origin.booted.to_le_bytes())?;
    out.all(&count.to_le_bytes())?;
    for Facts { files, listings } in checks {
        let names = listings.written().map(|(_, names)| names.len() as u64).sum::<u64>();
        for number in [files.len() as u64, listings.len() as u64, names] {
            out.all(&number.to_le_bytes())?;
        }
    }
    for Facts { files, listings } in checks {
        for Fact { stamp, sha256 } in files {
            out.stamp(stamp, &sha256.0)?;
        }
        for (stamp, names) in listings.written() {
            let length = u32::try_from(names.len()).map_err(|_| too_many())?;
            out.stamp(stamp, &length.to_le_bytes())?;
        }
        for (_, names) in listings.written() {
            out.all(names)?;
        }
    }
    let digest = out.hasher.finish();
    out.inner.write_all(&digest.0)
}

/// Reads a cache of `length` bytes. What it gives counts only as a whole: the facts of each check, or why not.
///
/// # Errors
/// Whatever is not as [`write()`] would have written it for this origin, with a clock that differs by less
/// than [`CLOCK_TOLERANCE`].
pub fn read(input: &mut impl Read, length: u64, origin: &Origin) -> Result<Vec<Facts>, Unfit> {
    let mut input = Hashing { inner: input, hasher: Aside::default() };
    let head: [u8; 16] = input.array()?;
    if head.split_last() != Some((&VERSION, NAME)) {
        return Err(Unfit::OtherVersion);
    }
    if input.array()? != origin.binding.0 {
        return Err(Unfit::OtherBinding);
    }
    if i64::from_le_bytes(input.array()?).abs_diff(origin.booted) >= CLOCK_TOLERANCE {
        return Err(Unfit::OtherClock);
    }
    let count = u32::from_le_bytes(input.array()?);
    // The length is known, so a number that does not fit it is found before anything is allocated for it.
    let mut left = length.checked_sub(16 + 32 + 8 + 4 + DIGEST).ok_or(Unfit::Length)?;
    left = left.checked_sub(u64::from(count) * 24).filter(|_| count <= CHECKS).ok_or(Unfit::Length)?;
    let mut sizes = Vec::new();
    for _ in 0..count {
        let mut number = |bytes: usize| -> Result<usize, Unfit> {
            let number = u64::from_le_bytes(input.array()?);
            let taken = number.checked_mul(bytes as u64).and_then(|bytes| left.checked_sub(bytes));
            left = taken.ok_or(Unfit::Length)?;
            usize::try_from(number).map_err(|_| Unfit::Length)
        };
        sizes.push((number(FACT)?, number(DIRECTORY)?, number(1)?));
    }
    let most = |numbers: &mut dyn Iterator<Item = usize>| numbers.map(|number| number as u64).sum::<u64>() > LIMIT;
    if left != 0 || most(&mut sizes.iter().map(|size| size.0)) || most(&mut sizes.iter().map(|size| size.1)) {
        return Err(Unfit::Length);
    }
    let mut checks = Vec::with_capacity(sizes.len());
    for (files, directories, names) in sizes {
        let files = input.many(files, |stamp, sha256| Fact { stamp, sha256: Sha256Digest(sha256) })?;
        if !files.is_sorted_by(|a, b| a.stamp.inode < b.stamp.inode) {
            return Err(Unfit::Order);
        }
        let stamps = input.many(directories, |stamp, length| (stamp, u32::from_le_bytes(length)))?;
        let mut bytes = vec![0; names];
        input.exact(&mut bytes)?;
        let listings = Listings::from_written(stamps, bytes).ok_or(Unfit::Order)?;
        checks.push(Facts { files, listings });
    }
    let digest = std::mem::take(&mut input.hasher).finish();
    if input.array()? != digest.0 {
        return Err(Unfit::Checksum);
    }
    match input.inner.read(&mut [0])? {
        0 => Ok(checks),
        _ => Err(Unfit::Length),
    }
}

/// Whatever goes through it is hashed.
struct Hashing<T, H> {
    inner: T,
    hasher: H,
}

impl<W: Write> Hashing<&mut W, Sha256> {
    fn all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    /// Writes a stamp, and what belongs to it.
    fn stamp(&mut self, stamp: &Stamp, behind: &[u8]) -> io::Result<()> {
        self.all(&encode(stamp))?;
        self.all(behind)
    }
}

impl<R: Read> Hashing<&mut R, Aside> {
    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), Unfit> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unfit::Length,
            _ => Unfit::Io(error),
        })?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads so many stamps, each with the `N` bytes that belong to it.
    fn many<const N: usize, T>(&mut self, number: usize, make: impl Fn(Stamp, [u8; N]) -> T) -> Result<Vec<T>, Unfit> {
        /// Of these so many are read at once.
        const BLOCK: usize = 1 << 10;
        let mut all = Vec::with_capacity(number);
        let mut buffer = vec![0; number.min(BLOCK) * (STAMP + N)];
        while all.len() < number {
            let block = &mut buffer[..(number - all.len()).min(BLOCK) * (STAMP + N)];
            self.exact(block)?;
            for bytes in block.chunks_exact(STAMP + N) {
                all.push(decode(bytes).map(|(stamp, behind)| make(stamp, behind)).ok_or(Unfit::Order)?);
            }
        }
        Ok(all)
    }
}

fn encode(stamp: &Stamp) -> [u8; STAMP] {
    let Stamp { inode, size, modified, changed } = stamp;
    let mut bytes = [0; STAMP];
    let mut rest = &mut bytes[..];
    let mut put = |part: &[u8]| {
        let (here, behind) = std::mem::take(&mut rest).split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = behind;
    };
    put(&inode.to_le_bytes());
    put(&size.to_le_bytes());
    for moment in [modified, changed] {
        put(&moment.seconds.to_le_bytes());
        put(&moment.nanoseconds.to_le_bytes());
    }
    bytes
}

/// Nothing if the nanoseconds are more than a second.
fn decode<const N: usize>(bytes: &[u8]) -> Option<(Stamp, [u8; N])> {
    let (inode, rest) = bytes.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let moment = |bytes| -> Option<(Moment, &[u8])> {
        let (seconds, rest) = <[u8]>::split_first_chunk(bytes)?;
        let (nanoseconds, rest) = rest.split_first_chunk()?;
        let nanoseconds = u32::from_le_bytes(*nanoseconds);
        let seconds = i64::from_le_bytes(*seconds);
        (nanoseconds < 1_000_000_000).then_some((Moment { seconds, nanoseconds }, rest))
    };
    let (modified, rest) = moment(rest)?;
    let (changed, rest) = moment(rest)?;
    let stamp = Stamp { inode: u64::from_le_bytes(*inode), size: u64::from_le_bytes(*size), modified, changed };
    Some((stamp, rest.try_into().ok()?))
}
