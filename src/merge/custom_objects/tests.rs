//! Which groups custom objects keep out of a run, relation by relation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Asked, Link, as_text, classify};
use crate::dedupe::{FieldFacts, Key, PlannedGroup, Policy, plan_group};
use crate::lead::Lead;
use crate::marketo::{CustomObjectType, Field, Schema};

fn object(lead_field: &str) -> CustomObjectType {
    CustomObjectType {
        name: "car_c".to_owned(),
        link_field: "owner".to_owned(),
        lead_field: lead_field.to_owned(),
    }
}

fn schema(fields: &[(&str, &str)]) -> Schema {
    let field = |(name, label): &(&str, &str)| {
        let facts = Field {
            display_name: (*label).to_owned(),
            data_type: "string".to_owned(),
            length: None,
            updateable: true,
            crm_managed: false,
        };
        ((*name).to_owned(), facts)
    };
    Schema { fields: fields.iter().map(field).collect(), searchable: Vec::new() }
}

#[test]
fn a_relation_is_understood_in_every_spelling_or_unknown() {
    let here = schema(&[
        ("id", "Id"),
        ("email", "Email Address"),
        ("company", "Company Name"),
        ("accountId_c", "Account ID"),
        ("region1", "Region"),
        ("region2", "Region"),
    ]);
    let field = |name: &str| Some(Link::Field(name.to_owned()));
    for (named, link) in [
        ("id", Some(Link::Id)),
        ("Id", Some(Link::Id)),
        ("ID", Some(Link::Id)),
        (" id ", Some(Link::Id)),
        ("Lead Id", Some(Link::Id)),
        ("Lead ID", Some(Link::Id)),
        ("leadId", Some(Link::Id)),
        ("LEAD_ID", Some(Link::Id)),
        ("Person ID", Some(Link::Id)),
        ("email", field("email")),
        ("EMAIL", field("email")),
        ("Email", field("email")),
        ("Email Address", field("email")),
        ("email address", field("email")),
        ("emailAddress", field("email")),
        ("Company Name", field("company")),
        ("company", field("company")),
        ("ACCOUNT ID", field("accountId_c")),
        ("accountid_C", field("accountId_c")),
        ("Region", None),
        ("Loyalty Number", None),
        ("", None),
        ("  ", None),
    ] {
        let classified = classify(&object(named), &here);
        match link {
            Some(link) => assert_eq!(classified, link, "{named}"),
            None => assert!(
                matches!(&classified, Link::Unknown(why) if why.contains("car_c")),
                "{named}: {classified:?}"
            ),
        }
    }
    // The screens of this instance show the plain REST names.
    assert_eq!(
        classify(&object("Email Address"), &schema(&[("email", "email")])),
        Link::Field("email".to_owned())
    );
    // And on this one another field goes by the name of the id.
    let two = schema(&[("id", "Marketo Id"), ("crmLead", "Lead ID")]);
    assert!(matches!(classify(&object("Lead ID"), &two), Link::Unknown(_)));
    let no_link = CustomObjectType { link_field: String::new(), ..object("id") };
    assert!(matches!(classify(&no_link, &here), Link::Unknown(_)));
}

fn plan(email: &str, leads: &[Lead]) -> PlannedGroup {
    plan_group(&Key::of(email).unwrap(), leads, &Policy::default(), &FieldFacts::default()).unwrap()
}

#[test]
fn values_of_winners_count_and_those_of_two_groups_keep_both_out() {
    let lead = |id: u64, email: &str| Lead::new(id).with("email", email);
    let leads = [
        lead(1, "a@example.com").with("account", "Initech"),
        lead(2, "a@example.com").with("account", "Acme"),
        lead(3, "b@example.com"),
        lead(4, "b@example.com").with("account", "ACME"),
        lead(5, "c@example.com").with("account", "Acme, Inc."),
        lead(6, "c@example.com").with("account", " "),
    ];
    let groups = [
        plan("a@example.com", &leads[..2]),
        plan("b@example.com", &leads[2..4]),
        plan("c@example.com", &leads[4..]),
    ];
    let live: BTreeMap<u64, Lead> = leads.into_iter().map(|lead| (lead.id, lead)).collect();
    let asked = Asked::by_field("account", &groups.iter().collect::<Vec<_>>(), &live);
    let winners = |winners: &[u64]| winners.iter().copied().collect::<BTreeSet<u64>>();
    assert_eq!(
        asked.groups,
        BTreeMap::from([
            ("acme".to_owned(), winners(&[1, 3])),
            ("initech".to_owned(), winners(&[1]))
        ])
    );
    let spellings: Vec<&str> = asked.spellings.iter().map(String::as_str).collect();
    assert_eq!(spellings, ["ACME", "Acme", "Initech", "acme", "initech"]);
    assert_eq!(asked.unaskable, winners(&[5]));

    // By id the losers alone are asked for.
    let by_id = Asked::by_id(&groups.iter().collect::<Vec<_>>());
    assert_eq!(by_id.spellings.len(), 3);
    assert!(!by_id.groups.contains_key("1"));
}

#[test]
fn a_row_that_does_not_say_whose_it_is_may_be_any_ones_that_was_asked_for() {
    let leads = [
        Lead::new(1).with("email", "a@example.com"),
        Lead::new(2).with("email", "a@example.com"),
        Lead::new(3),
    ];
    let group = plan("a@example.com", &leads[..2]);
    let asked = Asked::by_id(&[&group]);
    let chunk: Vec<String> = asked.spellings.iter().cloned().collect();
    let row = |row: Value| row.as_object().unwrap().clone();
    let loser = group.losers[0];
    for (row, concerned) in [
        (row(json!({"owner": loser})), true),
        (row(json!({"owner": loser.to_string()})), true),
        (row(json!({"Owner": loser})), true),
        (row(json!({"seq": 0})), true),
        (row(json!({"owner": null})), true),
        (row(json!({"owner": "somebody else"})), true),
    ] {
        assert_eq!(!asked.concerned(&row, "owner", &chunk).is_empty(), concerned, "{row:?}");
    }
}

#[test]
fn values_are_asked_for_as_marketo_writes_them() {
    for (value, text) in [
        (json!("  Acme "), Some("Acme")),
        (json!(1001), Some("1001")),
        (json!(1001.0), Some("1001")),
        (json!(10.5), Some("10.5")),
        (json!(true), Some("true")),
        (json!(""), None),
        (json!(" "), None),
        (json!(null), None),
    ] {
        assert_eq!(as_text(&value).as_deref(), text, "{value}");
    }
}
