//! Writes an entry as its canonical line, and parses entry lines.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

use super::container;
use crate::manifest::{Attributes, Compose, Content, Entry, Record, Security, Sha256Digest, Xattrs};
use crate::path::{EntryPath, is_hazardous};

/// Appends a JSON string. Escapes `"`, `\` and hazardous characters, and nothing else.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Without an early exit, the compiler can check several bytes at once.
    if text.as_bytes().iter().fold(true, |all, &byte| all & is_plain(byte)) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let short = match character {
            '"' => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\u{8}' => b'b',
            '\u{c}' => b'f',
            _ if is_hazardous(character) => 0,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + character.len_utf8();
        if short == 0 {
            let code = u32::from(character).to_be_bytes();
            out.extend_from_slice(b"\\u");
            push_hex(out, &code[2..]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

/// Whether a byte is printable ASCII that no JSON string escapes.
pub const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + HEXLOWER.encode_len(bytes.len()), 0);
    HEXLOWER.encode_mut(bytes, &mut out[start..]);
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + BASE64.encode_len(bytes.len()), 0);
    BASE64.encode_mut(bytes, &mut out[start..]);
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    // Writing to a vector can't fail.
    let _ = write!(out, "{number}");
}

/// `"key":"text"`, or `"key_base64":"…"` if the bytes are not UTF-8.
fn push_bytes(out: &mut Vec<u8>, key: &str, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    if let Ok(text) = std::str::from_utf8(bytes) {
        out.extend_from_slice(b"\":");
        push_string(out, text);
    } else {
        out.extend_from_slice(b"_base64\":\"");
        push_base64(out, bytes);
        out.push(b'"');
    }
}

/// Appends the line of an entry, without comma and line feed.
pub fn push_entry(out: &mut Vec<u8>, path: &[u8], record: &Record) {
    out.push(b'{');
    push_bytes(out, "path", path);
    out.push(b',');
    push_keys(out, record);
    out.push(b'}');
}

/// Likewise, without the path.
pub fn push_record(out: &mut Vec<u8>, record: &Record) {
    out.push(b'{');
    push_keys(out, record);
    out.push(b'}');
}

fn push_keys(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(b"\"type\":\"");
    out.extend_from_slice(record.content.type_name().as_bytes());
    out.push(b'"');
    match &record.content {
        Content::File { executable, size, sha256 } => {
            if *executable {
                out.extend_from_slice(b",\"executable\":true");
            }
            out.extend_from_slice(b",\"size\":");
            push_number(out, *size);
            push_sha256(out, sha256);
        }
        Content::Checksum { sha256 } | Content::Module { sha256 } => push_sha256(out, sha256),
        Content::Directory { nar: Some(nar) } => {
            out.extend_from_slice(b",\"nar\":\"sha256-");
            push_base64(out, &nar.0);
            out.push(b'"');
        }
        Content::Symlink { target } => {
            out.push(b',');
            push_bytes(out, "target", target);
        }
        Content::CharDevice { major, minor } | Content::BlockDevice { major, minor } => {
            out.extend_from_slice(b",\"major\":");
            push_number(out, u64::from(*major));
            out.extend_from_slice(b",\"minor\":");
            push_number(out, u64::from(*minor));
        }
        Content::Container(container) => container::push(out, container),
        Content::Directory { nar: None } | Content::Fifo | Content::Socket => {}
    }
    if let Some(attributes) = &record.attributes {
        push_attributes(out, attributes);
    }
}

fn push_sha256(out: &mut Vec<u8>, sha256: &Sha256Digest) {
    out.extend_from_slice(b",\"sha256\":\"");
    push_hex(out, &sha256.0);
    out.push(b'"');
}

fn push_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    if let Some(mode) = attributes.mode {
        out.extend_from_slice(format!(",\"mode\":\"{mode:04o}\"").as_bytes());
    }
    if let Some((user, group)) = attributes.owner {
        out.extend_from_slice(format!(",\"uid\":{user},\"gid\":{group}").as_bytes());
    }
    if let Some(xattrs) = &attributes.xattrs {
        out.extend_from_slice(b",\"xattrs\":{");
        let mut first = true;
        for (name, value) in xattrs {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            // Names of extended attributes that are not UTF-8 do not occur in practice. They get a prefix that no Linux
            // name space has (`user.`, `security.` and so on all have a dot), and Base64, so that they are distinct and
            // exact.
            if let Ok(name) = std::str::from_utf8(name) {
                push_string(out, name);
            } else {
                out.extend_from_slice(b"\"base64:");
                push_base64(out, name);
                out.push(b'"');
            }
            out.extend_from_slice(b":\"");
            push_base64(out, value);
            out.push(b'"');
        }
        out.push(b'}');
    }
}

/// The keys of an entry line in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    path: Option<String>,
    path_base64: Option<&'a str>,
    r#type: &'a str,
    executable: Option<bool>,
    size: Option<u64>,
    sha256: Option<&'a str>,
    nar: Option<&'a str>,
    target: Option<String>,
    target_base64: Option<&'a str>,
    major: Option<u32>,
    minor: Option<u32>,
    mode: Option<&'a str>,
    uid: Option<u32>,
    gid: Option<u32>,
    xattrs: Option<BTreeMap<String, String>>,
    pub(super) image: Option<Box<str>>,
    pub(super) image_id: Option<&'a str>,
    pub(super) repo_digests: Option<Vec<Box<str>>>,
    pub(super) state: Option<Box<str>>,
    pub(super) mounts: Option<Vec<container::MountItem>>,
    pub(super) networks: Option<Vec<Box<str>>>,
    pub(super) ports: Option<Vec<Box<str>>>,
    pub(super) labels: Option<BTreeMap<Box<str>, String>>,
    pub(super) env: Option<Vec<Box<str>>>,
    pub(super) security: Option<Box<Security>>,
    pub(super) compose: Option<Box<Compose>>,
}

/// Parses one entry line, without comma and line feed.
///
/// This accepts some lines that are not canonical. The reader writes the result again and compares.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_entry(line: &[u8]) -> Result<Entry, String> {
    let mut line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let path = bytes(line.path.take(), line.path_base64).ok_or("it needs either `path` or a valid `path_base64`")?;
    let path = EntryPath::new(path).map_err(|error| error.to_string())?;
    Ok(Entry { path, record: record(line)? })
}

/// Parses the keys of an entry line without its path. Also accepts records that no JSON lock has: a file of a
/// `sha256sum` lock, which has no size, and a module of an old lock.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_record(text: &[u8]) -> Result<Record, String> {
    let line: Line<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if line.path.is_some() || line.path_base64.is_some() {
        return Err("it has a path".to_owned());
    }
    let sha256 = |text| Sha256Digest::from_hex(text).ok_or("`sha256` is not 64 lower-case hexadecimal digits");
    let content = match (line.r#type, line.sha256, line.size) {
        ("file", Some(text), None) => Content::Checksum { sha256: sha256(text)? },
        ("directory", Some(text), None) => Content::Module { sha256: sha256(text)? },
        _ => return record(line),
    };
    Ok(Record { content, attributes: None })
}

fn record(mut line: Line<'_>) -> Result<Record, String> {
    let content = match (line.r#type, line.sha256, line.nar, line.major, line.minor) {
        ("file", Some(sha256), None, None, None) => Content::File {
            executable: line.executable.unwrap_or(false),
            size: line.size.ok_or("a file needs `size`")?,
            sha256: Sha256Digest::from_hex(sha256).ok_or("`sha256` is not 64 lower-case hexadecimal digits")?,
        },
        ("directory", None, None, None, None) => Content::Directory { nar: None },
        ("directory", None, Some(nar), None, None) => {
            Content::Directory { nar: Some(Sha256Digest::from_sri(nar).ok_or("`nar` is not `sha256-` and Base64")?) }
        }
        ("symlink", None, None, None, None) => Content::Symlink {
            target: bytes(line.target.take(), line.target_base64)
                .ok_or("a symlink needs either `target` or a valid `target_base64`")?
                .into(),
        },
        ("fifo", None, None, None, None) => Content::Fifo,
        ("socket", None, None, None, None) => Content::Socket,
        ("char_device", None, None, Some(major), Some(minor)) => Content::CharDevice { major, minor },
        ("block_device", None, None, Some(major), Some(minor)) => Content::BlockDevice { major, minor },
        ("container", None, None, None, None) => Content::Container(Box::new(container::parse(&mut line)?)),
        _ => return Err("the keys do not fit its `type`".to_owned()),
    };
    let mode = match line.mode {
        Some(text) => {
            let mode = u16::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777);
            Some(mode.ok_or("`mode` is not octal, or more than 7777")?)
        }
        None => None,
    };
    let owner = match (line.uid, line.gid) {
        (Some(user), Some(group)) => Some((user, group)),
        (None, None) => None,
        _ => return Err("`uid` and `gid` come together".to_owned()),
    };
    let xattrs = line.xattrs.map(xattrs).transpose()?;
    let attributes =
        (mode.is_some() || owner.is_some() || xattrs.is_some()).then(|| Box::new(Attributes { mode, owner, xattrs }));
    Ok(Record { content, attributes })
}

fn bytes(text: Option<String>, base64: Option<&str>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(base64)) => BASE64.decode(base64.as_bytes()).ok(),
        _ => None,
    }
}

fn xattrs(map: BTreeMap<String, String>) -> Result<Xattrs, String> {
    let mut xattrs = map
        .into_iter()
        .map(|(name, value)| {
            let name = match name.strip_prefix("base64:") {
                Some(base64) => BASE64.decode(base64.as_bytes()).ok()?,
                None => name.into_bytes(),
            };
            Some((name.into(), BASE64.decode(value.as_bytes()).ok()?.into()))
        })
        .collect::<Option<Xattrs>>()
        .ok_or("`xattrs` is not Base64")?;
    xattrs.sort();
    Ok(xattrs)
}
