//! Each rule keeps what it says, and says so in words that are read back.

use serde_json::{Value, json};

use super::words::NoFieldRule;
use super::{Chosen, FieldRule, FieldRules, Unfit};
use crate::lead::Lead;

fn leads(values: &[Value]) -> Vec<Lead> {
    values
        .iter()
        .zip(1..)
        .map(|(value, id)| {
            Lead::new(id)
                .with("createdAt", format!("20{:02}-01-01T00:00:00Z", 30 - id))
                .with("f", value.clone())
        })
        .collect()
}

fn try_choose(rule: &str, values: &[Value]) -> Result<Chosen, Unfit> {
    let leads = leads(values);
    rule.parse::<FieldRule>().unwrap().choose("f", &leads.iter().collect::<Vec<_>>())
}

fn chosen(rule: &str, values: &[Value]) -> (Value, Option<u64>) {
    let chosen = try_choose(rule, values).unwrap();
    (chosen.value, chosen.from)
}

#[test]
fn each_rule_keeps_what_it_says() {
    // The first is the winner and was created last.
    for (rule, values, expected, from) in [
        ("winner", json!([" ", "b", "c"]), json!("b"), Some(2)),
        ("oldest", json!(["a", "b", null]), json!("b"), Some(2)),
        ("newest", json!(["a", "b", "c"]), json!("a"), Some(1)),
        ("max", json!([9, 10, "11"]), json!("11"), Some(3)),
        (
            "max",
            json!(["2021-01-01T00:00:00Z", "2021-01-01T00:00:00-08:00"]),
            json!("2021-01-01T00:00:00-08:00"),
            Some(2),
        ),
        ("min", json!([9, 10, 9]), json!(9), Some(1)),
        ("sum", json!([1, 2, null, 4]), json!(7), None),
        ("sum", json!([1.5, 2]), json!(3.5), None),
        ("any_true", json!([false, true]), json!(true), Some(2)),
        ("all_true", json!([true, false]), json!(false), Some(2)),
        ("longest", json!(["ab", "ü€", "c"]), json!("ab"), Some(1)),
        ("sum", json!([0.1, 0.2]), json!(0.3), None),
        ("sum", json!([null, "4"]), json!(4), Some(2)),
        ("concat", json!(["a", "b", "a; c"]), json!("a; b; c"), None),
        ("concat", json!(["a;b ", "a;b", null]), json!("a;b "), Some(1)),
        (
            "prefer:[\"Customer\",\"Lead\"]",
            json!(["Lead", "x", "customer "]),
            json!("customer "),
            Some(3),
        ),
        ("prefer:[\"Customer\"]", json!([null, "b", "c"]), json!("b"), Some(2)),
        ("by:createdAt", json!(["a", "b", "c"]), json!("a"), Some(1)),
        ("by:-createdAt", json!(["a", "b", null]), json!("b"), Some(2)),
        ("by:noSuchField", json!([null, "b", "c"]), json!("b"), Some(2)),
    ] {
        assert_eq!(chosen(rule, values.as_array().unwrap()), (expected, from), "{rule} {values}");
    }
}

#[test]
fn a_value_that_a_rule_cannot_take_is_not_passed_over() {
    let unfit = try_choose("sum", &[json!(1), json!("many")]).unwrap_err();
    assert_eq!(
        unfit.to_string(),
        "the rule `sum` on `f` needs numbers, which lead 2 does not hold there"
    );
    for rule in ["any_true", "all_true"] {
        assert!(try_choose(rule, &[json!(true), json!("maybe")]).is_err(), "{rule}");
        assert!(
            try_choose(rule, &[json!(null), json!(1)]).is_err(),
            "{rule} on a field of numbers"
        );
    }
}

#[test]
fn where_nobody_has_a_value_there_is_none() {
    for rule in ["winner", "oldest", "newest", "max", "min", "sum", "longest", "concat"] {
        assert_eq!(chosen(rule, &[json!(""), json!(null)]), (Value::Null, None), "{rule}");
    }
}

#[test]
fn an_opt_out_cannot_be_configured_away() {
    let mut rules = FieldRules::default();
    rules.0.insert("unsubscribed".to_owned(), FieldRule::AllTrue);
    assert_eq!(*rules.of("unsubscribed"), FieldRule::AnyTrue);
    rules.0.clear();
    assert_eq!(*rules.of("doNotCall"), FieldRule::AnyTrue);
    assert_eq!(*rules.of("leadScore"), FieldRule::Winner);
}

#[test]
fn rules_are_read_as_they_are_written_and_a_wrong_one_says_how() {
    for text in
        ["max", "any_true", "prefer:[\"Customer\",\"VIP, gold\"]", "by:lastVisit", "by:-lastVisit"]
    {
        let rule: FieldRule = text.parse().unwrap();
        assert_eq!(rule.to_string(), text);
        assert_eq!(serde_json::from_value::<FieldRule>(json!(text)).unwrap(), rule);
        assert_eq!(json!(rule), json!(text));
    }
    for (text, error) in [
        ("prefer:Customer", NoFieldRule::Prefer),
        ("prefer:[]", NoFieldRule::Prefer),
        ("by:-", NoFieldRule::By),
        ("by: updatedAt", NoFieldRule::ByUpdate),
        ("biggest", NoFieldRule::Unknown("biggest".to_owned())),
    ] {
        assert_eq!(text.parse::<FieldRule>(), Err(error), "{text}");
    }
    assert!(
        "newst".parse::<FieldRule>().unwrap_err().to_string().contains("did you mean `newest`?")
    );
}
