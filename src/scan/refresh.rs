//! A second scan, at the cost of what has changed since the first.
//!
//! The activity log says **which** ids to look at, and nothing else is inferred from it: every lead
//! that it names is read again by id, 300 a call, and put into the cache as it is now, or taken out
//! where it is gone. Repeats are therefore harmless, and a refresh looks further back than it must
//! ([`REFRESH_MARGIN`]), since activities become visible late. The point from which the next one
//! looks moves in the transaction that ends this one: interrupted at any moment, it is simply begun
//! again, and keeps what it has renewed by then.
//!
//! What it notices, by the log that tells: new leads (*New Lead*), changes of the cached fields
//! (*Change Data Value*, by way of lead changes, which Marketo filters by field; *Change Score*
//! where a score is cached; *Change Lead Partition*; *Sync Lead to SFDC* and *Convert Lead*, by
//! which CRM ids come), merges by anybody, chains of them and those of anonymous visitors (*Merge
//! Leads*, *SFDC Merge Leads*), deletions (deleted leads, which Marketo keeps for 14 days; *Delete
//! Lead from SFDC*). Ids beyond the highest are tried too, for leads that are born and not yet in
//! the log.
//!
//! What it cannot notice, since Marketo writes no activity for it: `updatedAt` alone, which moves
//! with any field and with fields that nobody cached, is as old as the last change that was
//! noticed; formula fields and others that Marketo computes on reading; company fields that change
//! with the company rather than with the lead; a lead that vanishes without a deletion or merge, as
//! in a purge by Adobe. Where a lead was merged into one that was deleted before the next refresh,
//! both their activities are gone, and only the deletion is told of: so whoever shared a key with a
//! lead that is gone is read again too, and a lead of another key that went that way stays until a
//! full scan. `scan --full` notices all of that. Merges lean on none of it: they read each lead
//! live.
//!
//! Never: writes to Marketo, or removes a lead that it has not asked for by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use self::changed_leads::ChangedLeads;
use super::{Ended, Error, Now, Watch, row, spec};
use crate::cache::{Cache, Gone, RefreshTotals};
use crate::dedupe::KeySpec;
use crate::lead::{Lead, LeadId};
use crate::marketo::{BATCH, ReadActivities, ReadLeads, Schema};

mod changed_leads;
mod start;

pub use start::{Start, WhyFull, how_to_start, is_beyond_history};

/// How far a refresh looks back behind the beginning of the last scan, in Marketo's time.
/// Activities can be read once they are committed, by reports of users up to hours after the time
/// that they bear; readers that begin again at a time are told to overlap by a day. It also
/// forgives this machine a clock that is wrong by less.
pub const REFRESH_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// So many runs of 300 ids without a lead, above the highest known, end a refresh. What is beyond
/// them will be in the log when the next one looks.
const EMPTY_RUNS_AT_THE_END: u32 = 2;

/// What a refresh is to read, and how.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refresh<'a> {
    /// The fields, which must be those of the scan before; see [`how_to_start`].
    pub fields: &'a [String],
    /// What the instance says of them.
    pub schema: &'a Schema,
    /// What makes leads the same.
    pub key: &'a KeySpec,
    /// From where on activities are read.
    pub since: DateTime<Utc>,
    /// Calls under way at once.
    pub concurrency: usize,
    /// What the time is read from.
    pub now: Now,
    /// Cancelled: what has arrived is stored, and the refresh stops.
    pub stop: CancellationToken,
}

impl<'a> Refresh<'a> {
    /// A refresh from that time on, five calls at once, until it is complete.
    pub fn new(
        fields: &'a [String],
        schema: &'a Schema,
        key: &'a KeySpec,
        since: DateTime<Utc>,
        now: Now,
    ) -> Self {
        Self { fields, schema, key, since, concurrency: 5, now, stop: CancellationToken::new() }
    }

    /// Calls under way at once.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// Cancelled: what has arrived is stored, and the refresh stops.
    #[must_use]
    pub fn stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }
}

/// Brings a complete cache up to date. Interrupted or failed, it leaves the refresh point where it
/// was.
pub async fn refresh(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    watch: &dyn Watch,
) -> Result<Ended<RefreshTotals>, Error> {
    // Rows that stay as they are must not be grouped by another rule than those that are read now.
    cache
        .ensure_keys(&refresh.key.signature(), |lead| refresh.key.key_of(lead).map(String::from))?;
    // It is noted when the refresh began before the log is read: what happens from now on is for
    // the next one.
    cache.begin_scan(&spec("refresh", refresh.fields, refresh.key), (refresh.now)())?;
    // Nothing is half stored wherever this is dropped: it waits for Marketo alone, and each step in
    // between is a transaction.
    tokio::select! {
        biased;
        () = refresh.stop.cancelled() => Ok(Ended::Interrupted),
        caught_up = catch_up(marketo, cache, refresh, watch) => caught_up.map(Ended::Complete),
    }
}

async fn catch_up(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    watch: &dyn Watch,
) -> Result<RefreshTotals, Error> {
    let changed =
        changed_leads::changed_leads(marketo, refresh.schema, refresh.fields, refresh.since)
            .await?;
    let highest = cache.highest_id()?.max(changed.ids.last().copied().unwrap_or(0));
    read_again(marketo, cache, refresh, &changed, watch).await?;
    read_beyond(marketo, cache, refresh, highest).await?;
    Ok(cache.finish_refresh((refresh.now)())?)
}

/// Reads the leads that the log names, then those who shared a key with one that is gone.
async fn read_again(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    changed: &ChangedLeads,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let mut ids: Vec<LeadId> = changed.ids.iter().copied().collect();
    let mut asked_for = changed.ids.clone();
    while !ids.is_empty() {
        let mates = read_runs(marketo, cache, refresh, &ids, &changed.merged, watch).await?;
        ids = mates.difference(&asked_for).copied().collect();
        asked_for.extend(&ids);
    }
    Ok(())
}

/// Reads these leads, several runs at once, and gives those who shared a key with one that is gone.
async fn read_runs(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    ids: &[LeadId],
    merged: &BTreeMap<LeadId, LeadId>,
    watch: &dyn Watch,
) -> Result<BTreeSet<LeadId>, Error> {
    let (total, mut done) = (ids.len() as u64, 0);
    let mut mates = BTreeSet::new();
    watch.at(done, Some(total));
    let reads = ids.chunks(BATCH).map(|asked| async move {
        let read = marketo.leads_by_id(asked, refresh.fields).await;
        (asked, read)
    });
    let mut reads =
        std::pin::pin!(futures::stream::iter(reads).buffered(refresh.concurrency.max(1)));
    while let Some((asked, leads)) = reads.next().await {
        mates.extend(renew(cache, refresh, asked, leads?, merged)?);
        done += asked.len() as u64;
        watch.at(done, Some(total));
    }
    Ok(mates)
}

/// Tries ids above the highest that is known, one run after another, since each that is asked for
/// in vain is a call.
async fn read_beyond(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    highest: LeadId,
) -> Result<(), Error> {
    let (mut first, mut empty_runs) = (highest + 1, 0);
    while empty_runs < EMPTY_RUNS_AT_THE_END {
        let next = first + BATCH as LeadId;
        let asked: Vec<LeadId> = (first..next).collect();
        let leads = marketo.leads_by_id(&asked, refresh.fields).await?;
        empty_runs = if leads.is_empty() { empty_runs + 1 } else { 0 };
        renew(cache, refresh, &asked, leads, &BTreeMap::new())?;
        first = next;
    }
    Ok(())
}

/// The cache takes over what was read: who was asked for and did not come is gone. Gives those who
/// shared a key with one that is gone.
fn renew(
    cache: &mut Cache,
    refresh: &Refresh<'_>,
    asked: &[LeadId],
    leads: Vec<Lead>,
    merged: &BTreeMap<LeadId, LeadId>,
) -> Result<Vec<LeadId>, Error> {
    let there: BTreeSet<LeadId> = leads.iter().map(|lead| lead.id).collect();
    let gone: Vec<Gone> = asked
        .iter()
        .filter(|id| !there.contains(id))
        .map(|id| Gone { id: *id, merged_into: merged.get(id).copied() })
        .collect();
    let gone_ids: Vec<LeadId> = gone.iter().map(|gone| gone.id).collect();
    let mates = cache.sharing_a_key_with(&gone_ids)?;
    let rows: Vec<_> = leads.into_iter().map(|lead| row(lead, refresh.key)).collect();
    cache.renew(&rows, &gone)?;
    Ok(mates)
}

#[cfg(test)]
mod tests;
