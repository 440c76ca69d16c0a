//! The file of allowed signers, as ssh-keygen(1) documents it under "ALLOWED SIGNERS".
//!
//! ```text
//! # a comment
//! ops@example.org namespaces="driftlock",valid-before="20271231Z" ssh-ed25519 AAAA… a comment
//! ```
//!
//! Everything that is not supported is an error, so that no rule of the file is ignored: certificate authorities, patterns
//! of namespaces, types of keys that can't sign seals, and unknown options.

use std::collections::HashMap;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::NAMESPACE;
use super::key::{KeyError, PublicKey};
use crate::path::{escaped, is_hazardous};

/// The largest file of allowed signers that is read, in bytes.
pub const LIMIT: u64 = 1 << 20;

/// The allowed signers.
#[derive(Debug)]
pub struct Signers {
    all: Vec<Signer>,
    /// For each key, by its bytes, the indices of its lines in that list.
    by_key: HashMap<Vec<u8>, Vec<usize>>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The principals as in the file: `ops@example.org`, or several with commas.
    pub principals: String,
    pub key: PublicKey,
    /// Whether the key is for the namespace of seals.
    is_for_seals: bool,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// Why a file of allowed signers is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignersError {
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it names no signer")]
    NoSigner,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: LineError },
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("it contains a control character or an invisible one")]
    Control,
    #[error("the principals are malformed")]
    Principals,
    #[error("it has no key")]
    NoKey,
    #[error("the option {0} is unknown")]
    Option(String),
    #[error("the option {0} occurs twice")]
    Twice(&'static str),
    #[error("the option {0} has no value in double quotes")]
    Unquoted(&'static str),
    #[error("there is no blank after the options")]
    AfterOptions,
    #[error("certificate authorities are not supported")]
    CertAuthority,
    #[error("{0:?} is not a list of namespaces: only names, separated by commas, are supported, not patterns")]
    Namespaces(String),
    #[error("{0:?} is not a time: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, followed by Z for UTC")]
    Time(String),
    #[error("valid-before is not later than valid-after")]
    Never,
    #[error("the key is not Base64")]
    NotBase64,
    #[error("the line says {said}, but the key is of type {is}")]
    OtherType { said: String, is: &'static str },
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// Why a key may not sign seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("it is not among the allowed signers")]
    Unknown,
    #[error("the allowed signers have it only for other namespaces than {NAMESPACE:?}")]
    OtherNamespace,
    #[error("it is not valid before {0}")]
    NotYet(Timestamp),
    #[error("it was valid until {0}")]
    Expired(Timestamp),
}

impl Signers {
    /// Parses the file. Times without a `Z` are in `zone`.
    ///
    /// # Errors
    /// The first line that is malformed or not supported, and a file that names no signer.
    pub fn parse(bytes: &[u8], zone: &TimeZone) -> Result<Self, SignersError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SignersError::NotUtf8)?;
        let mut all = Vec::new();
        let mut by_key: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (number, line) in text.split('\n').enumerate() {
            let line = line.trim_start_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let signer = signer(line, zone).map_err(|problem| SignersError::Line { line: number + 1, problem })?;
            by_key.entry(signer.key.blob().to_vec()).or_default().push(all.len());
            all.push(signer);
        }
        if all.is_empty() { Err(SignersError::NoSigner) } else { Ok(Self { all, by_key }) }
    }

    /// Finds the signer with this key, which must be allowed to sign seals at this time. If several lines have the key,
    /// one of them must allow it.
    ///
    /// # Errors
    /// No line allows it.
    pub fn find(&self, key: &PublicKey, at: Timestamp) -> Result<&Signer, NotAllowed> {
        let mut refused = NotAllowed::Unknown;
        for &place in self.by_key.get(key.blob()).into_iter().flatten() {
            let signer = &self.all[place];
            match signer.allows(at) {
                Ok(()) => return Ok(signer),
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }
}

impl Signer {
    fn allows(&self, at: Timestamp) -> Result<(), NotAllowed> {
        match *self {
            Self { is_for_seals: false, .. } => Err(NotAllowed::OtherNamespace),
            Self { valid_after: Some(after), .. } if at < after => Err(NotAllowed::NotYet(after)),
            Self { valid_before: Some(before), .. } if at > before => Err(NotAllowed::Expired(before)),
            _ => Ok(()),
        }
    }
}

fn signer(line: &str, zone: &TimeZone) -> Result<Signer, LineError> {
    if line.chars().any(|character| is_hazardous(character) && character != '\t') {
        return Err(LineError::Control);
    }
    let (principals, rest) = principals(line).ok_or(LineError::Principals)?;
    let (options, rest) = options(rest, zone)?;
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let (Some(said), Some(base64)) = (words.next(), words.next()) else { return Err(LineError::NoKey) };
    // Report an unknown type as such, even if the key is malformed.
    let blob = match BASE64.decode(base64.as_bytes()) {
        Ok(blob) => blob,
        Err(_) if is_type(said) => return Err(LineError::NotBase64),
        Err(_) => return Err(LineError::Option(escaped(said.as_bytes()).to_string())),
    };
    let key = PublicKey::parse(&blob)?;
    if key.type_name() != said {
        return Err(LineError::OtherType { said: escaped(said.as_bytes()).to_string(), is: key.type_name() });
    }
    let Options { is_for_seals, valid_after, valid_before } = options;
    if let (Some(after), Some(before)) = (valid_after, valid_before)
        && before <= after
    {
        return Err(LineError::Never);
    }
    let is_for_seals = is_for_seals.unwrap_or(true);
    Ok(Signer { principals: principals.to_owned(), key, is_for_seals, valid_after, valid_before })
}

/// Whether a word could be the type of a key.
fn is_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// The principals, without the quotes that they may be in, and the rest of the line.
fn principals(line: &str) -> Option<(&str, &str)> {
    let (principals, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').filter(|(_, rest)| rest.starts_with([' ', '\t']))?,
        None => line.split_once([' ', '\t'])?,
    };
    // A negated pattern only excludes: alone, it allows nothing.
    let is_list = principals.split(',').all(|principal| !principal.trim().is_empty() && !principal.starts_with('!'));
    (is_list && !principals.contains('"')).then_some((principals, rest.trim_start_matches([' ', '\t'])))
}

#[derive(Default)]
struct Options {
    is_for_seals: Option<bool>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

const NAMESPACES: &str = "namespaces";
const VALID_AFTER: &str = "valid-after";
const VALID_BEFORE: &str = "valid-before";

/// The options, if the line has any, and the rest of it.
fn options<'a>(line: &'a str, zone: &TimeZone) -> Result<(Options, &'a str), LineError> {
    let mut options = Options::default();
    let first = line.split([' ', '\t']).next().unwrap_or(line);
    if is_type(first) {
        return Ok((options, line));
    }
    let mut rest = line;
    loop {
        let end = rest.find(['=', ',', ' ', '\t']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let name = match &*name.to_ascii_lowercase() {
            "cert-authority" => return Err(LineError::CertAuthority),
            NAMESPACES => NAMESPACES,
            VALID_AFTER => VALID_AFTER,
            VALID_BEFORE => VALID_BEFORE,
            _ => return Err(LineError::Option(escaped(name.as_bytes()).to_string())),
        };
        let (value, behind) =
            behind.strip_prefix("=\"").and_then(|quoted| quoted.split_once('"')).ok_or(LineError::Unquoted(name))?;
        let was_set = match name {
            NAMESPACES => options.is_for_seals.replace(namespaces(value)?).is_some(),
            VALID_AFTER => options.valid_after.replace(time(value, zone)?).is_some(),
            _ => options.valid_before.replace(time(value, zone)?).is_some(),
        };
        if was_set {
            return Err(LineError::Twice(name));
        }
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest,
            None if behind.starts_with([' ', '\t']) => return Ok((options, behind.trim_start_matches([' ', '\t']))),
            None if behind.is_empty() => return Err(LineError::NoKey),
            None => return Err(LineError::AfterOptions),
        };
    }
}

/// Whether a list of namespaces has the one of seals.
fn namespaces(list: &str) -> Result<bool, LineError> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['*', '?', '!', '\\', ' ', '\t']);
    if !list.split(',').all(is_name) {
        return Err(LineError::Namespaces(list.to_owned()));
    }
    Ok(list.split(',').any(|name| name == NAMESPACE))
}

/// Parses a time in the form of ssh-keygen(1).
fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, LineError> {
    let refused = || LineError::Time(text.to_owned());
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let padded = format!("{digits:0<14}");
    let part = |range: std::ops::Range<usize>| padded[range].parse::<i8>().map_err(|_| refused());
    let year = padded[..4].parse().map_err(|_| refused())?;
    let [month, day, hour, minute, second] = [part(4..6)?, part(6..8)?, part(8..10)?, part(10..12)?, part(12..14)?];
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| refused())?;
    let zoned = civil.to_zoned(zone.clone()).map_err(|_| refused())?;
    Ok(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKM0KBVk0aqaHaWxSMJjt2lZ5bCLXqKfxpXrPrYLAs4h";

    fn parse(text: &str) -> Result<Signers, SignersError> {
        Signers::parse(text.as_bytes(), &TimeZone::UTC)
    }

    fn line(text: &str) -> Result<Signer, LineError> {
        match parse(&format!("\n# a comment\n  # another\n{text}\n")) {
            Ok(signers) => Ok(signers.all[0].clone()),
            Err(SignersError::Line { line: 4, problem }) => Err(problem),
            Err(other) => panic!("{text}: {other}"),
        }
    }

    #[test]
    fn what_ssh_keygen_documents_is_read() {
        for (text, principals) in [
            (format!("ops@example.org {KEY}"), "ops@example.org"),
            (format!("\ta@x,*@y\t {KEY} a comment \" with quotes"), "a@x,*@y"),
            (format!("\"a b@x,c\" {KEY}"), "a b@x,c"),
            (format!("a NameSpaces=\"git,driftlock\" {KEY}"), "a"),
            (format!("a valid-before=\"20300101\",NAMESPACES=\"driftlock\",valid-after=\"202001010000Z\"  {KEY}"), "a"),
        ] {
            let signer = line(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((&*signer.principals, signer.key.kind()), (principals, "ed25519"));
            assert_eq!(signer.allows("2026-01-01T00:00:00Z".parse().unwrap()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==";
        let p384 = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAAAB";
        let typed = |name: &str| LineError::Key(KeyError::Type(name.to_owned()));
        let option = |name: &str| LineError::Option(name.to_owned());
        let cases = [
            (format!("*@x cert-authority {KEY}"), LineError::CertAuthority),
            (format!("*@x namespaces=\"driftlock\",cert-authority {KEY}"), LineError::CertAuthority),
            (format!("a {rsa}"), typed("ssh-rsa")),
            (format!("a {p384}"), typed("ecdsa-sha2-nistp384")),
            (format!("a verify-required {KEY}"), option("verify-required")),
            (format!("a no-touch-required,namespaces=\"driftlock\" {KEY}"), option("no-touch-required")),
            (format!("a namespaces=\"*\" {KEY}"), LineError::Namespaces("*".to_owned())),
            (format!("a namespaces=\"!git,driftlock\" {KEY}"), LineError::Namespaces("!git,driftlock".to_owned())),
            (format!("a namespaces=\"\" {KEY}"), LineError::Namespaces(String::new())),
            (format!("a namespaces=driftlock {KEY}"), LineError::Unquoted(NAMESPACES)),
            (format!("a namespaces {KEY}"), LineError::Unquoted(NAMESPACES)),
            (format!("a namespaces=\"driftlock\",namespaces=\"git\" {KEY}"), LineError::Twice(NAMESPACES)),
            (format!("a namespaces=\"driftlock\"{KEY}"), LineError::AfterOptions),
            (format!("a namespaces=\"driftlock\", {KEY}"), option("")),
            ("a namespaces=\"driftlock\"".to_owned(), LineError::NoKey),
            ("a ssh-ed25519".to_owned(), LineError::NoKey),
            ("a".to_owned(), LineError::Principals),
            (format!("a,,b {KEY}"), LineError::Principals),
            (format!("!a {KEY}"), LineError::Principals),
            (format!("b,!a {KEY}"), LineError::Principals),
            (format!("\"a {KEY}"), LineError::Principals),
            (format!("\"a\"b {KEY}"), LineError::Principals),
            (format!("a {KEY}!"), LineError::NotBase64),
            (format!("a {KEY}\r"), LineError::Control),
            (format!("a\u{7f} {KEY}"), LineError::Control),
            (format!("a\u{202e}b {KEY}"), LineError::Control),
            (
                format!("a {}", KEY.replacen("ssh-ed25519", "ecdsa-sha2-nistp256", 1)),
                LineError::OtherType { said: "ecdsa-sha2-nistp256".to_owned(), is: "ssh-ed25519" },
            ),
            (format!("a valid-after=\"20270101Z\",valid-before=\"20260101Z\" {KEY}"), LineError::Never),
        ];
        for (text, expected) in cases {
            assert_eq!(line(&text), Err(expected), "{text}");
        }
        assert_eq!(parse("# nothing\n\n").err(), Some(SignersError::NoSigner));
        assert_eq!(Signers::parse(b"a\xff", &TimeZone::UTC).err(), Some(SignersError::NotUtf8));
    }

    #[test]
    fn times() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("20260131Z", "2026-01-31T00:00:00Z"),
            ("202601311530z", "2026-01-31T15:30:00Z"),
            ("20260131153059Z", "2026-01-31T15:30:59Z"),
            ("20260131", "2026-01-30T22:00:00Z"),
        ] {
            assert_eq!(time(text, &zone), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "Z",
            "2026",
            "20261301",
            "20260230Z",
            "202601312500",
            "2026-01-31",
            "20260131UTC",
            "+0260131",
            "é0260131",
        ] {
            assert_eq!(time(text, &zone), Err(LineError::Time(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_key_is_valid_between_its_times_and_including_them() {
        let text =
            format!("a valid-after=\"20260101Z\",valid-before=\"20260201Z\" {KEY}\nb namespaces=\"git\" {KEY}\n");
        let signers = parse(&text).unwrap();
        let key = signers.all[0].key.clone();
        let at = |time: &str| signers.find(&key, time.parse().unwrap()).map(|signer| signer.principals.as_str());
        assert_eq!(at("2026-01-01T00:00:00Z"), Ok("a"));
        assert_eq!(at("2026-02-01T00:00:00Z"), Ok("a"));
        // The last line that has the key says why.
        assert_eq!(at("2026-02-01T00:00:01Z"), Err(NotAllowed::OtherNamespace));
        let signers = parse(text.lines().next().unwrap()).unwrap();
        let at = |time: &str| signers.find(&key, time.parse().unwrap()).err();
        assert_eq!(at("2025-12-31T23:59:59Z"), Some(NotAllowed::NotYet("2026-01-01T00:00:00Z".parse().unwrap())));
        assert_eq!(at("2026-02-01T00:00:01Z"), Some(NotAllowed::Expired("2026-02-01T00:00:00Z".parse().unwrap())));
    }
}
