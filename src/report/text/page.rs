//! Writes the lines of a text report, with their colours, and leaves out what `--quiet` does not print.

use std::fmt;
use std::io::{self, Write};

use super::Style;
use crate::path::cut;
use crate::report::Status;

/// The tag at the beginning of a line.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    Info,
    Pass,
    Fail,
    Warn,
    Skip,
}

impl Tag {
    /// The tag, and the ANSI number of its colour.
    const fn parts(self) -> (&'static str, u8) {
        match self {
            Self::Info => ("[INFO]", 34),
            Self::Pass => ("[PASS]", 32),
            Self::Fail => ("[FAIL]", 31),
            Self::Warn => ("[WARN]", 33),
            Self::Skip => ("[SKIP]", 36),
        }
    }

    const fn is_quiet(self) -> bool {
        matches!(self, Self::Fail | Self::Warn)
    }
}

pub(super) struct Page<W> {
    pub out: W,
    pub style: Style,
    /// The most lines of drift to show for one check; the others are only counted.
    pub lines: usize,
    /// Whether to print what to do next.
    pub next: bool,
}

impl<W: Write> Page<W> {
    /// A line that begins with a tag.
    pub fn line(&mut self, tag: Tag, text: fmt::Arguments<'_>) -> io::Result<()> {
        if self.style.quiet && !tag.is_quiet() {
            return Ok(());
        }
        let (word, color) = tag.parts();
        self.colored(word, color)?;
        writeln!(self.out, " {}", cut(text.to_string()))
    }

    /// A line that belongs to the `[FAIL]` or `[WARN]` line above it.
    pub fn detail(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "    {}", cut(text.to_string()))
    }

    /// A line of the frame: heading, rules and totals.
    pub fn frame(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        if self.style.quiet { Ok(()) } else { writeln!(self.out, "{text}") }
    }

    /// A row of a table: cells padded to the width of their columns, and coloured by their status.
    pub fn row(&mut self, cells: &[(String, Option<Status>)], widths: &[usize]) -> io::Result<()> {
        for (number, ((text, status), width)) in cells.iter().zip(widths).enumerate() {
            let gap = if number == 0 { "" } else { "  " };
            let padding = if number + 1 == cells.len() { 0 } else { width - text.chars().count().min(*width) };
            write!(self.out, "{gap}")?;
            match status {
                Some(Status::Pass) => self.colored(text, 32)?,
                Some(Status::Fail) => self.colored(text, 31)?,
                Some(Status::Skip) => self.colored(text, 36)?,
                None => write!(self.out, "{text}")?,
            }
            write!(self.out, "{:padding$}", "")?;
        }
        writeln!(self.out)
    }

    /// The verdict. With `--quiet`, PASS is not printed.
    pub fn overall(&mut self, status: Status) -> io::Result<()> {
        if self.style.quiet && status == Status::Pass {
            return Ok(());
        }
        write!(self.out, "OVERALL: ")?;
        self.colored(status.word(), if status == Status::Pass { 32 } else { 31 })?;
        writeln!(self.out)
    }

    fn colored(&mut self, word: &str, color: u8) -> io::Result<()> {
        if self.style.color { write!(self.out, "\x1b[{color}m{word}\x1b[0m") } else { write!(self.out, "{word}") }
    }
}
