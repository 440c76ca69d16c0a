//! TOML → [`Value`].

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};
use toml_parser::lexer::TokenKind;

use super::source::{Path, Source, dotted};
use super::value::{Data, Key, MAX_DEPTH, Value};
use super::{DeclarationError, Problem};

/// Parses TOML.
///
/// # Errors
/// It is malformed, has a key twice in one table, or is nested deeper than [`MAX_DEPTH`].
pub fn parse(source: Source<'_>) -> Result<Value, DeclarationError> {
    bound_nesting(source)?;
    let root = DeTable::parse(source.text).map_err(|error| wrong(source, &error))?;
    Ok(Value { span: 0..source.text.len(), data: Data::Table(table(source, root.get_ref(), &Path::Root, 0)?) })
}

fn table(
    source: Source<'_>,
    table: &DeTable<'_>,
    path: &Path<'_>,
    depth: usize,
) -> Result<Vec<(Key, Value)>, DeclarationError> {
    let mut entries: Vec<_> = table.iter().collect();
    // The crate sorts by name, but the first error in the file should be reported first.
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, entry)| {
            let name = key.get_ref().clone().into_owned();
            let value = value(source, entry, &key.span(), &Path::Below(path, &name), depth + 1)?;
            Ok((Key { span: key.span(), name }, value))
        })
        .collect()
}

fn value(
    source: Source<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &Range<usize>,
    path: &Path<'_>,
    depth: usize,
) -> Result<Value, DeclarationError> {
    if depth > MAX_DEPTH {
        return Err(source.error(key.start, &path.dotted(), Problem::TooDeep));
    }
    let data = match value.get_ref() {
        DeValue::String(text) => Data::String(text.clone().into_owned()),
        DeValue::Boolean(boolean) => Data::Boolean(*boolean),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Other("an integer"),
        },
        DeValue::Float(_) => Data::Other("a float"),
        DeValue::Datetime(_) => Data::Other("a date or time"),
        DeValue::Array(array) => {
            let values = array.iter().map(|element| self::value(source, element, &element.span(), path, depth + 1));
            Data::Array(values.collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => Data::Table(table(source, entries, path, depth)?),
    };
    Ok(Value { span: value.span(), data })
}

/// Refuses deeply nested tables: many dots on one line (a key can't span lines), or many braces.
///
/// The parser bounds nested brackets, but not the names of a dotted key, and dropping such a value uses stack. Anything
/// else that is too deep is refused by [`MAX_DEPTH`].
fn bound_nesting(source: Source<'_>) -> Result<(), DeclarationError> {
    const MOST_BRACES: usize = 8;
    let (mut dots, mut braces) = (0, 0_usize);
    for token in toml_parser::Source::new(source.text).lex() {
        match token.kind() {
            TokenKind::Newline => dots = 0,
            TokenKind::Dot => dots += 1,
            TokenKind::LeftCurlyBracket => braces += 1,
            TokenKind::RightCurlyBracket => braces = braces.saturating_sub(1),
            _ => {}
        }
        if dots > MAX_DEPTH || braces > MOST_BRACES {
            return Err(source.error_at(token.span().start(), Problem::TooDeep));
        }
    }
    Ok(())
}

fn wrong(source: Source<'_>, error: &Error) -> DeclarationError {
    let at = error.span().unwrap_or_default();
    let problem = match error.message() {
        "duplicate key" => return duplicate(source, at),
        // The parser says this of `kind = files`, because of its `f`.
        message if message.starts_with("invalid boolean") || message.starts_with("string values must be quoted") => {
            let ends = |character: char| character.is_whitespace() || ",]}#".contains(character);
            match source.text[at.start..].split(ends).next().unwrap_or_default() {
                "" => Problem::Syntax { message: "malformed TOML: there is no value".to_owned() },
                word => Problem::Unquoted { word: word.to_owned() },
            }
        }
        message => Problem::Syntax { message: format!("malformed TOML: {message}") },
    };
    source.error_at(at.start, problem)
}

/// Reports which key the one at `at` duplicates, and where the first one is.
///
/// The parser reports only the second. It can continue after the error: a duplicate table header replaces the first,
/// and of duplicate values the first is kept.
fn duplicate(source: Source<'_>, at: Range<usize>) -> DeclarationError {
    let keys = keys(source.text, at.start);
    if let Some(header) = keys.0.iter().find(|key| key.span.start == at.start) {
        let parent = keys.dotted(header.parent);
        let line = source.text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
        let earlier = self::keys(&source.text[..line], at.start);
        let same = |key: &&Listed| key.name == header.name && earlier.same(key.parent, &keys, header.parent);
        let first = earlier.0.iter().find(same);
        return source.duplicate(at.start, &parent, &header.name, first.map(|key| key.span.start));
    }
    let name = source.text[at.clone()].trim_matches(['"', '\'']);
    let first =
        keys.0.iter().filter(|key| key.span.end <= at.start && key.name == name).max_by_key(|key| key.span.start);
    let (parent, first) = first.map_or((None, None), |key| (key.parent, Some(key.span.start)));
    source.duplicate(at.start, &keys.dotted(parent), name, first)
}

/// Keys, each with the index of the key whose table it is in.
struct Keys(Vec<Listed>);

struct Listed {
    parent: Option<usize>,
    name: String,
    span: Range<usize>,
}

impl Keys {
    /// The dotted key of one of them; `None` is the whole text.
    fn dotted(&self, key: Option<usize>) -> String {
        let key = key.and_then(|key| self.0.get(key));
        key.map_or_else(String::new, |key| dotted(&self.dotted(key.parent), &key.name))
    }

    /// Whether a key has the same dotted key as one of `others`.
    fn same(&self, mut key: Option<usize>, others: &Self, mut other: Option<usize>) -> bool {
        while let (Some(one), Some(two)) = (key.and_then(|at| self.0.get(at)), other.and_then(|at| others.0.get(at))) {
            if one.name != two.name {
                return false;
            }
            (key, other) = (one.parent, two.parent);
        }
        key.is_none() && other.is_none()
    }

    fn list(&mut self, text: &str, table: &DeTable<'_>, parent: Option<usize>, at: usize, depth: usize) {
        for (key, value) in table {
            self.0.push(Listed { parent, name: key.get_ref().clone().into_owned(), span: key.span() });
            let DeValue::Table(entries) = value.get_ref() else { continue };
            let inline = text.as_bytes().get(value.span().start) == Some(&b'{');
            if depth < MAX_DEPTH && (!inline || value.span().contains(&at)) {
                self.list(text, entries, Some(self.0.len() - 1), at, depth + 1);
            }
        }
    }
}

/// All keys of a text that may be invalid, without those of inline tables that do not contain `at`.
fn keys(text: &str, at: usize) -> Keys {
    let mut keys = Keys(Vec::new());
    keys.list(text, DeTable::parse_recoverable(text).0.get_ref(), None, at, 0);
    keys
}
