//! Decodes an engine's inventory in the answer to an export.

use std::io::BufRead;

use serde::Deserialize;

use super::lines::{EndLine, TroubleItem};
use super::{Answer, AnswerError};
use crate::container::{ALL_ATTRIBUTES, Inventory};
use crate::digest::Sha256;
use crate::error::Error;
use crate::manifest::{Kind, List, json};
use crate::remote::inventory;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineLine {
    engine: String,
    failed: Option<TroubleItem>,
}

impl<R: BufRead> Answer<R> {
    /// Reads the inventory of the next engine, which must be the one at this socket.
    ///
    /// # Errors
    /// The outer error ends the answer; the inner one is the failure of this engine on the server.
    pub fn engine(&mut self, socket: &str) -> Result<Result<Inventory, Error>, AnswerError> {
        self.next_line()?;
        self.told()?;
        let EngineLine { engine, failed } = self.parse()?;
        if engine != socket {
            return Err(self.malformed(format!("it is about the engine at {engine} instead of {socket}")));
        }
        self.sections += 1;
        let failed = failed.map(|failed| self.trouble(&failed)).transpose()?;
        let mut hasher = Sha256::new();
        let mut lines = 0;
        let mut containers = Vec::new();
        let mut found = Inventory::default();
        loop {
            self.next_line()?;
            if self.line.starts_with(b"{\"end\"") {
                break;
            }
            self.told()?;
            if failed.is_some() {
                return Err(self.malformed("the engine failed there, but has items".to_owned()));
            }
            lines += 1;
            hasher.update(&self.line);
            hasher.update(b"\n");
            if !self.line.starts_with(b"{\"path") {
                inventory::add(&mut found, &self.line).map_err(|problem| self.malformed(problem))?;
                continue;
            }
            let entry = json::read_entry(&self.line).map_err(|problem| self.malformed(problem))?;
            json::fits(Kind::Containers, ALL_ATTRIBUTES, entry.path.as_bytes(), &entry.record)
                .map_err(|problem| self.malformed(problem.to_owned()))?;
            let late = found != Inventory::default();
            if late || containers.last().is_some_and(|(path, _)| *path >= entry.path) {
                return Err(self.malformed("it is out of order".to_owned()));
            }
            containers.push((entry.path, Ok(entry.record)));
        }
        let EndLine { end, lines: stated, digest } = self.parse()?;
        if end != socket || stated != lines || digest != hasher.finish().sri() {
            let problem = "the stated engine, number of lines or digest does not match the lines before";
            return Err(self.malformed(problem.to_owned()));
        }
        found.containers = List::new(containers);
        Ok(failed.map_or(Ok(found), Err))
    }
}
