//! A FUSE file system with one directory, spoken to the kernel through `/dev/fuse` itself: it can state other sizes than
//! its files have, and leave questions without an answer.
//!
//! It is mounted in a mount namespace of the thread that asks for it, which the programs that this thread starts are in
//! too. Once `/dev/fuse` is closed, whatever waits for an answer gets an error.
//!
//! Source: `include/uapi/linux/fuse.h`.

use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::thread::UnshareFlags;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// The number of the first file; the others follow.
const FIRST: u64 = 2;
const ASYNC_READ: u32 = 1;

/// A file.
#[derive(Clone)]
pub struct Served {
    name: &'static str,
    contents: Vec<u8>,
    size: u64,
    direct: bool,
    hangs: bool,
}

impl Served {
    pub fn new(name: &'static str, contents: &str) -> Self {
        let size = contents.len() as u64;
        Self { name, contents: contents.into(), size, direct: false, hangs: false }
    }

    /// States this size, but a reader gets all of its bytes (`direct_io`).
    pub fn stating(self, size: u64) -> Self {
        Self { size, direct: true, ..self }
    }

    /// A read from it never returns.
    pub fn hanging(self) -> Self {
        Self { hangs: true, ..self }
    }
}

/// What the file system does.
const ANSWERS: u8 = 0;
const SILENT: u8 = 1;
const ENDS: u8 = 2;

/// A file system that is mounted. Dropping it ends it.
pub struct Fuse {
    at: PathBuf,
    does: Arc<AtomicU8>,
    server: Option<JoinHandle<()>>,
}

impl Fuse {
    /// Mounts it, for this thread and what it starts from now on.
    pub fn mount(at: &Path, files: Vec<Served>) -> Self {
        #[expect(deprecated, reason = "unsafe for the flags that part file tables")]
        rustix::thread::unshare(UnshareFlags::NEWNS).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let mut options = File::options();
        let device = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = CString::new(options).unwrap();
        mount("driftlock-test", at, "fuse.driftlock", MountFlags::NOSUID | MountFlags::NODEV, &*options).unwrap();
        let does = Arc::new(AtomicU8::new(ANSWERS));
        let server = Server { device, files, does: does.clone() };
        Self { at: at.to_path_buf(), does, server: Some(std::thread::spawn(|| server.serve())) }
    }

    /// From now on nothing that is asked of it is taken in.
    pub fn silence(&self) {
        self.does.store(SILENT, Ordering::Relaxed);
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.does.store(ENDS, Ordering::Relaxed);
        let ended = self.server.take().map(JoinHandle::join);
        let unmounted = unmount(&self.at, UnmountFlags::DETACH);
        // One panic is enough.
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the file system panicked");
            unmounted.unwrap();
        }
    }
}

struct Server {
    device: File,
    files: Vec<Served>,
    does: Arc<AtomicU8>,
}

struct Question<'a> {
    opcode: u32,
    node: u64,
    body: &'a [u8],
}

type Answer = Result<Vec<u8>, i32>;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Server {
    fn serve(mut self) {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let does = self.does.load(Ordering::Relaxed);
            let taken = if does == ANSWERS { self.device.read(&mut buffer) } else { Err(ErrorKind::WouldBlock.into()) };
            match taken {
                _ if does == ENDS => return,
                Ok(length) => {
                    let unique = u64_at(&buffer, 8);
                    let (opcode, node) = (u32_at(&buffer, 4), u64_at(&buffer, 16));
                    if let Some(answer) = self.answer(&Question { opcode, node, body: &buffer[40..length] }) {
                        self.reply(unique, &answer);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    std::thread::sleep(Duration::from_micros(500));
                }
                // What was asked was taken back in the meantime.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("/dev/fuse: {error}"),
            }
        }
    }

    fn reply(&mut self, unique: u64, answer: &Answer) {
        let (error, body) = match answer {
            Ok(body) => (0, &body[..]),
            Err(errno) => (-errno, &[][..]),
        };
        let mut reply = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        reply.extend_from_slice(&error.to_ne_bytes());
        reply.extend_from_slice(&unique.to_ne_bytes());
        reply.extend_from_slice(body);
        // One whose asker is gone by now is wanted no more.
        let _ = self.device.write(&reply);
    }

    /// Nothing where no answer is expected, or none is to come.
    fn answer(&self, question: &Question<'_>) -> Option<Answer> {
        let file = question.node.checked_sub(FIRST).and_then(|at| self.files.get(usize::try_from(at).unwrap()));
        Some(match question.opcode {
            FORGET | BATCH_FORGET | INTERRUPT => return None,
            INIT => {
                let mut init = [7, 31, u32_at(question.body, 8), ASYNC_READ].map(u32::to_ne_bytes).concat();
                init.resize(64, 0);
                Ok(init)
            }
            LOOKUP => {
                let name = question.body.strip_suffix(&[0]).unwrap();
                match self.files.iter().position(|file| file.name.as_bytes() == name) {
                    Some(at) => {
                        let node = FIRST + at as u64;
                        let mut entry = node.to_ne_bytes().to_vec();
                        entry.resize(40, 0);
                        entry.extend(self.attributes(node));
                        Ok(entry)
                    }
                    None => Err(libc::ENOENT),
                }
            }
            GETATTR => {
                let mut attributes = vec![0; 16];
                attributes.extend(self.attributes(question.node));
                Ok(attributes)
            }
            OPEN | OPENDIR => {
                let direct = file.is_some_and(|file| file.direct);
                let mut open = vec![0; 16];
                open[8..12].copy_from_slice(&u32::from(direct).to_ne_bytes());
                Ok(open)
            }
            READ => {
                let file = file?;
                if file.hangs {
                    return None;
                }
                let (from, most) = (u64_at(question.body, 8), u32_at(question.body, 16) as usize);
                let from = usize::try_from(from).unwrap().min(file.contents.len());
                let behind = &file.contents[from..];
                Ok(behind[..behind.len().min(most)].to_vec())
            }
            READDIR => Ok(self.listing(u64_at(question.body, 8))),
            RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        })
    }

    fn attributes(&self, node: u64) -> Vec<u8> {
        let file = node.checked_sub(FIRST).and_then(|at| self.files.get(usize::try_from(at).unwrap()));
        let (mode, size) = file.map_or((libc::S_IFDIR | 0o755, 0), |file| (libc::S_IFREG | 0o644, file.size));
        // Inode, size and blocks; three times; their nanoseconds; then mode, links, owner, device, and block size.
        let mut attributes = [node, size, size.div_ceil(512), 1, 1, 1].map(u64::to_ne_bytes).concat();
        attributes.extend([0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat());
        attributes
    }

    fn listing(&self, from: u64) -> Vec<u8> {
        let mut listing = Vec::new();
        for (at, file) in (0..).zip(&self.files).skip(usize::try_from(from).unwrap()) {
            listing.extend([FIRST + at, at + 1].map(u64::to_ne_bytes).concat());
            listing.extend([file.name.len() as u32, 8].map(u32::to_ne_bytes).concat());
            listing.extend(file.name.as_bytes());
            listing.resize(listing.len().next_multiple_of(8), 0);
        }
        listing
    }
}
