//! Text, and the elements that several parts of the page use.

use std::fmt;
use std::io::{self, Write};

use crate::path::to_escape;
use crate::report::format::grouped;

/// Text, in an element or in an attribute between double quotes.
///
/// Source: the HTML standard, "Serializing HTML fragments". Everything that could end a tag or an attribute is escaped
/// too.
pub(super) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        to_escape(self.0).try_for_each(|(character, escape)| match character {
            // What forms a command in the log of a CI system. The rest of `to_escape` was escaped before.
            '#' | ':' if escape => write!(f, "&#{};", u32::from(character)),
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => f.write_char(character),
        })
    }
}

/// A word in a colour. `tone` is one of the classes `good`, `bad`, `warn` and `idle`.
pub(super) fn badge(out: &mut impl Write, tone: &str, word: &str) -> io::Result<()> {
    write!(out, "<span class=\"badge {tone}\">{}</span>", Text(word))
}

/// A cell with a number, in a colour unless it is zero.
pub(super) fn number(out: &mut impl Write, label: &str, number: u64, tone: &str) -> io::Result<()> {
    let class = match (number, tone) {
        (0, _) => "zero".to_owned(),
        (_, "") => String::new(),
        (_, tone) => format!("some {tone}"),
    };
    write!(out, "<td class=\"number {class}\" data-label=\"{label}\">{}</td>", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(
            Text("<script>\"a\" & 'b'</script>").to_string(),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;"
        );
    }
}
