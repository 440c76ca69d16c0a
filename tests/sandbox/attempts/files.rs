//! Files: out of reach by path is Landlock's, out of reach by call is seccomp's.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use libc::{EACCES, EXDEV};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, linkat, mkdirat, mknodat, openat, openat2, renameat, symlinkat, unlinkat,
};

use super::{Attempt, Plain, Try};
use crate::child::{GROUP, Inside, call};

#[rustfmt::skip]
pub const ATTEMPTS: &[Attempt] = &[
    // Reading beside the root. seccomp can't see where a path leads.
    Attempt::new("read an absolute path", |i| reads(root(i), i.place.join("secret"))).landlock(1, EACCES),
    Attempt::new("read through ..", |i| reads(root(i), "../secret")).landlock(1, EACCES),
    Attempt::new("read through a link that climbs", |i| reads(root(i), "link")).landlock(1, EACCES),
    Attempt::new("read through an absolute link", |i| reads(root(i), "absolute")).landlock(1, EACCES),
    Attempt::new("read through a link to a directory", |i| reads(root(i), "directory/secret")).landlock(1, EACCES),
    Attempt::new("read through /proc/self/fd", |i| {
        let root = root(i);
        let path = format!("/proc/self/fd/{}/../secret", root.as_raw_fd());
        reads(root, path)
    }).landlock(1, EACCES),
    Attempt::new("read through /proc/self/root", |i| {
        reads(root(i), format!("/proc/self/root{}", i.place.join("secret").display()))
    }).landlock(1, EACCES),
    Attempt::new("read by openat2 through ..", |i| {
        let root = root(i);
        Box::new(move || contents(openat2(root, "../secret", OFlags::RDONLY, Mode::empty(), ResolveFlags::empty())?))
    }).landlock(1, EACCES),
    Attempt::new("read with writing granted elsewhere", |i| reads(root(i), "../secret")).writes().landlock(1, EACCES),
    Attempt::new("list through ..", |i| lists(root(i), "..")).landlock(1, EACCES),
    Attempt::new("list through a link", |i| lists(root(i), "directory")).landlock(1, EACCES),
    Attempt::new("list /", |i| lists(root(i), "/")).landlock(1, EACCES),
    // Writing below a root that is granted for reading. Granted writing elsewhere, the calls are open to both.
    Attempt::new("write", |i| opens(root(i), "inside", OFlags::WRONLY)).landlock(1, EACCES).seccomp(),
    Attempt::new("write and read", |i| opens(root(i), "inside", OFlags::RDWR)).landlock(1, EACCES).seccomp(),
    Attempt::new("truncate", |i| opens(root(i), "inside", OFlags::WRONLY | OFlags::TRUNC)).landlock(1, EACCES).seccomp(),
    Attempt::new("truncate what is only read", |i| opens(root(i), "inside", OFlags::TRUNC)).landlock(3, EACCES).seccomp(),
    Attempt::new("truncate by path", |i| {
        let path = c_string(&i.place.join("root/inside"));
        Box::new(move || done(call(libc::SYS_truncate, &[path.as_ptr() as usize, 0])))
    }).landlock(3, EACCES).seccomp(),
    Attempt::new("create", |i| opens(root(i), "new", OFlags::CREATE)).landlock(1, EACCES).seccomp(),
    Attempt::new("create without a name", |i| opens(root(i), ".", OFlags::TMPFILE | OFlags::WRONLY)).landlock(1, EACCES).seccomp(),
    Attempt::new("write by openat2", |i| {
        let root = root(i);
        Box::new(move || done(openat2(root, "inside", OFlags::WRONLY, Mode::empty(), ResolveFlags::BENEATH)))
    }).landlock(1, EACCES),
    Attempt::new("write with writing granted elsewhere", |i| opens(root(i), "inside", OFlags::WRONLY)).writes().landlock(1, EACCES),
    Attempt::new("create with writing granted elsewhere", |i| opens(root(i), "new", OFlags::CREATE)).writes().landlock(1, EACCES),
    Attempt::new("rename", |i| renames(root(i), "inside", "new")).landlock(1, EACCES).seccomp(),
    Attempt::new("rename with writing granted elsewhere", |i| renames(root(i), "inside", "new")).writes().landlock(1, EACCES),
    Attempt::new("rename into a root", |i| renames(root(i), "../out/old", "new")).writes().landlock(1, EACCES),
    Attempt::new("rename out of a root", |i| renames(root(i), "inside", "../out/new")).writes().landlock(1, EACCES),
    Attempt::new("rename into another directory", |i| renames(out(i), "old", "sub/new")).writes().landlock(1, EXDEV),
    Attempt::new("make a directory", |i| makes_directory(root(i))).landlock(1, EACCES).seccomp(),
    Attempt::new("make a directory with writing granted elsewhere", |i| makes_directory(root(i))).writes().landlock(1, EACCES),
    Attempt::new("unlink", |i| unlinks(root(i), "inside", AtFlags::empty())).landlock(1, EACCES).seccomp(),
    // Where writing is granted, Landlock has to allow what a rename needs.
    Attempt::new("unlink where writing is granted", |i| unlinks(out(i), "old", AtFlags::empty())).writes().seccomp(),
    Attempt::new("remove a directory where writing is granted", |i| unlinks(out(i), "sub", AtFlags::REMOVEDIR)).writes().landlock(1, EACCES).seccomp(),
    Attempt::new("unlink with removing granted elsewhere", |i| unlinks(root(i), "inside", AtFlags::empty())).removes().landlock(1, EACCES),
    Attempt::new("unlink through .. with removing granted elsewhere", |i| unlinks(out(i), "../secret", AtFlags::empty())).removes().landlock(1, EACCES),
    Attempt::new("remove a directory with removing granted elsewhere", |i| unlinks(root(i), "empty", AtFlags::REMOVEDIR)).removes().landlock(1, EACCES),
    Attempt::new("remove a directory through .. with removing granted elsewhere", |i| unlinks(out(i), "../empty", AtFlags::REMOVEDIR)).removes().landlock(1, EACCES),
    Attempt::new("link where writing is granted", |i| {
        let out = out(i);
        Box::new(move || done(linkat(&out, "old", &out, "new", AtFlags::empty())))
    }).writes().seccomp(),
    Attempt::new("link a file beside into where writing is granted", |i| {
        let out = out(i);
        Box::new(move || done(linkat(&out, "../secret", &out, "new", AtFlags::empty())))
    }).writes().landlock(1, EXDEV).seccomp(),
    Attempt::new("make a symbolic link where writing is granted", |i| {
        let out = out(i);
        Box::new(move || done(symlinkat("../secret", out, "new")))
    }).writes().landlock(1, EACCES).seccomp(),
    Attempt::new("make a FIFO where writing is granted", |i| {
        let out = out(i);
        Box::new(move || done(mknodat(out, "new", FileType::Fifo, Mode::RUSR, 0)))
    }).writes().landlock(1, EACCES).seccomp(),
    // Attributes: Landlock has no right for them.
    Attempt::new("chmod", |i| {
        let root = root(i);
        Box::new(move || done(chmodat(root, "inside", Mode::RWXU, AtFlags::empty())))
    }).seccomp(),
    Attempt::new("chmod a handle", |i| {
        let root = root(i);
        Box::new(move || done(fchmod(root, Mode::RWXU)))
    }).seccomp(),
    Attempt::new("chmod where writing is granted", |i| {
        let out = out(i);
        Box::new(move || done(chmodat(out, "old", Mode::RWXU, AtFlags::empty())))
    }).writes().seccomp(),
    Attempt::new("chown", |i| {
        let root = root(i);
        Box::new(move || done(chownat(root, "inside", Some(Uid::from_raw(1)), Some(Gid::from_raw(1)), AtFlags::empty())))
    }).plain(Plain::WorksForRoot).seccomp(),
    // One group may be given, and no owner with it.
    Attempt::new("give a file to a group", |i| gives(out(i), None, GROUP + 1)).writes().plain(Plain::WorksForRoot).seccomp(),
    Attempt::new("give a file to an owner", |i| gives(out(i), Some(1), GROUP)).writes().plain(Plain::WorksForRoot).seccomp(),
    Attempt::new("give a file to a group with nothing to write", |i| gives(root(i), None, GROUP)).plain(Plain::WorksForRoot).seccomp(),
    Attempt::new("set an extended attribute", |i| {
        let root = root(i);
        Box::new(move || done(fsetxattr(root, "user.driftlock", b"", XattrFlags::empty())))
    }).plain(Plain::MayBeOff(&[libc::ENOTSUP])).seccomp(),
    Attempt::new("open by a handle of its file", |i| {
        let root = root(i);
        Box::new(move || {
            let mut handle = [128_u32; 34];
            let mut mount = 0_i32;
            let name = c"../secret";
            let handle = (&raw mut handle).expose_provenance();
            let mount = (&raw mut mount).expose_provenance();
            let root = root.as_raw_fd().cast_unsigned() as usize;
            call(libc::SYS_name_to_handle_at, &[root, name.as_ptr() as usize, handle, mount, 0])?;
            done(call(libc::SYS_open_by_handle_at, &[root, handle, libc::O_RDONLY as usize]))
        })
    }).plain(Plain::WorksForRoot).landlock(1, EACCES).seccomp(),
];

fn root(inside: &Inside) -> OwnedFd {
    inside.root.try_clone().expect("a second handle")
}

fn out(inside: &Inside) -> OwnedFd {
    inside.out.try_clone().expect("a second handle")
}

pub fn c_string(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL")
}

pub fn done<T>(result: Result<T, impl Into<io::Error>>) -> io::Result<()> {
    result.map(drop).map_err(Into::into)
}

fn contents(file: OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 64];
    let count = rustix::io::read(file, &mut buffer)?;
    if buffer[..count].ends_with(b"secret") { Ok(()) } else { Err(io::Error::other("read something else")) }
}

fn reads(from: OwnedFd, path: impl AsRef<Path>) -> Try {
    let path = path.as_ref().to_owned();
    Box::new(move || contents(openat(from, path, OFlags::RDONLY, Mode::empty())?))
}

fn lists(from: OwnedFd, path: &'static str) -> Try {
    Box::new(move || {
        let handle = openat(from, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Dir::new(handle)?.try_for_each(done)
    })
}

fn opens(from: OwnedFd, path: &'static str, flags: OFlags) -> Try {
    Box::new(move || done(openat(from, path, flags, Mode::RUSR | Mode::WUSR)))
}

fn renames(from: OwnedFd, old: &'static str, new: &'static str) -> Try {
    Box::new(move || done(renameat(&from, old, &from, new)))
}

fn unlinks(from: OwnedFd, path: &'static str, flags: AtFlags) -> Try {
    Box::new(move || done(unlinkat(from, path, flags)))
}

fn gives(handle: OwnedFd, owner: Option<u32>, group: u32) -> Try {
    Box::new(move || done(fchown(handle, owner.map(Uid::from_raw), Some(Gid::from_raw(group)))))
}

fn makes_directory(from: OwnedFd) -> Try {
    Box::new(move || done(mkdirat(from, "new", Mode::RWXU)))
}
