//! How SSH encodes numbers and strings: RFC 4251, section 5.

/// Bytes that are being decoded.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A string: its length, and its bytes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    /// A string that is UTF-8.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// A positive number of at most 256 bits (`mpint`), in its only encoding, as 32 bytes.
    pub fn scalar(&mut self) -> Option<[u8; 32]> {
        let digits = match self.string()? {
            [0, digits @ ..] if digits.first().is_some_and(|first| first & 0x80 != 0) => digits,
            digits if digits.first().is_some_and(|first| matches!(first, 1..=0x7f)) => digits,
            _ => return None,
        };
        let mut scalar = [0; 32];
        scalar.get_mut(32_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
        Some(scalar)
    }

    /// Whether everything was decoded.
    pub const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a string with its length.
pub fn push(out: &mut Vec<u8>, string: &[u8]) {
    // What is encoded here are names and digests.
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_where_they_say() {
        let mut bytes = Vec::new();
        push(&mut bytes, b"ab");
        push(&mut bytes, b"");
        let mut wire = Wire::new(&bytes);
        assert_eq!((wire.text(), wire.string(), wire.is_at_end()), (Some("ab"), Some(&b""[..]), true));
        assert_eq!((wire.string(), wire.u32()), (None, None));
        assert_eq!(Wire::new(&bytes[..5]).string(), None);
        assert_eq!(Wire::new(&[255; 8]).string(), None);
    }

    #[test]
    fn a_number_has_one_encoding() {
        let scalar = |digits: &[u8]| {
            let mut bytes = Vec::new();
            push(&mut bytes, digits);
            Wire::new(&bytes).scalar()
        };
        let last = |byte| Some(std::array::from_fn(|at| if at == 31 { byte } else { 0 }));
        assert_eq!(scalar(&[1]), last(1));
        assert_eq!(scalar(&[0, 0x80]), last(0x80));
        assert_eq!(scalar(&[&[0][..], &[255; 32]].concat()), Some([255; 32]));
        // Zero, a negative number, leading zeros, and more than 256 bits.
        for digits in [&[][..], &[0], &[0x80], &[0, 1], &[0, 0, 0x80], &[1; 33], &[&[0][..], &[255; 33]].concat()] {
            assert_eq!(scalar(digits), None, "{digits:?}");
        }
    }
}
