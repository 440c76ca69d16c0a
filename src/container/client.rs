//! A client of the engine's API: negotiates the version, and reads JSON responses.
//!
//! Source: <https://docs.docker.com/reference/api/engine/>. Podman's service is compatible for these requests.

use std::os::fd::BorrowedFd;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::EngineError;
use super::http::{self, Body, Head, RequestTarget};
use super::stream::{Stream, Timeouts};

/// The supported API versions. All requests exist since the first one. Podman accepts none before it, and Docker 29
/// none before the last one.
const OLDEST: Version = Version(1, 24);
const NEWEST: Version = Version(1, 44);

/// The largest JSON response, in bytes. A container takes about 5 KiB.
const JSON_LIMIT: usize = 32 << 20;
/// The largest error response, in bytes.
const MESSAGE_LIMIT: usize = 64 << 10;
/// The longest error message to show, in characters.
const MESSAGE_SHOWN: usize = 300;

const NOT_FOUND: u16 = 404;
const OK: u16 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn parse(text: &str) -> Result<Self, EngineError> {
        let parts =
            text.split_once('.').and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)));
        parts.ok_or_else(|| EngineError::malformed(format!("`{text}` is not an API version")))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[derive(Deserialize)]
struct VersionAnswer {
    #[serde(rename = "ApiVersion")]
    newest: String,
    #[serde(rename = "MinAPIVersion")]
    oldest: Option<String>,
    #[serde(rename = "Components")]
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "Name", default)]
    name: String,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// A client with a negotiated version.
#[derive(Debug)]
pub struct Client<'a> {
    stream: Stream<'a>,
    /// `v1.41`.
    version: String,
    /// Whether the engine is Podman.
    pub is_podman: bool,
}

impl<'a> Client<'a> {
    /// Negotiates a version with the engine at a connected socket.
    ///
    /// # Errors
    /// The engine does not respond, or there is no common version.
    pub fn new(socket: BorrowedFd<'a>, timeouts: Timeouts) -> Result<Self, EngineError> {
        let mut stream = Stream::new(socket, timeouts);
        let (head, body) = http::get(&mut stream, &RequestTarget::new(&["version"]))?;
        let answer: VersionAnswer = parse(&found(&head, body)?.whole(JSON_LIMIT)?)?;
        let newest = Version::parse(&answer.newest)?;
        let oldest = answer.oldest.as_deref().map(Version::parse).transpose()?.unwrap_or(OLDEST);
        if newest < OLDEST {
            return Err(EngineError::TooOld { found: newest.to_string(), oldest: OLDEST.to_string() });
        }
        if oldest > NEWEST {
            return Err(EngineError::TooNew { found: oldest.to_string(), newest: NEWEST.to_string() });
        }
        let is_podman = answer.components.iter().flatten().any(|component| component.name.starts_with("Podman"));
        Ok(Self { stream, version: format!("v{}", newest.min(NEWEST)), is_podman })
    }

    /// A request target below the version's path.
    pub fn target(&self, names: &[&str]) -> RequestTarget {
        RequestTarget::new(&[&[self.version.as_str()], names].concat())
    }

    /// Requests JSON; `None` if the engine responds with "not found".
    ///
    /// # Errors
    /// There is no response, or it is not valid.
    pub fn json<T: DeserializeOwned>(&mut self, target: &RequestTarget) -> Result<Option<T>, EngineError> {
        let (head, body) = http::get(&mut self.stream, target)?;
        if head.status == NOT_FOUND {
            body.whole(MESSAGE_LIMIT)?;
            return Ok(None);
        }
        parse(&found(&head, body)?.whole(JSON_LIMIT)?).map(Some)
    }

    /// Requests an archive; `None` if the engine responds with "not found".
    ///
    /// # Errors
    /// There is no response, or it is an error.
    pub fn archive(&mut self, target: &RequestTarget) -> Result<Option<(Head, Body<'_, 'a>)>, EngineError> {
        self.stream.allow(self.stream.timeouts.archive);
        let (head, body) = http::get(&mut self.stream, target)?;
        if head.status == NOT_FOUND {
            body.whole(MESSAGE_LIMIT)?;
            return Ok(None);
        }
        let body = found(&head, body)?;
        Ok(Some((head, body)))
    }
}

/// The body of a successful response, or the engine's error message.
fn found<'s, 'a>(head: &Head, body: Body<'s, 'a>) -> Result<Body<'s, 'a>, EngineError> {
    if head.status == OK {
        return Ok(body);
    }
    let bytes = body.whole(MESSAGE_LIMIT)?;
    let message = serde_json::from_slice(&bytes).map(|Message { message }| message);
    let message = message.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned());
    Err(EngineError::Status { status: head.status, message: message.trim().chars().take(MESSAGE_SHOWN).collect() })
}

/// Parses JSON. The error does not quote it, because it contains values of environment variables.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "a key is missing or has the wrong type",
            Category::Syntax | Category::Eof | Category::Io => "it is not JSON",
        };
        EngineError::malformed(format!("{what}, at line {}, column {}", error.line(), error.column()))
    })
}

#[cfg(test)]
mod tests;
