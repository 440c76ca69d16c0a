//! Encodes bytes from a file system for JSON, which can hold only text.

use data_encoding::BASE64;

/// Bytes as text, or as Base64 if they are not UTF-8; exactly one of the two.
pub fn split(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

/// The inverse of [`split`].
///
/// # Errors
/// Refuses what `split` would not have written, so that each content has one encoding.
pub fn joined(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => match BASE64.decode(base64.as_bytes()) {
            Ok(bytes) if std::str::from_utf8(&bytes).is_err() => Ok(bytes),
            Ok(_) => Err("a Base64 value is UTF-8 and should be written as text".to_owned()),
            Err(error) => Err(format!("a value is not Base64: {error}")),
        },
        _ => Err("a path or target is missing, or is written in both forms".to_owned()),
    }
}
