//! The defaults by kind of field, what comes from one lead together, and winners of groups with
//! blocked fields.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{deviations_by, key, lead, typed};
use crate::dedupe::{
    Bundles, FieldFacts, FieldRule, PlannedGroup, Policy, plan_group, still_as_seen,
};
use crate::lead::{Lead, LeadId};

fn with(id: LeadId, fields: &Value) -> Lead {
    fields
        .as_object()
        .unwrap()
        .iter()
        .fold(lead(id), |lead, (field, value)| lead.with(field, value.clone()))
}

fn planned(leads: &[Lead], policy: &Policy, facts: &FieldFacts) -> PlannedGroup {
    plan_group(&key(), leads, policy, facts).unwrap()
}

/// The winner with what is written to it.
fn written(group: &PlannedGroup, leads: &[Lead]) -> Lead {
    let winner = leads.iter().find(|lead| lead.id == group.winner).unwrap();
    group
        .changes
        .iter()
        .fold(winner.clone(), |lead, change| lead.with(&change.name, change.after.clone()))
}

fn dropped(group: &PlannedGroup) -> Vec<(&str, LeadId)> {
    group.dropped.iter().map(|drop| (drop.name.as_str(), drop.lead)).collect()
}

const ADDRESS: &[(&str, &str, bool)] = &[
    ("address", "text", true),
    ("city", "string", true),
    ("postalCode", "string", true),
    ("country", "string", true),
    ("billingCity", "string", true),
    ("billingCountry", "string", true),
];

#[test]
fn the_highest_score_stays_by_default_and_the_plan_says_by_which_rule() {
    let (policy, facts) =
        (Policy::default(), typed(&[("leadScore", "score", true), ("b", "score", true)]));
    let leads =
        [lead(1).with("leadScore", 0).with("b", 9), lead(2).with("leadScore", 152).with("b", 5)];
    let group = planned(&leads, &policy, &facts);
    assert_eq!(group.expected.get("leadScore"), Some(&json!(152)));
    assert_eq!(dropped(&group), [("b", 2), ("leadScore", 1)]);
    assert_eq!((group.rules["b"].as_str(), group.rules["leadScore"].as_str()), ("max", "max"));
    // Where a merge adds scores up, the survivor is not as predicted.
    let added = lead(1).with("leadScore", 304).with("b", 14);
    let names: Vec<String> =
        deviations_by(&group, &leads, &added, &facts).into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["b", "leadScore"]);
    // The plan names what it drops, value by value.
    for score in [6, 10] {
        let live = [leads[0].clone(), leads[1].clone().with("b", score)];
        assert!(still_as_seen(&group, &live, &policy, &facts).is_err(), "{score}");
    }
    let mut configured = policy;
    configured.fields.0.insert("leadScore".to_owned(), FieldRule::Winner);
    assert_eq!(planned(&leads, &configured, &facts).rules["leadScore"], "winner");
}

#[test]
fn an_address_comes_from_one_lead_and_its_blanks_stay_blank() {
    let facts = typed(ADDRESS);
    let policy = Policy::default();
    for (winner, loser, stays) in [
        (
            json!({"country": "US"}),
            json!({"city": "Bonn", "postalCode": "53111", "country": "DE"}),
            2,
        ),
        (json!({}), json!({"city": "Bonn"}), 2),
        (
            json!({"city": "Rome", "country": "IT"}),
            json!({"city": "Bonn", "postalCode": "53111"}),
            1,
        ),
        (json!({"address": "1 High", "city": "York"}), json!({"country": "DE"}), 1),
        (json!({"city": "  "}), json!({"country": "DE"}), 2),
    ] {
        let leads = [with(1, &winner), with(2, &loser)];
        let group = planned(&leads, &policy, &facts);
        let survivor = written(&group, &leads);
        let giver = &leads[stays - 1];
        for (field, ..) in ADDRESS {
            let of = |lead: &Lead| lead.value(field).cloned().unwrap_or_default();
            assert!(facts.holds(field, &of(&survivor), &of(giver)), "{winner} {loser} {field}");
            // Marketo fills a blank from the first loser; that is no part of the prediction.
            let other = &leads[2 - stays];
            if survivor.text(field).is_none() && other.text(field).is_some() {
                let filled = survivor.clone().with(field, of(other));
                assert_eq!(
                    deviations_by(&group, &leads, &filled, &facts).len(),
                    1,
                    "{winner} {loser} {field}"
                );
                assert!(dropped(&group).contains(&(field, other.id)), "{winner} {loser} {field}");
            }
        }
        assert_eq!(deviations_by(&group, &leads, &survivor, &facts), []);
        assert_eq!(still_as_seen(&group, &leads, &policy, &facts), Ok(()));
    }
}

#[test]
fn each_family_is_a_bundle_and_the_plan_names_it() {
    let facts = typed(ADDRESS);
    let leads = [
        with(1, &json!({"city": "Rome", "country": "IT", "billingCity": "Rome"})),
        with(2, &json!({"city": "Bonn", "billingCity": "Bonn", "billingCountry": "DE"})),
    ];
    let group = planned(&leads, &Policy::default(), &facts);
    assert_eq!(written(&group, &leads).text("city"), Some("Rome"));
    assert_eq!(written(&group, &leads).text("billingCity"), Some("Bonn"));
    assert_eq!(group.rules["city"], "bundle address");
    assert_eq!(group.rules["billingCity"], "bundle billing_address");
    // A rule of its own, or the bundle without fields, takes a field out of it.
    let mut policy = Policy::default();
    policy.fields.0.insert("city".to_owned(), FieldRule::Newest);
    policy.bundles.0.insert("billing_address".to_owned(), vec![]);
    let group = planned(&leads, &policy, &facts);
    assert_eq!(group.rules["city"], "newest");
    assert_eq!(written(&group, &leads).text("billingCity"), Some("Rome"));
    assert_eq!(
        written(&group, &leads).text("billingCountry"),
        Some("DE"),
        "filled as any other blank"
    );
}

#[test]
fn an_address_that_cannot_be_written_whole_is_not_written_in_part() {
    let mut fields = ADDRESS.to_vec();
    fields[3].2 = false;
    let leads = [
        with(1, &json!({"country": "IT"})),
        with(2, &json!({"city": "Bonn", "postalCode": "53111", "country": "DE"})),
    ];
    let group = planned(&leads, &Policy::default(), &typed(&fields));
    assert_eq!(group.changes, []);
    assert_eq!(group.blank, ["city", "postalCode"].map(str::to_owned).into());
    let mut policy = Policy::default();
    let whole = ["city", "postalCode", "country"].map(str::to_owned);
    policy.bundles.0.insert("address".to_owned(), whole.into());
    let reason = plan_group(&key(), &leads, &policy, &typed(&fields)).unwrap_err().reason;
    assert!(reason.contains("`bundle address` would change `country`"), "{reason}");
}

#[test]
fn an_opt_out_in_a_bundle_decides_from_whom_the_bundle_comes() {
    let facts =
        typed(&[("smsOptOut", "boolean", true), ("a", "string", true), ("b", "string", true)]);
    let bundle = ["smsOptOut", "a", "b"].map(str::to_owned).into();
    let policy =
        Policy { bundles: Bundles([("sms".to_owned(), bundle)].into()), ..Policy::default() };
    let leads = [
        with(1, &json!({"smsOptOut": false, "a": "1", "b": "1"})),
        with(2, &json!({"smsOptOut": true, "a": "2"})),
    ];
    let group = planned(&leads, &policy, &facts);
    let survivor = written(&group, &leads);
    assert!(survivor.flag("smsOptOut"));
    assert_eq!((survivor.text("a"), survivor.text("b")), (Some("2"), None));
    assert_eq!(dropped(&group), [("a", 1), ("b", 1)]);
}

#[test]
fn a_flag_and_its_reason_and_date_come_from_one_record() {
    let facts = typed(&[
        ("smsOptOut", "boolean", true),
        ("smsOptOutDate", "date", true),
        ("sms_opt_out_reason", "string", true),
    ]);
    for (winner, loser, date, reason) in [
        (
            json!({"smsOptOutDate": "2020-01-01"}),
            json!({"smsOptOut": true, "sms_opt_out_reason": "asked"}),
            None,
            Some("asked"),
        ),
        (json!({"sms_opt_out_reason": "stale"}), json!({"smsOptOut": true}), None, None),
        (
            json!({"smsOptOut": true}),
            json!({"smsOptOut": true, "smsOptOutDate": "2020-01-01"}),
            Some("2020-01-01"),
            None,
        ),
        (
            json!({"smsOptOut": true, "sms_opt_out_reason": "a"}),
            json!({"smsOptOut": true, "smsOptOutDate": "2020-01-01"}),
            None,
            Some("a"),
        ),
        (
            json!({"smsOptOutDate": "2020-01-01"}),
            json!({"sms_opt_out_reason": "b"}),
            Some("2020-01-01"),
            None,
        ),
    ] {
        let leads = [with(1, &winner), with(2, &loser)];
        let group = planned(&leads, &Policy::default(), &facts);
        let survivor = written(&group, &leads);
        assert_eq!(survivor.flag("smsOptOut"), leads.iter().any(|lead| lead.flag("smsOptOut")));
        assert_eq!(
            (survivor.text("smsOptOutDate"), survivor.text("sms_opt_out_reason")),
            (date, reason),
            "{winner} {loser}"
        );
        assert_eq!(deviations_by(&group, &leads, &survivor, &facts), []);
    }
}

fn blocking(facts: FieldFacts, fields: &[&str]) -> FieldFacts {
    FieldFacts {
        not_taken: fields.iter().map(|field| (*field).to_owned()).collect::<BTreeSet<_>>(),
        ..facts
    }
}

#[test]
fn the_lead_that_holds_what_is_blocked_stays_as_far_as_the_crm_allows() {
    let facts = blocking(
        typed(&[("doNotCall", "boolean", true), ("leadScore", "score", true)]),
        &["doNotCall"],
    );
    let plain = Policy::default();
    let a = with(1, &json!({"title": "Dr"}));
    let b = with(2, &json!({"doNotCall": true, "title": "Prof"}));
    let group = planned(&[a.clone(), b.clone()], &plain, &facts);
    assert_eq!((group.winner, group.changes.as_slice()), (2, [].as_slice()));
    assert_eq!(dropped(&group), [("title", 1)]);
    assert!(
        group.reason.contains("`doNotCall`")
            && group.reason.contains("otherwise lead 1 would stay"),
        "{}",
        group.reason
    );
    // The CRM's record stays whatever is asked: the plan names what may not work.
    let group = planned(&[a.clone().with("sfdcLeadId", "00Q1"), b.clone()], &plain, &facts);
    assert_eq!(group.winner, 1);
    assert!(
        group.reason.contains("`doNotCall`") && group.reason.contains("not_written"),
        "{}",
        group.reason
    );
    // Consent comes before other blocked fields.
    let both = blocking(facts.clone(), &["doNotCall", "title"]);
    let mut oldest = plain.clone();
    oldest.fields.0.insert("title".to_owned(), FieldRule::Oldest);
    assert_eq!(planned(&[a.clone(), b.clone()], &oldest, &both).winner, 2);
    // A blank takes its first value, and a default does without what is blocked.
    let scores = blocking(facts, &["leadScore"]);
    let leads_of = |a: Value| {
        [lead(1).with("leadScore", a).with("sfdcLeadId", "00Q1"), lead(2).with("leadScore", 5)]
    };
    assert_eq!(planned(&leads_of(json!(null)), &plain, &scores).changes.len(), 1);
    let group = planned(&leads_of(json!(0)), &plain, &scores);
    assert_eq!((group.changes.len(), dropped(&group)), (0, vec![("leadScore", 2)]));
    assert!(group.reason.contains("`leadScore` stays as it is"), "{}", group.reason);
}
