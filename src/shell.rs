//! Quotes words for a shell command line that you can paste: the shell reads exactly one word with exactly these bytes.

/// A word for `bash`, `zsh` and `ksh`.
///
/// Plain words stay as they are; others get single quotes. Words with hazardous or invisible characters, or with bytes
/// that are not UTF-8, are written as `$'…'` with octal digits. So the result is harmless to show, and is one line.
#[must_use]
pub fn word(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+,-".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        // A shell with history expands `!` in some quotes; a backquote ends inline code in Slack.
        Ok(text) if !text.contains(['!', '`']) && !crate::path::to_escape(text).any(|(_, escape)| escape) => {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
        _ => dollar(bytes),
    }
}

/// Several arguments; if one begins with a dash, `--` comes first.
#[must_use]
pub fn arguments<T: AsRef<[u8]>>(words: &[T]) -> String {
    let dashes = if words.iter().any(|bytes| bytes.as_ref().starts_with(b"-")) { "-- " } else { "" };
    let words: Vec<_> = words.iter().map(|bytes| word(bytes.as_ref())).collect();
    format!("{dashes}{}", words.join(" "))
}

fn dollar(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    let octal = |out: &mut String, bytes: &[u8]| bytes.iter().for_each(|byte| out.push_str(&format!("\\{byte:03o}")));
    for chunk in bytes.utf8_chunks() {
        for (character, escape) in crate::path::to_escape(chunk.valid()) {
            match character {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                // A shell without this form, such as dash, takes any quote for the end.
                _ if escape || matches!(character, '!' | '`' | '\\' | '\'') => {
                    octal(&mut out, character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.push(character),
            }
        }
        octal(&mut out, chunk.invalid());
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn words_are_as_plain_as_they_can_be() {
        for (bytes, expected) in [
            (&b"infra/stacks/edge-traefik/docker-compose.yml"[..], "infra/stacks/edge-traefik/docker-compose.yml"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"it's", "'it'\\''s'"),
            (b"$(reboot)\"", "'$(reboot)\"'"),
            (b"`x`", "$'\\140x\\140'"),
            (b"~root", "'~root'"),
            ("Gr\u{fc}\u{df}e".as_bytes(), "'Gr\u{fc}\u{df}e'"),
            (b"a\nb\\'", "$'a\\nb\\134\\047'"),
            (b"\xff1", "$'\\3771'"),
            ("\u{202e}x!".as_bytes(), "$'\\342\\200\\256x\\041'"),
            // A shell on a server that has no such form reads one word, too, and no command.
            (b"!'; reboot; #", "$'\\041\\047; reboot; #'"),
            (b"##[x]", "$'#\\043[x]'"),
        ] {
            assert_eq!(word(bytes), expected);
        }
    }
}
