//! An HTTP/1.1 client for one engine: GET requests, one after another, over one connection.
//!
//! Source: RFC 9112. The only possible request is a GET without a body. A response must state its length, by
//! `Content-Length` or by chunks. A response with both or neither is refused, so that no response can be mistaken for
//! part of another.

use std::fmt::Write as _;

use httparse::Status;

use super::error::EngineError;
use super::stream::Stream;

/// The longest head of a response, and the longest trailer, in bytes.
const HEAD_LIMIT: usize = 16 << 10;
/// The most header fields.
const FIELDS: usize = 64;
/// The longest line with a chunk size, in bytes.
const CHUNK_LINE_LIMIT: usize = 1 << 10;

/// A request target: a path and a query, percent-encoded.
#[derive(Debug)]
pub struct RequestTarget(String);

impl RequestTarget {
    /// A path of these names.
    pub fn new(names: &[&str]) -> Self {
        let mut target = String::new();
        for name in names {
            target.push('/');
            percent_encode(&mut target, name);
        }
        Self(target)
    }

    /// Adds a query with one parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.0.push('?');
        percent_encode(&mut self.0, name);
        self.0.push('=');
        percent_encode(&mut self.0, value);
        self
    }
}

/// Percent-encodes everything except what RFC 3986 calls unreserved, and the colon of `sha256:`, which paths and
/// queries allow.
fn percent_encode(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    /// The header field `X-Docker-Container-Path-Stat`.
    pub path_stat: Option<String>,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// This many bytes are left.
    Length(u64),
    /// This many bytes are left of this chunk; another chunk size line follows.
    Chunk(u64),
    /// A chunk size line is next, after the end of a chunk unless it is the first.
    ChunkLine {
        first: bool,
    },
    End,
}

/// Sends a request and reads the head of the response. Read the body to its end before the next request.
pub fn get<'s, 'a>(stream: &'s mut Stream<'a>, target: &RequestTarget) -> Result<(Head, Body<'s, 'a>), EngineError> {
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
        // An incomplete head is parsed again only after each line, however few bytes arrive at a time.
        if !bytes[before..].contains(&b'\n') && bytes.len() <= HEAD_LIMIT {
            stream.take(bytes.len() - before);
            continue;
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&bytes) {
            Ok(Status::Complete(length)) => {
                let head = parse_head(&response)?;
                stream.take(length - before);
                return Ok(head);
            }
            Ok(Status::Partial) if bytes.len() > HEAD_LIMIT => {
                return Err(EngineError::TooLarge { what: "bytes before the body", limit: HEAD_LIMIT as u64 });
            }
            Ok(Status::Partial) => stream.take(bytes.len() - before),
            Err(error) => return Err(EngineError::malformed(format!("it is not HTTP: {error}"))),
        }
    }
}

fn parse_head(response: &httparse::Response<'_, '_>) -> Result<Head, EngineError> {
    let status = response.code.unwrap_or_default();
    if response.version != Some(1) || !(200..600).contains(&status) {
        return Err(EngineError::malformed(format!("it is not a final HTTP/1.1 response (status {status})")));
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
            length = Some(number.ok_or_else(|| EngineError::malformed("its Content-Length is not a single number"))?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return Err(EngineError::malformed("its transfer encoding is not `chunked`"));
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            return Err(EngineError::malformed("it is compressed, which was not requested"));
        } else if field.name.eq_ignore_ascii_case("x-docker-container-path-stat") {
            path_stat = Some(value.to_owned());
        }
    }
    let framing = match (length, chunked) {
        (Some(0), false) => Framing::End,
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::ChunkLine { first: true },
        (Some(_), true) => return Err(EngineError::malformed("it has both a Content-Length and chunks")),
        (None, false) => return Err(EngineError::malformed("it does not state its length")),
    };
    Ok(Head { status, path_stat, framing })
}

/// The body of a response, as a stream.
#[derive(Debug)]
pub struct Body<'s, 'a> {
    stream: &'s mut Stream<'a>,
    framing: Framing,
}

impl Body<'_, '_> {
    /// Reads some bytes; 0 only at the end of the body.
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

    /// Reads the rest, if it has at most `limit` bytes.
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
            return Err(EngineError::malformed("a chunk is longer than stated"));
        }
        let line = self.line()?;
        let Ok(Status::Complete((_, size))) = httparse::parse_chunk_size(&[&line[..], b"\r\n"].concat()) else {
            return Err(EngineError::malformed("a chunk does not state its length"));
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
        Err(EngineError::TooLarge { what: "bytes after the body", limit: HEAD_LIMIT as u64 })
    }

    /// Reads a line, without its CR and LF.
    fn line(&mut self) -> Result<Vec<u8>, EngineError> {
        let mut line = Vec::new();
        loop {
            let ready = self.stream.fill()?;
            let end = ready.iter().position(|&byte| byte == b'\n');
            line.extend_from_slice(&ready[..end.map_or(ready.len(), |end| end + 1)]);
            let taken = end.map_or(ready.len(), |end| end + 1);
            self.stream.take(taken);
            if line.len() > CHUNK_LINE_LIMIT {
                return Err(EngineError::malformed("a line between its chunks is too long"));
            }
            if end.is_some() {
                return match line.strip_suffix(b"\r\n") {
                    Some(line) => Ok(line.to_vec()),
                    None => Err(EngineError::malformed("a line between its chunks ends with LF alone")),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
