//! Gives a winner its former values back whose merge was not made: a group that is left alone is as
//! it was (law 2).
//!
//! What cannot be set back, or was never seen as it was written, stays open in the ledger with its
//! value before; it is there before the values are written back, so that a kill cannot make it
//! silent. The ledger keeps a winner in mind until a look has shown that nothing is left to be
//! given back, and cannot be one that lags behind the write. Never: takes back what somebody else
//! wrote since, an opt-out (law 5 outranks law 2: its person may have said no since), a value whose
//! giver is gone, so that nobody else has it, or one of a winner whose merge may be under way.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::kept_plan::plan_of_run;
use super::leads::members;
use super::look::Look;
use super::own_writes::{givers, is_ours};
use super::timing::READ_LAG;
use super::write::record::Record;
use crate::dedupe::{FieldChange, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Call, CallKind, Finding, FindingKind, Purpose};

pub(super) mod standing;

pub(super) use standing::GivenBack;
use standing::{
    Asked, Field, Fields, Standing, became_of, finding, may_be_added_again,
    shows_nothing_of_the_write, stays_as_a_no, to_give_back,
};

impl<M: MergeClient> Merge<'_, M> {
    /// Gives winners their former values back. Tells of each what became of it; of none where the
    /// run is to stop.
    pub(super) async fn give_back(
        &mut self,
        plan: &str,
        groups: &[&PlannedGroup],
    ) -> Result<BTreeMap<LeadId, GivenBack>, Error> {
        let groups: Vec<&PlannedGroup> =
            groups.iter().filter(|group| !group.changes.is_empty()).copied().collect();
        let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut asked: Asked = BTreeSet::new();
        let Some(mut look) = self.write_back(plan, &groups, &ids, &mut asked).await? else {
            return Ok(BTreeMap::new());
        };
        // A look that may lag behind the write is taken once more.
        if !self.lagging(plan, &self.fields_of(plan, &groups, &look)?, &asked)?.is_empty() {
            let Some(again) = self.write_back(plan, &groups, &ids, &mut asked).await? else {
                return Ok(BTreeMap::new());
            };
            look = again;
        }
        let fields = self.fields_of(plan, &groups, &look)?;
        self.close_what_is_settled(plan, &fields)?;
        self.keep_open(plan, &fields)?;
        let lagging = self.lagging(plan, &fields, &asked)?;
        let is_settled = |of_group: &&(&PlannedGroup, Option<Vec<Field<'_>>>)| {
            to_give_back(of_group).is_none()
                && !may_be_added_again(of_group, &look)
                && !lagging.contains(&of_group.0.winner)
        };
        let done: Vec<LeadId> =
            fields.iter().filter(is_settled).map(|(group, _)| group.winner).collect();
        self.ledger.nothing_to_give_back(plan, &done, &self.at())?;
        let told = fields.iter().map(|(group, fields)| {
            let lags = lagging.contains(&group.winner);
            let told = became_of(group, fields.as_deref(), &asked, lags, &self.facts);
            (group.winner, told)
        });
        Ok(told.collect())
    }

    /// Looks at the groups and writes back what is to be given back, until a look shows nothing of
    /// that kind or the tries are used up. Adds the fields that it asked for; gives the last look.
    async fn write_back(
        &mut self,
        plan: &str,
        groups: &[&PlannedGroup],
        ids: &[LeadId],
        asked: &mut Asked,
    ) -> Result<Option<Look>, Error> {
        let asks = |merge: &mut Self, look: &Look| {
            let fields = merge.fields_of(plan, groups, look)?;
            merge.keep_open(plan, &fields)?;
            let records: Vec<Record> = fields.iter().filter_map(to_give_back).collect();
            for record in &records {
                asked
                    .extend(record.changes.iter().map(|change| (record.lead, change.name.clone())));
            }
            let by_plan = (!records.is_empty()).then(|| (plan.to_owned(), records));
            Ok(by_plan.into_iter().collect())
        };
        self.look_and_write(ids, Purpose::GiveBack, asks).await
    }

    /// Gives the winners of earlier runs their values back whose merges those runs did not come to.
    /// Gives how many got some, and of those that do not have all, the reasons.
    pub(super) async fn give_back_earlier(&mut self) -> Result<(usize, Vec<String>), Error> {
        let mut winners: BTreeMap<String, Vec<LeadId>> = BTreeMap::new();
        let open = self.ledger.open_calls()?;
        let open = open.iter().filter(|call| call.what.kind == CallKind::Merge);
        let may_be_merging: BTreeSet<LeadId> = open.flat_map(Call::winners).collect();
        for unfinished in self.ledger.unfinished_writes()? {
            // Where losers are gone already, or may be, the values are the survivor's for good.
            if !unfinished.gone.is_empty() || may_be_merging.contains(&unfinished.winner) {
                continue;
            }
            winners.entry(unfinished.plan).or_default().push(unfinished.winner);
        }
        let (mut given_back, mut kept) = (0, Vec::new());
        for (plan, winners) in winners {
            // A plan of an older format cannot be read any more; its values then count as the
            // winner's own.
            let Some(plan) = plan_of_run(self.ledger, &plan, &winners)? else { continue };
            let groups: Vec<&PlannedGroup> =
                plan.groups.iter().filter(|group| winners.contains(&group.winner)).collect();
            for groups in groups.chunks(100) {
                let told = self.give_back(&plan.id, groups).await?;
                given_back += told.values().filter(|back| back.any).count();
                kept.extend(groups.iter().filter_map(|group| {
                    let back = told.get(&group.winner).filter(|back| !back.all)?;
                    Some(format!("lead {} ({}): {}", group.winner, group.key, back.words))
                }));
            }
        }
        Ok((given_back, kept))
    }

    /// Where the written fields of winners stand by a look.
    fn fields_of<'p>(
        &self,
        plan: &str,
        groups: &[&'p PlannedGroup],
        look: &Look,
    ) -> Result<Fields<'p>, Error> {
        let mut all = Vec::new();
        for group in groups {
            let Some(winner) = look.leads.get(&group.winner) else {
                all.push((*group, None));
                continue;
            };
            let mut fields = Vec::new();
            for change in &group.changes {
                let held = winner.value(&change.name).cloned().unwrap_or(Value::Null);
                let standing = self.standing(group, change, &held, &look.leads)?;
                let mut field = Field { change, standing, held };
                if field.is_wrong() && self.ledger.is_acknowledged(plan, &finding(group, &field))? {
                    field.standing = Standing::Acknowledged;
                }
                fields.push(field);
            }
            all.push((*group, Some(fields)));
        }
        Ok(all)
    }

    fn standing(
        &self,
        group: &PlannedGroup,
        change: &FieldChange,
        held: &Value,
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Standing, Error> {
        let facts = &self.facts;
        if facts.holds(&change.name, held, &change.before) {
            return Ok(Standing::AsBefore);
        }
        if is_ours(change, held, facts) {
            if stays_as_a_no(group, change, facts) {
                return Ok(Standing::No);
            }
            let gone = givers(change, &group.losers).find(|giver| !live.contains_key(giver));
            return Ok(gone.map_or(Standing::Ours, Standing::GiverGone));
        }
        let was_seen = self.was_seen(group.winner, change)?;
        Ok(if was_seen { Standing::Changed } else { Standing::Unexplained })
    }

    /// A winner that was seen with the written value was backed up so before its merge was to
    /// leave.
    fn was_seen(&self, winner: LeadId, change: &FieldChange) -> Result<bool, Error> {
        let last = self.ledger.backups_of(winner)?.pop();
        let is_written = |held: &Value| self.facts.holds(&change.name, held, &change.after);
        Ok(last.is_some_and(|backup| backup.lead.value(&change.name).is_some_and(is_written)))
    }

    /// The winners of which a look shows nothing of a recent write to them, though nobody is known
    /// to have taken it back: the look may lag behind. That an earlier look has shown the write
    /// proves nothing, since two looks may be answered from two copies.
    fn lagging(
        &self,
        plan: &str,
        all: &Fields<'_>,
        asked: &Asked,
    ) -> Result<BTreeSet<LeadId>, Error> {
        let limit = TimeDelta::from_std(self.clock.wall(READ_LAG)).unwrap_or_default();
        let mut lagging = BTreeSet::new();
        for (group, fields) in all {
            let Some(fields) = fields else { continue };
            if shows_nothing_of_the_write(group.winner, fields, asked) {
                let written_at = self.ledger.prepared_at(plan, group.winner)?;
                if written_at.is_some_and(|at| (self.now)() - at <= limit) {
                    lagging.insert(group.winner);
                }
            }
        }
        Ok(lagging)
    }

    fn keep_open(&mut self, plan: &str, all: &Fields<'_>) -> Result<(), Error> {
        let of_group = |(group, fields): &(&PlannedGroup, Option<Vec<Field<'_>>>)| -> Vec<Finding> {
            let wrong = fields.iter().flatten().filter(|field| field.is_wrong());
            wrong.map(|field| finding(group, field)).collect()
        };
        let findings: Vec<Finding> = all.iter().flat_map(of_group).collect();
        if findings.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.open_findings_with(plan, &findings, &self.at())?)
    }

    /// Closes the findings of fields that are not wrong any more, and those that name another value
    /// than is there.
    fn close_what_is_settled(&mut self, plan: &str, all: &Fields<'_>) -> Result<(), Error> {
        for (id, of_plan, finding) in self.ledger.open_findings()? {
            let group = all.iter().find(|(group, _)| group.winner == finding.lead);
            let fields = group.and_then(|(_, fields)| fields.as_ref());
            let field =
                fields.into_iter().flatten().find(|field| field.change.name == finding.field);
            let (Some(field), true) =
                (field, of_plan == plan && finding.kind == FindingKind::NotSetBack)
            else {
                continue;
            };
            let how = match field.standing {
                Standing::AsBefore => "a look showed the former value",
                Standing::Changed => "somebody has given the field a value since",
                Standing::No => "it may be a person's no, and stays",
                Standing::GiverGone(_) => "the record that had the value is gone, and it stays",
                Standing::Acknowledged => "a person has acknowledged it",
                Standing::Ours | Standing::Unexplained if field.held != finding.found => {
                    "it holds something else by now"
                }
                Standing::Ours | Standing::Unexplained => continue,
            };
            self.ledger.close_finding(id, how, &self.at())?;
        }
        Ok(())
    }
}
