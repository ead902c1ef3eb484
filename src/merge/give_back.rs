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
use super::write::record::Record;
use crate::dedupe::{FieldChange, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Call, CallKind, Finding, FindingKind, Purpose};
use crate::marketo::{SYNC_LIMIT, longest};

pub(super) mod standing;

pub(super) use standing::GivenBack;
use standing::{
    Field, Fields, Standing, became_of, finding, may_be_added_again, stays_as_a_no, to_give_back,
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
        let mut asked: BTreeSet<(LeadId, String)> = BTreeSet::new();
        let asks = |merge: &mut Self, look: &Look| {
            let fields = merge.fields_of(plan, &groups, look)?;
            merge.keep_open(plan, &fields)?;
            let records: Vec<Record> = fields.iter().filter_map(to_give_back).collect();
            for record in &records {
                asked
                    .extend(record.changes.iter().map(|change| (record.lead, change.name.clone())));
            }
            let by_plan = (!records.is_empty()).then(|| (plan.to_owned(), records));
            Ok(by_plan.into_iter().collect())
        };
        let Some(look) = self.look_and_write(&ids, Purpose::GiveBack, asks).await? else {
            return Ok(BTreeMap::new());
        };
        let fields = self.fields_of(plan, &groups, &look)?;
        self.close_what_is_settled(plan, &fields)?;
        self.keep_open(plan, &fields)?;
        let mut done: Vec<LeadId> = Vec::new();
        for of_group in &fields {
            let is_settled =
                to_give_back(of_group).is_none() && !may_be_added_again(of_group, &look);
            if is_settled && !self.may_still_show(plan, of_group, &asked)? {
                done.push(of_group.0.winner);
            }
        }
        self.ledger.nothing_to_give_back(plan, &done, &self.at())?;
        let told = fields.iter().map(|(group, fields)| {
            let told = became_of(group, fields.as_deref(), &asked, &self.facts);
            (group.winner, told)
        });
        Ok(told.collect())
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

    /// Whether a look that shows nothing of the write to a winner may be one that lags behind it:
    /// the write is recent, and no look has shown a value of it.
    fn may_still_show(
        &self,
        plan: &str,
        (group, fields): &(&PlannedGroup, Option<Vec<Field<'_>>>),
        asked: &BTreeSet<(LeadId, String)>,
    ) -> Result<bool, Error> {
        let Some(fields) = fields else { return Ok(false) };
        for field in fields {
            let shows_nothing =
                matches!(field.standing, Standing::AsBefore | Standing::Unexplained);
            let was_asked = asked.contains(&(group.winner, field.change.name.clone()));
            if !shows_nothing || was_asked || self.was_seen(group.winner, field.change)? {
                return Ok(false);
            }
        }
        let limit = TimeDelta::from_std(longest(SYNC_LIMIT, self.clock)).unwrap_or_default();
        let written_at = self.ledger.prepared_at(plan, group.winner)?;
        Ok(written_at.is_some_and(|at| (self.now)() - at <= limit))
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
