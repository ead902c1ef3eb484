//! What a field of the survivor may hold that the plan does not write.
//!
//! For: a prediction is as exact as what was measured of the instance allows. Never: exact where
//! nothing was measured: then each value counts that Marketo is documented or reported to leave. A
//! measured answer is of fields that can be written, and holds for a field that was itself tested
//! for blocks.

use serde_json::Value;

use super::expected::{Calls, Expected};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::measured::{Blanks, Scores};
use crate::dedupe::value::{is_empty, is_nothing, number_of};
use crate::lead::Lead;

/// More losers than this go in several calls, each of which has a first loser. None of that was
/// measured.
const ONE_CALL: usize = 25;

/// What a field may hold that is not written: the winner's value stays, and a blank takes that of
/// the first loser. What the CRM or Marketo writes by itself can be that of any lead.
pub(super) fn unwritten(
    field: &str,
    in_order: &[&Lead],
    facts: &FieldFacts,
    calls: Calls,
) -> Expected {
    let held = value_of(in_order.first(), field);
    let losers = in_order.iter().skip(1).map(|lead| value_of(Some(lead), field));
    if let Some(value) = measured(field, held, &losers.clone().collect::<Vec<_>>(), facts, calls) {
        return Expected::Exactly(value);
    }
    let sum = added_up(field, held, losers.clone(), facts);
    let mut possible: Vec<&Value> = Vec::new();
    if is_empty(held) || (is_nothing(held) && !facts.is_writeable(field)) {
        let filled = losers.clone().find(|value| !is_nothing(value));
        match calls {
            Calls::OneByOne => possible.extend(filled),
            Calls::Together => possible.extend(losers.clone().next()),
        }
        possible.push(held);
        possible.extend(losers);
    } else if facts.is_writeable(field) {
        possible.push(held);
    } else {
        possible.push(held);
        possible.extend(losers.filter(|value| !is_empty(value)));
    }
    let by_marketo = is_empty(held) || !facts.is_writeable(field);
    possible.extend(sum.as_ref().filter(|_| by_marketo));
    let mut different: Vec<Value> = Vec::new();
    for value in possible {
        if !different.iter().any(|known| facts.holds(field, known, value)) {
            different.push(value.clone());
        }
    }
    match different.as_slice() {
        [only] => Expected::Exactly(only.clone()),
        _ => Expected::OneOf(different),
    }
}

fn value_of<'l>(lead: Option<&&'l Lead>, field: &str) -> &'l Value {
    lead.and_then(|lead| lead.value(field)).unwrap_or(&Value::Null)
}

/// What the scores come to, where this instance was seen to add them up.
fn added_up<'v>(
    field: &str,
    held: &'v Value,
    losers: impl Iterator<Item = &'v Value>,
    facts: &FieldFacts,
) -> Option<Value> {
    if facts.data_type(field) != "score" || facts.measured.scores != Some(Scores::Sum) {
        return None;
    }
    let numbers: Vec<f64> = losers.chain([held]).filter_map(number_of).collect();
    let sum: f64 = numbers.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 fits")]
    let whole = (sum.fract() == 0.0 && sum.abs() < 9e15).then(|| Value::from(sum as i64));
    (!numbers.is_empty()).then(|| whole.unwrap_or_else(|| Value::from(sum)))
}

/// What the survivor holds by what was measured; none where that does not say.
fn measured(
    field: &str,
    held: &Value,
    losers: &[&Value],
    facts: &FieldFacts,
    calls: Calls,
) -> Option<Value> {
    let known = &facts.measured;
    // Of a value that is there, a false too, nothing is open: what a merge makes of it is mended.
    let is_open = is_empty(held) && losers.iter().any(|value| !is_nothing(value));
    if !is_open || !facts.is_writeable(field) || !known.tested.contains(field) {
        return None;
    }
    if calls == Calls::Together && losers.len() > ONE_CALL {
        return None;
    }
    if facts.not_taken.contains(field) {
        match known.fills_blocked {
            // It was measured with a text; what a blocked boolean does was not.
            _ if facts.data_type(field) == "boolean" => return None,
            Some(true) => {}
            Some(false) => return Some(held.clone()),
            None => return None,
        }
    }
    match facts.data_type(field) {
        "boolean" => {
            let says_yes = |value: &Value| *value == Value::Bool(true);
            let first = match calls {
                Calls::OneByOne => losers.iter().any(|value| says_yes(value)),
                Calls::Together => losers.first().is_some_and(|value| says_yes(value)),
            };
            // Only the first loser's true was measured.
            let takes = known.unset_takes_true?;
            (first || !takes).then_some(Value::Bool(takes))
        }
        "score" if known.scores? == Scores::Sum => {
            added_up(field, held, losers.iter().copied(), facts)
        }
        _ => {
            let first = losers.first().map(|value| (*value).clone());
            let filled = losers.iter().find(|value| !is_empty(value)).map(|value| (*value).clone());
            match (known.blanks?, calls) {
                (Blanks::FirstListed, Calls::Together) => first,
                // Each loser is the first once.
                (Blanks::FirstListed, Calls::OneByOne) | (Blanks::FirstNonblank, _) => filled,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Calls, Expected, unwritten};
    use crate::dedupe::{Blanks, FieldFact, FieldFacts, Measured, Scores};
    use crate::lead::Lead;

    fn facts(measured: Measured) -> FieldFacts {
        let fact = |data_type: &str, writeable| FieldFact {
            data_type: data_type.to_owned(),
            writeable,
            ..FieldFact::default()
        };
        let fields = [
            ("title", fact("string", true)),
            ("vip", fact("boolean", true)),
            ("points", fact("score", true)),
            ("tier", fact("string", false)),
            ("rank", fact("score", false)),
            ("other", fact("string", true)),
        ];
        let fields = fields.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        FieldFacts { measured, ..FieldFacts::new(fields) }
    }

    fn everything() -> Measured {
        Measured {
            blanks: Some(Blanks::FirstListed),
            scores: Some(Scores::Sum),
            false_stays: Some(true),
            unset_takes_true: Some(false),
            tested: ["title", "vip", "points", "tier", "rank"].map(str::to_owned).into(),
            ..Measured::default()
        }
    }

    fn predicted(facts: &FieldFacts, field: &str, values: [Value; 3], calls: Calls) -> Expected {
        let leads: Vec<Lead> =
            (1..).zip(values).map(|(id, value)| Lead::new(id).with(field, value)).collect();
        unwritten(field, &leads.iter().collect::<Vec<_>>(), facts, calls)
    }

    #[test]
    fn what_was_measured_is_one_value_and_all_else_as_without_a_profile() {
        let (first, nonblank) = (
            everything(),
            Measured {
                blanks: Some(Blanks::FirstNonblank),
                scores: Some(Scores::Winner),
                false_stays: Some(false),
                unset_takes_true: Some(true),
                ..everything()
            },
        );
        let (null, no) = (|| Value::Null, || json!(false));
        for (measured, field, values, calls, exactly) in [
            (&first, "title", [null(), null(), json!("b")], Calls::Together, Some(null())),
            (&first, "title", [null(), null(), json!("b")], Calls::OneByOne, Some(json!("b"))),
            (&nonblank, "title", [null(), null(), json!("b")], Calls::Together, Some(json!("b"))),
            (&first, "points", [null(), json!(3), json!(4)], Calls::Together, Some(json!(7))),
            (&nonblank, "points", [null(), json!(3), json!(4)], Calls::Together, Some(json!(3))),
            (&first, "vip", [null(), json!(true), no()], Calls::Together, Some(no())),
            (&nonblank, "vip", [null(), json!(true), no()], Calls::Together, Some(json!(true))),
            // Of a second loser's true nothing was measured.
            (&nonblank, "vip", [null(), no(), json!(true)], Calls::Together, None),
            (&nonblank, "vip", [null(), no(), json!(true)], Calls::OneByOne, Some(json!(true))),
            // What cannot be written, or was not tested, was not measured.
            (&first, "tier", [null(), null(), json!("b")], Calls::Together, None),
            (&first, "other", [null(), null(), json!("b")], Calls::Together, None),
        ] {
            let found = predicted(&facts(measured.clone()), field, values.clone(), calls);
            let without = predicted(&facts(Measured::default()), field, values, calls);
            match exactly {
                Some(value) => assert_eq!(found, Expected::Exactly(value), "{field} {calls:?}"),
                None => assert_eq!(found, without, "{field} {calls:?}"),
            }
            assert!(matches!(without, Expected::OneOf(_)), "{field} {calls:?}");
        }
    }

    #[test]
    fn a_sum_is_reckoned_with_where_a_score_cannot_be_written() {
        let values = [json!(5), json!(3), json!(4)];
        let with = predicted(&facts(everything()), "rank", values.clone(), Calls::Together);
        let without = predicted(&facts(Measured::default()), "rank", values, Calls::Together);
        let Expected::OneOf(with) = with else { panic!("{with:?}") };
        let Expected::OneOf(without) = without else { panic!("{without:?}") };
        assert_eq!(with.last(), Some(&json!(12)));
        assert_eq!(with[..with.len() - 1], without);
    }

    #[test]
    fn a_blank_that_is_blocked_is_filled_as_it_was_seen() {
        let values = || [Value::Null, json!("a"), Value::Null];
        for (fills, exactly) in
            [(Some(true), Some(json!("a"))), (Some(false), Some(Value::Null)), (None, None)]
        {
            let measured = Measured { fills_blocked: fills, ..everything() };
            let mut facts = facts(measured);
            facts.not_taken.insert("title".to_owned());
            let found = predicted(&facts, "title", values(), Calls::Together);
            match exactly {
                Some(value) => assert_eq!(found, Expected::Exactly(value)),
                None => assert!(matches!(found, Expected::OneOf(_)), "{found:?}"),
            }
        }
    }

    #[test]
    fn a_blocked_boolean_is_as_without_a_profile() {
        let values = || [Value::Null, json!(true), Value::Null];
        let without = predicted(&facts(Measured::default()), "vip", values(), Calls::Together);
        for fills in [Some(true), Some(false), None] {
            let mut facts = facts(Measured { fills_blocked: fills, ..everything() });
            facts.not_taken.insert("vip".to_owned());
            let found = predicted(&facts, "vip", values(), Calls::Together);
            assert_eq!(found, without, "{fills:?}");
        }
    }

    #[test]
    fn more_losers_than_one_call_takes_are_as_without_a_profile() {
        let leads: Vec<Lead> =
            (1..=27).map(|id| Lead::new(id).with("title", (id > 2).then_some("b"))).collect();
        let in_order: Vec<&Lead> = leads.iter().collect();
        let found = unwritten("title", &in_order, &facts(everything()), Calls::Together);
        assert!(matches!(found, Expected::OneOf(_)), "{found:?}");
    }
}
