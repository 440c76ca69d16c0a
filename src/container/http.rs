//! HTTP/1.1 as a client of one engine: GET requests, one after another, over one connection.
//!
//! Source: RFC 9112. The only request that can be written is a GET without a body. An answer has to say where it ends, by
//! `Content-Length` or by chunks; one that says both, or neither, is refused, so that the next answer can't be taken
//! for a part of this one.

use std::fmt::Write as _;

use httparse::Status;

use super::error::EngineError;
use super::stream::Stream;

/// The longest head of an answer, and the longest trailer, in bytes.
const HEAD_LIMIT: usize = 16 << 10;
/// The most fields in a head.
const FIELDS: usize = 64;
/// The longest line with the size of a chunk, in bytes.
const CHUNK_LINE_LIMIT: usize = 1 << 10;

/// What is asked for: a path and a query, all of it encoded.
#[derive(Debug)]
pub struct Target(String);

impl Target {
    /// A path of these names.
    pub fn new(names: &[&str]) -> Self {
        let mut target = String::new();
        for name in names {
            target.push('/');
            encode(&mut target, name);
        }
        Self(target)
    }

    /// Adds the one parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.0.push('?');
        encode(&mut self.0, name);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }
}

/// Percent-encodes all but what RFC 3986 calls unreserved, and the colon of `sha256:`, which paths and queries may have.
fn encode(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// What stands before the body of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    /// The field `X-Docker-Container-Path-Stat`.
    pub path_stat: Option<String>,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// So many bytes are left of this chunk; another line with a size follows.
    Chunk(u64),
    /// A line with a size is next, after the end of a chunk if there was one.
    ChunkLine {
        first: bool,
    },
    End,
}

/// Asks, and reads the head of the answer. The body has to be read to its end before the next request.
pub fn get<'s, 'a>(stream: &'s mut Stream<'a>, target: &Target) -> Result<(Head, Body<'s, 'a>), EngineError> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: driftlock/{}\r\nAccept: */*\r\n\r\n",
        target.0,
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes())?;
    let head = head(stream)?;
    let framing = head.framing;
    Ok((head, Body { stream, framing }))
}

fn head(stream: &mut Stream<'_>) -> Result<Head, EngineError> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        bytes.extend_from_slice(stream.fill()?);
        // What has no end yet is parsed again with each line only, however few bytes come at a time.
        if !bytes[before..].contains(&b'\n') && bytes.len() <= HEAD_LIMIT {
            stream.take(bytes.len() - before);
            continue;
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&bytes) {
            Ok(Status::Complete(length)) => {
                let head = understand(&response)?;
                stream.take(length - before);
                return Ok(head);
            }
            Ok(Status::Partial) if bytes.len() > HEAD_LIMIT => {
                return Err(EngineError::TooLarge { what: "bytes before the body", limit: HEAD_LIMIT as u64 });
            }
            Ok(Status::Partial) => stream.take(bytes.len() - before),
            Err(error) => return Err(EngineError::malformed(format!("it is no HTTP: {error}"))),
        }
    }
}

fn understand(response: &httparse::Response<'_, '_>) -> Result<Head, EngineError> {
    let status = response.code.unwrap_or_default();
    if response.version != Some(1) || !(200..600).contains(&status) {
        return Err(EngineError::malformed(format!("it is no final answer in HTTP/1.1 (status {status})")));
    }
    let mut length = None;
    let mut chunked = false;
    let mut path_stat = None;
    for field in response.headers.iter() {
        let value =
            std::str::from_utf8(field.value).map_err(|_| EngineError::malformed("a field is not UTF-8"))?.trim();
        if field.name.eq_ignore_ascii_case("content-length") {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|_| digits && length.is_none());
            length = Some(number.ok_or_else(|| EngineError::malformed("its Content-Length is no single number"))?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return Err(EngineError::malformed("it is encoded in another way than in chunks"));
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            return Err(EngineError::malformed("it is compressed, which was not asked for"));
        } else if field.name.eq_ignore_ascii_case("x-docker-container-path-stat") {
            path_stat = Some(value.to_owned());
        }
    }
    let framing = match (length, chunked) {
        (Some(0), false) => Framing::End,
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::ChunkLine { first: true },
        (Some(_), true) => return Err(EngineError::malformed("it has a Content-Length and chunks")),
        (None, false) => return Err(EngineError::malformed("it does not say where it ends")),
    };
    Ok(Head { status, path_stat, framing })
}

/// The body of an answer, as it comes.
#[derive(Debug)]
pub struct Body<'s, 'a> {
    stream: &'s mut Stream<'a>,
    framing: Framing,
}

impl Body<'_, '_> {
    /// Reads some bytes; none at the end of the body alone.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        loop {
            let left = match self.framing {
                Framing::End => return Ok(0),
                Framing::Length(left) | Framing::Chunk(left) => left,
                Framing::ChunkLine { first } => {
                    self.chunk_line(first)?;
                    continue;
                }
            };
            let ready = self.stream.fill()?;
            let bytes = ready.len().min(into.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
            into[..bytes].copy_from_slice(&ready[..bytes]);
            self.stream.take(bytes);
            let left = left - bytes as u64;
            self.framing = match self.framing {
                Framing::Length(_) if left == 0 => Framing::End,
                Framing::Length(_) => Framing::Length(left),
                _ if left == 0 => Framing::ChunkLine { first: false },
                _ => Framing::Chunk(left),
            };
            return Ok(bytes);
        }
    }

    /// Reads all that is left, if it is not more than `limit` bytes.
    pub fn whole(mut self, limit: usize) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 8 << 10];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(bytes),
                read => bytes.extend_from_slice(&buffer[..read]),
            }
            if bytes.len() > limit {
                return Err(EngineError::TooLarge { what: "bytes", limit: limit as u64 });
            }
        }
    }

    fn chunk_line(&mut self, first: bool) -> Result<(), EngineError> {
        if !first && !self.line()?.is_empty() {
            return Err(EngineError::malformed("a chunk is longer than it says"));
        }
        let line = self.line()?;
        let Ok(Status::Complete((_, size))) = httparse::parse_chunk_size(&[&line[..], b"\r\n"].concat()) else {
            return Err(EngineError::malformed("a chunk does not say how long it is"));
        };
        if size > 0 {
            self.framing = Framing::Chunk(size);
            return Ok(());
        }
        let mut trailer = 0;
        while trailer <= HEAD_LIMIT {
            let line = self.line()?;
            if line.is_empty() {
                self.framing = Framing::End;
                return Ok(());
            }
            trailer += line.len() + 2;
        }
        Err(EngineError::TooLarge { what: "bytes behind the body", limit: HEAD_LIMIT as u64 })
    }

    /// A line, without its CR and LF.
    fn line(&mut self) -> Result<Vec<u8>, EngineError> {
        let mut line = Vec::new();
        loop {
            let ready = self.stream.fill()?;
            let end = ready.iter().position(|&byte| byte == b'\n');
            line.extend_from_slice(&ready[..end.map_or(ready.len(), |end| end + 1)]);
            let taken = end.map_or(ready.len(), |end| end + 1);
            self.stream.take(taken);
            if line.len() > CHUNK_LINE_LIMIT {
                return Err(EngineError::malformed("a line between its chunks has no end"));
            }
            if end.is_some() {
                return match line.strip_suffix(b"\r\n") {
                    Some(line) => Ok(line.to_vec()),
                    None => Err(EngineError::malformed("a line between its chunks ends in LF alone")),
                };
            }
        }
    }
}
