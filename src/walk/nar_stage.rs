//! A buffer with the next part of one archive, or with several archives, and where the files in them are.
//!
//! An archive has the contents of its files in it, so both are hashed from one buffer. How they are hashed is
//! independent of how they are read: the buffer can go to another thread.

use super::fill::{Buffer, EOF_PROBE};
use crate::digest::{Sha256, Sha256Digest};

/// Space after the capacity of a stage, for the padding of a file whose contents have filled it.
const SLACK: usize = 8;

/// A stream, or the part of one that is in a stage.
pub struct Part<T> {
    from: usize,
    to: usize,
    /// Whether the stream starts here.
    starts: bool,
    /// Whether the stream ends here.
    ends: bool,
    /// What the digest is for. A stream without a tag needs no digest.
    tag: Option<T>,
}

/// Where the archive of a stage goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Where it was.
    Onward,
    /// There, and it may have to go back to this point.
    Mark,
    /// At the last mark. What came after that mark is forgotten.
    Rewind,
}

/// See the module's documentation. `F` and `A` tell files and archives apart.
pub struct Stage<F, A> {
    buffer: Buffer,
    length: usize,
    pub origin: Origin,
    files: Vec<Part<F>>,
    archives: Vec<Part<A>>,
}

/// The digests of streams that have ended.
pub struct Digests<F, A> {
    pub files: Vec<(F, Sha256Digest)>,
    pub archives: Vec<(A, Sha256Digest)>,
}

impl<F, A> Default for Digests<F, A> {
    fn default() -> Self {
        Self { files: Vec::new(), archives: Vec::new() }
    }
}

impl<F, A> Digests<F, A> {
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty() && self.archives.is_empty()
    }

    pub fn append(&mut self, mut later: Self) {
        self.files.append(&mut later.files);
        self.archives.append(&mut later.archives);
    }
}

impl<F, A> Stage<F, A> {
    /// `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        let buffer = Buffer::new(capacity + SLACK + EOF_PROBE);
        Self { buffer, length: 0, origin: Origin::Onward, files: Vec::new(), archives: Vec::new() }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.length = 0;
        self.origin = Origin::Onward;
        self.files.clear();
        self.archives.clear();
    }

    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub const fn len(&self) -> usize {
        self.length
    }

    /// How many bytes fit.
    pub fn room(&self) -> usize {
        (self.buffer.len() - SLACK - EOF_PROBE).saturating_sub(self.length)
    }

    /// Adds bytes, of which there is room for all, or which are the padding of a file.
    pub fn add(&mut self, bytes: &[u8]) {
        self.buffer[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Where the next bytes are read to: at most so many, and the [`EOF_PROBE`]. The caller says how many there are
    /// ([`filled`](Self::filled)).
    pub fn space(&mut self, most: usize) -> &mut [u8] {
        let room = self.room().min(most);
        &mut self.buffer[self.length..self.length + room + EOF_PROBE]
    }

    pub fn filled(&mut self, bytes: usize) {
        self.length += bytes;
    }

    /// The next bytes are those of a file: from its start on, or not.
    pub fn open_file(&mut self, starts: bool) {
        self.files.push(Part { from: self.length, to: self.length, starts, ends: false, tag: None });
    }

    /// The next bytes are those of an archive: from its start on, or not.
    pub fn open_archive(&mut self, starts: bool) {
        self.archives.push(Part { from: self.length, to: self.length, starts, ends: false, tag: None });
    }

    /// The bytes of the last file end here.
    pub fn close_file(&mut self, ends: bool) {
        if let Some(file) = self.files.last_mut() {
            (file.to, file.ends) = (self.length, ends);
        }
    }

    /// Sets what the digest of the last file is for.
    pub fn tag_file(&mut self, tag: F) {
        if let Some(file) = self.files.last_mut() {
            file.tag = Some(tag);
        }
    }

    /// The bytes of the last archive end here. It goes on in the next stage.
    pub fn interrupt_archive(&mut self) {
        if let Some(archive) = self.archives.last_mut() {
            archive.to = self.length;
        }
    }

    /// The last archive ends here. Without a tag, it has no digest.
    pub fn end_archive(&mut self, tag: Option<A>) {
        if let Some(archive) = self.archives.last_mut() {
            (archive.to, archive.ends, archive.tag) = (self.length, true, tag);
        }
    }

    /// Removes the last file, and all bytes from `length` on, which is before that file and in the same archive.
    pub fn take_back(&mut self, length: usize) {
        self.length = length;
        self.files.pop();
    }
}

/// The streams that go on from one stage to the next.
#[derive(Clone, Default)]
pub struct Streams {
    file: Sha256,
    archive: Sha256,
    mark: Sha256,
}

/// What to hash of a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    Files,
    Archives,
}

/// Hashes what is in stages, with the streams of each, side by side. Takes the tags of the streams that end in them.
pub fn hash<'a, F: 'a, A: 'a>(
    stages: impl Iterator<Item = (&'a mut Stage<F, A>, &'a mut Streams)>,
    which: Which,
) -> Digests<F, A> {
    let (mut hashers, mut bytes, mut streams_of) = (Vec::new(), Vec::new(), Vec::new());
    for (stage, open) in stages {
        let Stage { buffer, origin, files, archives, .. } = stage;
        let files = if which == Which::Archives { &mut [][..] } else { files };
        let archives = if which == Which::Files { &mut [][..] } else { archives };
        if !archives.is_empty() {
            match origin {
                Origin::Onward => {}
                Origin::Mark => open.mark = open.archive.clone(),
                Origin::Rewind => open.archive = open.mark.clone(),
            }
        }
        for part in &*files {
            hashers.push(part.hasher(&open.file));
            bytes.push(&buffer[part.from..part.to]);
        }
        for part in &*archives {
            hashers.push(part.hasher(&open.archive));
            bytes.push(&buffer[part.from..part.to]);
        }
        streams_of.push((files, archives, open));
    }
    Sha256::update_each(&mut hashers, &bytes);
    let (mut of_files, mut of_archives) = (Ended::default(), Ended::default());
    let mut hashers = hashers.into_iter();
    for (files, archives, open) in streams_of {
        of_files.add(files, &mut hashers, &mut open.file);
        of_archives.add(archives, &mut hashers, &mut open.archive);
    }
    Digests { files: of_files.finish(), archives: of_archives.finish() }
}

impl<T> Part<T> {
    /// What hashes it, if the stream that goes on is `open`.
    fn hasher(&self, open: &Sha256) -> Sha256 {
        if self.starts { Sha256::new() } else { open.clone() }
    }
}

/// Streams that have ended.
struct Ended<T> {
    tags: Vec<T>,
    hashers: Vec<Sha256>,
}

impl<T> Default for Ended<T> {
    fn default() -> Self {
        Self { tags: Vec::new(), hashers: Vec::new() }
    }
}

impl<T> Ended<T> {
    /// Adds the parts that end and have a tag. The last part may go on, and then is the `open` one.
    fn add(&mut self, parts: &mut [Part<T>], hashers: impl Iterator<Item = Sha256>, open: &mut Sha256) {
        for (part, hasher) in parts.iter_mut().zip(hashers) {
            if !part.ends {
                *open = hasher;
            } else if let Some(tag) = part.tag.take() {
                self.tags.push(tag);
                self.hashers.push(hasher);
            }
        }
    }

    fn finish(self) -> Vec<(T, Sha256Digest)> {
        self.tags.into_iter().zip(Sha256::finish_each(&self.hashers)).collect()
    }
}
