//! The declaration's text, and errors with positions in it.

use super::{DeclarationError, Format, Problem};
use crate::manifest::Spoiled;
use crate::path::escaped;

/// The text, and its name.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub file: &'a str,
    pub format: Format,
    pub text: &'a str,
    lines: &'a Lines,
}

/// The positions where lines begin, without the first.
#[derive(Debug)]
pub struct Lines(Vec<usize>);

impl Lines {
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of a byte, from 1, and where it begins.
    fn at(&self, offset: usize) -> (usize, usize) {
        let before = self.0.partition_point(|&start| start <= offset);
        (before + 1, before.checked_sub(1).map_or(0, |last| self.0[last]))
    }
}

impl<'a> Source<'a> {
    /// Decodes bytes as text.
    ///
    /// # Errors
    /// They are not UTF-8, start with a byte order mark, or are empty.
    pub fn new(file: &'a str, format: Format, bytes: &'a [u8], lines: &'a Lines) -> Result<Self, DeclarationError> {
        let nowhere = Self { file, format, text: "", lines };
        // Older editors call this "Unicode". It is not UTF-8 either, but this error is more helpful.
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(nowhere.error_in_file(Problem::Utf16));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            let mut not_utf8 = nowhere.error_in_file(Problem::NotUtf8 { offset });
            not_utf8.line = Some(lines.at(offset).0);
            not_utf8
        })?;
        let source = Self { file, format, text, lines };
        if text.starts_with('\u{feff}') {
            return Err(source.error_in_file(Problem::ByteOrderMark));
        }
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            match Spoiled::of_line(line.as_bytes(), number == 0) {
                // Both formats accept these line ends.
                None | Some(Spoiled::LineEnds) => at += line.len(),
                Some(spoiled) => return Err(source.error(at, "", Problem::Spoiled(spoiled))),
            }
        }
        if text.trim_ascii().is_empty() {
            return Err(source.error_in_file(Problem::Empty));
        }
        Ok(source)
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.at(offset.min(self.text.len())).0
    }

    /// The column of a byte, from 1, in characters.
    fn column(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let before = &self.text.as_bytes()[self.lines.at(offset).1..offset];
        1 + String::from_utf8_lossy(before).chars().count()
    }

    /// An error about a key.
    pub fn error(&self, offset: usize, key: &str, problem: Problem) -> DeclarationError {
        DeclarationError {
            line: Some(self.line(offset)),
            key: (!key.is_empty()).then(|| key.to_owned()),
            ..self.error_in_file(problem)
        }
    }

    /// An error about the text itself. If its line has typographic quotes, they are the cause of any parser error.
    pub fn error_at(&self, offset: usize, problem: Problem) -> DeclarationError {
        let start = self.text.get(..offset).map_or(0, |before| before.rfind('\n').map_or(0, |newline| newline + 1));
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let quotes = line.char_indices().find(|(_, character)| "“”„‟‘’‚«»".contains(*character));
        let (offset, problem) = match quotes {
            Some((at, quote)) => (start + at, Problem::TypographicQuote { quote }),
            None => (offset, problem),
        };
        DeclarationError {
            line: Some(self.line(offset)),
            column: Some(self.column(offset)),
            ..self.error_in_file(problem)
        }
    }

    /// An error about the whole file.
    pub fn error_in_file(&self, problem: Problem) -> DeclarationError {
        DeclarationError {
            file: self.file.to_owned(),
            format: self.format,
            line: None,
            column: None,
            key: None,
            problem: Box::new(problem),
        }
    }

    /// An error about a duplicate key. `parent` is the dotted key of its table.
    pub fn duplicate(&self, offset: usize, parent: &str, name: &str, first: Option<usize>) -> DeclarationError {
        let first = first.map(|offset| self.line(offset));
        let problem = match parent {
            "check" => Problem::DuplicateCheck { first },
            _ => Problem::DuplicateKey { first },
        };
        self.error(offset, &dotted(parent, name), problem)
    }
}

/// The names that lead to a table, outermost first. It is formatted only for errors.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    Root,
    Below(&'a Path<'a>, &'a str),
}

impl Path<'_> {
    /// As one dotted key.
    pub fn dotted(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Below(above, name) => dotted(&above.dotted(), name),
        }
    }
}

/// The dotted key of `name` in the table `parent`. Names are quoted as in TOML, so that different keys look different.
pub fn dotted(parent: &str, name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name = if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name.as_bytes()).to_string().replace('"', "\\\""))
    };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}
