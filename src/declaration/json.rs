//! JSON → [`Value`].
//!
//! `serde_json` reports positions of errors, but not of values. So each table and array is read into slices of the
//! text, whose addresses give the positions, and each slice is read the same way. Nesting is bounded, so this stays
//! linear.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::source::{Path, Source};
use super::value::{Data, Key, MAX_DEPTH, Value};
use super::{DeclarationError, Problem};

/// Reads a JSON text.
///
/// # Errors
/// It is malformed, has a key twice in one object, or is nested deeper than [`MAX_DEPTH`].
pub fn parse(source: Source<'_>) -> Result<Value, DeclarationError> {
    let raw: &RawValue = serde_json::from_str(source.text).map_err(|error| syntax(source, source.text, &error))?;
    value(source, raw.get(), &Path::Root, 0)
}

/// Reads one value from a slice of `source.text`.
fn value(source: Source<'_>, raw: &str, path: &Path<'_>, depth: usize) -> Result<Value, DeclarationError> {
    let start = offset(source, raw);
    let span = start..start + raw.len();
    let wrong = |error: serde_json::Error| syntax(source, raw, &error);
    if depth > MAX_DEPTH {
        return Err(source.error(start, &path.dotted(), Problem::TooDeep));
    }
    let data = match raw.as_bytes().first() {
        Some(b'{') => Data::Table(table(source, raw, path, depth)?),
        Some(b'[') => {
            let raw: Vec<&RawValue> = serde_json::from_str(raw).map_err(wrong)?;
            let values = raw.into_iter().map(|raw| value(source, raw.get(), path, depth + 1));
            Data::Array(values.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Data::String(serde_json::from_str(raw).map_err(wrong)?),
        Some(b't' | b'f') => Data::Boolean(serde_json::from_str(raw).map_err(wrong)?),
        Some(b'n') => Data::Other("null"),
        _ => serde_json::from_str(raw).map_or(Data::Other("a number"), Data::Integer),
    };
    Ok(Value { span, data })
}

fn table(source: Source<'_>, raw: &str, path: &Path<'_>, depth: usize) -> Result<Vec<(Key, Value)>, DeclarationError> {
    let Pairs(pairs) = serde_json::from_str(raw).map_err(|error| syntax(source, raw, &error))?;
    let mut entries = Vec::with_capacity(pairs.len());
    let mut seen = HashMap::with_capacity(pairs.len());
    for (raw_key, raw_value) in pairs {
        let start = offset(source, raw_key.get());
        let name: Cow<'_, str> =
            serde_json::from_str(raw_key.get()).map_err(|error| syntax(source, raw_key.get(), &error))?;
        let name = name.into_owned();
        if let Some(first) = seen.insert(name.clone(), start) {
            return Err(source.duplicate(start, &path.dotted(), &name, Some(first)));
        }
        let value = value(source, raw_value.get(), &Path::Below(path, &name), depth + 1)?;
        entries.push((Key { span: start..start + raw_key.get().len(), name }, value));
    }
    Ok(entries)
}

/// The pairs of an object in order, including duplicate keys.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// The position of a slice in the text.
fn offset(source: Source<'_>, slice: &str) -> usize {
    slice.as_ptr().addr().saturating_sub(source.text.as_ptr().addr())
}

/// An error of `serde_json` about `slice`, with its position in the whole text.
fn syntax(source: Source<'_>, slice: &str, error: &serde_json::Error) -> DeclarationError {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => slice.match_indices('\n').nth(line - 2).map_or(slice.len(), |(newline, _)| newline + 1),
    };
    let within = (line_start + error.column().saturating_sub(1)).min(slice.len());
    let message = error.to_string();
    let message = match message.rsplit_once(" at line ") {
        // `serde_json` says this of `{"a": 1,}` too.
        Some(("key must be a string", _)) if slice.as_bytes().get(within) == Some(&b'}') => "trailing comma",
        Some((message, _)) => message,
        None => &message,
    };
    source.error_at(offset(source, slice) + within, Problem::Syntax { message: format!("malformed JSON: {message}") })
}
