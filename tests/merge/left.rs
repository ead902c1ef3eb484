//! Groups that `mkto-audit merge` leaves alone while it goes on, and what survives of the others.

use mkto_sandbox::{Fault, ObjectSpec};
use serde_json::{Value, json};

use crate::support::merging::{fill_cache, merge, open_ledger};
use crate::support::{Instance, quick};

fn instance() -> Instance {
    let mut options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0", "refused_fields=department"] {
        options.set_knob(knob).unwrap();
    }
    Instance::start(options)
}

fn pair(instance: &Instance, email: &str, of_loser: &Value) -> [u64; 2] {
    let mut ada = json!({"email": email, "firstName": "Ada", "lastName": "Lovelace"});
    let winner = instance.sandbox.put_lead(&ada);
    ada.as_object_mut().unwrap().extend(of_loser.as_object().unwrap().clone());
    [winner, instance.sandbox.put_lead(&ada)]
}

fn merges(instance: &Instance) -> u64 {
    instance.sandbox.calls().get("POST /rest/v1/leads/{id}/merge").copied().unwrap_or_default()
}

/// Outcome and reason of each group, by its key.
fn groups(document: &Value) -> Vec<(String, String, String)> {
    let text = |group: &Value, name: &str| group[name].as_str().unwrap_or_default().to_owned();
    let groups = document["group"].as_array().unwrap().iter();
    groups
        .map(|group| (text(group, "key"), text(group, "outcome"), text(group, "reason")))
        .collect()
}

/// Refusals that are each a group's own. Whether 1080 is depends on its words.
const OWN: &[(&str, &str)] = &[
    ("712", "Merging Person Accounts is not supported"),
    ("714", "Default record type not found in Salesforce"),
    ("1076", "Merging leads failed: a duplicate rule of Salesforce forbids it"),
    ("1077", "Merging leads failed: a value is too long for its Salesforce field"),
    ("1078", "Merging leads failed: the entity is deleted in Salesforce"),
    ("1079", "Merging leads failed: leads share a Personalized URL"),
    ("1080", "Merging more than one CRM lead is not supported"),
    ("712", "Merging Person Accounts is not supported"),
    ("714", "Default record type not found in Salesforce"),
    ("1076", "Merging leads failed: a duplicate rule of Salesforce forbids it"),
];

#[test]
fn ten_groups_that_can_never_be_merged_stop_no_run_and_are_passed_over_until_they_change() {
    let instance = instance();
    let mut losers = Vec::new();
    for (n, (code, words)) in OWN.iter().enumerate() {
        let [_, loser] = pair(&instance, &format!("a{n}@example.com"), &json!({}));
        instance.sandbox.refuse_merge(loser, code, words);
        losers.push(loser);
    }
    // The write for this one is refused with 1003.
    pair(&instance, "b@example.com", &json!({"department": "Engines"}));
    pair(&instance, "z@example.com", &json!({}));
    fill_cache(&instance);
    let document = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    let shown = merge(&instance, &["--plan", document["plan"].as_str().unwrap()]);
    for (n, (code, words)) in OWN.iter().chain(&[("1003", "")]).enumerate() {
        assert!(shown.stdout.contains(&format!("{code} {words}")), "{code}: {}", shown.picture());
        let (key, outcome, reason) = &groups(&document)[n];
        assert_eq!(outcome, "failed", "{key} {code}: {document}");
        assert!(reason.contains(code), "{document}");
        assert_eq!(document["group"][n]["marketo"]["code"], *code, "{document}");
    }
    assert_eq!(groups(&document)[11].1, "merged", "the run went on: {document}");
    {
        let refusals = open_ledger(&instance).refusals().unwrap();
        assert_eq!(refusals.len(), 11, "{refusals:?}");
        assert_eq!(
            (refusals["a0@example.com"].code.as_str(), &*refusals["b@example.com"].code),
            ("712", "1003")
        );
    }

    let (before, writes) = (merges(&instance), instance.sandbox.calls()["POST /rest/v1/leads"]);
    fill_cache(&instance);
    let again = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    for (n, (_, outcome, reason)) in groups(&again).iter().enumerate() {
        let code = OWN.get(n).map_or("1003", |(code, _)| code);
        assert!(outcome == "skipped" && reason.contains(code), "{again}");
    }
    assert_eq!(merges(&instance), before, "none is tried again");
    assert_eq!(instance.sandbox.calls()["POST /rest/v1/leads"], writes);

    instance.sandbox.change_lead(losers[3], &json!({"title": "Countess"}));
    fill_cache(&instance);
    let changed = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    assert_eq!((merges(&instance), &*groups(&changed)[3].1), (before + 1, "failed"), "{changed}");
}

#[test]
fn status_and_success_in_a_program_survive_the_merge_that_drops_them() {
    let instance = instance();
    let [winner, loser] = pair(&instance, "a@example.com", &json!({}));
    let statuses = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(
        9,
        "Webinar",
        &statuses,
        &[(winner, "Invited"), (loser, "Attended")],
    );
    fill_cache(&instance);
    let run = merge(&instance, &["--confirm", "--json"]).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
    let survivor = instance.sandbox.lead(winner).unwrap();
    assert_eq!(
        (&*survivor.programs[&9], survivor.successes),
        ("Attended", vec![9]),
        "{}",
        run.picture()
    );
}

#[test]
fn a_custom_object_keeps_groups_out_in_whatever_spelling_its_link_is_shown() {
    // Of two groups, the loser of the first has a row.
    for (lead_field, value, kept_out) in [
        ("Id", "id", "first"),
        ("ID", "id", "first"),
        ("Lead Id", "id", "first"),
        ("Email Address", "email", "first"),
        ("EMAIL", "email", "first"),
        ("Some Field", "id", "all"),
        ("", "id", "all"),
        ("refused", "id", "all"),
    ] {
        let instance = instance();
        let [_, loser] = pair(&instance, "a@example.com", &json!({}));
        pair(&instance, "b@example.com", &json!({}));
        let spec = match lead_field {
            "refused" => ObjectSpec::linked("car_c", "owner", "Id").refused("603", "Access denied"),
            spelling => ObjectSpec::linked("car_c", "owner", spelling),
        };
        // What can move does not keep its group out.
        let spec = spec.fixed("owner");
        instance.sandbox.put_object(&spec);
        let value = if value == "id" { json!(loser) } else { json!("a@example.com") };
        instance.sandbox.put_object_row("car_c", &json!({"owner": value}));
        fill_cache(&instance);
        let plan = merge(&instance, &["--json"]).expect_code(0).json();
        for (key, outcome, reason) in groups(&plan) {
            let is_out = kept_out == "all" || key.starts_with('a');
            assert_eq!(outcome == "skipped", is_out, "`{lead_field}`: {plan}");
            assert!(!is_out || reason.contains("car_c"), "`{lead_field}`: {plan}");
        }
    }
}

#[test]
fn a_comma_in_a_linked_value_keeps_out_its_own_group_and_the_run_goes_on() {
    let instance = instance();
    for (email, title) in [("a@example.com", "Countess, retired"), ("b@example.com", "Countess")] {
        pair(&instance, email, &json!({"title": title}));
    }
    instance.sandbox.put_object(&ObjectSpec::linked("rank_c", "rank", "Job Title"));
    instance.sandbox.put_object_row("rank_c", &json!({"rank": "Duke"}));
    fill_cache(&instance);
    let run = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    let of = groups(&run);
    assert_eq!((&*of[0].1, &*of[1].1), ("skipped", "merged"), "{run}");
    assert!(of[0].2.contains("comma"), "{run}");
}

#[test]
fn a_look_without_a_result_is_asked_for_again() {
    let instance = instance();
    pair(&instance, "a@example.com", &json!({}));
    fill_cache(&instance);
    for _ in 0..3 {
        instance.sandbox.fail_next("GET /rest/v1/leads", Fault::NoResult);
    }
    let run = merge(&instance, &["--confirm", "--json"]).expect_code(0);
    assert_eq!(
        (&run.json()["merged"], instance.sandbox.leads_living()),
        (&json!(1), 1),
        "{}",
        run.picture()
    );
}
