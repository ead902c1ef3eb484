//! The decisions against slow, independent oracles, on generated groups.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::value::is_nothing;
use super::{
    FieldFact, FieldFacts, FieldRule, Key, NamedIds, OPT_OUTS, Plan, PlannedGroup, Policy,
    WinnerOrder, WinnerRule, plan_group, still_as_seen,
};
use crate::lead::{Crm, Lead, LeadId};

mod rules;

const FIELDS: &[&str] = &["phone", "title", "leadScore", "vip", "city", "postalCode", "country"];

const ADDRESS: &[&str] = &["city", "postalCode", "country"];

const RULES: &[&str] = &[
    "winner",
    "oldest",
    "newest",
    "max",
    "min",
    "sum",
    "any_true",
    "all_true",
    "longest",
    "concat",
    "prefer:[\"b\",\"a\"]",
    "by:leadScore",
    "by:-phone",
    "next_best",
];

const ORDERS: &[&str] = &[
    "crm_contact",
    "crm_lead",
    "oldest",
    "newest",
    "lowest_id",
    "most_complete",
    "last_updated",
    "max:leadScore",
    "max:phone",
    "ids",
];

fn facts() -> FieldFacts {
    let mut facts = FieldFacts::of_writeable(FIELDS.iter().chain(OPT_OUTS).copied());
    let data_type = "boolean".to_owned();
    let opt_out = FieldFact { data_type, writeable: true, ..FieldFact::default() };
    facts.fields.insert("smsOptOut".to_owned(), opt_out);
    facts
}

fn key() -> Key {
    Key::of("ada@example.com").unwrap()
}

fn any_lead() -> impl Strategy<Value = Lead> {
    let text =
        || prop_oneof![Just(Value::Null), "[ab ;]{0,3}".prop_map(Value::from), Just(json!("null"))];
    let flag = || any::<Option<bool>>().prop_map(|flag| flag.map_or(Value::Null, Value::Bool));
    let crm = prop_oneof![4 => Just(None), 1 => Just(Some("sfdcLeadId")), 1 => Just(Some("sfdcContactId"))];
    let people = (text(), text(), flag(), flag(), flag(), any::<Option<bool>>());
    let part = || prop_oneof![Just(Value::Null), "[ab]".prop_map(Value::from)];
    let address = (part(), part(), part());
    (1..30_u64, 0..4_u32, 0..4_u32, any::<Option<i8>>(), crm, people, address).prop_map(
        |(
            id,
            born,
            updated,
            score,
            crm,
            (phone, title, vip, unsubscribed, do_not_call, sms),
            (city, code, country),
        )| {
            let mut lead = Lead::new(id)
                .with("email", "Ada@example.com")
                .with("phone", phone)
                .with("title", title)
                .with("city", city)
                .with("postalCode", code)
                .with("country", country)
                .with("vip", vip)
                .with("unsubscribed", unsubscribed)
                .with("doNotCall", do_not_call)
                .with("smsOptOut", sms.map_or(Value::Null, Value::Bool))
                .with("updatedAt", format!("2026-02-0{}T00:00:00Z", updated + 1))
                .with("leadScore", score.map_or(Value::Null, Value::from));
            if born > 0 {
                lead = lead.with("createdAt", format!("2026-01-0{born}T00:00:00Z"));
            }
            crm.map_or(lead.clone(), |field| lead.with(field, "00X1"))
        },
    )
}

fn any_group() -> impl Strategy<Value = (Vec<Lead>, Vec<Lead>)> {
    proptest::collection::vec(any_lead(), 2..7).prop_flat_map(|mut leads| {
        leads.sort_by_key(|lead| lead.id);
        leads.dedup_by_key(|lead| lead.id);
        (Just(leads.clone()), Just(leads).prop_shuffle())
    })
}

fn any_order() -> impl Strategy<Value = WinnerOrder> {
    let rule =
        proptest::sample::select(ORDERS).prop_map(|word| word.parse::<WinnerRule>().unwrap());
    let ids = proptest::collection::btree_set(1..30_u64, 0..4);
    (proptest::collection::vec(rule, 0..5), ids)
        .prop_map(|(rules, ids)| WinnerOrder(rules).with_ids(&NamedIds::of(ids)))
}

fn any_rules() -> impl Strategy<Value = BTreeMap<String, FieldRule>> {
    let rule = proptest::sample::select(RULES).prop_map(|word| word.parse::<FieldRule>().unwrap());
    let field = proptest::sample::select(vec![
        "phone",
        "title",
        "leadScore",
        "vip",
        "unsubscribed",
        "doNotCall",
        "smsOptOut",
    ]);
    proptest::collection::btree_map(field.prop_map(str::to_owned), rule, 0..5)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (any_order(), any_rules()).prop_map(|(winner, rules)| {
        let mut policy = Policy { winner, merge_in_crm: true, ..Policy::default() };
        policy.fields.0.extend(rules);
        policy
    })
}

/// Narrows the candidates down rule by rule, which the order under test does not.
fn oracle_winner(order: &WinnerOrder, leads: &[Lead]) -> LeadId {
    fn keep<'a, T: PartialEq>(
        left: &[&'a Lead],
        of: impl Fn(&Lead) -> T,
        better: impl Fn(&T, &T) -> bool,
    ) -> Vec<&'a Lead> {
        let best = |lead: &&Lead| left.iter().all(|rival| !better(&of(rival), &of(lead)));
        left.iter().filter(|lead| best(lead)).copied().collect()
    }
    let has = |lead: &Lead, field: &str| lead.text(field).is_some();
    let rank =
        |lead: &Lead| u8::from(has(lead, "sfdcLeadId")) + 2 * u8::from(has(lead, "sfdcContactId"));
    let mut left = keep(&leads.iter().collect::<Vec<_>>(), rank, |a, b| a > b);
    for rule in &order.0 {
        left = match rule {
            WinnerRule::CrmContact | WinnerRule::CrmLead => left,
            WinnerRule::Oldest => keep(&left, Lead::created_at, |a, b| match (a, b) {
                (Some(a), Some(b)) => a < b,
                (a, b) => a.is_some() && b.is_none(),
            }),
            WinnerRule::Newest => keep(&left, Lead::created_at, |a, b| a > b),
            WinnerRule::Ids(ids) => keep(&left, |lead| ids.has(lead.id), |a, b| *a && !*b),
            WinnerRule::LowestId => keep(&left, |lead| lead.id, |a, b| a < b),
            WinnerRule::MostComplete => keep(&left, filled_fields, |a, b| a > b),
            WinnerRule::LastUpdated => keep(&left, Lead::updated_at, |a, b| a > b),
            WinnerRule::Max(field) if field == "leadScore" => {
                keep(&left, |lead| lead.value(field).and_then(Value::as_i64), |a, b| a > b)
            }
            WinnerRule::Max(field) => {
                keep(&left, |lead| lead.text(field).map(ToOwned::to_owned), |a, b| a > b)
            }
        };
    }
    left.iter().map(|lead| lead.id).min().unwrap()
}

fn filled_fields(lead: &Lead) -> usize {
    let empty = |value: &Value| {
        value.as_str().is_some_and(|text| text.trim().is_empty()) || *value == json!(false)
    };
    lead.fields.values().filter(|value| !empty(value)).count()
}

/// What a number field must come to, or `None` where the oracle does not know.
fn oracle_score(rule: &FieldRule, winner: &Lead, losers: &[&Lead]) -> Option<Value> {
    let score = |lead: &Lead| lead.value("leadScore").and_then(Value::as_i64);
    let all: Vec<(Option<DateTime<Utc>>, i64)> = std::iter::once(winner)
        .chain(losers.iter().copied())
        .filter_map(|lead| Some((lead.created_at(), score(lead)?)))
        .collect();
    let numbers = || all.iter().map(|(_, score)| *score);
    let found = match rule {
        FieldRule::Max => numbers().max(),
        FieldRule::Min => numbers().min(),
        FieldRule::Sum => numbers().reduce(|a, b| a + b),
        FieldRule::Winner => numbers().next(),
        _ => return None,
    };
    Some(found.map_or(Value::Null, Value::from))
}

fn merged(group: &PlannedGroup, leads: &[Lead]) -> Lead {
    let mut winner = leads.iter().find(|lead| lead.id == group.winner).unwrap().clone();
    for change in &group.changes {
        winner.set(&change.name, change.after.clone());
    }
    winner
}

proptest! {
    #[test]
    fn the_winner_is_the_one_that_narrowing_down_leaves(order in any_order(), (leads, shuffled) in any_group()) {
        let winner = order.winner(&leads).unwrap().id;
        prop_assert_eq!(winner, oracle_winner(&order, &leads));
        prop_assert_eq!(winner, order.winner(&shuffled).unwrap().id);
        let rank = |id| leads.iter().find(|lead| lead.id == id).map(Lead::crm);
        prop_assert_eq!(rank(winner), leads.iter().map(Lead::crm).max(), "Marketo would overrule it");
    }

    #[test]
    fn a_plan_is_the_same_whatever_order_the_leads_come_in(policy in any_policy(), (leads, shuffled) in any_group()) {
        let planned = plan_group(&key(), &leads, &policy, &facts());
        prop_assert_eq!(&planned, &plan_group(&key(), &shuffled, &policy, &facts()));
        if let Ok(group) = planned {
            prop_assert_eq!(still_as_seen(&group, &shuffled, &policy, &facts()), Ok(()));
        }
    }

    #[test]
    fn whatever_the_rules_say_no_opt_out_is_lost_and_no_gap_is_left(policy in any_policy(), (leads, _) in any_group()) {
        let Ok(group) = plan_group(&key(), &leads, &policy, &facts()) else { return Ok(()) };
        let merged = merged(&group, &leads);
        for field in OPT_OUTS.iter().chain(&["smsOptOut"]) {
            prop_assert_eq!(merged.flag(field), leads.iter().any(|lead| lead.flag(field)), "{}", field);
        }
        for field in ["phone", "title", "leadScore"] {
            let has = |lead: &Lead| lead.value(field).is_some_and(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
            prop_assert_eq!(has(&merged), leads.iter().any(has), "{}", field);
        }
    }

    #[test]
    fn an_address_is_one_leads_and_what_is_lost_is_named(policy in any_policy(), (leads, _) in any_group()) {
        let facts = facts();
        let Ok(group) = plan_group(&key(), &leads, &policy, &facts) else { return Ok(()) };
        let merged = merged(&group, &leads);
        let address = |lead: &Lead| ADDRESS.iter().map(|field| lead.text(field).unwrap_or_default().to_owned()).collect::<Vec<_>>();
        prop_assert!(leads.iter().any(|lead| address(lead) == address(&merged)), "{:?}", address(&merged));
        for lead in &leads {
            for field in FIELDS {
                let Some(value) = lead.value(field).filter(|value| !is_nothing(value)) else { continue };
                let stays = merged.value(field).is_some_and(|held| facts.holds(field, held, value));
                let named = group.dropped.iter().any(|drop| drop.lead == lead.id && drop.name == *field);
                let of_several = group.changes.iter().any(|change| change.name == *field && change.from.is_none());
                prop_assert!(stays || named || of_several, "{} of {}", field, lead.id);
            }
        }
    }

    #[test]
    fn numbers_come_to_what_a_person_would_add_up(policy in any_policy(), (leads, _) in any_group()) {
        let Ok(group) = plan_group(&key(), &leads, &policy, &facts()) else { return Ok(()) };
        let find = |id: LeadId| leads.iter().find(|lead| lead.id == id).unwrap();
        let losers: Vec<&Lead> = group.losers.iter().map(|id| find(*id)).collect();
        if let Some(wanted) = oracle_score(policy.fields.of("leadScore"), find(group.winner), &losers) {
            prop_assert_eq!(merged(&group, &leads).value("leadScore").cloned().unwrap_or(Value::Null), wanted);
        }
    }

    #[test]
    fn every_lead_is_the_winner_or_one_loser_and_losers_come_most_complete_first(policy in any_policy(), (leads, _) in any_group()) {
        let mut twice = leads.clone();
        twice.extend(leads.clone());
        let Ok(group) = plan_group(&key(), &twice, &policy, &facts()) else { return Ok(()) };
        let mut ids: Vec<LeadId> = group.losers.iter().copied().chain([group.winner]).collect();
        ids.sort_unstable();
        prop_assert_eq!(ids, leads.iter().map(|lead| lead.id).collect::<Vec<_>>());
        let filled = |id: &LeadId| filled_fields(leads.iter().find(|lead| lead.id == *id).unwrap());
        prop_assert!(group.losers.is_sorted_by_key(|id| (std::cmp::Reverse(filled(id)), *id)));
    }

    #[test]
    fn a_change_of_any_watched_field_takes_the_group_out(policy in any_policy(), (leads, _) in any_group(), which in 0..6_usize) {
        let Ok(group) = plan_group(&key(), &leads, &policy, &facts()) else { return Ok(()) };
        let changed = leads.get(which % leads.len()).unwrap();
        for (field, value) in [
            ("email", json!("other@example.com")),
            ("createdAt", json!("2020-01-01T00:00:00Z")),
            ("sfdcLeadId", json!("00Q9")),
            ("blackListed", json!(true)),
            ("firstName", json!("Somebody")),
        ] {
            let live: Vec<Lead> = leads
                .iter()
                .map(|lead| if lead.id == changed.id { lead.clone().with(field, value.clone()) } else { lead.clone() })
                .collect();
            prop_assert!(still_as_seen(&group, &live, &policy, &facts()).is_err(), "{}", field);
        }
    }

    #[test]
    fn a_plan_comes_back_from_json_as_it_went(policy in any_policy(), (leads, _) in any_group()) {
        let (groups, left_out) = match plan_group(&key(), &leads, &policy, &facts()) {
            Ok(group) => (vec![group.clone(), PlannedGroup { key: Key::of("other@example.com").unwrap(), ..group }], vec![]),
            Err(left_out) => (vec![], vec![left_out]),
        };
        // The ids of a file are kept with the groups alone.
        let policy = policy.with_winner_ids(&NamedIds::default());
        let plan = Plan::new("example".to_owned(), DateTime::UNIX_EPOCH, policy, groups, left_out);
        let ids: Vec<LeadId> = plan.groups.iter().flat_map(|group| &group.seen).map(|seen| seen.id).collect();
        prop_assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "a lead is in two groups");
        let read: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        prop_assert_eq!(read, plan);
    }
}

#[test]
fn the_reason_says_what_told_the_winner_from_its_last_rival() {
    let lead = |id: LeadId, day: u32| {
        Lead::new(id)
            .with("email", "ada@example.com")
            .with("createdAt", format!("2026-01-{day:02}T00:00:00Z"))
            .with("leadScore", id)
    };
    let order =
        |rules: &[&str]| WinnerOrder(rules.iter().map(|rule| rule.parse().unwrap()).collect());
    for (rules, leads, reason) in [
        (&["oldest"][..], vec![lead(2, 1), lead(1, 2)], "it was created first, on 2026-01-01"),
        (&["newest"][..], vec![lead(2, 1), lead(1, 2)], "it was created last, on 2026-01-02"),
        (&["oldest"][..], vec![lead(2, 1), lead(1, 1)], "its id is the lowest"),
        (&[][..], vec![lead(2, 1), lead(1, 1)], "its id is the lowest"),
        (&["max:leadScore"][..], vec![lead(2, 1), lead(1, 1)], "its `leadScore` is the highest"),
        (
            &["oldest"][..],
            vec![lead(2, 9).with("sfdcContactId", "0031"), lead(1, 1)],
            "it is the CRM's contact, which survives any merge",
        ),
        (
            &["crm_contact", "oldest"][..],
            vec![
                lead(2, 9).with("sfdcLeadId", "00Q1"),
                lead(3, 1).with("sfdcLeadId", "00Q2"),
                lead(1, 1),
            ],
            "it was created first, on 2026-01-01",
        ),
    ] {
        let policy = Policy { winner: order(rules), merge_in_crm: true, ..Policy::default() };
        assert_eq!(plan_group(&key(), &leads, &policy, &facts()).unwrap().reason, reason);
    }
    assert_eq!(Crm::Contact.label(), "contact");
}
