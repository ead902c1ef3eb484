//! What Marketo makes of writes that concern one address: two at once, a duplicate on purpose,
//! other spellings.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answers::Answers;
use super::people::{LAG, has_address, refusal};
use super::{Asked, Probe, ProbeClient, Step, Trouble};
use crate::dedupe::{Answer, Question};
use crate::lead::{Lead, LeadId};
use crate::ledger::{ProbeId, ProbePersonId};
use crate::marketo::{self, Outcome, RecordStatus, SYNC_LIMIT, SyncAction, SyncRequest};

pub(super) const RACE: Question = Question::CreateOnly;
pub(super) const DUPLICATE: Question = Question::DuplicateUnsubscribed;
pub(super) const SPELLING: &[Question] = &[Question::EmailCase, Question::EmailBlanks];

/// How often two calls are sent at once before the race counts as not seen.
const TRIES: usize = 3;

impl<M: ProbeClient> Probe<'_, M> {
    /// Two `createOnly` calls of one address at once.
    pub(super) async fn race(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        if asked.at_once < 2 {
            let why = "`limits.concurrency` lets one call be in flight, and a race takes two";
            answers.why_not(RACE, why);
            return Ok(());
        }
        for tried in 1..=TRIES {
            let begun = self.begin_people(probe, asked, 1)?;
            let Some((person, address)) = begun.into_iter().next() else { return Ok(()) };
            let record = Map::from_iter([("email".to_owned(), json!(address))]);
            let request = SyncRequest::new(SyncAction::CreateOnly, "email", vec![record]);
            let gate = self.gate();
            let (one, other) = tokio::join!(
                self.marketo.sync_leads_with(&gate, &request),
                self.marketo.sync_leads_with(&gate, &request)
            );
            self.may_show_late();
            let (mut trouble, mut made) = (None, BTreeSet::new());
            for answer in [one, other] {
                match answer {
                    Ok(results) => {
                        for result in &results {
                            made.extend(self.keep_made(person, result)?);
                        }
                    }
                    Err(error) => {
                        if error.outcome() == Outcome::Unclear {
                            self.in_doubt(&error, SYNC_LIMIT);
                        }
                        trouble = Some(error);
                    }
                }
            }
            made.extend(self.keep_who_is_there(person, &address).await?);
            if made.len() >= 2 {
                let detail = format!("try {tried} of {TRIES} made {} leads", made.len());
                answers.add(Answer::found(RACE, "races").with(detail));
                return Ok(());
            }
            // With a lost answer one lead tells nothing.
            if let Some(error) = trouble {
                return Err(error.into());
            }
        }
        let detail = format!("{TRIES} tries made one lead each, which is no proof");
        answers.add(Answer::found(RACE, "not_seen").with(detail));
        Ok(())
    }

    /// The leads that have the address of a person, each written down.
    async fn keep_who_is_there(
        &mut self,
        person: ProbePersonId,
        address: &str,
    ) -> Step<Vec<LeadId>> {
        let found = self.settled(address, 1).await?;
        for lead in &found {
            if self.ledger.keep_probe_lead(person, *lead, "a look", &self.at())? {
                self.report.made += 1;
            }
        }
        Ok(found)
    }

    /// The leads that have an address, when two looks agree and show so many at least, or no look
    /// has for a while.
    async fn settled(&self, address: &str, least: usize) -> Step<Vec<LeadId>> {
        let mut before: Option<Vec<LeadId>> = None;
        for look in 0.. {
            let found = self.with_addresses(&[address.to_owned()]).await?;
            let found: Vec<LeadId> = found.iter().map(|lead| lead.id).collect();
            let agrees = before.as_ref() == Some(&found);
            if agrees && (found.len() >= least || look >= 6) || look >= 12 {
                return Ok(found);
            }
            before = Some(found);
            self.pause(LAG).await?;
        }
        Ok(Vec::new())
    }

    /// A duplicate of an unsubscribed lead.
    pub(super) async fn duplicate(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        const FIELD: &str = "unsubscribed";
        if !self.facts.is_writeable(FIELD) {
            answers.why_not(DUPLICATE, "`unsubscribed` cannot be written on this instance");
            return Ok(());
        }
        let opted_out = Map::from_iter([(FIELD.to_owned(), json!(true))]);
        let people = self.make(probe, asked, vec![opted_out]).await?;
        let Some(person) = people.into_iter().next() else { return Ok(()) };
        let fields = [FIELD.to_owned()];
        let says_no = |leads: &std::collections::BTreeMap<LeadId, Lead>| {
            leads.get(&person.lead).is_some_and(|lead| lead.flag(FIELD))
        };
        let leads = self.read_until(&[person.lead], &fields, says_no).await?;
        if !says_no(&leads) {
            answers.fail(DUPLICATE, "the test person's opt-out was not there after it was written");
            return Ok(());
        }
        let record = Map::from_iter([("email".to_owned(), json!(person.address))]);
        let request = SyncRequest::new(SyncAction::CreateDuplicate, "email", vec![record]);
        let answer = self.marketo.sync_leads_with(&self.gate(), &request).await;
        self.may_show_late();
        let second = match answer {
            Ok(results) => match results.first() {
                Some(result) if result.status == RecordStatus::Created => result.id,
                Some(result) => return Err(Trouble::Here(refusal(result))),
                None => None,
            },
            Err(error) if error.outcome() == Outcome::Unclear => {
                self.look_for_second(&person.address, person.lead, &error).await?
            }
            Err(error) => return Err(error.into()),
        };
        let Some(second) = second else {
            answers.fail(DUPLICATE, "no duplicate of the test person was made");
            return Ok(());
        };
        if self.ledger.keep_probe_lead(
            person.id,
            second,
            "Marketo's answer or a look",
            &self.at(),
        )? {
            self.report.made += 1;
        }
        let is_there = |leads: &std::collections::BTreeMap<LeadId, Lead>| {
            leads.get(&second).is_some_and(|lead| lead.flag(FIELD))
        };
        let leads = self.read_until(&[second], &fields, is_there).await?;
        answers.found(DUPLICATE, if is_there(&leads) { "yes" } else { "no" });
        Ok(())
    }

    /// Looks for a second lead with the address until the lost call must be over.
    async fn look_for_second(
        &mut self,
        address: &str,
        first: LeadId,
        error: &marketo::Error,
    ) -> Step<Option<LeadId>> {
        let in_flight = self.in_doubt(error, SYNC_LIMIT);
        loop {
            let looked_at = Instant::now();
            let found = self.with_addresses(&[address.to_owned()]).await?;
            let second = found.iter().find(|lead| lead.id != first && has_address(lead, address));
            if second.is_some() || looked_at >= in_flight.over_at() {
                return Ok(second.map(|lead| lead.id));
            }
            self.wait_until(in_flight.next_look(looked_at)).await?;
        }
    }

    /// The same address in capitals, and with a blank behind it. `updateOnly` makes nobody.
    pub(super) async fn spelling(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        let people = self.make(probe, asked, vec![Map::new()]).await?;
        let Some(person) = people.first() else { return Ok(()) };
        // Somebody who was made a moment ago may not be found yet, however it is spelled.
        self.settled(&person.address, 1).await?;
        let address = &person.address;
        let spellings = [
            (Question::EmailCase, address.to_uppercase(), ["ignored", "minded"]),
            (Question::EmailBlanks, format!("{address} "), ["ignored", "minded"]),
        ];
        for (question, spelling, [same, other]) in spellings {
            match self.is_found(&spelling).await? {
                Ok(true) => answers.found(question, same),
                Ok(false) => answers.found(question, other),
                Err(why) => answers.fail(question, why),
            }
            self.pause(Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    /// Whether a write finds the lead by this spelling; or why that is not known.
    async fn is_found(&mut self, spelling: &str) -> Step<Result<bool, String>> {
        let record: Map<String, Value> = Map::from_iter([("email".to_owned(), json!(spelling))]);
        let request = SyncRequest::new(SyncAction::UpdateOnly, "email", vec![record]);
        let results = match self.marketo.sync_leads_with(&self.gate(), &request).await {
            Ok(results) => results,
            Err(error) => {
                if error.outcome() == Outcome::Unclear {
                    self.in_doubt(&error, SYNC_LIMIT);
                }
                return match Trouble::from(error) {
                    Trouble::Here(why) => Ok(Err(why)),
                    other => Err(other),
                };
            }
        };
        Ok(match results.first() {
            Some(result) if result.status == RecordStatus::Updated => Ok(true),
            Some(result) if result.has_code("1004") => Ok(false),
            Some(result) => Err(refusal(result)),
            None => Err("Marketo's answer says nothing of it".to_owned()),
        })
    }
}
