//! Merging against a Marketo that does something else than it answers, and people who change
//! meanwhile.

use mkto_audit::ledger::{Finding, FindingKind};
use mkto_sandbox::{Meanwhile, Options};
use serde_json::{Value, json};

use crate::support::merging::open_ledger;
use crate::support::{Instance, Run, quick};

fn options(knobs: &[&str]) -> Options {
    let mut options = quick();
    for knob in knobs.iter().chain(&["activity_delay_ms=0"]) {
        options.set_knob(knob).unwrap();
    }
    options
}

fn lead(instance: &Instance, fields: &Value) -> u64 {
    let mut all = json!({"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"});
    for (name, value) in fields.as_object().unwrap() {
        all[name] = value.clone();
    }
    instance.sandbox.put_lead(&all)
}

/// Scans, and merges everything.
fn merge(instance: &Instance) -> Run {
    instance.run(["scan", "--full"]).expect_code(0);
    instance.run(["merge", "--confirm", "--json"])
}

fn value(instance: &Instance, id: u64, field: &str) -> Value {
    instance.sandbox.lead(id).unwrap().fields.get(field).cloned().unwrap_or_default()
}

#[test]
fn a_blocked_opt_out_keeps_its_group_out_before_the_merge_can_lose_it() {
    let instance = Instance::start(options(&["blocked_fields=doNotCall", "blocked=always"]));
    let winner = lead(&instance, &json!({}));
    let loser = lead(&instance, &json!({"doNotCall": true}));
    let run = merge(&instance).expect_code(3).json();
    let group = &run["group"][0];
    assert_eq!(group["outcome"], "skipped", "{run}");
    assert!(group["reason"].as_str().unwrap().contains("not_written"), "{run}");
    let difference = json!({"lead": winner, "name": "doNotCall", "wanted": true, "found": false});
    assert_eq!(group["not_written"], json!([difference]));
    assert_eq!(value(&instance, loser, "doNotCall"), true);
    // What is blocked is remembered: the record that holds the opt-out is kept from now on.
    let plan = instance.run(["merge", "--json"]).expect_code(0).json();
    let reason = plan["group"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("`doNotCall`") && reason.contains("are blocked"), "{plan}");
    instance.run(["merge", "--plan", plan["plan"].as_str().unwrap(), "--confirm"]).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(winner), Some(loser));
    assert_eq!(value(&instance, loser, "doNotCall"), true);
}

#[test]
fn a_value_that_marketo_cuts_is_not_taken_for_written_and_a_phone_that_it_rewrites_is() {
    let instance = Instance::start(options(&[]));
    let winner = lead(&instance, &json!({}));
    let loser = lead(&instance, &json!({"title": "Chief \u{1F680} Engineer"}));
    let group = merge(&instance).expect_code(3).json()["group"][0].clone();
    assert_eq!(group["not_written"][0]["name"], "title", "{group}");
    assert!(instance.sandbox.lead(loser).is_some());
    assert_eq!(value(&instance, winner, "title"), Value::Null, "the record to keep is as it was");

    let instance = Instance::start(options(&[]));
    lead(&instance, &json!({}));
    lead(&instance, &json!({"phone": "555.010.0199"}));
    merge(&instance).expect_code(0);
}

#[test]
fn what_cannot_be_set_back_on_a_group_left_alone_is_named_with_its_value_before_until_it_is_right()
{
    for (knobs, field, loses, found) in [
        // A campaign answers each write of the field; and a blank field takes the beginning of a
        // text, and keeps it.
        (vec!["overwritten_fields=city:Nowhere"], "city", "London", "Nowhere"),
        (vec!["blocked_fields=title"], "title", "Chief \u{1F680} Engineer", "Chief "),
    ] {
        let instance = Instance::start(options(&knobs));
        let winner = lead(&instance, &json!({}));
        lead(&instance, &json!({field: loses}));
        let run = merge(&instance).expect_code(3);
        let document = run.json();
        let named = json!({"lead": winner, "name": field, "wanted": null, "found": found});
        let mut surprise = named.clone();
        surprise["fate"] = json!("not_set_back");
        assert_eq!(document["group"][0]["surprises"], json!([surprise]), "{document}");
        let mut open = named;
        open["key"] = json!("ada@example.com");
        open["finding"] = document["open"][0]["finding"].clone();
        assert!(open["finding"].is_u64(), "{document}");
        assert_eq!(document["open"], json!([open]));
        let reason = document["group"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&format!("`{field}` was (blank)")), "{reason}");
        let told = format!(
            ": `{field}` of lead {winner} (ada@example.com) should be (blank) and is \"{found}\""
        );
        assert!(run.stderr.contains(&told), "{}", run.picture());
        // It begins the next run, in text too, and no run ends with 0 while it is so.
        let next = instance.run(["merge", "--confirm"]);
        assert!(next.stderr.contains(&told) && next.code == Some(3), "{}", next.picture());
    }
}

#[test]
fn what_a_campaign_makes_of_a_value_that_is_written_again_is_a_loss_and_not_mended() {
    let instance =
        Instance::start(options(&["merge_empties=city", "overwritten_fields=city:Nowhere"]));
    let winner = lead(&instance, &json!({"city": "London"}));
    lead(&instance, &json!({}));
    let run = merge(&instance).expect_code(1).json();
    let lost = json!({"lead": winner, "name": "city", "wanted": "London", "found": "Nowhere", "fate": "lost"});
    assert_eq!(run["group"][0]["surprises"], json!([lost]), "{run}");
    assert_eq!(run["open"][0]["name"], "city");
}

#[test]
fn what_the_merge_takes_from_the_survivor_is_written_again() {
    let instance = Instance::start(options(&["merge_score=sum", "merge_empties=phone"]));
    // The highest score stays, and an address is not put together from two records.
    let address =
        json!({"leadScore": 0, "phone": "+1 555 0100", "city": "Bonn", "country": "Germany"});
    let winner = lead(&instance, &address);
    lead(&instance, &json!({"leadScore": 9, "postalCode": "75001"}));
    let run = merge(&instance).expect_code(0).json();
    let mended: Vec<&str> = run["group"][0]["surprises"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|surprise| surprise["fate"] == "mended")
        .map(|surprise| surprise["name"].as_str().unwrap())
        .collect();
    assert_eq!(mended, ["leadScore", "phone", "postalCode"], "{run}");
    assert_eq!(value(&instance, winner, "leadScore"), 9);
    assert_eq!(value(&instance, winner, "postalCode"), Value::Null);
    let lost = json!({"name": "postalCode", "lead": winner + 1, "value": "75001"});
    assert!(run["group"][0]["dropped"].as_array().unwrap().contains(&lost), "{run}");
    assert_eq!(run["group"][0]["rules"]["leadScore"], "max");
    assert!(value(&instance, winner, "phone").is_string());
}

#[test]
fn a_refused_merge_is_shown_with_its_code_leaves_its_group_as_it_was_and_is_not_tried_again() {
    let instance = Instance::start(options(&[]));
    let winner = lead(&instance, &json!({}));
    let loser = lead(&instance, &json!({"title": "Countess"}));
    instance.sandbox.refuse_merge(loser, "1077", "Value for field Title is too long in Salesforce");
    let group = merge(&instance).expect_code(3).json()["group"][0].clone();
    assert_eq!(
        (&group["outcome"], &group["marketo"]["code"]),
        (&json!("failed"), &json!("1077")),
        "{group}"
    );
    assert_eq!(value(&instance, winner, "title"), Value::Null, "law 2");
    let merges = || instance.sandbox.calls()["POST /rest/v1/leads/{id}/merge"];
    let before = merges();
    let group = merge(&instance).expect_code(3).json()["group"][0].clone();
    assert!(group["reason"].as_str().unwrap().contains("1077"), "{group}");
    assert_eq!(merges(), before);
}

#[test]
fn an_opt_out_that_comes_while_the_merge_runs_is_on_the_survivor_afterwards() {
    let instance = Instance::start(options(&["merge_ms=100"]));
    let winner = lead(&instance, &json!({}));
    let loser = lead(&instance, &json!({}));
    instance.sandbox.at_call("/merge", 1, Meanwhile::OptOut { lead: loser });
    merge(&instance);
    assert_eq!(value(&instance, winner, "unsubscribed"), true);
}

#[test]
fn a_lead_that_becomes_somebody_else_just_before_its_merge_is_left_alone() {
    let instance = Instance::start(options(&[]));
    let mut losers = Vec::new();
    for n in 0..4 {
        let email = json!({"email": format!("p{n}@example.com")});
        lead(&instance, &email);
        losers.push(lead(&instance, &email));
    }
    // While the first merge runs, a loser of the last group changes its address.
    let fields = json!({"email": "else@example.com"});
    let changed = losers[3];
    instance.sandbox.at_call("/merge", 1, Meanwhile::Change { lead: changed, fields });
    let run = merge(&instance).expect_code(3).json();
    assert_eq!((&run["merged"], &run["skipped"]), (&json!(3), &json!(1)), "{run}");
    assert_eq!(value(&instance, changed, "email"), "else@example.com");
}

#[test]
fn without_the_permission_to_see_lists_and_programs_every_group_is_left_alone() {
    let denied = vec!["Read-Only Assets".to_owned()];
    let instance = Instance::start(Options { denied, ..options(&[]) });
    lead(&instance, &json!({}));
    let loser = lead(&instance, &json!({}));
    instance.run(["scan"]).expect_code(0);
    let shown = instance.run(["merge", "--json"]).expect_code(0).json();
    assert_eq!((&shown["groups"], &shown["skipped"]), (&json!(1), &json!(1)), "{shown}");
    assert!(shown["group"][0]["reason"].as_str().unwrap().contains("Read-Only Assets"), "{shown}");
    instance.run(["merge", "--confirm"]).expect_code(3);
    assert!(instance.sandbox.lead(loser).is_some());
}

#[test]
fn a_lost_consent_on_a_record_that_is_gone_stops_every_run_until_a_person_acknowledges_it() {
    let instance = Instance::start(options(&[]));
    let winner = lead(&instance, &json!({}));
    lead(&instance, &json!({"title": "Countess"}));
    instance.run(["scan", "--full"]).expect_code(0);
    {
        let mut ledger = open_ledger(&instance);
        let lost = Finding {
            key: "eve@example.com".to_owned(),
            lead: 999_999,
            field: "doNotCall".to_owned(),
            kind: FindingKind::Consent,
            wanted: json!(true),
            found: json!(false),
        };
        let at = "2026-11-24T12:00:00Z";
        ledger.save_plan("p1", at, "{}").unwrap();
        ledger.open_findings_with("p1", &[lost], at).unwrap();
    }
    let run = instance.run(["merge", "--confirm"]).expect_code(1);
    assert!(
        run.stderr.contains(
            "OPEN finding 1: `doNotCall` of lead 999999 (eve@example.com) should be true"
        ),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("merge --acknowledge 1 --reason TEXT"), "{}", run.stderr);

    instance.run(["merge", "--acknowledge", "1"]).expect_code(2);
    instance.run(["merge", "--acknowledge", "1", "--reason", " "]).expect_code(2);
    instance.run(["merge", "--acknowledge", "1", "--reason", "x", "--confirm"]).expect_code(2);
    let unknown = instance.run(["merge", "--acknowledge", "2", "--reason", "x"]).expect_code(2);
    assert!(unknown.stderr.contains("no finding 2 is open"), "{}", unknown.stderr);
    let closed = instance
        .run(["merge", "--acknowledge", "1", "--reason", "deleted on request"])
        .expect_code(0);
    assert!(
        closed.stdout.contains("finding 1 is closed: `doNotCall` of lead 999999"),
        "{}",
        closed.stdout
    );

    instance.run(["merge", "--confirm"]).expect_code(0);
    assert_eq!(value(&instance, winner, "title"), "Countess");
}
