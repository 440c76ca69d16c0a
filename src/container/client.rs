//! The engine's API: its version, agreed on first, and answers in JSON.
//!
//! Source: <https://docs.docker.com/reference/api/engine/>, which Podman's service keeps to for what is asked here.

use std::os::fd::BorrowedFd;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::EngineError;
use super::http::{self, Body, Head, Target};
use super::stream::{Patience, Stream};

/// The versions of the API that this knows. All that is asked for has been there since the first one; Podman has
/// accepted none before it, and Docker 29 none before the last one.
const OLDEST: Version = Version(1, 24);
const NEWEST: Version = Version(1, 44);

/// The largest answer in JSON, in bytes. A container takes some 5 KiB.
const JSON_LIMIT: usize = 32 << 20;
/// The largest message of an error that is read, in bytes.
const MESSAGE_LIMIT: usize = 64 << 10;
/// The longest message that is shown, in characters.
const MESSAGE_SHOWN: usize = 300;

const NOT_FOUND: u16 = 404;
const OK: u16 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn parse(text: &str) -> Result<Self, EngineError> {
        let parts =
            text.split_once('.').and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)));
        parts.ok_or_else(|| EngineError::malformed(format!("{text:?} is no version of the API")))
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

/// A client that has agreed on a version.
#[derive(Debug)]
pub struct Client<'a> {
    stream: Stream<'a>,
    /// `v1.41`.
    version: String,
    /// Whether the engine is Podman, which differs where it can.
    pub is_podman: bool,
}

impl<'a> Client<'a> {
    /// Agrees on a version with the engine behind a connected socket.
    ///
    /// # Errors
    /// An engine that does not answer, or with which there is no version in common.
    pub fn new(socket: BorrowedFd<'a>, patience: Patience) -> Result<Self, EngineError> {
        let mut stream = Stream::new(socket, patience);
        let (head, body) = http::get(&mut stream, &Target::new(&["version"]))?;
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

    /// A path below the agreed version.
    pub fn target(&self, names: &[&str]) -> Target {
        Target::new(&[&[self.version.as_str()], names].concat())
    }

    /// An answer in JSON; nothing if the engine does not have what was asked for.
    ///
    /// # Errors
    /// No answer, or one that is not what it should be.
    pub fn json<T: DeserializeOwned>(&mut self, target: &Target) -> Result<Option<T>, EngineError> {
        let (head, body) = http::get(&mut self.stream, target)?;
        if head.status == NOT_FOUND {
            body.whole(MESSAGE_LIMIT)?;
            return Ok(None);
        }
        parse(&found(&head, body)?.whole(JSON_LIMIT)?).map(Some)
    }

    /// An answer that is an archive; nothing if the engine does not have what was asked for.
    ///
    /// # Errors
    /// No answer, or that of an error.
    pub fn archive(&mut self, target: &Target) -> Result<Option<(Head, Body<'_, 'a>)>, EngineError> {
        self.stream.allow(self.stream.patience.archive);
        let (head, body) = http::get(&mut self.stream, target)?;
        if head.status == NOT_FOUND {
            body.whole(MESSAGE_LIMIT)?;
            return Ok(None);
        }
        let body = found(&head, body)?;
        Ok(Some((head, body)))
    }
}

/// The body of an answer that is what was asked for, or what the engine says instead.
fn found<'s, 'a>(head: &Head, body: Body<'s, 'a>) -> Result<Body<'s, 'a>, EngineError> {
    if head.status == OK {
        return Ok(body);
    }
    let bytes = body.whole(MESSAGE_LIMIT)?;
    let message = serde_json::from_slice(&bytes).map(|Message { message }| message);
    let message = message.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned());
    Err(EngineError::Status { status: head.status, message: message.trim().chars().take(MESSAGE_SHOWN).collect() })
}

/// Reads JSON. The error does not quote it: there are values of environment variables in it.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "it lacks a key, or has something else than it should",
            Category::Syntax | Category::Eof | Category::Io => "it is no JSON",
        };
        EngineError::malformed(format!("{what}, at line {}, column {}", error.line(), error.column()))
    })
}
