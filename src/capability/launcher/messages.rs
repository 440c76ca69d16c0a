//! The messages between a run and its launcher, as bytes.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// Encodes a message about the command with this index.
pub(super) fn message(what: u8, index: u32, value: Option<i32>) -> Vec<u8> {
    let mut message = vec![what];
    message.extend_from_slice(&index.to_le_bytes());
    message.extend(value.into_iter().flat_map(i32::to_le_bytes));
    message
}

/// The inverse of [`message`].
pub(super) fn parsed(message: &[u8]) -> Option<(u8, u32, Option<i32>)> {
    let (what, rest) = message.split_first()?;
    let (index, rest) = rest.split_first_chunk()?;
    let value = match rest {
        [] => None,
        rest => Some(i32::from_le_bytes(rest.try_into().ok()?)),
    };
    Some((*what, u32::from_le_bytes(*index), value))
}

/// One message and its descriptors; no bytes at the end.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}
