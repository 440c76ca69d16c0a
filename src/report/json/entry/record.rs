//! A record in a report: the keys of its line in a lock without the path, written and read by the code for locks.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::ordered::Ordered;
use crate::manifest::{Record, json};

/// A record, written and read as JSON.
pub(super) struct RecordItem(pub Record);

impl Serialize for RecordItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_slice::<Ordered>(&json::record(&self.0)).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RecordItem {
    /// Refuses a value that would be written differently, so an extra key is an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = serde_json::to_vec(&Ordered::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let record = json::parse_record(&text).map_err(D::Error::custom)?;
        let value = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
        if value(&json::record(&record)) == value(&text) {
            Ok(Self(record))
        } else {
            Err(D::Error::custom("the keys of an entry do not fit its type"))
        }
    }
}
