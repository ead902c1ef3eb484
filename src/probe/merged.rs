//! One merge of three test people answers most questions: two losers in one call, each field
//! another question.
//!
//! | | winner | first loser | second loser |
//! | --- | --- | --- | --- |
//! | text | blank | blank | a value |
//! | score | 5 | 7 | – |
//! | boolean 1 | never set | true | – |
//! | boolean 2 | false | true | – |
//! | boolean 3 | false | – | true |
//! | blocked text | blank | a value | – |
//! | static list | – | – | on it |
//!
//! The losers are made a second before the winner. All of it is read back before the merge leaves:
//! a question whose values are not there is not measured.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::answers::Answers;
use super::found::{Told, Uses};
use super::own::OwnMerge;
use super::people::{LAG, Person};
use super::values::Serving;
use super::{Asked, ConfirmedProbe, Probe, ProbeClient, Step, Trouble};
use crate::dedupe::{Answer, FREE, Question};
use crate::lead::{Lead, LeadId};
use crate::ledger::{ProbeId, ProbeMergeId};
use crate::marketo::{MERGE_LIMIT, MergeOrder as _, Outcome};

/// What this step answers.
pub(super) const QUESTIONS: &[Question] = &[
    Question::BlankFill,
    Question::Scores,
    Question::FalseAgainstTrue,
    Question::UnsetAgainstTrue,
    Question::FillOfBlocked,
    Question::CreatedAt,
    Question::Lists,
    Question::ProgramStatus,
    Question::MergeLog,
    Question::LogRequest,
    Question::Deletions,
];

/// Creation times have whole seconds.
const A_SECOND: Duration = Duration::from_millis(1_100);

/// What the merge is told to have been.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) winner: LeadId,
    pub(super) losers: Vec<LeadId>,
    /// Marketo's id of the call; none where its answer was lost.
    pub(super) request_id: Option<String>,
    /// When it left.
    pub(super) left_at: Instant,
}

impl<M: ProbeClient> Probe<'_, M> {
    pub(super) async fn merged(
        &mut self,
        order: &ConfirmedProbe,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        let uses = self.uses(answers);
        let [winner, first, second] = uses.values();
        let losers = self.make(probe, asked, vec![first.clone(), second.clone()]).await?;
        tokio::time::sleep(A_SECOND).await;
        let mut people = self.make(probe, asked, vec![winner.clone()]).await?;
        people.extend(losers);
        let wanted = [&winner, &first, &second];
        let before = self.before(&people, wanted).await?;
        if let (Some(list), Some(second)) = (asked.list, people.get(2)) {
            self.put_on_list(order, list, second, answers).await?;
        }
        let statuses = match &asked.program {
            Some(program) => self.collide(probe, asked, program, &people, answers).await?,
            None => None,
        };
        let since = (self.settings.now)() - chrono::TimeDelta::minutes(2);
        let merged = self.merge(probe, &people).await?;
        let after = self.survivor(&merged, &before).await?;
        self.compare(&uses, wanted, &before, &after, answers);
        births(&merged, &before, &after, answers);
        self.lists(asked, &merged, answers).await?;
        if let (Some(others), Some(program)) = (statuses, &asked.program) {
            self.status_after(probe, program, &merged, &others, answers).await?;
        }
        self.witness(asked, &merged, since, answers).await
    }

    /// The fields that serve, of those whose updates were seen to be taken.
    fn uses(&self, answers: &Answers) -> Uses {
        let serving = Serving::of(&self.facts);
        let tested = answers.answer(Question::BlockedFields).map(|answer| &answer.fields);
        let is = |field: &&String, word: &str| {
            tested.and_then(|tested| tested.get(*field)).is_some_and(|found| found == word)
        };
        let free = |fields: &[String]| -> Vec<String> {
            fields.iter().filter(|field| is(field, FREE)).cloned().collect()
        };
        let is_text = |field: &&String| {
            self.facts.fields.get(*field).is_some_and(|fact| fact.data_type == "string")
        };
        let blocked = tested.into_iter().flatten().map(|(field, _)| field);
        let blocked = blocked.filter(|field| is(field, "non_empty")).find(is_text).cloned();
        let booleans: [String; 3] = match free(&serving.booleans).as_slice() {
            [a, b, c, ..] => [a.clone(), b.clone(), c.clone()],
            _ => Default::default(),
        };
        Uses {
            text: free(&serving.texts).into_iter().next(),
            score: free(&serving.scores).into_iter().next(),
            booleans: booleans.iter().all(|field| !field.is_empty()).then_some(booleans),
            blocked,
        }
    }

    /// The people as they are before the merge; what was written is waited for.
    async fn before(&self, people: &[Person], wanted: [&Map<String, Value>; 3]) -> Step<Vec<Lead>> {
        let ids: Vec<LeadId> = people.iter().map(|person| person.lead).collect();
        let fields: Vec<String> = wanted.iter().flat_map(|values| values.keys()).cloned().collect();
        let all_there = |leads: &BTreeMap<LeadId, Lead>| {
            ids.iter().zip(wanted).all(|(id, values)| {
                leads
                    .get(id)
                    .is_some_and(|lead| values.keys().all(|field| self.has(lead, field, values)))
            })
        };
        let leads = self.read_until(&ids, &fields, all_there).await?;
        let in_order: Vec<Lead> = ids.iter().filter_map(|id| leads.get(id)).cloned().collect();
        if in_order.len() == ids.len() {
            Ok(in_order)
        } else {
            Err(Trouble::Here("a test person was gone before it was merged".to_owned()))
        }
    }

    fn has(&self, lead: &Lead, field: &str, values: &Map<String, Value>) -> bool {
        let held = lead.value(field).unwrap_or(&Value::Null);
        self.facts.holds(field, held, values.get(field).unwrap_or(&Value::Null))
    }

    /// Merges the others into the first, once, and waits until a look shows it.
    pub(super) async fn merge(&mut self, probe: ProbeId, people: &[Person]) -> Step<Merged> {
        let (merge, order) = self.order_merge(probe, people).await?;
        let left_at = Instant::now();
        self.report.merges += 1;
        let answer = self.marketo.merge_leads_with(&self.gate(), &order).await;
        let (request_id, over_at) = match answer {
            Ok(accepted) => (accepted.request_id, left_at + self.settings.clock.wall(MERGE_LIMIT)),
            Err(error) if error.outcome() == Outcome::Unclear => {
                let over_at = self.in_doubt(&error, MERGE_LIMIT).over_at();
                (error.request_id().map(str::to_owned), over_at)
            }
            Err(error) => {
                let what = error.to_string();
                self.ledger.end_probe_merge(merge, &what, error.request_id(), &self.at())?;
                return Err(error.into());
            }
        };
        let done = self.merge_is_done(merge, &order, over_at, request_id.as_deref()).await?;
        if !done {
            return Err(Trouble::Here(
                "the merge of test people was not seen to be done when it must have been over"
                    .to_owned(),
            ));
        }
        self.report.removed += order.losers().len();
        let (winner, losers) = (order.winner(), order.losers().to_vec());
        Ok(Merged { winner, losers, request_id, left_at })
    }

    /// Whether two looks show the winner alone, before the call must be over.
    async fn merge_is_done(
        &mut self,
        merge: ProbeMergeId,
        order: &OwnMerge,
        over_at: Instant,
        request_id: Option<&str>,
    ) -> Step<bool> {
        let mut ids = vec![order.winner()];
        ids.extend(order.losers());
        let mut alone = 0;
        loop {
            let looked_at = Instant::now();
            let found = self.marketo.leads_by_id(&ids, &["email".to_owned()]).await?;
            let there: Vec<LeadId> = found.iter().map(|lead| lead.id).collect();
            alone = if there == [order.winner()] { alone + 1 } else { 0 };
            let done = alone >= 2;
            if done || (looked_at >= over_at && alone == 0) {
                let how = if done { "a look" } else { "not done when it must have been over" };
                self.ledger.end_probe_merge(merge, how, request_id, &self.at())?;
                return Ok(done);
            }
            self.pause(LAG).await?;
        }
    }

    /// The survivor, when it has stopped changing.
    async fn survivor(&self, merged: &Merged, before: &[Lead]) -> Step<Lead> {
        let fields: Vec<String> =
            before.iter().flat_map(|lead| lead.fields.keys()).cloned().collect();
        let updated_before = before.first().and_then(Lead::updated_at);
        let has_changed = |leads: &BTreeMap<LeadId, Lead>| {
            let lead = leads.get(&merged.winner);
            lead.is_some_and(|lead| lead.updated_at() > updated_before)
        };
        let mut leads = self.read_until(&[merged.winner], &fields, has_changed).await?;
        leads.remove(&merged.winner).ok_or_else(|| {
            Trouble::Here("the lead that the test people were merged into is gone".to_owned())
        })
    }

    fn compare(
        &self,
        uses: &Uses,
        wanted: [&Map<String, Value>; 3],
        before: &[Lead],
        after: &Lead,
        answers: &mut Answers,
    ) {
        let is_there = |field: &str| {
            before.iter().zip(wanted).all(|(lead, values)| self.has(lead, field, values))
        };
        for Told { question, fields, found } in uses.told(after, &self.facts) {
            if !fields.iter().all(|field| is_there(field)) {
                let why = "what was written to the test people was not there before the merge";
                answers.fail(question, why);
                continue;
            }
            let held = |field: &&String| {
                format!("{field}: {}", after.value(field).unwrap_or(&Value::Null))
            };
            let detail: Vec<String> = fields.iter().map(held).collect();
            let found = found.unwrap_or("other");
            answers.add(Answer::found(question, found).with(detail.join(", ")));
        }
        for (question, why) in uses.lacking() {
            answers.why_not(question, why);
        }
    }
}

/// Whose creation time the survivor has.
fn births(merged: &Merged, before: &[Lead], after: &Lead, answers: &mut Answers) {
    let born = |lead: &Lead| lead.created_at();
    let winner = before.iter().find(|lead| lead.id == merged.winner).and_then(born);
    let oldest = before.iter().filter(|lead| lead.id != merged.winner).filter_map(born).min();
    let question = Question::CreatedAt;
    let (Some(winner), Some(oldest), Some(survivor)) = (winner, oldest, born(after)) else {
        return answers.fail(question, "this instance does not show when leads were created");
    };
    if winner <= oldest {
        let why = "the winner was made a second later, and Marketo shows no later time";
        return answers.fail(question, why);
    }
    answers.found(
        question,
        match survivor {
            born if born == winner => "winner",
            born if born == oldest => "oldest",
            _ => "other",
        },
    );
}
