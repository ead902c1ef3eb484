//! What the survivor of the test merge tells, field by field. Pure.

use serde_json::{Map, Value, json};

use crate::dedupe::{FieldFacts, Question};
use crate::lead::Lead;

/// What text fields are given.
const TEXT: &str = "of a test";

/// The fields of the merge, each where the instance has one that serves.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) text: Option<String>,
    pub(super) score: Option<String>,
    /// Never set on the winner; false against the first loser's true; against the second's.
    pub(super) booleans: Option<[String; 3]>,
    pub(super) blocked: Option<String>,
}

/// What the survivor's fields tell of a question; none where it is nothing that is known.
pub(super) struct Told<'u> {
    pub(super) question: Question,
    pub(super) fields: Vec<&'u String>,
    pub(super) found: Option<&'static str>,
}

impl Uses {
    /// What the winner and its two losers are given.
    pub(super) fn values(&self) -> [Map<String, Value>; 3] {
        let mut people: [Map<String, Value>; 3] = Default::default();
        let [winner, first, second] = &mut people;
        if let Some(text) = &self.text {
            second.insert(text.clone(), json!(TEXT));
        }
        if let Some(score) = &self.score {
            winner.insert(score.clone(), json!(5));
            first.insert(score.clone(), json!(7));
        }
        if let Some([unset, against_first, against_second]) = &self.booleans {
            first.insert(unset.clone(), json!(true));
            winner.insert(against_first.clone(), json!(false));
            first.insert(against_first.clone(), json!(true));
            winner.insert(against_second.clone(), json!(false));
            second.insert(against_second.clone(), json!(true));
        }
        if let Some(blocked) = &self.blocked {
            first.insert(blocked.clone(), json!(TEXT));
        }
        people
    }

    /// What the survivor tells.
    pub(super) fn told<'u>(&'u self, after: &Lead, facts: &FieldFacts) -> Vec<Told<'u>> {
        let held = |field: &str| after.value(field).unwrap_or(&Value::Null);
        let holds = |field: &str, value: Value| facts.holds(field, held(field), &value);
        let filled = |field: &str, filled: &'static str, blank: &'static str| match () {
            () if holds(field, Value::Null) => Some(blank),
            () if holds(field, json!(TEXT)) => Some(filled),
            () => None,
        };
        let mut told = Vec::new();
        let mut tell = |question, fields: Vec<&'u String>, found| {
            told.push(Told { question, fields, found });
        };
        if let Some(text) = &self.text {
            let found = filled(text, "first_nonblank", "first_listed");
            tell(Question::BlankFill, vec![text], found);
        }
        if let Some(score) = &self.score {
            let sums = [(5, "winner"), (12, "sum"), (7, "higher")];
            let found = sums.into_iter().find(|(sum, _)| holds(score, json!(sum)));
            tell(Question::Scores, vec![score], found.map(|(_, word)| word));
        }
        if let Some([unset, first, second]) = &self.booleans {
            let found = match (after.flag(first), after.flag(second)) {
                (false, false) => Some("stays"),
                (true, true) => Some("true_wins"),
                (true, false) => Some("first_true_wins"),
                (false, true) => None,
            };
            tell(Question::FalseAgainstTrue, vec![first, second], found);
            let found = if after.flag(unset) { "yes" } else { "no" };
            tell(Question::UnsetAgainstTrue, vec![unset], Some(found));
        }
        if let Some(blocked) = &self.blocked {
            tell(Question::FillOfBlocked, vec![blocked], filled(blocked, "yes", "no"));
        }
        told
    }

    /// The questions for which there is no field, each with the reason.
    pub(super) fn lacking(&self) -> Vec<(Question, String)> {
        let no_field = |kind: &str| format!("this instance has no free {kind} that would serve");
        let booleans = self.booleans.is_none();
        let lacking = [
            (Question::BlankFill, self.text.is_none(), no_field("text field")),
            (Question::Scores, self.score.is_none(), no_field("score field")),
            (Question::FalseAgainstTrue, booleans, no_field("three boolean fields")),
            (Question::UnsetAgainstTrue, booleans, no_field("three boolean fields")),
            (
                Question::FillOfBlocked,
                self.blocked.is_none(),
                "no tested text field is blocked and takes its first value".to_owned(),
            ),
        ];
        let lacking = lacking.into_iter().filter(|(_, lacks, _)| *lacks);
        lacking.map(|(question, _, why)| (question, why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{TEXT, Uses};
    use crate::dedupe::{FieldFact, FieldFacts, Question};
    use crate::lead::Lead;

    #[test]
    fn each_value_of_the_survivor_tells_one_answer_or_none() {
        let fact = |data_type: &str| FieldFact {
            data_type: data_type.to_owned(),
            writeable: true,
            ..FieldFact::default()
        };
        let fields = [("t", "string"), ("s", "score"), ("b", "string")];
        let fields = fields.map(|(name, data_type)| (name.to_owned(), fact(data_type)));
        let facts = FieldFacts::new(fields.into());
        let own = |name: &str| Some(name.to_owned());
        let booleans = Some(["u", "f", "g"].map(str::to_owned));
        let uses = Uses { text: own("t"), score: own("s"), booleans, blocked: own("b") };
        let found = |question: Question, values: &[(&str, Value)]| {
            let survivor = values
                .iter()
                .fold(Lead::new(1), |lead, (field, value)| lead.with(field, value.clone()));
            let told = uses.told(&survivor, &facts);
            told.into_iter().find(|told| told.question == question).unwrap().found
        };
        for (question, values, answer) in [
            (Question::BlankFill, vec![("t", json!(TEXT))], Some("first_nonblank")),
            (Question::BlankFill, vec![], Some("first_listed")),
            (Question::BlankFill, vec![("t", json!("a campaign's"))], None),
            (Question::Scores, vec![("s", json!(5))], Some("winner")),
            (Question::Scores, vec![("s", json!(12))], Some("sum")),
            (Question::Scores, vec![("s", json!("7"))], Some("higher")),
            (Question::Scores, vec![("s", json!(6))], None),
            (Question::FalseAgainstTrue, vec![], Some("stays")),
            (Question::FalseAgainstTrue, vec![("f", json!(true))], Some("first_true_wins")),
            (Question::FalseAgainstTrue, vec![("g", json!(true))], None),
            (
                Question::FalseAgainstTrue,
                vec![("f", json!(true)), ("g", json!(true))],
                Some("true_wins"),
            ),
            (Question::UnsetAgainstTrue, vec![("u", json!(true))], Some("yes")),
            (Question::UnsetAgainstTrue, vec![("u", json!(false))], Some("no")),
            (Question::FillOfBlocked, vec![("b", json!(TEXT))], Some("yes")),
            (Question::FillOfBlocked, vec![("b", json!(" "))], Some("no")),
        ] {
            assert_eq!(found(question, &values), answer, "{question:?} {values:?}");
        }
        assert_eq!(uses.lacking(), []);
        assert_eq!(Uses::default().lacking().len(), 5);
    }
}
