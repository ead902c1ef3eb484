//! Rows that come to a record when its merge is about to leave, runs, or is done: an integration
//! wrote them after the last look, and a merge carries none over.
//!
//! The id of a merged lead still finds the rows that hang on it. So it is asked for: soon after a
//! merge is settled, at the end of its run, and by each run of the next 24 hours, since Marketo's
//! Data Ingestion API tries for 65 minutes to write a row for a lead that is gone. What can move is
//! linked to the record that lives in the lead's place, by the same calls as rows before a merge;
//! what cannot is named, and kept in the ledger with the looks at its merge.
//!
//! ```text
//! settled ─▶ asked for ─▶ none
//!                     └─▶ judged as before a merge ─▶ linked, and seen there
//!                                                 └─▶ left, with the reason
//! ```
//!
//! A look takes a call an object for 300 leads, and more only where rows are found. Never: ends a
//! run because rows cannot be read, or tells rows as late that a person decided to leave behind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::before::leave;
use super::link::{Place, folded, in_time};
use super::wish::{RowFate, Wish};
use crate::lead::LeadId;
use crate::ledger::{CallId, RowPurpose, Unwitnessed, WitnessKind, sha256_of};
use crate::marketo::BATCH;
use crate::merge::context::{Merge, MergeClient};
use crate::merge::custom_objects::{Family, GroupRows, RowMove, after_the_merge};
use crate::merge::error::Error;
use crate::merge::kept_plan::plan_of_run;
use crate::merge::leads::end_of;
use crate::merge::settle::Settled;
use crate::merge::witness::body_of;

mod hanging;
mod in_doubt;
mod record;

use in_doubt::without_open_calls;

pub(crate) use hanging::rows_hanging;
pub use record::{LateRecord, LateRow, LateRows, LeftRows};

const NOT_CLEAR: &str =
    "what became of a call that links late rows is not known yet; the next run looks again";

/// For so long after a merge runs look for rows of its leads.
pub(in crate::merge) const LOOKED_FOR: TimeDelta = TimeDelta::hours(24);

/// A merge that is done.
#[derive(Debug, Clone)]
pub(in crate::merge) struct Done {
    call: CallId,
    plan: String,
    key: String,
    survivor: LeadId,
    gone: Vec<LeadId>,
}

impl Done {
    /// A call that was settled just now; none where it merged nothing.
    pub(in crate::merge) fn of(settled: &Settled<'_>) -> Option<Self> {
        Some(Self {
            call: settled.pending.call,
            plan: settled.pending.plan.to_owned(),
            key: settled.pending.group.key.as_str().to_owned(),
            survivor: settled.finding.survivor()?.id,
            gone: settled.finding.gone().to_vec(),
        })
    }
}

impl From<Unwitnessed> for Done {
    fn from(merge: Unwitnessed) -> Self {
        let Unwitnessed { call, plan, key, survivor, gone, .. } = merge;
        Self { call, plan, key, survivor, gone }
    }
}

/// What is known of a lead that is gone and that rows hang on.
#[derive(Debug, Clone)]
struct Gone {
    merge: CallId,
    plan: String,
    /// The record that lives in its place.
    owner: LeadId,
    /// Whether `merge.custom_objects` was "leave".
    leaves_rows: bool,
    /// How many rows of each object were to be left behind: a person decided so.
    known: BTreeMap<String, usize>,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks for rows on the leads of merges that were settled since the last such look. What is
    /// found is told with the run. Not while a look at leads must stay fresh: it takes a while.
    pub(in crate::merge) async fn see_rows_of_settled(&mut self) -> Result<(), Error> {
        let merges = std::mem::take(&mut self.rows_to_see);
        let seen = self.see_rows_of(&merges, false).await;
        self.unless_only_unread(seen)
    }

    /// The same for all merges since then, as long as no brake is on. What it shows is kept, also
    /// where it is nothing.
    pub(in crate::merge) async fn see_late_rows(
        &mut self,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        self.rows_to_see.clear();
        let merges = self.ledger.unwitnessed(WitnessKind::Rows, None, since)?;
        if merges.is_empty() {
            return Ok(());
        }
        let (stop, grace) = (self.stop.clone(), self.grace());
        let asking = self.custom_objects.linked_by_id(self.marketo);
        let linked = match in_time(&stop, grace, asking).await {
            Some(Ok(linked)) => linked,
            Some(Err(error)) => return self.unless_only_unread(Err(error.into())),
            None => return Ok(()),
        };
        // Where no object can be asked for, planning has said so.
        if linked.is_empty() {
            return Ok(());
        }
        let merges: Vec<Done> = merges.into_iter().map(Done::from).collect();
        for part in merges.chunks(BATCH) {
            let Some(brake) = in_time(&stop, grace, self.brake()).await else { return Ok(()) };
            let seen = match brake.map(|brake| brake.map(|brake| brake.to_string())) {
                Ok(None) if self.stop.is_cancelled() => return Ok(()),
                Ok(None) => self.see_rows_of(part, true).await,
                Ok(Some(why)) => {
                    self.late_rows.cut_short(format!("{why}; the next run looks"));
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            self.unless_only_unread(seen)?;
        }
        Ok(())
    }

    /// Nothing rests on it that is about to leave: what Marketo does not answer is told, and the
    /// next run asks again.
    fn unless_only_unread(&mut self, seen: Result<(), Error>) -> Result<(), Error> {
        match seen {
            Err(Error::Marketo(error)) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    "rows on merged leads could not be looked for"
                );
                self.late_rows.cut_short(format!("{error}; the next run looks again"));
                Ok(())
            }
            other => other,
        }
    }

    async fn see_rows_of(&mut self, merges: &[Done], keeps_none: bool) -> Result<(), Error> {
        let leads: BTreeSet<LeadId> = merges.iter().flat_map(|merge| merge.gone.clone()).collect();
        let leads: Vec<LeadId> = leads.into_iter().collect();
        let (stop, grace) = (self.stop.clone(), self.grace());
        let asking = self.custom_objects.hanging_on(self.marketo, &leads);
        let Some(hanging) = in_time(&stop, grace, asking).await else { return Ok(()) };
        let Some(hanging) = hanging? else { return Ok(()) };
        let record = LateRecord { unreadable: hanging.unreadable, ..LateRecord::default() };
        let mut records: BTreeMap<CallId, LateRecord> =
            merges.iter().map(|merge| (merge.call, record.clone())).collect();
        let gone = self.gone_with_rows(merges, &hanging.on)?;
        if self.bring_rows(&gone, &mut records).await? {
            self.keep_late(&records, keeps_none)?;
        } else if !self.stop.is_cancelled() {
            self.late_rows.cut_short(NOT_CLEAR.to_owned());
        }
        Ok(())
    }

    /// What is known of the leads of these merges that rows hang on.
    fn gone_with_rows(
        &self,
        merges: &[Done],
        on: &BTreeSet<LeadId>,
    ) -> Result<BTreeMap<LeadId, Gone>, Error> {
        let mut gone = BTreeMap::new();
        if on.is_empty() {
            return Ok(gone);
        }
        let into = self.ledger.merged_into()?;
        let restored: BTreeMap<LeadId, LeadId> = self
            .ledger
            .restored_leads()?
            .into_iter()
            .filter_map(|one| Some((one.lost, one.new?)))
            .collect();
        for merge in merges {
            let with_rows = || merge.gone.iter().copied().filter(|lead| on.contains(lead));
            if with_rows().next().is_none() {
                continue;
            }
            let winners: Vec<LeadId> = merge.gone.iter().copied().chain([merge.survivor]).collect();
            let plan = plan_of_run(self.ledger, &merge.plan, &winners)?;
            let group = plan
                .as_ref()
                .and_then(|plan| plan.groups.iter().find(|group| group.key.as_str() == merge.key));
            for lead in with_rows() {
                let mut known = BTreeMap::new();
                for rows in group.iter().flat_map(|group| &group.rows) {
                    if rows.lead == Some(lead) && rows.stays.is_some() {
                        *known.entry(rows.object.clone()).or_default() += rows.count;
                    }
                }
                let lives = end_of(lead, &into).unwrap_or(merge.survivor);
                // A record that was made anew may have been merged again since.
                let anew = restored.get(&lead).map(|new| end_of(*new, &into).unwrap_or(*new));
                let owner = anew.unwrap_or(lives);
                let leaves_rows = plan.as_ref().is_some_and(|plan| plan.policy.leave_rows);
                let plan = merge.plan.clone();
                gone.insert(lead, Gone { merge: merge.call, plan, owner, leaves_rows, known });
            }
        }
        Ok(gone)
    }

    /// Links the rows of leads that are gone to the records that live in their places, where they
    /// can move. False where the run is to stop.
    async fn bring_rows(
        &mut self,
        gone: &BTreeMap<LeadId, Gone>,
        records: &mut BTreeMap<CallId, LateRecord>,
    ) -> Result<bool, Error> {
        if gone.is_empty() {
            return Ok(true);
        }
        let Some(found) = self.rows_of_gone(gone).await? else { return Ok(false) };
        let (mut moves, mut wishes) = (Vec::new(), Vec::new());
        for (owner, rows) in found {
            for (lead, left) in left_behind(owner, rows.rows, gone) {
                let Some(record) = gone.get(&lead).and_then(|of| records.get_mut(&of.merge)) else {
                    continue;
                };
                match left {
                    Left::Rows(left) => record.left.push(left),
                    Left::NotKnown(why) => drop(record.unreadable.insert(why)),
                }
            }
            moves.extend(rows.moves);
        }
        let (moves, in_doubt) = without_open_calls(self.ledger, moves)?;
        if in_doubt > 0 {
            self.late_rows.cut_short(NOT_CLEAR.to_owned());
        }
        let Some(moves) = self.not_stale(moves).await? else { return Ok(false) };
        for RowMove { object, field, guid, from } in moves {
            let Some(Gone { plan, owner, .. }) = gone.get(&from).cloned() else { continue };
            let (calls, purpose) = (Vec::new(), RowPurpose::Follow);
            let (winner, was, to) = (owner, from, owner);
            wishes.push(Wish { calls, plan, object, field, guid, winner, was, from, to, purpose });
        }
        if wishes.is_empty() {
            return Ok(true);
        }
        let Some(fates) = self.settle_rows(wishes).await? else { return Ok(false) };
        for (wish, fate) in fates {
            let merge = gone.get(&wish.from).and_then(|of| records.get_mut(&of.merge));
            let Some(record) = merge else { continue };
            tell_fate(record, wish, fate);
        }
        Ok(true)
    }

    /// Those of the rows that a second read shows on the same lead: what is read can be older than
    /// the call that moved a row before the merge. None where the run is to stop.
    async fn not_stale(&mut self, moves: Vec<RowMove>) -> Result<Option<Vec<RowMove>>, Error> {
        let mut guids: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for row in &moves {
            let of = (row.object.clone(), row.field.clone());
            guids.entry(of).or_default().push(row.guid.clone());
        }
        let mut there = BTreeSet::new();
        for ((object, field), guids) in guids {
            let Some(places) = self.places(&object, &field, &guids).await? else {
                return Ok(None);
            };
            there.extend(places.into_iter().filter_map(|(guid, place)| match place {
                Place::On(Some(lead)) => Some((object.clone(), guid, lead)),
                _ => None,
            }));
        }
        let is_there =
            |row: &RowMove| there.contains(&(row.object.clone(), folded(&row.guid), row.from));
        Ok(Some(moves.into_iter().filter(is_there).collect()))
    }

    /// The rows of these leads, judged as before a merge, by the records that live in their places.
    async fn rows_of_gone(
        &mut self,
        gone: &BTreeMap<LeadId, Gone>,
    ) -> Result<Option<BTreeMap<LeadId, GroupRows>>, Error> {
        let mut by_owner: BTreeMap<(LeadId, bool), Vec<LeadId>> = BTreeMap::new();
        for (lead, of) in gone {
            by_owner.entry((of.owner, of.leaves_rows)).or_default().push(*lead);
        }
        let (stop, grace) = (self.stop.clone(), self.grace());
        let asking = self.custom_objects.linked_by_id(self.marketo);
        let Some(linked) = in_time(&stop, grace, asking).await else { return Ok(None) };
        let linked = linked?;
        let is_asked = |object: &str| linked.iter().any(|(name, _)| name == object);
        let mut all: BTreeMap<LeadId, GroupRows> = BTreeMap::new();
        for leaves_rows in [false, true] {
            let of_kind = by_owner.iter().filter(|((_, leaves), _)| *leaves == leaves_rows);
            let families: Vec<Family<'_>> =
                of_kind.map(|((winner, _), losers)| Family { winner: *winner, losers }).collect();
            let nothing = BTreeMap::new();
            let finding = self.custom_objects.find_in(self.marketo, &families, &nothing, is_asked);
            let Some(found) = in_time(&stop, grace, finding).await else { return Ok(None) };
            for (owner, mut rows) in found? {
                if leaves_rows {
                    leave(&mut rows);
                }
                all.entry(owner).or_default().join(rows);
            }
        }
        Ok(Some(all))
    }

    /// Keeps what a look showed, where it differs from what the one before it showed. That there is
    /// nothing is kept once a merge, and not for each look while the run goes on.
    fn keep_late(
        &mut self,
        records: &BTreeMap<CallId, LateRecord>,
        keeps_none: bool,
    ) -> Result<(), Error> {
        let calls: Vec<CallId> = records.keys().copied().collect();
        let last = self.ledger.last_witness(WitnessKind::Rows, &calls)?;
        let mut seen = Vec::new();
        for (call, record) in records {
            self.late_rows.add(*call, record);
            let (verdict, body) = (record.verdict(), body_of(record));
            let is_news = match last.get(call) {
                None => keeps_none || *record != LateRecord::default(),
                Some((said, digest)) => {
                    !record.moved.is_empty() || said != verdict || *digest != sha256_of(&body)
                }
            };
            if is_news {
                seen.push((*call, verdict, body));
            }
        }
        Ok(self.ledger.keep_witness(WitnessKind::Rows, &seen, &self.at())?)
    }
}

/// What stays on a lead that is gone.
enum Left {
    Rows(LeftRows),
    NotKnown(String),
}

/// The rows that cannot move, but those that were to be left behind; by their lead. Pure.
fn left_behind(
    owner: LeadId,
    rows: Vec<crate::dedupe::LeadRows>,
    gone: &BTreeMap<LeadId, Gone>,
) -> Vec<(LeadId, Left)> {
    let mut left = Vec::new();
    for rows in rows {
        let Some(why) = rows.stays.as_deref().map(after_the_merge) else { continue };
        let Some(lead) = rows.lead else {
            // It may concern every lead that went into this record.
            let of_owner = gone.iter().filter(|(_, of)| of.owner == owner);
            left.extend(of_owner.map(|(lead, _)| (*lead, Left::NotKnown(why.clone()))));
            continue;
        };
        let Some(of) = gone.get(&lead) else { continue };
        let known = of.known.get(&rows.object).copied().unwrap_or_default();
        if rows.count > known {
            let (object, count) = (rows.object, rows.count - known);
            left.push((lead, Left::Rows(LeftRows { object, lead, count, why })));
        }
    }
    left
}

/// What became of a row that was to be linked. Pure.
fn tell_fate(record: &mut LateRecord, wish: Wish, fate: RowFate) {
    let Wish { object, guid, from, to, .. } = wish;
    let why = match fate {
        RowFate::There => {
            record.moved.push(LateRow { object, guid, from, to });
            return;
        }
        // Somebody has seen to it.
        RowFate::Gone | RowFate::Elsewhere(_) => return,
        RowFate::NoLead => format!("row {guid}: lead {to}, which took it in, is gone"),
        RowFate::Stuck(why) => format!("row {guid}: {why}; the next run tries again"),
    };
    record.left.push(LeftRows { object, lead: from, count: 1, why });
}
