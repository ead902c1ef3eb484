//! Sees to rows that were moved for a merge: after it they are looked for on the record that
//! stayed, and where it was not made they are linked back to where they were.
//!
//! The ledger keeps each row in mind until a look has settled it, so that a killed run loses none.
//! Never: links a row back whose merge may be under way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::link::{GUID, folded};
use super::wish::{RowFate, RowsBack, Wish, lost_rows, proofs, surprise, told};
use crate::lead::LeadId;
use crate::ledger::{Call, CallId, CallKind, MovedRow, RowPurpose};
use crate::merge::context::{Merge, MergeClient};
use crate::merge::error::Error;
use crate::merge::leads::end_of;
use crate::merge::report::Fate;
use crate::merge::settle::{Pending, Settled};

impl<M: MergeClient> Merge<'_, M> {
    /// Looks for the rows that were moved for merges which are done, on the records that stayed.
    /// What is not there is linked there, or told as lost. Gives the calls back that the run has no
    /// time to finish.
    pub(in crate::merge) async fn see_to_rows<'p>(
        &mut self,
        settled: Vec<Settled<'p>>,
    ) -> Result<(Vec<Settled<'p>>, Vec<Pending<'p>>), Error> {
        let winners: Vec<LeadId> = settled.iter().map(|one| one.pending.group.winner).collect();
        let unsettled = self.ledger.unsettled_rows(Some(&winners))?;
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for mut one in settled {
            let Some(survivor) = one.finding.survivor().map(|lead| lead.id) else {
                done.push(one);
                continue;
            };
            let group = one.pending.group;
            let is_of_it = |moved: &&MovedRow| {
                moved.row.winner == group.winner
                    && moved.plan == one.pending.plan
                    && one.finding.gone().contains(&moved.row.was)
            };
            // The lead that survived in the winner's place keeps its own rows by itself.
            let mut wishes: Vec<Wish> = unsettled
                .iter()
                .filter(|moved| {
                    is_of_it(moved)
                        || (survivor != group.winner && moved.row.winner == group.winner)
                })
                .map(|moved| Wish::of(moved.clone(), survivor, RowPurpose::Follow))
                .collect();
            let mut own = 0;
            if survivor != group.winner {
                let Some(strays) = self.strays(&one, survivor).await? else {
                    left.push(one.pending);
                    continue;
                };
                own = group
                    .rows
                    .iter()
                    .filter(|rows| rows.lead == Some(group.winner))
                    .map(|rows| rows.count)
                    .sum();
                own = usize::saturating_sub(own, strays.len());
                wishes.extend(strays);
            }
            if wishes.is_empty() && own == 0 {
                done.push(one);
                continue;
            }
            let Some(fates) = self.settle_rows(wishes).await? else {
                left.push(one.pending);
                continue;
            };
            one.rows = proofs(&fates);
            one.surprises.extend(lost_rows(survivor, &fates));
            if own > 0 {
                one.surprises.push(surprise(
                    survivor,
                    "custom objects of the record that was to stay",
                    own,
                    0,
                    Fate::Lost,
                ));
            }
            done.push(one);
        }
        Ok((done, left))
    }

    /// The rows that hang on the lead which was to stay and is gone, where they can be found.
    async fn strays(
        &mut self,
        one: &Settled<'_>,
        survivor: LeadId,
    ) -> Result<Option<Vec<Wish>>, Error> {
        let winner = one.pending.group.winner;
        let mut strays = Vec::new();
        let linked = self.custom_objects.linked_by_id(self.marketo).await?;
        for (object, field) in linked {
            let (ids, fields) = ([winner.to_string()], [field.clone()]);
            let reading = self.marketo.custom_objects(&object, &field, &ids, &fields);
            let Some(read) = self.within_grace(reading).await else { return Ok(None) };
            let rows = match read {
                Ok(rows) => rows,
                Err(error) if error.stops_the_run() => return Err(error.into()),
                Err(_cannot_be_read) => continue,
            };
            strays.extend(rows.iter().filter_map(|row| {
                let guid = row.get(GUID).and_then(Value::as_str)?.to_owned();
                Some(Wish {
                    calls: Vec::new(),
                    plan: one.pending.plan.to_owned(),
                    object: object.clone(),
                    field: field.clone(),
                    guid,
                    winner,
                    was: winner,
                    from: winner,
                    to: survivor,
                    purpose: RowPurpose::Follow,
                })
            }));
        }
        let unsettled = self.ledger.unsettled_rows(Some(&[winner]))?;
        strays.retain(|stray| {
            unsettled
                .iter()
                .all(|moved| (moved.object.clone(), folded(&moved.row.guid)) != stray.id())
        });
        Ok(Some(strays))
    }

    /// Links the rows back that were moved for these winners of a plan and whose leads are there.
    /// Tells of each winner what became of them; of none where the run is to stop.
    pub(in crate::merge) async fn give_rows_back(
        &mut self,
        plan: &str,
        winners: &BTreeSet<LeadId>,
    ) -> Result<BTreeMap<LeadId, RowsBack>, Error> {
        if winners.is_empty() {
            return Ok(BTreeMap::new());
        }
        let winners: Vec<LeadId> = winners.iter().copied().collect();
        let moved = self.ledger.unsettled_rows(Some(&winners))?;
        let moved = moved.into_iter().filter(|moved| moved.plan == plan).collect();
        self.link_back(moved).await
    }

    /// How many rows that were moved for a group nothing has settled: each once.
    pub(in crate::merge) fn rows_left(&self, plan: &str, winner: LeadId) -> Result<usize, Error> {
        let moved = self.ledger.unsettled_rows(Some(&[winner]))?;
        let of_plan = moved.iter().filter(|moved| moved.plan == plan);
        let rows: BTreeSet<(&str, String)> =
            of_plan.map(|moved| (moved.object.as_str(), folded(&moved.row.guid))).collect();
        Ok(rows.len())
    }

    /// Links the rows back that earlier runs left. Those whose lead was merged since are looked for
    /// on the record that stayed.
    pub(in crate::merge) async fn give_earlier_rows_back(
        &mut self,
    ) -> Result<(usize, Vec<String>), Error> {
        let moved = self.ledger.unsettled_rows(None)?;
        let told = self.link_back(moved).await?;
        let back = told.values().map(|told| told.back).sum();
        let kept = told.iter().filter(|(_, told)| !told.all);
        let kept = kept.map(|(winner, told)| format!("lead {winner}: {}", told.words));
        Ok((back, kept.collect()))
    }

    async fn link_back(
        &mut self,
        moved: Vec<MovedRow>,
    ) -> Result<BTreeMap<LeadId, RowsBack>, Error> {
        if moved.is_empty() {
            return Ok(BTreeMap::new());
        }
        let open = self.ledger.open_calls()?;
        let merges = open.iter().filter(|call| call.what.kind == CallKind::Merge);
        let may_be_merging: BTreeSet<LeadId> = merges.flat_map(Call::winners).collect();
        let in_doubt: BTreeSet<CallId> = open.iter().map(|call| call.id).collect();
        let into = self.ledger.merged_into()?;
        let wishes = moved
            .into_iter()
            .filter(|moved| {
                !may_be_merging.contains(&moved.row.winner) && !in_doubt.contains(&moved.call)
            })
            .map(|moved| {
                let was = moved.row.was;
                let survivor = end_of(was, &into).map(|survivor| (survivor, RowPurpose::Follow));
                let (to, purpose) = survivor.unwrap_or((was, RowPurpose::GiveBack));
                Wish::of(moved, to, purpose)
            })
            .collect();
        let Some(fates) = self.settle_rows(wishes).await? else { return Ok(BTreeMap::new()) };
        let mut by_winner: BTreeMap<LeadId, Vec<(Wish, RowFate)>> = BTreeMap::new();
        for (wish, fate) in fates {
            by_winner.entry(wish.winner).or_default().push((wish, fate));
        }
        Ok(by_winner.into_iter().map(|(winner, fates)| (winner, told(&fates))).collect())
    }
}
