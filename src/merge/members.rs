//! What survivors are members of after their merges, compared with what the records were before.
//!
//! Marketo carries lists and programs over (documented by Adobe), and of two members of one makes
//! one, so that its count drops. `raise` and `carried` see to programs; here both are only looked
//! at and counted, for the certificate. What is not there can be on its way, since what is read
//! lags: it is looked for again by the next run, or by whoever asks.
//!
//! ```text
//! missing => carried
//! ```
//!
//! Never: writes, or ends a run because a membership is not seen.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::end_of;
use super::witness::{LookError, body_of};
use crate::lead::LeadId;
use crate::ledger::{Ledger, Unwitnessed, WitnessKind};
use crate::marketo::{Clock, ReadMemberships};

mod model;
mod now;

pub use model::{InProgram, MembersRecord, Membership};
use model::{MISSING, membership};
use now::Wanted;

/// How often a survivor is looked at that lacks something: what is read can lag.
const ROUNDS: usize = 3;

/// Between two of these looks.
const LAG: Duration = Duration::from_secs(5);

/// The records of a merge as they were backed up first under its plan.
fn before(ledger: &Ledger, merge: &Unwitnessed) -> Result<MembersRecord, Error> {
    let mut record = MembersRecord::default();
    let leads: BTreeSet<LeadId> = merge.gone.iter().copied().chain([merge.survivor]).collect();
    for lead in leads {
        let backups = ledger.backups_under(lead, &merge.plan)?;
        let mut kept = backups.into_iter().filter_map(|backup| backup.lists.zip(backup.programs));
        match kept.next() {
            Some((lists, programs)) => {
                record.before.insert(lead, membership(&lists, &programs));
            }
            None => record.unknown.push(lead),
        }
    }
    Ok(record)
}

/// Looks at the survivors of these merges, and keeps what is seen. Gives how many lack something.
pub(crate) async fn look_for(
    marketo: &impl ReadMemberships,
    ledger: &mut Ledger,
    merges: &[Unwitnessed],
    clock: Clock,
    at: &str,
) -> Result<usize, LookError> {
    let into = ledger.merged_into().map_err(Error::from)?;
    let mut records = Vec::new();
    for merge in merges {
        let lives = end_of(merge.survivor, &into).unwrap_or(merge.survivor);
        records.push((lives, before(ledger, merge)?));
    }
    for round in 0..ROUNDS {
        let mut wanted = Wanted::default();
        for (lives, record) in &records {
            if record.is_to_be_looked_for() && record.verdict() == MISSING {
                wanted.add(*lives, record);
            }
        }
        if wanted.leads.is_empty() {
            break;
        }
        if round > 0 {
            clock.sleep(LAG).await;
        }
        let now = wanted.read(marketo).await.map_err(LookError::Marketo)?;
        for (lives, record) in &mut records {
            if let Some(held) = now.get(lives) {
                record.after = held.of(record);
            }
        }
    }
    let mut missing = 0;
    let seen: Vec<_> = merges
        .iter()
        .zip(&records)
        .map(|(merge, (_, record))| {
            missing += usize::from(record.verdict() == MISSING);
            (merge.call, record.verdict(), body_of(record))
        })
        .collect();
    ledger.keep_witness(WitnessKind::Members, &seen, at).map_err(Error::from)?;
    Ok(missing)
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks at the survivors of the merges since then that nobody has looked at, or that lacked
    /// something.
    pub(super) async fn see_members(&mut self, since: Option<DateTime<Utc>>) -> Result<(), Error> {
        let merges = self.ledger.unwitnessed(WitnessKind::Members, None, since)?;
        if merges.is_empty() {
            return Ok(());
        }
        let (at, grace, stop) = (self.at(), self.grace(), self.stop.clone());
        let out_of_time = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        let looked = tokio::select! {
            biased;
            looked = look_for(self.marketo, self.ledger, &merges, self.clock, &at) => looked,
            () = out_of_time => return Ok(()),
        };
        match looked {
            Ok(_) => Ok(()),
            Err(LookError::Ours(error)) => Err(error),
            // Nothing rests on it, and whoever asks for the certificate sees that it is missing.
            Err(LookError::Marketo(error)) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    "the lists and programs of survivors could not be read"
                );
                Ok(())
            }
        }
    }
}
