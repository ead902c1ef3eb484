//! Which fields keep their values against updates by the API.
//!
//! Each field of one test person is written twice and read back after each time. Marketo answers
//! `updated` for a blocked field too (assumed; Adobe is silent), so that only the look counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::answers::Answers;
use super::people::Person;
use super::values::{Serving, two_values};
use super::{Asked, Probe, ProbeClient, Step};
use crate::dedupe::{Answer, FREE, OPT_OUTS, Question, UNTESTED};
use crate::lead::Lead;
use crate::ledger::ProbeId;

/// What this step answers.
pub(super) const QUESTIONS: &[Question] = &[Question::BlockedFields];

/// Fields with two values each.
type Tests = BTreeMap<String, [Value; 2]>;

impl<M: ProbeClient> Probe<'_, M> {
    pub(super) async fn fields(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        let mut found = BTreeMap::new();
        let mut tests = Tests::new();
        for field in self.to_be_tested(asked) {
            let fact = self.facts.fields.get(&field);
            let values = fact
                .filter(|fact| fact.writeable && !self.facts.is_own(&field) && field != "email")
                .and_then(|fact| two_values(&fact.data_type, fact.length, &asked.domain));
            match values {
                Some(values) => drop(tests.insert(field, values)),
                None => drop(found.insert(field, UNTESTED.to_owned())),
            }
        }
        let people = self.make(probe, asked, vec![Map::new()]).await?;
        let Some(person) = people.first() else { return Ok(()) };
        let first = self.write_and_read(person, &tests, |[first, _]| first).await?;
        let second = self.write_and_read(person, &tests, |[_, second]| second).await?;
        for field in tests.keys() {
            let word = match (first.get(field), second.get(field)) {
                (Some(true), Some(true)) => FREE,
                (Some(true), Some(false)) if self.is_boolean(field) => "blocked",
                (Some(true), Some(false)) => "non_empty",
                (Some(false), Some(false)) => "always",
                // Refused, or taken only the second time: nothing is known for sure.
                _ => UNTESTED,
            };
            found.insert(field.clone(), word.to_owned());
        }
        answers.add(told(found));
        Ok(())
    }

    fn is_boolean(&self, field: &str) -> bool {
        self.facts.fields.get(field).is_some_and(|fact| fact.data_type == "boolean")
    }

    fn to_be_tested(&self, asked: &Asked) -> BTreeSet<String> {
        let mut fields = Serving::of(&self.facts).all();
        let shown = |field: &&str| self.facts.fields.contains_key(*field);
        fields.extend(OPT_OUTS.iter().copied().filter(shown).map(str::to_owned));
        let ruled = asked.fields.iter().filter(|field| self.facts.fields.contains_key(*field));
        fields.extend(ruled.cloned());
        fields
    }

    /// Writes one of two values to every field, and says of which a look shows it. A field whose
    /// value was refused is left out.
    async fn write_and_read(
        &mut self,
        person: &Person,
        tests: &Tests,
        value: fn(&[Value; 2]) -> &Value,
    ) -> Step<BTreeMap<String, bool>> {
        let wanted: BTreeMap<&String, &Value> =
            tests.iter().map(|(field, values)| (field, value(values))).collect();
        let mut refused = BTreeSet::new();
        let all: Map<String, Value> =
            wanted.iter().map(|(field, value)| ((*field).clone(), (*value).clone())).collect();
        let said = self.write(vec![(person.lead, all)]).await?;
        if said.iter().any(Result::is_err) {
            // One value that does not fit has the whole record skipped: each alone, then.
            for (field, value) in &wanted {
                let alone = Map::from_iter([((*field).clone(), (*value).clone())]);
                let said = self.write(vec![(person.lead, alone)]).await?;
                if said.iter().any(Result::is_err) {
                    refused.insert((*field).clone());
                }
            }
        }
        let fields: Vec<String> = tests.keys().cloned().collect();
        let holds = |lead: &Lead, field: &str, value: &Value| {
            self.facts.holds(field, lead.value(field).unwrap_or(&Value::Null), value)
        };
        let all_there = |leads: &BTreeMap<u64, Lead>| {
            let lead = leads.get(&person.lead);
            lead.is_some_and(|lead| {
                wanted
                    .iter()
                    .all(|(field, value)| refused.contains(*field) || holds(lead, field, value))
            })
        };
        let leads = self.read_until(&[person.lead], &fields, all_there).await?;
        let lead = leads.get(&person.lead).cloned().unwrap_or_else(|| Lead::new(person.lead));
        let seen = wanted.iter().filter(|(field, _)| !refused.contains(**field));
        Ok(seen.map(|(field, value)| ((*field).clone(), holds(&lead, field, value))).collect())
    }
}

fn told(fields: BTreeMap<String, String>) -> Answer {
    let count = |word: &str| fields.values().filter(|found| *found == word).count();
    let untested = count(UNTESTED);
    let blocked: Vec<&str> = fields
        .iter()
        .filter(|(_, found)| *found != FREE && *found != UNTESTED)
        .map(|(field, _)| field.as_str())
        .collect();
    let found = if blocked.is_empty() { "none" } else { "some" };
    let mut detail = format!("{} tested", fields.len() - untested);
    if !blocked.is_empty() {
        detail = format!("{detail}; blocked: {}", blocked.join(", "));
    }
    if untested > 0 {
        detail =
            format!("{detail}; {untested} not tested, since they cannot be written or refused");
    }
    Answer { fields, ..Answer::found(Question::BlockedFields, found).with(detail) }
}
