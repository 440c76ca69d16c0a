//! The document of several servers.

use serde::{Deserialize, Serialize};

use super::{CountsItem, Document, Mode, PreviousItem, Sandbox, Written, of, present, sandbox};
use crate::report::Status;
use crate::report::fleet::{Fleet, FleetSummary};
use crate::report::json::FLEET_SCHEMA;

/// The document of several servers: those of each, and the sums over all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::report::json) struct FleetDocument<C> {
    pub schema: String,
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    #[serde(deserialize_with = "present")]
    pub previous: Option<PreviousItem>,
    pub mode: Mode,
    pub sandbox: Sandbox,
    pub servers: Vec<Document<C>>,
    pub summary: FleetSummary,
    pub counts: CountsItem,
    pub overall: Status,
    pub exit_code: u8,
}

/// The document of a fleet.
pub(in crate::report::json) fn of_fleet(fleet: &Fleet) -> FleetDocument<Written<'_>> {
    FleetDocument {
        schema: FLEET_SCHEMA.to_owned(),
        driftlock: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: fleet.timestamp.clone(),
        started: fleet.started.clone(),
        previous: fleet.previous.as_ref().map(PreviousItem::from),
        mode: Mode::Server,
        sandbox: sandbox(&fleet.sandbox),
        servers: fleet.servers.iter().map(of).collect(),
        summary: fleet.summary(),
        counts: fleet.counts().into(),
        overall: fleet.overall(),
        exit_code: fleet.exit_code(),
    }
}
