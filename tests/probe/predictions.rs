//! With a profile the survivor of a merge is predicted exactly where something was measured, in
//! every position of the switches; without one, as before.

use mkto_sandbox::LeadView;
use serde_json::{Value, json};

use super::{instance, probe};
use crate::support::merging::{command, fill_cache};
use crate::support::{Instance, Run};

/// Fields whose blanks are left to Marketo.
const LEFT: [&str; 5] = ["title", "vip", "attendedWebinar", "behaviorScore", "region"];

/// Groups of three whose winner has blanks, and whose losers fill them in every order.
fn put_groups(instance: &Instance) {
    let values = |kind: usize| match kind {
        0 => json!({}),
        1 => json!({"title": "a", "vip": true, "behaviorScore": 3, "region": "x"}),
        2 => json!({"title": "b", "attendedWebinar": true, "behaviorScore": 4}),
        _ => json!({"vip": false, "region": "y", "phone": "+1"}),
    };
    let mut number = 0;
    for first in 0..4 {
        for second in 0..4 {
            number += 1;
            let address = format!("p{number}@example.com");
            for (copy, kind) in [(1, 0), (2, first), (3, second)] {
                let mut lead = values(kind);
                lead["email"] = json!(address);
                lead["firstName"] = json!("Ada");
                lead["createdAt"] = json!(format!("2026-01-0{copy}T00:00:00Z"));
                instance.sandbox.put_lead(&lead);
            }
        }
    }
    fill_cache(instance);
}

fn run(instance: &Instance, flags: &[&str]) -> Run {
    let mut command = command(instance, flags);
    for field in LEFT {
        command.env(format!("MKTO_AUDIT__FIELDS__{field}"), "keep_blank");
    }
    Run::of(&mut command)
}

/// The certificate of the last run.
fn certificate(instance: &Instance) -> Value {
    instance.run(["certificate", "show", "1", "--json"]).expect_code(0).json()
}

/// Whether something of a field was open before the merge: the winner has none, a loser has one.
fn is_open(field: &Value, winner: &Value) -> bool {
    let before = field["before"].as_object().unwrap();
    let of_winner = before.get(&winner.to_string());
    of_winner.is_none() && !before.is_empty()
}

/// Merges with the profile that is there. Every prediction of a field that is left to Marketo is
/// one value, and the survivor has it; nothing but a boolean had to be written again.
#[track_caller]
fn is_exact(knobs: &[&str]) {
    let instance = instance(&[&["merge_ms=0"], knobs].concat());
    let rules: Vec<String> = LEFT.iter().map(|field| format!("--field={field}")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let flags = [&["--confirm", "--json", "--wait", "20s"], rules.as_slice()].concat();
    probe(&instance, &flags).expect_code(0);
    put_groups(&instance);
    run(&instance, &["--confirm"]).expect_code(0);
    let certificate = certificate(&instance);
    assert_eq!(certificate["profile"]["probe"], 1, "the certificate names the profile");
    let survivors = instance.sandbox.leads();
    let mut told = 0;
    for group in certificate["group"].as_array().unwrap() {
        let survivor: &LeadView =
            survivors.iter().find(|lead| json!(lead.id) == group["winner"]).unwrap();
        for field in group["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            if !is_open(field, &group["winner"]) || !LEFT.contains(&name) {
                continue;
            }
            let about = format!("{name} with {knobs:?}: {field}");
            let predicted = field["predicted"].as_array().unwrap();
            let held = survivor.fields.get(name).cloned().unwrap_or(Value::Null);
            let blank = |value: &Value| value.is_null() || *value == json!(false);
            let same = |a: &Value, b: &Value| {
                a == b
                    || (blank(a) && blank(b))
                    || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
            };
            assert_eq!(predicted.len(), 1, "{about}");
            assert!(same(&predicted[0], &held), "{about} {held}");
            // A false of the winner reads like one that was never set, and stays by the plan.
            let is_boolean = ["vip", "attendedWebinar"].contains(&name);
            assert!(is_boolean || field["mended"] == false, "{about}");
            told += 1;
        }
    }
    assert!(told > 20, "nothing was open that could be predicted");
}

#[test]
fn blanks_and_scores_by_the_first_loser_and_by_the_first_that_has_one() {
    for blanks in ["first_listed", "first_nonblank"] {
        for score in ["sum", "winner"] {
            is_exact(&[&format!("merge_blanks={blanks}"), &format!("merge_score={score}")]);
        }
    }
}

#[test]
fn booleans_where_a_true_wins_and_where_an_unset_one_stays() {
    is_exact(&["merge_unset=kept"]);
    is_exact(&["bool_rule=legacy_true_wins"]);
}

#[test]
fn blanks_whose_updates_are_blocked_are_filled_or_not_as_it_was_seen() {
    for obeys in ["true", "false"] {
        is_exact(&["blocked_fields=region,department", &format!("merge_obeys_block={obeys}")]);
    }
}

#[test]
fn without_a_profile_either_is_accepted() {
    let instance = instance(&["merge_ms=0", "merge_blanks=first_nonblank"]);
    put_groups(&instance);
    run(&instance, &["--confirm"]).expect_code(0);
    let certificate = certificate(&instance);
    assert_eq!(certificate["profile"], Value::Null);
    let fields = certificate["group"].as_array().unwrap().iter();
    let fields = fields.flat_map(|group| group["fields"].as_array().unwrap());
    let several = fields.filter(|field| {
        field["name"] == "title" && field["predicted"].as_array().unwrap().len() > 1
    });
    assert!(several.count() > 3);
}

#[test]
fn a_group_of_two_calls_goes_on_where_the_survivor_takes_the_oldest_creation_time() {
    for measured in [true, false] {
        let instance = instance(&["merge_ms=0", "merge_created_at=oldest"]);
        if measured {
            probe(&instance, &["--confirm", "--wait", "20s"]).expect_code(0);
        }
        // The winner is not the oldest, and one loser a call saves the channel of the second.
        for (copy, channel) in
            [("2026-01-02", json!(null)), ("2026-01-01", json!(null)), ("2026-01-03", json!("Web"))]
        {
            let mut lead = json!({"email": "grace@example.com", "firstTouchChannel": channel,
                "createdAt": format!("{copy}T00:00:00Z")});
            match copy {
                "2026-01-02" => lead["sfdcContactId"] = json!("003A"),
                // The most complete loser goes first.
                "2026-01-01" => lead["phone"] = json!("+1 555 0100"),
                _ => {}
            }
            if copy == "2026-01-01" {
                lead["city"] = json!("London");
            }
            instance.sandbox.put_lead(&lead);
        }
        fill_cache(&instance);
        let merged = run(&instance, &["--confirm", "--json"]).json();
        let living = instance.sandbox.leads().len() - 1;
        assert_eq!(living == 1, measured, "{merged:#}");
    }
}
