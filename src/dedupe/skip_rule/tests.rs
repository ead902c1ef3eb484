//! Each rule names itself and the lead, and what cannot be judged is never let pass.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::condition::Fields;
use super::{Condition, SkipRules};
use crate::dedupe::FieldFact;
use crate::dedupe::listed::{Holds, Listed, ReadFile, SharedList};
use crate::lead::Lead;

fn facts() -> Fields {
    let fact = |(name, data_type): (&str, &str)| {
        let fact = FieldFact { data_type: data_type.to_owned(), ..FieldFact::default() };
        (name.to_owned(), fact)
    };
    let fields = [
        ("opportunityAmount", "currency"),
        ("leadStatus", "string"),
        ("sfdcIsOpen", "boolean"),
        ("renewalDate", "date"),
        ("lastSeen", "datetime"),
        ("grade", "formula"),
    ];
    fields.map(fact).into_iter().collect()
}

fn condition(text: &str) -> Condition {
    text.parse().unwrap()
}

fn holds(text: &str, lead: &Lead) -> Result<bool, String> {
    condition(text).holds(lead, &facts())
}

#[test]
fn a_condition_compares_by_the_type_of_its_field() {
    let lead = Lead::new(7)
        .with("opportunityAmount", "1200.50")
        .with("leadStatus", " Customer ")
        .with("sfdcIsOpen", true)
        .with("renewalDate", "2026-03-01")
        .with("lastSeen", "2026-02-01T10:00:00Z")
        .with("grade", 3);
    for (text, expected) in [
        ("opportunityAmount > 0", true),
        ("opportunityAmount >= 1200.5", true),
        ("opportunityAmount < 9", false),
        ("opportunityAmount != 1200.5", false),
        ("leadStatus = \"customer\"", true),
        ("leadStatus == 'CUSTOMER'", true),
        ("leadStatus in [\"Customer\", \"Partner\"]", true),
        ("leadStatus not in [\"Customer\", \"Partner\"]", false),
        ("sfdcIsOpen = true", true),
        ("sfdcIsOpen != true", false),
        ("sfdcIsOpen in [false]", false),
        ("renewalDate > \"2026-02-28\"", true),
        ("renewalDate <= \"2026-02-28T23:00:00Z\"", false),
        ("lastSeen = \"2026-02-01T11:00:00+01:00\"", true),
        ("renewalDate is not blank", true),
        ("grade > 2", true),
        ("id in [7, 8]", true),
        ("opportunityAmount > 0 and leadStatus = \"Lead\"", false),
        ("opportunityAmount > 0 AND sfdcIsOpen = true", true),
        ("opportunityAmount>0 and opportunityAmount<-1.5", false),
    ] {
        assert_eq!(holds(text, &lead), Ok(expected), "{text}");
    }
}

#[test]
fn a_blank_is_neither_above_nor_below_nor_equal_and_an_unset_boolean_is_false() {
    let lead = Lead::new(7).with("leadStatus", "  ");
    for (text, expected) in [
        ("opportunityAmount < 1", false),
        ("opportunityAmount = 0", false),
        ("opportunityAmount != 0", true),
        ("opportunityAmount is blank", true),
        ("leadStatus is blank", true),
        ("leadStatus not in [\"Customer\"]", true),
        ("sfdcIsOpen = false", true),
        ("sfdcIsOpen != true", true),
        ("renewalDate < \"2030-01-01\"", false),
    ] {
        assert_eq!(holds(text, &lead), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_judged_says_so_unless_another_test_fails_anyway() {
    let lead = Lead::new(7).with("opportunityAmount", "n/a").with("lastSeen", "long ago");
    for (text, words) in [
        ("opportunityAmount > 0", "`opportunityAmount` of lead 7 holds no number"),
        ("lastSeen > \"2026-01-01\"", "`lastSeen` of lead 7 holds no date or time"),
        ("hidden = \"x\"", "does not show the field `hidden`"),
        ("sfdcIsOpen = false and hidden = \"x\"", "does not show the field `hidden`"),
    ] {
        let why = holds(text, &lead).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }
    assert_eq!(holds("hidden = \"x\" and sfdcIsOpen = true", &lead), Ok(false));
}

#[test]
fn a_condition_that_the_schema_does_not_allow_is_named_with_what_would_do() {
    for (text, words) in [
        ("opportunityAmount > \"0\"", "is a number; hold it against a number, without quotation"),
        ("leadStatus > \"a\"", "is a text; it is no more and no less than another"),
        ("leadStatus = 5", "hold it against a text in quotation marks"),
        ("sfdcIsOpen = \"yes\"", "hold it against true or false"),
        ("sfdcIsOpen is blank", "ask for true or false"),
        ("renewalDate > \"soon\"", "hold it against a date such as"),
        ("grade > \"B\"", "hold it against a number or a date"),
    ] {
        let unfit = condition(text).unfit(&facts()).unwrap().to_string();
        assert!(unfit.contains(words), "{text}: {unfit}");
    }
    for text in ["opportunityAmount > 0", "renewalDate < \"2026-01-01\"", "leadStatus is blank"] {
        assert_eq!(condition(text).unfit(&facts()), None, "{text}");
    }
}

#[test]
fn what_is_no_condition_is_told_with_what_is_wrong() {
    for (text, words) in [
        ("", "needs a field, and there is nothing more"),
        ("leadStatus", "needs =, !=, <, <=, >, >=, in, not in or is after `leadStatus`"),
        ("leadStatus =", "needs a value, and there is nothing more"),
        ("leadStatus = Customer", "a text needs quotation marks, such as \"Customer\""),
        ("leadStatus = \"Customer", "has no end"),
        ("leadStatus in \"Customer\"", "needs `[`, and there is `\"Customer\"`"),
        ("leadStatus in []", "needs a value, and there is `]`"),
        ("leadStatus in [\"a\" \"b\"]", "needs `]`, and there is `\"b\"`"),
        ("leadStatus not \"a\"", "needs `in`, and there is `\"a\"`"),
        ("leadStatus is empty", "needs `blank`, and there is `empty`"),
        ("a > 1 or b > 1", "`or` comes after a whole test"),
        ("a > 1 and", "needs a field, and there is nothing more"),
        ("a > 1.2.3", "`1.2.3` is no number"),
        ("a & b", "`&` has no place in it"),
        ("5 > 3", "needs a field, and there is `5`"),
    ] {
        let why = text.parse::<Condition>().unwrap_err().to_string();
        assert!(why.contains(words), "{text:?}: {why}");
    }
    let kept = condition(" opportunityAmount > 0 ");
    let json = serde_json::to_string(&kept).unwrap();
    assert_eq!(json, "\"opportunityAmount > 0\"");
    assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), kept);
}

#[test]
fn each_rule_names_itself_and_the_lead() {
    let lead = |id: u64| Lead::new(id).with("email", "ada@example.com").with("leadPartitionId", id);
    let leads = [lead(1), lead(2).with("updatedAt", "2026-03-04T05:06:07Z")];
    let since = "2026-03-01T00:00:00Z".parse().unwrap();
    let listed = |text| SharedList::of(Listed::read(text, Holds::IdsAndEmails).unwrap());
    let file = |text| SkipRules {
        file: Some(ReadFile { path: "never.txt".to_owned(), ..ReadFile::default() }),
        in_file: listed(text),
        ..SkipRules::default()
    };
    let known = |rules: SkipRules| {
        rules.why_by_fields(&leads.clone().map(|lead| lead.with("opportunityAmount", 5)), &facts())
    };
    let plain = SkipRules::default;
    for (rules, words) in [
        (
            SkipRules { partitions: vec!["2".to_owned()], ..plain() },
            "`skip.partitions` leaves it alone: lead 2 is in the partition 2",
        ),
        (
            SkipRules { partition_ids: BTreeMap::from([(2, "EMEA".to_owned())]), ..plain() },
            "`skip.partitions` leaves it alone: lead 2 is in the partition EMEA",
        ),
        (
            SkipRules { emails: vec!["*@example.com".parse().unwrap()], ..plain() },
            "`skip.emails` leaves it alone: the address of lead 1 fits `*@example.com`",
        ),
        (file("2\n"), "`skip.file` leaves it alone: never.txt names lead 2"),
        (file("Ada@example.com\n"), "`skip.file` leaves it alone: never.txt names lead 1"),
        (
            SkipRules { changed_since: Some(since), ..plain() },
            "`skip.changed_within` leaves it alone: it cannot be judged, since lead 1 has no `updatedAt`",
        ),
        (
            SkipRules { when: vec![condition("opportunityAmount > 4")], ..plain() },
            "`skip.when` leaves it alone: `opportunityAmount > 4` is true of lead 1",
        ),
        (
            SkipRules { when: vec![condition("hidden > 4")], ..plain() },
            "`skip.when` leaves it alone: `hidden > 4` cannot be judged, since this instance does not show the \
             field `hidden`",
        ),
    ] {
        assert_eq!(known(rules).as_deref(), Some(words));
    }
    let dated = [leads[1].clone()];
    let changed = SkipRules { changed_since: Some(since), ..plain() };
    assert_eq!(
        changed.why(&dated).as_deref(),
        Some(
            "`skip.changed_within` leaves it alone: lead 2 was changed on 2026-03-04 at 05:06 UTC"
        )
    );
    let later = "2026-03-05T00:00:00Z".parse().unwrap();
    assert_eq!(SkipRules { changed_since: Some(later), ..plain() }.why(&dated), None);
    let of_lists = SkipRules { list_ids: BTreeMap::from([(5, "Board".to_owned())]), ..plain() };
    assert_eq!(of_lists.of_lists(1, [4].into_iter()), None);
    assert_eq!(
        of_lists.of_lists(1, [4, 5].into_iter()).as_deref(),
        Some("`skip.lists` leaves it alone: lead 1 is on the static list Board")
    );
    assert_eq!(plain().why_by_fields(&leads, &facts()), None);
}

#[test]
fn a_condition_that_holds_is_told_before_one_that_cannot_be_judged() {
    let rules = SkipRules {
        when: vec![condition("hidden > 4"), condition("sfdcIsOpen = true")],
        ..SkipRules::default()
    };
    let why = rules.why_by_fields(&[Lead::new(7).with("sfdcIsOpen", json!(true))], &facts());
    assert!(why.unwrap().contains("`sfdcIsOpen = true` is true of lead 7"));
    let unreadable = Lead::new(7).with("sfdcIsOpen", Value::from("perhaps"));
    let why = rules.why_by_fields(&[unreadable], &facts()).unwrap();
    assert!(why.contains("cannot be judged"), "{why}");
}
