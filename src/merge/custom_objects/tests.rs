//! Which groups custom objects keep out of a run, relation by relation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::asked::{Asked, as_text};
use super::classify::{Link, classify};
use super::found::{Family, Row, of_group};
use super::words::fixed_by;
use crate::dedupe::{
    FieldFacts, Key, PlannedGroup, Policy, plan_group, rows_that_move, why_rows_stay,
};
use crate::lead::{Lead, LeadId};
use crate::marketo::{CustomObjectType, Field, ObjectField, Schema};

fn object(lead_field: &str) -> CustomObjectType {
    CustomObjectType {
        name: "car_c".to_owned(),
        link_field: "owner".to_owned(),
        lead_field: lead_field.to_owned(),
        dedupe_fields: vec!["vin".to_owned()],
        bridges: Vec::new(),
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
    let asked =
        Asked::by_field("account", &groups.iter().map(Family::of).collect::<Vec<_>>(), &live);
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
}

#[test]
fn a_row_that_does_not_say_whose_it_is_may_be_any_ones_that_was_asked_for() {
    let leads = [
        Lead::new(1).with("email", "a@example.com"),
        Lead::new(2).with("email", "a@example.com").with("account", "Acme"),
    ];
    let group = plan("a@example.com", &leads);
    let live = leads.into_iter().map(|lead| (lead.id, lead)).collect();
    let asked = Asked::by_field("account", &[Family::of(&group)], &live);
    let chunk: Vec<String> = asked.spellings.iter().cloned().collect();
    let row = |row: Value| row.as_object().unwrap().clone();
    for (row, concerned) in [
        (row(json!({"owner": "Acme"})), true),
        (row(json!({"Owner": "ACME"})), true),
        (row(json!({"seq": 0})), true),
        (row(json!({"owner": null})), true),
        (row(json!({"owner": "somebody else"})), true),
    ] {
        assert_eq!(!asked.concerned(&row, "owner", &chunk).is_empty(), concerned, "{row:?}");
    }
}

/// A group of 1, 2 and 3, of which 1 stays.
fn three() -> PlannedGroup {
    let leads = [1, 2, 3].map(|id| Lead::new(id).with("email", "a@example.com"));
    let group = plan("a@example.com", &leads);
    assert_eq!(group.winner, 1);
    group
}

/// How many rows move, and whether some stay.
fn classed(
    object: &CustomObjectType,
    rows: &[(LeadId, &str)],
    fixed: Option<&str>,
) -> (usize, Option<String>) {
    let key: Vec<String> =
        object.dedupe_fields.iter().filter(|field| **field != "owner").cloned().collect();
    let mut by_lead: BTreeMap<LeadId, Vec<Row>> = BTreeMap::new();
    for (place, (lead, key_value)) in rows.iter().enumerate() {
        let mut row = json!({"marketoGUID": format!("g{place}"), "owner": lead});
        for field in &key {
            row[field] = json!(key_value);
        }
        let (lead, row) = Row::of(row.as_object().unwrap(), "owner", &key).unwrap();
        by_lead.entry(lead).or_default().push(row);
    }
    let group = three();
    let found = of_group(object, Family::of(&group), &by_lead, fixed);
    let moving: usize = rows_that_move(&found.rows, &group.losers).values().sum();
    assert_eq!(moving, found.moves.len(), "{found:?}");
    (moving, why_rows_stay(&found.rows, &group.losers))
}

#[test]
fn rows_move_unless_another_lead_of_the_group_has_a_row_with_the_rest_of_their_key() {
    let keyed = |fields: &[&str]| CustomObjectType {
        dedupe_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        ..object("id")
    };
    for (key, rows, moving, stays) in [
        // A key without the link: nothing can collide.
        (&["vin"][..], &[(1, "a"), (2, "a"), (3, "b")][..], 2, false),
        (&["owner", "course"], &[(1, "a"), (2, "b"), (3, "c")], 2, false),
        (&["owner", "course"], &[(1, "a"), (2, "a"), (3, "c")], 1, true),
        (&["owner", "course"], &[(1, "a"), (2, " A "), (3, "c")], 1, true),
        // Two losers of which one would take the other's place.
        (&["owner", "course"], &[(2, "a"), (3, "a")], 0, true),
        // A lead has two rows of its own with one key: that is nobody's collision.
        (&["owner", "course"], &[(2, "a"), (2, "a")], 2, false),
        // The link alone is the key: one row a lead.
        (&["owner"], &[(2, "")], 1, false),
        (&["owner"], &[(1, ""), (2, "")], 0, true),
        (&["owner"], &[(2, ""), (3, "")], 0, true),
        // What only the winner has.
        (&["owner", "course"], &[(1, "a"), (1, "b")], 0, false),
    ] {
        let (moved, why) = classed(&keyed(key), rows, None);
        assert_eq!((moved, why.is_some()), (moving, stays), "{key:?} {rows:?}: {why:?}");
    }
    let why = classed(&keyed(&["owner", "course"]), &[(1, "a"), (2, "a")], None).1.unwrap();
    assert!(why.contains("1 row of the custom object `car_c` on lead 2"), "{why}");
    assert!(why.contains("the same `course`"), "{why}");
    let bridge = CustomObjectType { bridges: vec!["course_c".to_owned()], ..keyed(&["vin"]) };
    let (moved, why) = classed(&bridge, &[(2, "a"), (2, "b")], Some("the CRM manages them"));
    let why = why.unwrap();
    assert!(moved == 0 && why.contains("2 rows") && why.contains("bridge to course_c"), "{why}");
}

#[test]
fn a_row_without_a_name_of_its_own_cannot_be_moved() {
    let row = json!({"owner": 2, "vin": "a"});
    let (lead, row) = Row::of(row.as_object().unwrap(), "owner", &["vin".to_owned()]).unwrap();
    let by_lead = BTreeMap::from([(lead, vec![row])]);
    let group = three();
    let found = of_group(&object("id"), Family::of(&group), &by_lead, None);
    assert!(found.moves.is_empty() && why_rows_stay(&found.rows, &group.losers).is_some());
}

#[test]
fn describe_says_whether_a_link_can_be_changed() {
    let field = |updateable, crm_managed| Some(ObjectField { updateable, crm_managed });
    let no_key = CustomObjectType { dedupe_fields: Vec::new(), ..object("id") };
    for (object, link, fixed) in [
        (object("id"), field(true, false), false),
        (object("id"), field(false, false), true),
        (object("id"), field(true, true), true),
        (object("id"), None, true),
        (no_key, field(true, false), true),
    ] {
        assert_eq!(fixed_by(&object, link).is_some(), fixed, "{object:?} {link:?}");
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
