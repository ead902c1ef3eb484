//! Restores lost leads one after the other, or says what that would do.

use serde_json::{Map, Value};

use super::find::Loss;
use super::live::Live;
use super::make::Made;
use super::members;
use super::report::{Missing, Named, RestoreReport, RestoredReport, Status, ValueOf, WinnerReport};
use super::steps::{self, PARTITION, Said, VALUES, held_in, is_in, told};
use super::wanted::{Wanted, WinnerWanted, wanted, winner_wanted};
use super::{ConfirmedRestore, Error, Restore, RestoreClient, words};
use crate::cancel::unless_stopped;
use crate::lead::LeadId;
use crate::ledger::{NewRun, OpenMaking, RestoreEnd, RestoredLead, RunId, RunKind};

impl<M: RestoreClient> Restore<'_, M> {
    /// What restoring these leads would do. Nothing is changed.
    pub async fn dry_run(&mut self, losses: &[Loss]) -> Result<RestoreReport, Error> {
        let mut report = RestoreReport::default();
        for loss in losses {
            let Some(one) = self.would_restore(loss).await? else {
                report.interrupted = true;
                break;
            };
            report.restored.push(one);
        }
        Ok(report)
    }

    /// Restores these leads. Always gives a report, however it ended.
    pub async fn carry_out(&mut self, order: &ConfirmedRestore, losses: &[Loss]) -> RestoreReport {
        let mut report = RestoreReport::default();
        if let Err(error) = self.restore_all(order, losses, &mut report).await {
            report.failed = Some(error);
        }
        self.holds.end().await;
        let Some(run) = report.run else { return report };
        let count = |status| report.count(status);
        let end = RestoreEnd {
            complete: report.failed.is_none() && !report.interrupted,
            restored: count(Status::Restored) + count(Status::Partial),
            skipped: count(Status::Skipped),
            failed: count(Status::Failed) + count(Status::Unknown),
        };
        if let Err(error) = self.ledger.end_restore(run, end, &self.at()) {
            report.failed.get_or_insert(error.into());
        }
        report
    }

    async fn restore_all(
        &mut self,
        order: &ConfirmedRestore,
        losses: &[Loss],
        report: &mut RestoreReport,
    ) -> Result<(), Error> {
        self.holds.ready().await?;
        let by = self.settings.by.clone();
        let begun = NewRun { kind: RunKind::Restore, plan: None, digest: None, by: by.as_deref() };
        let run = self.ledger.begin_run(&begun, &self.at())?;
        report.run = Some(run);
        // What an earlier run left open comes first, whatever is asked for now.
        report.settled = self.settle_makings().await?;
        self.settle_row_calls().await?;
        for loss in losses {
            if self.settings.stop.is_cancelled() {
                report.interrupted = true;
                return Ok(());
            }
            // What a making of an earlier run came to is known only now.
            let made = self.ledger.made_in_place_of(loss.merged.loser, loss.merged.call)?;
            let one = self.restore_one(order, run, loss, made).await?;
            self.holds.release_all().await;
            let complete = one.status == Status::Restored;
            // Of one that was left alone, what the earlier run came to stays in force.
            let was_tried = one.status != Status::Skipped;
            if let Some(new) = one.new_id.filter(|_| was_tried) {
                let (lost, call) = (loss.merged.loser, loss.merged.call);
                let kept = RestoredLead { run, lost, call, new: Some(new), complete };
                self.ledger.keep_restored(&kept, &self.at())?;
            }
            report.restored.push(one);
        }
        Ok(())
    }

    async fn would_restore(&mut self, loss: &Loss) -> Result<Option<RestoredReport>, Error> {
        let made = self.ledger.made_in_place_of(loss.merged.loser, loss.merged.call)?;
        let mut report = match self.left_alone(loss, made).await? {
            Ok(report) => report,
            Err(report) => return Ok(Some(report)),
        };
        let own = members::programs_of(loss, self.settings.lower_status);
        let Some(survivor) = self.live_unless_stopped(loss.survivor, &own).await? else {
            return Ok(None);
        };
        let (lead, winner) = self.decide(loss, &survivor);
        report.new_id = made;
        show(&mut report, &lead, &winner);
        let rows = self.rows_wanted(loss, made);
        let Some(rows) = unless_stopped(&self.settings.stop, rows).await? else { return Ok(None) };
        report.rows = rows.counts();
        report.not_restored.extend(winner.missing);
        report.not_restored.extend(rows.missing);
        Ok(Some(report))
    }

    /// A report to be filled, or the one of a lead that is left alone.
    async fn left_alone(
        &self,
        loss: &Loss,
        made: Option<LeadId>,
    ) -> Result<Result<RestoredReport, RestoredReport>, Error> {
        let id = loss.merged.loser;
        let key = loss.merged.key.as_str();
        let skipped = |why: String| RestoredReport::ended(id, key, Status::Skipped, why);
        if loss.lead().is_none() {
            return Ok(Err(skipped("its values are not in the ledger any more".to_owned())));
        }
        if let Some(earlier) = loss.earlier.filter(|earlier| earlier.complete) {
            let new = earlier.new.map_or_else(String::new, |new| format!(" as record {new}"));
            let why = format!("run {} restored it{new}", earlier.run);
            return Ok(Err(RestoredReport { new_id: earlier.new, ..skipped(why) }));
        }
        if self.lead(id).await?.is_some() {
            return Ok(Err(skipped("it is there: it was not lost, or is there again".to_owned())));
        }
        if let Some(new) = made
            && self.lead(new).await?.is_none()
        {
            let why = format!("it was made anew as record {new}, which is gone by now");
            return Ok(Err(RestoredReport { new_id: made, ..skipped(why) }));
        }
        Ok(Ok(RestoredReport::ended(id, key, Status::WouldRestore, None)))
    }

    fn decide(&self, loss: &Loss, survivor: &Live) -> (Wanted, WinnerWanted) {
        let Some(backup) = &loss.backup else { return Default::default() };
        let mut lead =
            wanted(&backup.lead, backup.lists.as_ref(), backup.programs.as_ref(), &self.facts);
        lead.missing.extend(words::spreading_no(loss.at_first.as_ref(), survivor.lead.as_ref()));
        let lower_status = self.settings.lower_status;
        let mut winner = winner_wanted(loss, survivor, &self.facts, lower_status);
        members::former(&mut winner, loss, survivor);
        (lead, winner)
    }

    async fn restore_one(
        &mut self,
        order: &ConfirmedRestore,
        run: RunId,
        loss: &Loss,
        made: Option<LeadId>,
    ) -> Result<RestoredReport, Error> {
        let mut report = match self.left_alone(loss, made).await? {
            Ok(report) => report,
            Err(report) => return Ok(report),
        };
        let Some(former) = loss.lead().cloned() else { return Ok(report) };
        let is_open = |open: &OpenMaking| {
            open.what.lost == loss.merged.loser && open.what.call == loss.merged.call
        };
        if self.ledger.open_makings()?.iter().any(is_open) {
            let why = "an earlier run sent it, and it is not clear yet what came of that; run the same command again";
            return Ok(not_made(report, Status::Unknown, why.to_owned()));
        }
        // Under the leases of both: nobody else writes them from this look on.
        let own = members::programs_of(loss, self.settings.lower_status);
        let survivor = self.live(loss.survivor, &own).await?;
        self.holds.keys.learn(survivor.lead.iter().chain([&former]));
        let ids = [former.id, loss.survivor].into_iter().chain(made);
        if self.holds.take_leads(ids).await?.is_none() {
            report.status = Status::Failed;
            report.reason = Some(crate::merge::hold::BUSY.to_owned());
            return Ok(report);
        }
        if !self.earlier_is_over(loss, run).await? {
            let why = "the run was stopped while a call of an earlier one could still be at work; the same command goes on";
            report.new_id = made;
            let status = if made.is_some() { Status::Partial } else { Status::Failed };
            return Ok(not_made(report, status, why.to_owned()));
        }
        let survivor = self.live(loss.survivor, &own).await?;
        let (lead, winner) = self.decide(loss, &survivor);
        show(&mut report, &lead, &winner);
        let new = match made {
            Some(new) => new,
            None => match self.make(order, run, loss, &former, &lead.fields).await? {
                Made::Yes(new) => new,
                Made::No(why) => return Ok(not_made(report, Status::Failed, why)),
                Made::NotKnown => {
                    let why = "the run was stopped before it was clear whether it was made; the same command looks first";
                    return Ok(not_made(report, Status::Unknown, why.to_owned()));
                }
            },
        };
        report.new_id = Some(new);
        let lead = match made {
            Some(_) => self.without_written_since(lead, new).await?,
            None => lead,
        };
        show(&mut report, &lead, &winner);
        self.make_whole(order, loss, new, (&lead, &winner), &mut report).await?;
        Ok(report)
    }

    /// The same without the values in whose place a record that an earlier run made has others by
    /// now: somebody wrote them since, for it was made with its own.
    async fn without_written_since(&self, wanted: Wanted, new: LeadId) -> Result<Wanted, Error> {
        let Some(lead) = self.lead(new).await? else { return Ok(wanted) };
        let held = |value: &ValueOf| lead.value(&value.name).unwrap_or(&Value::Null).clone();
        let is_others = |value: &ValueOf| {
            let held = held(value);
            !says_nothing(&held) && !self.facts.holds(&value.name, &held, &value.value)
        };
        let (theirs, ours): (Vec<ValueOf>, Vec<ValueOf>) =
            wanted.fields.into_iter().partition(is_others);
        let mut missing = wanted.missing;
        missing.extend(theirs.iter().map(|value| {
            let why = format!("somebody wrote {} since the record was made anew", held(value));
            Missing::new(format!("`{}`", value.name), why)
        }));
        Ok(Wanted { fields: ours, missing, ..wanted })
    }

    /// Everything but the making, and the look that tells what is there.
    async fn make_whole(
        &mut self,
        order: &ConfirmedRestore,
        loss: &Loss,
        new: LeadId,
        (lead, winner): (&Wanted, &WinnerWanted),
        report: &mut RestoredReport,
    ) -> Result<(), Error> {
        let own = members::programs_of(loss, self.settings.lower_status);
        let live = self.live(new, &own).await?;
        self.holds.keys.learn(&live.lead);
        if self.holds.take_leads([new]).await?.is_none() {
            report.status = Status::Partial;
            report.reason = Some(crate::merge::hold::BUSY.to_owned());
            return Ok(());
        }
        let said = self.fill(order, new, lead, &live).await?;
        let said_of_winner = self.give_back_to(order, winner).await?;
        let rows = self.rows_wanted(loss, Some(new)).await?;
        let (there, rows_open) = self.link_rows_to(loss, new, &rows).await?;
        report.rows = there;
        let live = self.live(new, &own).await?;
        let mut open = self.not_there(lead, &live, &said);
        keep_what_is_there(report, &live);
        let survivor = self.live(loss.survivor, &own).await?;
        open.extend(self.not_given_back(&winner.report, &survivor, &said_of_winner));
        open.extend(rows_open);
        report.status = if open.is_empty() { Status::Restored } else { Status::Partial };
        if !open.is_empty() {
            let why = "not everything came back that could; the list says what, and the same command tries again";
            report.reason = Some(why.to_owned());
        }
        open.extend(winner.missing.iter().cloned().chain(rows.missing));
        report.not_restored.splice(0..0, open);
        Ok(())
    }

    /// What a new lead should have and has not.
    fn not_there(&self, wanted: &Wanted, live: &Live, said: &Said) -> Vec<Missing> {
        let mut missing = Vec::new();
        let why = |what: &str| {
            said.get(what).cloned().unwrap_or_else(|| "Marketo did not take it".to_owned())
        };
        let Some(lead) = &live.lead else {
            return vec![Missing::new("the new record", "it is gone")];
        };
        for value in &wanted.fields {
            let held = lead.value(&value.name).unwrap_or(&Value::Null);
            if !self.facts.holds(&value.name, held, &value.value) {
                missing.push(Missing::new(format!("`{}`", value.name), why(VALUES)));
            }
        }
        if wanted.partition.is_some_and(|id| lead.partition_id() != Some(id)) {
            missing.push(Missing::new(PARTITION, why(PARTITION)));
        }
        for list in wanted.lists.iter().filter(|list| !is_in(&live.lists, list.id)) {
            missing.push(Missing::new(told("list", list), why(&steps::of_list(list.id))));
        }
        for (program, fields) in &wanted.programs {
            let held = held_in(live, program.id);
            let as_before = held.as_ref().is_some_and(|(held, held_fields)| {
                held.status == program.status
                    && fields.iter().all(|(name, value)| held_fields.get(name) == Some(value))
            });
            if !as_before {
                let of_program = steps::of_program(program.id);
                missing.push(Missing::new(told("program", program), why(&of_program)));
            }
        }
        missing
    }

    /// What the lead that took the lost one should have got back and has not.
    fn not_given_back(&self, winner: &WinnerReport, live: &Live, said: &Said) -> Vec<Missing> {
        let mut missing = Vec::new();
        let of_winner = |what: String| format!("{what} of record {}", winner.id);
        let why = |what: &str| {
            said.get(what).cloned().unwrap_or_else(|| "Marketo did not take it".to_owned())
        };
        let Some(lead) = &live.lead else { return missing };
        for value in &winner.fields {
            let held = lead.value(&value.name).unwrap_or(&Value::Null);
            if !self.facts.holds(&value.name, held, &value.after) {
                missing.push(Missing::new(of_winner(format!("`{}`", value.name)), why(VALUES)));
            }
        }
        for list in winner.lists_left.iter().filter(|list| is_in(&live.lists, list.id)) {
            let what = of_winner(told("list", list));
            missing.push(Missing::new(what, why(&steps::of_list(list.id))));
        }
        missing.extend(members::not_there(&winner.member_fields, live).into_iter().map(|member| {
            let of_program = why(&steps::of_program(member.id));
            Missing::new(of_winner(told("member fields of program", &member)), of_program)
        }));
        for program in &winner.programs_left {
            let held = held_in(live, program.id).map(|(held, _)| held.status);
            if held != program.status.clone().map(Some) {
                let what = of_winner(told("program", program));
                missing.push(Missing::new(what, why(&steps::of_program(program.id))));
            }
        }
        missing
    }
}

/// Whether a value may be what Marketo itself gives a new record.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

fn not_made(report: RestoredReport, status: Status, why: String) -> RestoredReport {
    RestoredReport { status, reason: Some(why), winner: None, ..report }
}

/// What is to be done, as it is told before.
fn show(report: &mut RestoredReport, lead: &Wanted, winner: &WinnerWanted) {
    report.fields.clone_from(&lead.fields);
    report.lists.clone_from(&lead.lists);
    let with_fields = |(program, fields): &(Named, Map<String, Value>)| Named {
        member_fields: fields.clone(),
        ..program.clone()
    };
    report.programs = lead.programs.iter().map(with_fields).collect();
    report.not_restored.clone_from(&lead.missing);
    let WinnerReport { fields, lists_left, programs_left, member_fields, .. } = &winner.report;
    let changes_something = !fields.is_empty()
        || !lists_left.is_empty()
        || !programs_left.is_empty()
        || !member_fields.is_empty();
    report.winner = changes_something.then(|| winner.report.clone());
}

/// What came back, as a look shows it.
fn keep_what_is_there(report: &mut RestoredReport, live: &Live) {
    let lead = live.lead.as_ref();
    report.fields.retain(|value| lead.is_some_and(|lead| lead.value(&value.name).is_some()));
    report.lists.retain(|list| is_in(&live.lists, list.id));
    report.programs.retain_mut(|program| {
        let Some((held, fields)) = held_in(live, program.id) else { return false };
        program.member_fields.retain(|name, value| fields.get(name) == Some(value));
        held.status == program.status
    });
}
