//! Static lists and program statuses of a merge, on a list and in a program that somebody named for
//! it.
//!
//! Of two statuses in one program the winner's, the higher or the latest may stay. Two merges tell
//! them apart: in one the winner has the lower status and had it first, in the other it has the
//! higher one and had it first.

use std::time::Duration;

use serde_json::Map;

use super::answers::Answers;
use super::merged::Merged;
use super::people::{LAG, Person};
use super::{Asked, ConfirmedProbe, Probe, ProbeClient, Step, TestProgram, Trouble};
use crate::dedupe::{Answer, Question};
use crate::lead::LeadId;
use crate::ledger::ProbeId;
use crate::marketo::{Outcome, STATUS_LIMIT};

/// Times of memberships have whole seconds.
const A_SECOND: Duration = Duration::from_millis(1_100);

/// How often a membership is looked for.
const LOOKS: usize = 4;

impl<M: ProbeClient> Probe<'_, M> {
    pub(super) async fn put_on_list(
        &mut self,
        order: &ConfirmedProbe,
        list: u64,
        person: &Person,
        answers: &mut Answers,
    ) -> Step<()> {
        let gate = self.gate();
        let put = self.marketo.set_on_list_with(&gate, order, list, person.lead, true).await;
        let why = match put {
            Ok(result) if result.set => return Ok(()),
            Ok(result) => {
                let reasons = result.reasons.iter();
                let words: Vec<String> =
                    reasons.map(|reason| format!("{} {}", reason.code, reason.message)).collect();
                words.join("; ")
            }
            Err(error) => {
                if error.outcome() == Outcome::Unclear {
                    self.in_doubt(&error, STATUS_LIMIT);
                }
                match Trouble::from(error) {
                    Trouble::Here(why) => why,
                    other => return Err(other),
                }
            }
        };
        let why = format!("no test person could be put on list {list}: {why}");
        answers.fail(Question::Lists, why);
        Ok(())
    }

    /// Whether the survivor is on the list that a loser was on.
    pub(super) async fn lists(
        &self,
        asked: &Asked,
        merged: &Merged,
        answers: &mut Answers,
    ) -> Step<()> {
        let Some(list) = asked.list else { return Ok(()) };
        if answers.answer(Question::Lists).is_some() {
            return Ok(());
        }
        for look in 0..LOOKS {
            let rows = match self.marketo.list_membership(merged.winner).await {
                Ok(rows) => rows,
                Err(error) => {
                    return match Trouble::from(error) {
                        Trouble::Here(why) => {
                            answers.fail(Question::Lists, why);
                            Ok(())
                        }
                        other => Err(other),
                    };
                }
            };
            let is_on = rows.iter().any(|row| row.get("id").and_then(id) == Some(list));
            if is_on {
                answers.found(Question::Lists, "union");
                return Ok(());
            }
            if look + 1 < LOOKS {
                self.pause(LAG).await?;
            }
        }
        answers.found(Question::Lists, "lost");
        Ok(())
    }

    /// Gives the people of both merges their statuses; gives the people of the second merge. None
    /// where a status could not be given.
    pub(super) async fn collide(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        program: &TestProgram,
        people: &[Person],
        answers: &mut Answers,
    ) -> Step<Option<Vec<Person>>> {
        let others = self.make(probe, asked, vec![Map::new(), Map::new()]).await?;
        let ([winner, loser, ..], [other_winner, other_loser]) = (people, others.as_slice()) else {
            return Ok(None);
        };
        let first = [(winner, &program.lower), (other_winner, &program.higher)];
        let later = [(loser, &program.higher), (other_loser, &program.lower)];
        for (round, statuses) in [first, later].into_iter().enumerate() {
            if round > 0 {
                tokio::time::sleep(A_SECOND).await;
            }
            for (person, status) in statuses {
                if let Some(why) = self.give_status(program.id, status, person.lead).await? {
                    let program = program.id;
                    let why =
                        format!("program {program} did not take the status `{status}`: {why}");
                    answers.fail(Question::ProgramStatus, why);
                    return Ok(None);
                }
            }
        }
        Ok(Some(others))
    }

    /// Gives a status, and looks whether it is there; else why not.
    async fn give_status(
        &mut self,
        program: u64,
        status: &str,
        lead: LeadId,
    ) -> Step<Option<String>> {
        let gate = self.gate();
        match self.marketo.set_program_status_with(&gate, program, status, &[lead]).await {
            Ok(results) => {
                if let Some(refused) = results.iter().find(|result| !result.set) {
                    let reasons = refused.reasons.iter();
                    let words: Vec<String> = reasons
                        .map(|reason| format!("{} {}", reason.code, reason.message))
                        .collect();
                    return Ok(Some(words.join("; ")));
                }
            }
            Err(error) => {
                if error.outcome() == Outcome::Unclear {
                    self.in_doubt(&error, STATUS_LIMIT);
                }
                return match Trouble::from(error) {
                    Trouble::Here(why) => Ok(Some(why)),
                    other => Err(other),
                };
            }
        }
        for look in 0..LOOKS {
            match self.status(program, lead).await {
                Ok(held) if held.as_deref() == Some(status) => return Ok(None),
                Ok(_) if look + 1 < LOOKS => self.pause(LAG).await?,
                Ok(_) => break,
                Err(Trouble::Here(why)) => return Ok(Some(why)),
                Err(other) => return Err(other),
            }
        }
        Ok(Some("Marketo answered that it was set, and no look showed it".to_owned()))
    }

    async fn status(&self, program: u64, lead: LeadId) -> Step<Option<String>> {
        let rows = self.marketo.program_membership(lead).await?;
        let row = rows.iter().find(|row| row.get("id").and_then(id) == Some(program));
        let status = row.and_then(|row| row.get("progressionStatus"));
        Ok(status.and_then(serde_json::Value::as_str).map(str::to_owned))
    }

    /// Merges the other two, and says whose status stayed in both merges.
    pub(super) async fn status_after(
        &mut self,
        probe: ProbeId,
        program: &TestProgram,
        merged: &Merged,
        others: &[Person],
        answers: &mut Answers,
    ) -> Step<()> {
        let question = Question::ProgramStatus;
        let stayed = match self.statuses_after(probe, program, merged, others).await {
            Ok(stayed) => stayed,
            Err(Trouble::Here(why)) => {
                answers.fail(question, why);
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        // Where the winner had the lower status, and where it had the higher one; first in both.
        let is = |held: &Option<String>, status: &str| held.as_deref() == Some(status);
        let [low, high] = [&program.lower, &program.higher];
        let [one, other] = &stayed;
        let found = match () {
            () if is(one, low) && is(other, high) => "winner",
            () if is(one, high) && is(other, high) => "higher",
            () if is(one, high) && is(other, low) => "latest",
            () if is(one, low) && is(other, low) => "lower",
            () => "other",
        };
        let shown = |held: &Option<String>| held.clone().unwrap_or_else(|| "no member".to_owned());
        let detail = format!(
            "the winner had {low}, the loser {high} later: {}; the winner had {high}, the loser \
             {low} later: {}",
            shown(one),
            shown(other)
        );
        answers.add(Answer::found(question, found).with(detail));
        Ok(())
    }

    async fn statuses_after(
        &mut self,
        probe: ProbeId,
        program: &TestProgram,
        merged: &Merged,
        others: &[Person],
    ) -> Step<[Option<String>; 2]> {
        let other = self.merge(probe, others).await?;
        self.pause(LAG).await?;
        let one = self.status(program.id, merged.winner).await?;
        let other = self.status(program.id, other.winner).await?;
        Ok([one, other])
    }
}

fn id(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
