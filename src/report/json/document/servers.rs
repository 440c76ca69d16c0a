//! The document of several servers.

use serde::{Deserialize, Serialize};

use super::{CountsItem, Document, Mode, PreviousItem, Sandbox, Written, of, present, sandbox};
use crate::report::json::SERVERS_SCHEMA;
use crate::report::{Report, ServersSummary, Status};

/// The document of several servers: those of each, and the sums over all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::report::json) struct ServersDocument<C> {
    pub schema: String,
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    #[serde(deserialize_with = "present")]
    pub previous: Option<PreviousItem>,
    pub mode: Mode,
    pub sandbox: Sandbox,
    pub servers: Vec<Document<C>>,
    pub summary: ServersSummary,
    pub counts: CountsItem,
    pub overall: Status,
    pub exit_code: u8,
}

pub(in crate::report::json) fn of_servers(report: &Report) -> ServersDocument<Written<'_>> {
    let run = &report.run;
    ServersDocument {
        schema: SERVERS_SCHEMA.to_owned(),
        driftlock: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: run.timestamp.clone(),
        started: run.started.clone(),
        previous: run.previous.as_ref().map(PreviousItem::from),
        mode: Mode::Server,
        sandbox: sandbox(&run.sandbox),
        servers: report.hosts.iter().map(|host| of(run, host)).collect(),
        summary: report.servers_summary(),
        counts: report.counts().into(),
        overall: report.overall(),
        exit_code: report.exit_code(),
    }
}
