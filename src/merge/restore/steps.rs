//! The steps that make a new lead whole and give the one that took it its former state back.
//!
//! Each is the same when it is done twice, and is done only where a look shows that it is missing.
//! What came of them is told by the look at the end, not by the answers: these only say why.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::find::Loss;
use super::live::{Live, id_of};
use super::membership::membership;
use super::report::{FormerValue, Named, ValueOf};
use super::wanted::{Wanted, WinnerWanted, in_words};
use super::{ConfirmedRestore, Error, Restore, RestoreClient};
use crate::lead::LeadId;
use crate::ledger::{RestoredLead, RunId};
use crate::marketo::{
    self, Outcome, RecordStatus, STATUS_LIMIT, SYNC_LIMIT, StatusResult, SyncAction, SyncRequest,
    UntilStopped, until_over,
};

/// How long after a stop a step of the lead under way may still wait for its turn.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Why steps failed, by list, program or object.
pub(super) type Said = BTreeMap<String, String>;

/// The name of a list, for [`Said`].
pub(super) fn of_list(list: u64) -> String {
    format!("list {list}")
}

pub(super) fn of_program(program: u64) -> String {
    format!("program {program}")
}

pub(super) const PARTITION: &str = "partition";
pub(super) const VALUES: &str = "values";

impl<M: RestoreClient> Restore<'_, M> {
    /// Gives a new lead what it lacks of what is wanted.
    pub(super) async fn fill(
        &mut self,
        order: &ConfirmedRestore,
        new: LeadId,
        wanted: &Wanted,
        live: &Live,
    ) -> Result<Said, Error> {
        let mut said = Said::new();
        let Some(lead) = &live.lead else { return Ok(said) };
        if let Some(partition) = wanted.partition.filter(|id| lead.partition_id() != Some(*id)) {
            if let Some(name) = self.partition_name(partition).await? {
                let until = self.gate();
                let gate = self.holds.keys_of_call([new], STATUS_LIMIT).gate(&until);
                let moved = self.marketo.move_to_partition_with(&gate, order, new, &name).await;
                said.extend(self.ended(PARTITION.to_owned(), moved, STATUS_LIMIT).await?);
            } else {
                let why = "this API user does not see that partition".to_owned();
                said.insert(PARTITION.to_owned(), why);
            }
        }
        let lacks = |value: &&ValueOf| {
            let held = lead.value(&value.name).unwrap_or(&Value::Null);
            !self.facts.holds(&value.name, held, &value.value)
        };
        let values: Vec<(String, Value)> = wanted
            .fields
            .iter()
            .filter(lacks)
            .map(|value| (value.name.clone(), value.value.clone()))
            .collect();
        said.extend(self.write(new, values).await?);
        for list in wanted.lists.iter().filter(|list| !is_in(&live.lists, list.id)) {
            said.extend(self.set_on_list(order, list.id, new, true).await?);
        }
        for (program, fields) in &wanted.programs {
            let held = held_in(live, program.id);
            let is_there = held.as_ref().is_some_and(|(held, _)| held.status == program.status);
            if let (Some(status), false) = (&program.status, is_there) {
                said.extend(self.set_status(program.id, status, new).await?);
            }
            let lacking: Map<String, Value> = fields
                .iter()
                .filter(|(name, value)| {
                    held.as_ref().and_then(|(_, held)| held.get(*name)) != Some(*value)
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            said.extend(self.set_member_fields(order, program.id, new, &lacking).await?);
        }
        Ok(said)
    }

    /// Gives the lead that took the lost one its former state back.
    pub(super) async fn give_back_to(
        &mut self,
        order: &ConfirmedRestore,
        WinnerWanted { report: winner, put_back, .. }: &WinnerWanted,
    ) -> Result<Said, Error> {
        let former = |value: &FormerValue| (value.name.clone(), value.after.clone());
        let mut said = self.write(winner.id, winner.fields.iter().map(former).collect()).await?;
        for list in &winner.lists_left {
            said.extend(self.set_on_list(order, list.id, winner.id, false).await?);
        }
        for program in &winner.programs_left {
            let is_out = put_back.contains(&program.id);
            said.extend(self.lower(order, winner.id, program, is_out).await?);
        }
        // A membership that was ended and made anew has none of its fields any more.
        for member in &winner.member_fields {
            let former = member.fields.iter().map(former).collect();
            said.extend(self.set_member_fields(order, member.id, winner.id, &former).await?);
        }
        Ok(said)
    }

    /// Takes a lead out of a program, and puts it back where it was in it before.
    ///
    /// While a call that takes it out may still be at work, nothing puts it back: Marketo would
    /// delete the membership that was made. A run that is stopped then leaves it to the next one.
    async fn lower(
        &mut self,
        order: &ConfirmedRestore,
        lead: LeadId,
        program: &Named,
        is_out: bool,
    ) -> Result<Said, Error> {
        let held = self.marketo.program_membership(lead).await?;
        let mut said = Said::new();
        if is_out && is_in(&held, program.id) {
            // What it holds was not looked at, and must not be ended.
            let why = "it is a member again since the look; run the same command again";
            return Ok(Said::from([(of_program(program.id), why.to_owned())]));
        }
        if !is_out {
            let until = self.gate();
            let gate = self.holds.keys_of_call([lead], STATUS_LIMIT).gate(&until);
            let left = self.marketo.leave_program_with(&gate, order, program.id, lead).await;
            let in_doubt = left.as_ref().is_err_and(|error| error.outcome() == Outcome::Unclear);
            said.extend(self.ended(of_program(program.id), left, STATUS_LIMIT).await?);
            if in_doubt && self.settings.stop.is_cancelled() {
                return Ok(said);
            }
        }
        if let Some(status) = &program.status {
            said.extend(self.set_status(program.id, status, lead).await?);
        }
        Ok(said)
    }

    /// Waits until no call of an earlier restore that was cut short can be at work any more: one
    /// that takes a lead out of a program would delete what is put back. False where the run is to
    /// stop before that.
    pub(super) async fn earlier_is_over(&self, loss: &Loss, run: RunId) -> Result<bool, Error> {
        let is_in_programs = loss
            .backup
            .as_ref()
            .is_some_and(|backup| backup.programs.as_ref().is_some_and(|rows| !rows.is_empty()));
        let is_cut_short = |one: &RestoredLead| one.run != run && !one.complete;
        if !is_in_programs || !self.ledger.restored_leads()?.iter().any(is_cut_short) {
            return Ok(true);
        }
        let over = self.opened_at + until_over(STATUS_LIMIT, self.settings.clock);
        Ok(tokio::select! {
            () = tokio::time::sleep_until(over) => true,
            () = self.settings.stop.cancelled() => false,
        })
    }

    /// Writes values to a lead, by id, null to clear.
    async fn write(&mut self, lead: LeadId, values: Vec<(String, Value)>) -> Result<Said, Error> {
        if values.is_empty() {
            return Ok(Said::new());
        }
        let mut record: Map<String, Value> = values.into_iter().collect();
        record.insert("id".to_owned(), Value::from(lead));
        let request = SyncRequest::new(SyncAction::UpdateOnly, "id", vec![record]);
        let until = self.gate();
        let gate = self.holds.keys_of_call([lead], SYNC_LIMIT).gate(&until);
        let written = self.marketo.sync_leads_with(&gate, &request).await;
        let written = written.map(|results| {
            let of_record = results.into_iter().next();
            let set =
                of_record.as_ref().is_some_and(|result| result.status == RecordStatus::Updated);
            let reasons = of_record.map(|result| result.reasons).unwrap_or_default();
            StatusResult { lead, set, reasons }
        });
        self.ended(VALUES.to_owned(), written, SYNC_LIMIT).await
    }

    async fn set_on_list(
        &mut self,
        order: &ConfirmedRestore,
        list: u64,
        lead: LeadId,
        on: bool,
    ) -> Result<Said, Error> {
        let until = self.gate();
        let gate = self.holds.keys_of_call([lead], STATUS_LIMIT).gate(&until);
        let set = self.marketo.set_on_list_with(&gate, order, list, lead, on).await;
        self.ended(of_list(list), set, STATUS_LIMIT).await
    }

    /// Writes fields of a member, null to clear.
    async fn set_member_fields(
        &mut self,
        order: &ConfirmedRestore,
        program: u64,
        lead: LeadId,
        fields: &Map<String, Value>,
    ) -> Result<Said, Error> {
        if fields.is_empty() {
            return Ok(Said::new());
        }
        let until = self.gate();
        let gate = self.holds.keys_of_call([lead], STATUS_LIMIT).gate(&until);
        let set = self.marketo.set_member_fields_with(&gate, order, program, lead, fields).await;
        self.ended(of_program(program), set, STATUS_LIMIT).await
    }

    async fn set_status(
        &mut self,
        program: u64,
        status: &str,
        lead: LeadId,
    ) -> Result<Said, Error> {
        let until = self.gate();
        let gate = self.holds.keys_of_call([lead], STATUS_LIMIT).gate(&until);
        let set = self.marketo.set_program_status_with(&gate, program, status, &[lead]).await;
        let set = set.map(|mut results| {
            results.pop().unwrap_or(StatusResult { lead, set: false, reasons: Vec::new() })
        });
        self.ended(of_program(program), set, STATUS_LIMIT).await
    }

    /// Says why a step did not go as it should. A lost answer is waited for until its call must be
    /// over, so that the look at the end shows what it did.
    async fn ended(
        &self,
        what: String,
        result: Result<StatusResult, marketo::Error>,
        limit: Duration,
    ) -> Result<Said, Error> {
        let why = match result {
            Ok(result) if result.set => return Ok(Said::new()),
            Ok(result) => result
                .reasons
                .iter()
                .map(|reason| format!("Marketo says {} {}", reason.code, reason.message))
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) if error.outcome() == Outcome::Unclear => {
                let clock = self.settings.clock;
                let over = crate::merge::write::in_flight(&error, limit, clock).over_at();
                tokio::select! {
                    () = tokio::time::sleep_until(over) => {}
                    () = self.settings.stop.cancelled() => {}
                }
                "the answer was lost; run the same command again".to_owned()
            }
            Err(error) if error.stops_the_run() => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        Ok(Said::from([(what, why)]))
    }

    async fn partition_name(&mut self, id: u64) -> Result<Option<String>, Error> {
        if self.partitions.is_none() {
            self.partitions = Some(self.marketo.partitions().await?);
        }
        let known = self.partitions.iter().flatten().find(|(known, _)| *known == id);
        Ok(known.map(|(_, name)| name.clone()))
    }

    pub(super) fn gate(&self) -> UntilStopped {
        UntilStopped::after(self.settings.stop.clone(), self.settings.clock.wall(GRACE))
    }
}

pub(super) fn is_in(rows: &super::find::Rows, id: u64) -> bool {
    rows.iter().any(|row| id_of(row) == Some(id))
}

/// Where a lead is in a program, with the fields of the member.
pub(super) fn held_in(live: &Live, program: u64) -> Option<(Named, Map<String, Value>)> {
    live.programs.iter().filter_map(membership).find(|(held, _)| held.id == program)
}

/// A list or program in words, for messages.
pub(super) fn told(kind: &str, named: &Named) -> String {
    format!("{kind} {}", in_words(named))
}
