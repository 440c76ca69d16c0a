//! The seal of the baseline in a report.

use serde::{Deserialize, Serialize};

use super::document::harmless;
use crate::report::Error;
use crate::report::format::Prose;
use crate::report::seal::{SealReport, Sealed};

/// The result of verifying it. The fields of the seal are `null` if its signature could not be verified.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealItem {
    #[serde(deserialize_with = "Option::deserialize")]
    serial: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    signer: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    key: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    fingerprint: Option<String>,
    #[serde(default)]
    declaration: Option<String>,
    troubles: Vec<Error>,
}

impl From<&SealReport> for SealItem {
    fn from(SealReport { sealed, troubles }: &SealReport) -> Self {
        let sealed = sealed.as_ref();
        let text = |text: &String| Prose(text).to_string();
        Self {
            serial: sealed.map(|sealed| sealed.serial),
            signer: sealed.map(|sealed| text(&sealed.signer)),
            key: sealed.map(|sealed| text(&sealed.key)),
            fingerprint: sealed.map(|sealed| text(&sealed.fingerprint)),
            declaration: sealed.and_then(|sealed| sealed.declaration.as_ref()).map(text),
            troubles: troubles.iter().map(harmless).collect(),
        }
    }
}

impl TryFrom<SealItem> for SealReport {
    type Error = &'static str;

    fn try_from(item: SealItem) -> Result<Self, Self::Error> {
        let SealItem { serial, signer, key, fingerprint, declaration, troubles } = item;
        let sealed = match (serial, signer, key, fingerprint) {
            (Some(serial), Some(signer), Some(key), Some(fingerprint)) => {
                Some(Sealed { serial, signer, key, fingerprint, declaration })
            }
            // Without a signer, the seal was refused, and there is a reason.
            (None, None, None, None) if declaration.is_none() && !troubles.is_empty() => None,
            _ => return Err("its `seal` has neither a signer nor a reason why there is none"),
        };
        Ok(Self { sealed, troubles })
    }
}
