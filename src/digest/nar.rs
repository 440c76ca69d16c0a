//! Writes the Nix archive format as a stream.
//!
//! Source: Eelco Dolstra, *The Purely Functional Software Deployment Model* (2006), figure 5.2, and the Nix manual,
//! "Nix Archive (NAR) format":
//!
//! ```text
//! archive   = str("nix-archive-1") node
//! node      = str("(") str("type") (regular | directory | symlink) str(")")
//! regular   = str("regular") [str("executable") str("")] str("contents") int(size) bytes padding
//! symlink   = str("symlink") str("target") str(target)
//! directory = str("directory") { str("entry") str("(") str("name") str(name) str("node") node str(")") }
//! str(s)    = int(length of s) s padding          names in the order of their bytes
//! int(n)    = 64 bits, little-endian              padding: zeros up to a multiple of 8
//! ```
//!
//! These functions write the parts around a node; the walk calls them in the right order. The digest of the stream is
//! what `nix hash path` prints.

fn push_int(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn push_str(out: &mut Vec<u8>, text: &[u8]) {
    push_int(out, text.len() as u64);
    out.extend_from_slice(text);
    out.extend_from_slice(padding(text.len() as u64));
}

/// The padding after `length` bytes of contents.
#[must_use]
pub const fn padding(length: u64) -> &'static [u8] {
    match length % 8 {
        0 => b"",
        1 => b"\0\0\0\0\0\0\0",
        2 => b"\0\0\0\0\0\0",
        3 => b"\0\0\0\0\0",
        4 => b"\0\0\0\0",
        5 => b"\0\0\0",
        6 => b"\0\0",
        _ => b"\0",
    }
}

/// The start of every archive; one node follows.
pub fn archive(out: &mut Vec<u8>) {
    push_str(out, b"nix-archive-1");
}

/// The start of a directory node; its entries follow, then [`close`].
pub fn directory(out: &mut Vec<u8>) {
    push_str(out, b"(");
    push_str(out, b"type");
    push_str(out, b"directory");
}

/// The start of a directory's entry; its node follows, then [`close`].
pub fn entry(out: &mut Vec<u8>, name: &[u8]) {
    push_str(out, b"entry");
    push_str(out, b"(");
    push_str(out, b"name");
    push_str(out, name);
    push_str(out, b"node");
}

/// The end of an entry or of a node.
pub fn close(out: &mut Vec<u8>) {
    push_str(out, b")");
}

/// The start of a regular file; exactly `size` bytes of contents and their [`padding`] follow, then [`close`].
pub fn regular(out: &mut Vec<u8>, executable: bool, size: u64) {
    push_str(out, b"(");
    push_str(out, b"type");
    push_str(out, b"regular");
    if executable {
        push_str(out, b"executable");
        push_str(out, b"");
    }
    push_str(out, b"contents");
    push_int(out, size);
}

/// A whole symlink node.
pub fn symlink(out: &mut Vec<u8>, target: &[u8]) {
    push_str(out, b"(");
    push_str(out, b"type");
    push_str(out, b"symlink");
    push_str(out, b"target");
    push_str(out, target);
    push_str(out, b")");
}
