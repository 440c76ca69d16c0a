//! The output of `docker compose config --hash '*'`: lines with a service, a blank and 64 hexadecimal digits.

use std::collections::BTreeMap;

use super::error::ComposeError;
use super::{LIMIT, Service};
use crate::manifest::Sha256Digest;

/// Sets the hash of each service.
///
/// # Errors
/// The hashes are malformed, or are not those of exactly these services.
pub(super) fn add(bytes: &[u8], services: &mut BTreeMap<String, Service>) -> Result<(), ComposeError> {
    if bytes.len() as u64 > LIMIT {
        return Err(ComposeError::HashesTooLarge { limit: LIMIT });
    }
    for (line, bytes) in bytes.split(|&byte| byte == b'\n').enumerate().map(|(index, bytes)| (index + 1, bytes)) {
        let text = std::str::from_utf8(bytes).map_err(|_| ComposeError::HashLine { line })?.trim_end();
        if text.is_empty() {
            continue;
        }
        let (name, hash) = text.split_once(' ').ok_or(ComposeError::HashLine { line })?;
        if Sha256Digest::from_hex(hash).is_none() {
            return Err(ComposeError::HashLine { line });
        }
        let Some(service) = services.get_mut(name) else {
            return Err(ComposeError::HashOfOther { line, service: name.to_owned() });
        };
        if service.hash.replace(hash.to_owned()).is_some() {
            return Err(ComposeError::HashTwice { line, service: name.to_owned() });
        }
    }
    match services.iter().find(|(_, service)| service.hash.is_none()) {
        Some((name, _)) => Err(ComposeError::NoHash(name.clone())),
        None => Ok(()),
    }
}
