//! Quotes names as git does: a name with special characters is in double quotes, with C escapes.
//!
//! Source: `quote.c` of git, with the default `core.quotePath`. git does not always quote a blank; this module does.

pub(super) fn quoted(before: &[u8], name: &[u8]) -> Vec<u8> {
    let whole = [before, name].concat();
    if whole.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return whole;
    }
    let mut out = vec![b'"'];
    for byte in whole {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_quoted_as_git_does() {
        for (name, expected) in [
            (&b"a/b.yml"[..], &b"a/a/b.yml"[..]),
            (b"a b", b"\"a/a b\""),
            (b"\"\\", b"\"a/\\\"\\\\\""),
            (b"\n\t\r\x1b\xff", b"\"a/\\n\\t\\r\\033\\377\""),
        ] {
            assert_eq!(quoted(b"a/", name), expected);
        }
    }
}
