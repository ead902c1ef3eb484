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
//! A look costs about two calls a survivor, and up to six where something is missing. It is made in
//! parts: what a part showed is kept before the next one begins, and a run asks its brakes before
//! each. What nobody can tell (a backup was erased, a list was deleted, the survivor is gone) is
//! said to be not known, which never takes the place of what was seen to be missing. What could not
//! be read is not kept, and is looked at again.
//!
//! Never: writes, or ends a run because a membership is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::end_of;
use super::witness::{LookError, body_of};
use crate::lead::LeadId;
use crate::ledger::{CallId, Ledger, Unwitnessed, WitnessKind};
use crate::marketo::{Clock, ReadMemberships};
use crate::terminal::counted_of;

mod model;
mod now;

pub use model::{InProgram, MembersRecord, Membership};
use model::{MISSING, SURVIVOR_GONE, membership};
pub(crate) use now::Learnt;
use now::{Now, Wanted};

/// So many merges are looked at before what was seen is kept.
pub(crate) const PART: usize = if cfg!(test) { 2 } else { 300 };

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

/// What looks showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LookedAt {
    /// Survivors that lack something.
    pub(crate) missing: usize,
    /// Survivors that Marketo has no more.
    pub(crate) gone: usize,
    /// Survivors that could not be looked at.
    pub(crate) unreadable: usize,
}

/// About so many calls looking at so many survivors takes.
pub(crate) fn calls_for(survivors: usize) -> usize {
    survivors * 2
}

/// A merge, where its survivor is now, and what is known of it.
struct Look<'a> {
    merge: &'a Unwitnessed,
    lives: LeadId,
    record: MembersRecord,
    unreadable: bool,
}

impl Look<'_> {
    fn lacks_something(&self) -> bool {
        let is_known = self.unreadable || self.record.gone;
        !is_known && self.record.is_to_be_looked_for() && self.record.verdict() == MISSING
    }
}

/// Looks at the survivors of these merges, at most [`PART`], and keeps what is seen.
pub(crate) async fn look_for(
    marketo: &impl ReadMemberships,
    ledger: &mut Ledger,
    merges: &[Unwitnessed],
    learnt: &mut Learnt,
    (clock, at): (Clock, &str),
) -> Result<LookedAt, LookError> {
    let into = ledger.merged_into().map_err(Error::from)?;
    let mut looks = Vec::new();
    for merge in merges {
        let lives = end_of(merge.survivor, &into).unwrap_or(merge.survivor);
        looks.push(Look { merge, lives, record: before(ledger, merge)?, unreadable: false });
    }
    look_at(marketo, &mut looks, learnt, clock).await.map_err(LookError::Marketo)?;
    let were_missing: BTreeSet<CallId> = ledger
        .witnessed_as(WitnessKind::Members, MISSING)
        .map_err(Error::from)?
        .into_iter()
        .collect();
    let (mut looked, mut seen) = (LookedAt::default(), Vec::new());
    for Look { merge, record, unreadable, .. } in &looks {
        let verdict = record.verdict();
        looked.unreadable += usize::from(*unreadable);
        looked.missing += usize::from(!unreadable && verdict == MISSING);
        looked.gone += usize::from(!unreadable && verdict == SURVIVOR_GONE);
        // What nobody can tell any more does not undo what was seen.
        let undoes = record.is_less_than_missing() && were_missing.contains(&merge.call);
        if !unreadable && !undoes {
            seen.push((merge.call, verdict, body_of(record)));
        }
    }
    ledger.keep_witness(WitnessKind::Members, &seen, at).map_err(Error::from)?;
    Ok(looked)
}

async fn look_at(
    marketo: &impl ReadMemberships,
    looks: &mut [Look<'_>],
    learnt: &mut Learnt,
    clock: Clock,
) -> crate::marketo::Result<()> {
    for round in 0..ROUNDS {
        let mut wanted = Wanted::default();
        for look in looks.iter().filter(|look| look.lacks_something()) {
            wanted.add(look.lives, &look.record);
        }
        if wanted.leads.is_empty() {
            break;
        }
        if round > 0 {
            clock.sleep(LAG).await;
        }
        let now = wanted.read(marketo, learnt, round + 1 == ROUNDS).await?;
        take_over(looks, &now, learnt);
    }
    // What was deleted is on no survivor, and no survivor has lost it.
    let (mut lists, mut programs) = (BTreeSet::new(), BTreeSet::new());
    for look in looks.iter().filter(|look| look.lacks_something()) {
        let (of_lists, of_programs) = look.record.missing_ids();
        lists.extend(of_lists);
        programs.extend(of_programs);
    }
    learnt.ask(marketo, lists, programs).await?;
    take_over(looks, &BTreeMap::new(), learnt);
    Ok(())
}

fn take_over(looks: &mut [Look<'_>], now: &BTreeMap<LeadId, Now>, learnt: &Learnt) {
    for look in looks.iter_mut().filter(|look| look.record.is_to_be_looked_for()) {
        match now.get(&look.lives) {
            Some(Now::In(held)) => look.record.after = held.of(&look.record),
            Some(Now::Gone) => look.record.gone = true,
            Some(Now::Unreadable) => look.unreadable = true,
            None => {}
        }
        look.record.leave_out(&learnt.ended);
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks at the survivors of the merges since then that nobody has looked at, or that lacked
    /// something, as long as no brake is on.
    pub(super) async fn see_members(&mut self, since: Option<DateTime<Utc>>) -> Result<(), Error> {
        let merges = self.ledger.unwitnessed(WitnessKind::Members, None, since)?;
        let mut learnt = Learnt::default();
        let mut left = merges.len();
        if left > PART {
            tracing::info!(
                survivors = left,
                calls = calls_for(left),
                "the lists and programs of survivors are looked at"
            );
        }
        for part in merges.chunks(PART) {
            match self.brake().await {
                Ok(None) => {}
                Ok(Some(brake)) => {
                    tracing::warn!(
                        "{} not looked at for lists and programs yet (the next run of the day does, \
                         or `certificate show --look`): {brake}",
                        counted_of(left, "survivor")
                    );
                    return Ok(());
                }
                Err(error) => return unread(LookError::from(error)),
            }
            let (at, grace, stop) = (self.at(), self.grace(), self.stop.clone());
            let out_of_time = async {
                stop.cancelled().await;
                tokio::time::sleep(grace).await;
            };
            let when = (self.clock, at.as_str());
            let looked = tokio::select! {
                biased;
                looked = look_for(self.marketo, self.ledger, part, &mut learnt, when) => looked,
                () = out_of_time => return Ok(()),
            };
            if let Err(error) = looked {
                return unread(error);
            }
            left -= part.len();
        }
        Ok(())
    }
}

/// Nothing rests on it, and whoever asks for the certificate sees that it is missing.
fn unread(error: LookError) -> Result<(), Error> {
    match error {
        LookError::Ours(Error::Marketo(error)) | LookError::Marketo(error) => {
            tracing::warn!(
                code = error.code(),
                request_id = error.request_id(),
                "the lists and programs of survivors could not be read"
            );
            Ok(())
        }
        LookError::Ours(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
