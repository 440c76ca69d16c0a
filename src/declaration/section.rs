//! A table of the declaration, read key by key with its types checked.

use std::collections::HashSet;

use super::source::{Source, dotted};
use super::value::{Data, Key, Value};
use super::{DeclarationError, Problem};

/// A table, and its position.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    pub source: Source<'a>,
    /// The table's dotted key.
    pub path: &'a str,
    /// The position of its key, for errors about missing keys.
    pub at: usize,
    pub entries: &'a [(Key, Value)],
}

/// A string, and its position.
#[derive(Clone, Copy)]
pub struct StringValue<'a> {
    pub at: usize,
    pub text: &'a str,
}

impl<'a> Section<'a> {
    /// Looks up a key and its value.
    pub fn get(&self, name: &str) -> Option<(&'a Key, &'a Value)> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(key, value)| (key, value))
    }

    /// An error about a key, at a position.
    pub fn error(&self, at: usize, name: &str, problem: Problem) -> DeclarationError {
        self.source.error(at, &dotted(self.path, name), problem)
    }

    /// An error about a missing key.
    pub fn missing(&self, name: &str, example: &'static str) -> DeclarationError {
        self.error(self.at, name, Problem::Missing { example })
    }

    /// Refuses unknown keys.
    pub fn only(&self, known: &'static [&'static str]) -> Result<(), DeclarationError> {
        for (key, value) in self.entries {
            if known.contains(&key.name.as_str()) {
                continue;
            }
            let problem = match (nearest(&key.name, known), &value.data) {
                (None, Data::Table(_)) if !self.path.is_empty() => {
                    let (table, name) = match self.path.split_once('.') {
                        Some(("server", name)) => ("server", name),
                        Some(("group", name)) => ("group", name),
                        _ => ("check", self.path.strip_prefix("check.").unwrap_or(self.path)),
                    };
                    Problem::UnquotedDot { table, name: format!("{}.{}", name.trim_matches('"'), key.name) }
                }
                (nearest, _) => Problem::UnknownKey { nearest, known },
            };
            return Err(self.error(key.span.start, &key.name, problem));
        }
        Ok(())
    }

    /// A string; refuses an empty one, and one with NUL.
    pub fn string(&self, name: &str, example: &'static str) -> Result<Option<StringValue<'a>>, DeclarationError> {
        let Some((_, value)) = self.get(name) else { return Ok(None) };
        self.text(name, value, "a string", example).map(Some)
    }

    /// A boolean; `false` if the key is missing.
    pub fn boolean(&self, name: &str) -> Result<bool, DeclarationError> {
        match self.get(name) {
            None => Ok(false),
            Some((_, Value { data: Data::Boolean(boolean), .. })) => Ok(*boolean),
            Some((_, value)) => Err(self.wrong_type(name, value, "true or false", "true")),
        }
    }

    /// An array of different strings.
    pub fn strings(&self, name: &str, example: &'static str) -> Result<Option<Vec<StringValue<'a>>>, DeclarationError> {
        const EXPECTED: &str = "an array of strings";
        let Some((_, value)) = self.get(name) else { return Ok(None) };
        let Data::Array(elements) = &value.data else {
            return Err(self.wrong_type(name, value, EXPECTED, example));
        };
        let mut seen = HashSet::with_capacity(elements.len());
        let mut texts = Vec::with_capacity(elements.len());
        for element in elements {
            let text = self.text(name, element, EXPECTED, example)?;
            if !seen.insert(text.text) {
                return Err(self.error(text.at, name, Problem::ListedTwice { value: text.text.to_owned() }));
            }
            texts.push(text);
        }
        Ok(Some(texts))
    }

    /// The string in a value that was looked up.
    pub fn text<'v>(
        &self,
        name: &str,
        value: &'v Value,
        expected: &'static str,
        example: &'static str,
    ) -> Result<StringValue<'v>, DeclarationError> {
        let at = value.span.start;
        match &value.data {
            Data::String(text) if text.is_empty() => Err(self.error(at, name, Problem::EmptyString)),
            Data::String(text) if text.contains('\0') => Err(self.error(at, name, Problem::Nul)),
            Data::String(text) => Ok(StringValue { at, text }),
            _ => Err(self.wrong_type(name, value, expected, example)),
        }
    }

    /// An error about a value of the wrong type.
    pub fn wrong_type(
        &self,
        name: &str,
        value: &Value,
        expected: &'static str,
        example: &'static str,
    ) -> DeclarationError {
        let problem = Problem::WrongType { expected, found: value.data.type_name(), example };
        self.error(value.span.start, name, problem)
    }
}

/// The known word that was most likely meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Below this, a suggestion misleads more often than it helps; determined from the typos in the tests.
    const LIKELY: f64 = 0.8;
    let word = word.to_lowercase();
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word, known), *known))
        .filter(|(likeness, _)| *likeness >= LIKELY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
