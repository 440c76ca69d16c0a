//! Prints a patch on a terminal, with colours. Characters that a terminal could interpret are escaped, so the result
//! can't be applied.

use std::io::{self, Write};

use crate::path::to_escape;

/// A writer that takes a patch and writes it escaped.
#[derive(Debug)]
pub struct Harmless<W> {
    out: W,
    color: bool,
    /// An incomplete line: its end has not been written yet.
    line: Vec<u8>,
    /// Within a hunk, a line that begins with `---` belongs to the contents.
    in_hunk: bool,
}

impl<W: Write> Harmless<W> {
    pub const fn new(out: W, color: bool) -> Self {
        Self { out, color, line: Vec::new(), in_hunk: false }
    }

    fn put(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let (line, end) = match line.split_last() {
            Some((b'\n', line)) => (line, "\n"),
            _ => (&line[..], ""),
        };
        let mut text = String::new();
        for chunk in line.utf8_chunks() {
            for (character, escape) in to_escape(chunk.valid()) {
                match character {
                    _ if !escape || character == '\t' => text.push(character),
                    '\r' => text.push_str("\\r"),
                    _ => text.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
                }
            }
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        }
        if line.starts_with(b"diff ") {
            self.in_hunk = false;
        }
        let color = match line.first() {
            Some(b'@') => 36,
            Some(b'+') if self.in_hunk => 32,
            Some(b'-') if self.in_hunk => 31,
            _ if !self.in_hunk => 1,
            _ => 0,
        };
        self.in_hunk |= line.starts_with(b"@@");
        if self.color && color > 0 {
            write!(self.out, "\x1b[{color}m{text}\x1b[0m{end}")
        } else {
            write!(self.out, "{text}{end}")
        }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.put()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.put()?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_reach_no_terminal_as_commands() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,1 +1,2 @@\n-a\tb\r\n+\u{1b}[31m\u{202e}\\\n+--- c\n"
            .as_bytes();
        let shown = |color| {
            let mut out = Vec::new();
            let mut harmless = Harmless::new(&mut out, color);
            harmless.write_all(&[patch, b"+\xff"].concat()).unwrap();
            harmless.flush().unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            shown(false),
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,1 +1,2 @@\n-a\tb\\r\n+\\u{1b}[31m\\u{202e}\\\n+--- c\n+\\xff"
        );
        assert!(shown(true).contains("\u{1b}[31m-a\tb\\r\u{1b}[0m\n\u{1b}[32m+\\u{1b}[31m\\u{202e}\\\u{1b}[0m\n"));
    }
}
