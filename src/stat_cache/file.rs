//! The format of the cache file. A file is read whole and must be valid in every respect; otherwise it is not used.
//!
//! All numbers are little-endian. Each content has exactly one encoding. The file has:
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | `driftlock-stat-3`: the file type and the version of the format |
//! | 32 | the [binding](super::binding): what the cache belongs to |
//! | 8 | the boot time of the machine, by the clock with which the cache was written, in nanoseconds since 1970 |
//! | 4 | number of checks |
//! | 80 for each check | number of its files (8), number of its directories (8), bytes of the names in those (8), number of its links (8), bytes of their targets (8), number of entries if all were as the lock has them (8; 2⁶⁴ − 1 if not), SHA-256 of that lock (32; zeros if not) |
//! | | for each check, one after the other: |
//! | 72 for each file | stamp (40), SHA-256 (32) |
//! | 44 for each directory | stamp (40), bytes of the names in it (4) |
//! | | for each directory, the names in it: |
//! | 10 and the name's | type as in `getdents64(2)` (1), length (1), inode (8), name |
//! | 44 for each link | stamp (40), bytes of its target (4) |
//! | | for each link, its target |
//! | 32 | SHA-256 of all the preceding bytes |
//!
//! A stamp is the inode (8), size (8), mtime (8 seconds, 4 nanoseconds) and ctime (8 and 4). Files, directories and
//! links are sorted by inode, and each inode occurs once. The names in a directory are sorted by their bytes.

use std::io::{self, Read, Write};
use std::panic::resume_unwind;

use super::listing::{are_names, is_target};
use super::stamped::Stamped;
use super::{CachedDigest, CheckCache, Equal, Moment, Stamp};
use crate::digest::{ReadAhead, Sha256};
use crate::manifest::Sha256Digest;

/// The first bytes of the file in every version of the format.
pub const NAME: &[u8] = b"driftlock-stat-";

const VERSION: u8 = b'3';

/// The length of a stamp.
const STAMP: usize = 40;

/// The length of a cached digest.
const FACT: usize = STAMP + 32;

/// The length of a directory without its names, and of a link without its target.
const STAMPED: usize = STAMP + 4;

/// The length of a check's header.
const CHECK: usize = 6 * 8 + 32;

/// Written if a check has no [`equal`](CheckCache::equal).
const NOT_EQUAL: Equal = Equal { entries: u64::MAX, lock: Sha256Digest([0; 32]) };

/// The most files, directories or links that are written or read: 1.2 GB of files.
pub const LIMIT: u64 = 1 << 24;

/// More checks than a declaration can have: it is limited to 4 MiB.
const CHECKS: u32 = 1 << 20;

const DIGEST: u64 = 32;

/// By how much the clock may have been set since a cache was written, in nanoseconds. It is less than the [settling
/// time](super::SETTLING), so a cached file can't change and get its old time again.
pub const CLOCK_TOLERANCE: u64 = 1_000_000_000;

/// What a cache was written for, and with which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub binding: Sha256Digest,
    /// [`RunIdentity::booted`](crate::capability::RunIdentity::booted).
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
    #[error("the clock was set or the machine was restarted since it was written")]
    OtherClock,
    #[error("its length is wrong")]
    Length,
    #[error("its entries are out of order")]
    Order,
    #[error("it is damaged: its checksum does not match")]
    Checksum,
    #[error("{0}")]
    Unsafe(&'static str),
}

/// Writes a cache.
///
/// # Errors
/// Those of `out`, and more items than [`LIMIT`].
pub fn write(out: &mut impl Write, origin: &Origin, checks: &[CheckCache]) -> io::Result<()> {
    let too_many = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it would hold more than {LIMIT} files"));
    let files = checks.iter().map(|facts| facts.files.len() as u64).sum::<u64>();
    let stamped = |of: fn(&CheckCache) -> &Stamped| checks.iter().map(|facts| of(facts).len() as u64).sum::<u64>();
    if files.max(stamped(|facts| &facts.listings)).max(stamped(|facts| &facts.links)) > LIMIT {
        return Err(too_many());
    }
    let count = u32::try_from(checks.len()).map_err(|_| too_many())?;
    let mut out = Hashing { inner: out, hasher: Sha256::new() };
    out.all(NAME)?;
    out.all(&[VERSION])?;
    out.all(&origin.binding.0)?;
    out.all(&origin.booted.to_le_bytes())?;
    out.all(&count.to_le_bytes())?;
    for CheckCache { files, listings, links, equal } in checks {
        let bytes = |stamped: &Stamped| stamped.written().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let [directories, linked] = [listings, links].map(|stamped| [stamped.len() as u64, bytes(stamped)]);
        let equal = equal.unwrap_or(NOT_EQUAL);
        for number in [files.len() as u64, directories[0], directories[1], linked[0], linked[1], equal.entries] {
            out.all(&number.to_le_bytes())?;
        }
        out.all(&equal.lock.0)?;
    }
    for CheckCache { files, listings, links, .. } in checks {
        for CachedDigest { stamp, sha256 } in files {
            out.stamp(stamp, &sha256.0)?;
        }
        for stamped in [listings, links] {
            for (stamp, bytes) in stamped.written() {
                let length = u32::try_from(bytes.len()).map_err(|_| too_many())?;
                out.stamp(stamp, &length.to_le_bytes())?;
            }
            for (_, bytes) in stamped.written() {
                out.all(bytes)?;
            }
        }
    }
    let digest = out.hasher.finish();
    out.inner.write_all(&digest.0)
}

/// Reads a cache of `length` bytes: the cache of each check, or why the cache is not used. The result is all or
/// nothing.
///
/// # Errors
/// The bytes are not what [`write()`] would have written for this origin, with a clock that differs by less than
/// [`CLOCK_TOLERANCE`].
pub fn read(input: &mut (impl Read + Send), length: u64, origin: &Origin) -> Result<Vec<CheckCache>, Unfit> {
    let hashed = length.saturating_sub(DIGEST);
    let ahead = std::thread::scope(|scope| {
        let (ahead, digest) = ReadAhead::start(scope, &mut *input, hashed).ok()?;
        Some(whole(ahead, length, origin, |ahead| {
            // The reading thread ends only when its channel is closed.
            drop(ahead);
            digest.join().unwrap_or_else(|panic| resume_unwind(panic))
        }))
    });
    // If no thread could be started, nothing was read yet.
    ahead.unwrap_or_else(|| whole(Here::new(input, hashed), length, origin, Here::digest))
}

/// Reads the items, then the checksum, and compares it with `digest`.
fn whole<R: Read>(
    input: R,
    length: u64,
    origin: &Origin,
    digest: impl FnOnce(R) -> Sha256Digest,
) -> Result<Vec<CheckCache>, Unfit> {
    let mut input = Input(input);
    let facts = facts(&mut input, length, origin)?;
    let stated = Sha256Digest(input.array()?);
    let ended = input.0.read(&mut [0])? == 0;
    if digest(input.0) != stated && !cfg!(all(fuzzing, feature = "unchecked")) {
        return Err(Unfit::Checksum);
    }
    if ended { Ok(facts) } else { Err(Unfit::Length) }
}

/// Reads everything but the checksum.
fn facts(input: &mut Input<impl Read>, length: u64, origin: &Origin) -> Result<Vec<CheckCache>, Unfit> {
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
    // The length is known, so a number that does not fit it is refused before memory is allocated for it.
    let mut left = length.checked_sub(16 + 32 + 8 + 4 + DIGEST).ok_or(Unfit::Length)?;
    left = left.checked_sub(u64::from(count) * CHECK as u64).filter(|_| count <= CHECKS).ok_or(Unfit::Length)?;
    let mut sizes = Vec::new();
    for _ in 0..count {
        let mut number = |bytes: usize| -> Result<usize, Unfit> {
            let number = u64::from_le_bytes(input.array()?);
            let taken = number.checked_mul(bytes as u64).and_then(|bytes| left.checked_sub(bytes));
            left = taken.ok_or(Unfit::Length)?;
            usize::try_from(number).map_err(|_| Unfit::Length)
        };
        let files = number(FACT)?;
        let listings = (number(STAMPED)?, number(1)?);
        let links = (number(STAMPED)?, number(1)?);
        let equal = Equal { entries: u64::from_le_bytes(input.array()?), lock: Sha256Digest(input.array()?) };
        if equal.entries == NOT_EQUAL.entries && equal != NOT_EQUAL {
            return Err(Unfit::Order);
        }
        sizes.push(Sizes { files, listings, links, equal: (equal != NOT_EQUAL).then_some(equal) });
    }
    let most = |of: fn(&Sizes) -> usize| sizes.iter().map(|sizes| of(sizes) as u64).sum::<u64>();
    if left != 0 || most(|of| of.files).max(most(|of| of.listings.0)).max(most(|of| of.links.0)) > LIMIT {
        return Err(Unfit::Length);
    }
    let mut checks = Vec::with_capacity(sizes.len());
    for Sizes { files, listings, links, equal } in sizes {
        let mut before = None;
        let files = input.many(files, |stamp, sha256| {
            let in_order = before.replace(stamp.inode) < Some(stamp.inode);
            in_order.then_some(CachedDigest { stamp, sha256: Sha256Digest(sha256) })
        })?;
        let listings = input.stamped(listings, |_, bytes| are_names(bytes))?;
        let links = input.stamped(links, |stamp, bytes| is_target(bytes, stamp.size))?;
        checks.push(CheckCache { files, listings, links, equal });
    }
    Ok(checks)
}

/// The numbers in a check's header.
struct Sizes {
    files: usize,
    /// Number, and total length.
    listings: (usize, usize),
    links: (usize, usize),
    equal: Option<Equal>,
}

/// Hashes everything that is written through it.
struct Hashing<'a, W> {
    inner: &'a mut W,
    hasher: Sha256,
}

impl<W: Write> Hashing<'_, W> {
    fn all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    /// Writes a stamp and the bytes that belong to it.
    fn stamp(&mut self, stamp: &Stamp, behind: &[u8]) -> io::Result<()> {
        self.all(&encode(stamp))?;
        self.all(behind)
    }
}

/// Hashes what it reads, up to a length.
struct Here<R> {
    input: R,
    hasher: Sha256,
    left: u64,
}

impl<R> Here<R> {
    fn new(input: R, hashed: u64) -> Self {
        Self { input, hasher: Sha256::new(), left: hashed }
    }

    fn digest(self) -> Sha256Digest {
        self.hasher.finish()
    }
}

impl<R: Read> Read for Here<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(read);
        self.left -= part as u64;
        self.hasher.update(&out[..part]);
        Ok(read)
    }
}

/// A cache that is being read.
struct Input<R>(R);

impl<R: Read> Input<R> {
    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), Unfit> {
        self.0.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unfit::Length,
            _ => Unfit::Io(error),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a number of stamps, and then the bytes that belong to them.
    fn stamped(
        &mut self,
        (number, length): (usize, usize),
        can_have: impl Fn(&Stamp, &[u8]) -> bool,
    ) -> Result<Stamped, Unfit> {
        let stamps = self.many(number, |stamp, length| Some((stamp, u32::from_le_bytes(length))))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| Unfit::Length)?;
        (&mut self.0).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(Unfit::Length);
        }
        Stamped::from_written(stamps, bytes, can_have).ok_or(Unfit::Order)
    }

    /// Reads a number of stamps, each followed by `N` bytes, and converts each with `make`, which returns `None` for an
    /// invalid one.
    fn many<const N: usize, T>(
        &mut self,
        number: usize,
        mut make: impl FnMut(Stamp, [u8; N]) -> Option<T>,
    ) -> Result<Vec<T>, Unfit> {
        /// How many are read at once.
        const BLOCK: usize = 1 << 10;
        let mut all = Vec::with_capacity(number);
        let mut buffer = vec![0; number.min(BLOCK) * (STAMP + N)];
        while all.len() < number {
            let block = &mut buffer[..(number - all.len()).min(BLOCK) * (STAMP + N)];
            self.exact(block)?;
            for bytes in block.chunks_exact(STAMP + N) {
                all.push(decode(bytes).and_then(|(stamp, behind)| make(stamp, behind)).ok_or(Unfit::Order)?);
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

/// `None` if the nanoseconds are a second or more.
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
