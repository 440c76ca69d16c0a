//! Reads the beginning of a report, which identifies it.

use std::io::{BufReader, Read};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{SCHEMA, SERVERS_SCHEMA};
use crate::report::chain::Previous;

/// The first fields of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub started: String,
    pub previous: Option<Previous>,
}

/// The most bytes to read for the beginning. driftlock writes less than 1,000.
const LIMIT: u64 = 64 << 10;

/// Reads the beginning of a report of either schema. `None` if it is not one that driftlock would write.
pub fn head(input: impl Read) -> Option<Head> {
    let mut found = Fields::default();
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1024, input.take(LIMIT)));
    // The rest of the report is not read. serde reports that as an error, which does not matter here.
    let _ = reader.deserialize_map(&mut found);
    let is_ours = found.schema.is_some_and(|schema| schema == SCHEMA || schema == SERVERS_SCHEMA);
    Some(Head { started: found.started.filter(|_| is_ours)?, previous: found.previous? })
}

#[derive(Default)]
struct Fields {
    schema: Option<String>,
    started: Option<String>,
    previous: Option<Option<Previous>>,
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a report")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.schema.is_none() || self.started.is_none() || self.previous.is_none() {
            match map.next_key::<String>()?.as_deref() {
                None => break,
                Some("schema") => self.schema = Some(map.next_value()?),
                Some("started") => self.started = Some(map.next_value()?),
                Some("previous") => self.previous = Some(map.next_value()?),
                Some(_) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}
