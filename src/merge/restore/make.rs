//! Makes a lost lead anew, once.
//!
//! The row in the ledger is there before the call leaves. Where the answer is lost, or the run is
//! killed, the lead is looked for by what it holds before anything else is done; only when the call
//! must be over and two looks have not found it, none was made.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::find::{Loss, Which, losses};
use super::report::ValueOf;
use super::{ConfirmedRestore, Error, Restore, RestoreClient};
use crate::lead::{Lead, LeadId};
use crate::ledger::{MakingId, NewMaking, OpenMaking, RunId};
use crate::marketo::{self, InFlight, Outcome, RecordStatus, SYNC_LIMIT, UntilStopped};

/// Between the last two looks for a lead that was not found: a read can lag behind.
const LAG: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub(super) enum Made {
    /// There is a new lead.
    Yes(LeadId),
    /// There is none, and why.
    No(String),
    /// The run is to stop before that is known.
    NotKnown,
}

/// What a new lead is looked for by.
struct Mark<'m> {
    field: &'m str,
    value: &'m Value,
    /// The leads that had it before.
    known: &'m BTreeSet<LeadId>,
    sent: &'m [ValueOf],
}

impl<M: RestoreClient> Restore<'_, M> {
    /// Makes a lead of these values. Its keys are held.
    pub(super) async fn make(
        &mut self,
        order: &ConfirmedRestore,
        run: RunId,
        loss: &Loss,
        lead: &Lead,
        values: &[ValueOf],
    ) -> Result<Made, Error> {
        let Some((field, value)) = self.looked_for_by(lead, values) else {
            let why = "it holds nothing by which Marketo could be asked for it, so that a lost answer could make it twice";
            return Ok(Made::No(why.to_owned()));
        };
        let known: BTreeSet<LeadId> =
            self.with_value(&field, &value).await?.keys().copied().collect();
        let making = self.ledger.begin_making(
            &NewMaking {
                run,
                lost: loss.merged.loser,
                call: loss.merged.call,
                field: field.clone(),
                fields: values.iter().map(|value| value.name.clone()).collect(),
                known: known.iter().copied().collect(),
            },
            &self.at(),
        )?;
        let sent: Map<String, Value> =
            values.iter().map(|value| (value.name.clone(), value.value.clone())).collect();
        let leads = [loss.merged.loser];
        let stopped = UntilStopped::at_once(self.settings.stop.clone());
        let gate = self.holds.keys_of_call(leads, SYNC_LIMIT).gate(&stopped);
        self.holds.begun(leads);
        let answer = self.marketo.make_lead_with(&gate, order, &sent).await;
        let mark = Mark { field: &field, value: &value, known: &known, sent: values };
        let made = match answer {
            Ok(result) => self.answered(making, &result)?,
            Err(error) if error.outcome() == Outcome::Unclear => {
                let in_flight = error.in_flight().unwrap_or_else(|| {
                    InFlight::begun_at(Instant::now(), SYNC_LIMIT, self.settings.clock)
                });
                self.look_for(making, &mark, in_flight).await?
            }
            Err(error) => {
                self.ledger.end_making(making, None, &error.to_string(), &self.at())?;
                if error.stops_the_run() {
                    self.holds.known(leads);
                    return Err(error.into());
                }
                Made::No(error.to_string())
            }
        };
        // What may be under way keeps its keys until it must be over.
        if !matches!(made, Made::NotKnown) {
            self.holds.known(leads);
        }
        Ok(made)
    }

    /// Finds out the outcome of the makings that earlier runs left open. Gives how many are known
    /// now.
    pub(super) async fn settle_makings(&mut self) -> Result<usize, Error> {
        let mut settled = 0;
        for OpenMaking { id, what } in self.ledger.open_makings()? {
            let found = losses(self.ledger, &Which::Lead(what.lost))?;
            let loss = found.into_iter().find(|loss| loss.merged.call == what.call);
            let Some(lead) = loss.as_ref().and_then(Loss::lead).cloned() else {
                let why = "its backup is not there any more, so that nobody can look for it";
                self.ledger.end_making(id, None, why, &self.at())?;
                continue;
            };
            // The leases of the run that was killed last for as long as its call may run.
            self.holds.keys.learn([&lead]);
            let Some(owners) = self.holds.take_leads([lead.id]).await? else { continue };
            let sent: Vec<ValueOf> = what
                .fields
                .iter()
                .filter_map(|name| {
                    let value = lead.value(name)?.clone();
                    Some(ValueOf { name: name.clone(), value })
                })
                .collect();
            let known: BTreeSet<LeadId> = what.known.iter().copied().collect();
            let value = lead.value(&what.field).cloned().unwrap_or_default();
            let mark = Mark { field: &what.field, value: &value, known: &known, sent: &sent };
            // It left before this run opened the ledger; how long before, nobody can say.
            let in_flight = InFlight::begun_at(self.opened_at, SYNC_LIMIT, self.settings.clock);
            let made = self.look_for(id, &mark, in_flight).await;
            self.holds.release(owners).await;
            if matches!(made?, Made::NotKnown) {
                return Ok(settled);
            }
            settled += 1;
        }
        Ok(settled)
    }

    fn answered(
        &mut self,
        making: MakingId,
        result: &marketo::RecordResult,
    ) -> Result<Made, Error> {
        let made = if let (RecordStatus::Created, Some(id)) = (result.status, result.id) {
            Made::Yes(id)
        } else {
            let reasons: Vec<String> = result
                .reasons
                .iter()
                .map(|reason| format!("{} {}", reason.code, reason.message))
                .collect();
            Made::No(format!("Marketo refused to make the record: {}", reasons.join("; ")))
        };
        let (new, how) = match &made {
            Made::Yes(id) => (Some(*id), "Marketo's answer"),
            Made::No(why) => (None, why.as_str()),
            Made::NotKnown => return Ok(made),
        };
        self.ledger.end_making(making, new, how, &self.at())?;
        Ok(made)
    }

    /// Looks for a lead that may have been made, until it is found or cannot come any more.
    async fn look_for(
        &mut self,
        making: MakingId,
        mark: &Mark<'_>,
        in_flight: InFlight,
    ) -> Result<Made, Error> {
        let lag = self.settings.clock.wall(LAG);
        let last = in_flight.over_at() + lag;
        loop {
            let looked_at = Instant::now();
            if let Some(new) = self.newly_made(mark).await? {
                self.ledger.end_making(making, Some(new), "a look found it", &self.at())?;
                return Ok(Made::Yes(new));
            }
            if looked_at >= last {
                let why = "its call was lost, and no look found it when that must have been over; run the same command again";
                self.ledger.end_making(making, None, why, &self.at())?;
                return Ok(Made::No(why.to_owned()));
            }
            let next =
                in_flight.next_look(looked_at).max(looked_at + lag.min(Duration::from_secs(1)));
            let next = if looked_at >= in_flight.over_at() { last } else { next.min(last) };
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.settings.stop.cancelled() => return Ok(Made::NotKnown),
            }
        }
    }

    /// The lead that has the mark's value, had it not before, and agrees best with what was sent,
    /// in half of it at least: a campaign may have written over some of it at once.
    async fn newly_made(&self, mark: &Mark<'_>) -> Result<Option<LeadId>, Error> {
        let holders = self.with_value(mark.field, mark.value).await?;
        let made: BTreeSet<LeadId> =
            self.ledger.restored_leads()?.into_iter().filter_map(|one| one.new).collect();
        let agrees_in = |lead: &Lead| {
            let held = mark.sent.iter().filter(|sent| {
                let held = lead.value(&sent.name).unwrap_or(&Value::Null);
                self.facts.holds(&sent.name, held, &sent.value)
            });
            held.count()
        };
        let is_new = |lead: &Lead| !mark.known.contains(&lead.id) && !made.contains(&lead.id);
        let candidates =
            holders.into_values().filter(is_new).map(|lead| (agrees_in(&lead), lead.id));
        let enough = candidates.filter(|(agreed, _)| agreed * 2 >= mark.sent.len());
        // Of equals the first, which was made first.
        Ok(enough.max_by_key(|(agreed, id)| (*agreed, std::cmp::Reverse(*id))).map(|(_, id)| id))
    }

    async fn with_value(
        &self,
        field: &str,
        value: &Value,
    ) -> Result<std::collections::BTreeMap<LeadId, Lead>, Error> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let found = self.marketo.leads_by(field, &[text], &self.fields).await?;
        Ok(found.into_iter().map(|lead| (lead.id, lead)).collect())
    }

    /// The first field by which Marketo can be asked for what is sent, the email before all others.
    fn looked_for_by(&self, lead: &Lead, values: &[ValueOf]) -> Option<(String, Value)> {
        let own = self.searchable.iter().map(String::as_str).filter(|field| *field != "id");
        std::iter::once("email").chain(own).find_map(|field| {
            let is_sent = values.iter().any(|value| value.name == field);
            let value = lead.value(field).filter(|_| is_sent)?;
            let can_be_asked = match value {
                Value::String(text) => !text.trim().is_empty() && !text.contains(','),
                Value::Number(_) => true,
                _ => false,
            };
            can_be_asked.then(|| (field.to_owned(), value.clone()))
        })
    }
}
