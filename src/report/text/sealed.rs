//! The seal of the baseline.

use std::io::{self, Write};

use super::page::{Page, Tag};
use crate::report::format::Prose;
use crate::report::seal::Sealed;
use crate::report::{HostReport, Status};

/// The result of verifying the seal, which is the same for all hosts.
pub(super) fn seal(page: &mut Page<impl Write>, hosts: &[HostReport]) -> io::Result<()> {
    let Some(seal) = hosts.first().and_then(|host| host.seal.as_deref()) else { return Ok(()) };
    if let Some(Sealed { serial, signer, key, fingerprint, declaration: _ }) = &seal.sealed {
        let [signer, key, fingerprint] = [signer, key, fingerprint].map(|text| Prose(text));
        let who = format_args!("Baseline sealed by {signer} ({key} {fingerprint}), serial {serial}");
        page.line(Tag::Info, who)?;
    }
    if seal.status() == Status::Pass {
        return match seal.sealed.as_ref().and_then(|sealed| sealed.declaration.as_deref()) {
            None => page.line(Tag::Pass, format_args!("Locks and declaration are what was sealed")),
            Some(other) => {
                let other = Prose(other);
                page.line(
                    Tag::Pass,
                    format_args!("Locks and {other} are what was sealed; this run's own declaration was not compared"),
                )
            }
        };
    }
    seal.troubles.iter().try_for_each(|trouble| {
        page.line(Tag::Fail, format_args!("Seal: {}", Prose(&trouble.problem)))?;
        page.detail(format_args!("{}", Prose(&trouble.help)))
    })
}
