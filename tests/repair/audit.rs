//! `mkto-audit audit merges`: merges that others made, and what they look to have lost.

use serde_json::{Value, json};

use super::history::offline;
use crate::support::caller::Caller;
use crate::support::merging::{fill_cache, merge};
use crate::support::sandboxes::{self, with};
use crate::support::{Instance, Run};

/// Three pairs: somebody merges Eve and Bob past this program, this program merges Ada.
fn merged() -> Instance {
    let instance = with(&["bool_rule=march2026"]);
    for email in ["ada@example.com", "eve@example.com", "bob@example.com"] {
        for _ in 0..2 {
            instance.sandbox.put_lead(&json!({"email": email, "unsubscribed": false}));
        }
    }
    instance.sandbox.put_list(1, "Newsletter", &[]);
    let caller = Caller::new(&instance);
    // Eve's younger record says no and joins a list; Bob's says no and takes it back.
    instance.sandbox.change_lead(4, &json!({"unsubscribed": true}));
    caller.post("/rest/v1/lists/1/leads.json?id=4", &json!({}));
    instance.sandbox.change_lead(6, &json!({"unsubscribed": true}));
    instance.sandbox.change_lead(6, &json!({"unsubscribed": false}));
    fill_cache(&instance);
    merge(&instance, &["--confirm", "--email", "ada@example.com"]).expect_code(0);
    assert_eq!(sandboxes::merge(&caller, 3, &[4]), "ok");
    assert_eq!(sandboxes::merge(&caller, 5, &[6]), "ok");
    let lead = instance.sandbox.lead(3).unwrap();
    assert_eq!(lead.fields["unsubscribed"], false, "the merge lost it: {lead:?}");
    // Somebody took Eve off the list since the merge carried it over.
    caller.send(caller.request(reqwest::Method::DELETE, "/rest/v1/lists/1/leads.json?id=3"));
    instance
}

fn audit(instance: &Instance, flags: &[&str]) -> Run {
    instance.run(["audit", "merges"].iter().chain(flags))
}

#[test]
fn merges_of_others_are_listed_with_the_opt_outs_that_look_lost() {
    let instance = merged();
    let changes = instance.sandbox.leads_living();
    let found = audit(&instance, &["--json"]).expect_code(0).json();
    assert_eq!(
        (&found["merges"], &found["removed"], &found["ours"]),
        (&json!(2), &json!(2), &json!(1)),
        "{found:#}"
    );
    assert_eq!((&found["opt_outs_lost"], &found["lists_lost"]), (&json!(1), &json!(0)));
    let of = |winner: u64| -> &Value {
        let merges = found["merge"].as_array().unwrap();
        merges.iter().find(|merge| merge["winner_id"] == winner).unwrap()
    };
    let eve = of(3);
    assert_eq!(
        (&eve["loser_ids"], &eve["survivor_id"], &eve["survivor_lives"]),
        (&json!([4]), &json!(3), &json!(true))
    );
    assert_eq!(
        (&eve["lost"][0]["kind"], &eve["lost"][0]["name"]),
        (&json!("opt_out"), &json!("unsubscribed")),
        "{eve:#}"
    );
    assert_eq!(of(5)["lost"], json!([]), "taken back before the merge");
    assert_eq!(found["by_user"][0]["merges"], 2, "{found:#}");
    assert_eq!(found["by_day"].as_array().unwrap().len(), 1);
    assert!(found["not_known"][0].as_str().unwrap().contains("90 days"), "{found:#}");
    assert_eq!(instance.sandbox.leads_living(), changes, "it only reads");

    let run = audit(&instance, &[]).expect_code(0);
    let price =
        "2 merges of others to look at: 1 call for the records that stayed, at most 2 calls";
    assert!(run.stderr.contains(price), "{}", run.stderr);
    let text = run.stdout;
    for words in [
        "2 merges of others",
        "1 opt-out and 0 list memberships look lost",
        "not listed: 1 merge of this program",
        "record 3: opt-out `unsubscribed`",
        "not known: what a record held",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let csv = audit(&instance, &["--csv"]).expect_code(0).stdout;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",opt_out,unsubscribed,,"), "{csv}");
}

#[test]
fn a_time_without_merges_has_none_and_days_in_the_wrong_order_are_refused() {
    let instance = merged();
    let none = audit(&instance, &["--until", "2026-01-31", "--json"]).expect_code(0).json();
    assert_eq!((&none["merges"], &none["since"]), (&json!(0), &json!("2025-11-02")), "{none:#}");
    audit(&instance, &["--since", "2026-02-01", "--until", "2026-01-31"]).expect_code(2);
    // Whose activities may not be read is told.
    assert_eq!(offline(&instance, &["audit", "merges"]).code, Some(2));
}

#[test]
fn a_visitor_who_turned_out_to_be_known_is_listed_and_costs_no_call() {
    let instance = with(&[]);
    instance.sandbox.put_list(1, "Newsletter", &[]);
    let caller = Caller::new(&instance);
    for id in 1..=3 {
        instance.sandbox.put_lead(&json!({"email": format!("{id}@example.com")}));
        caller.post(&format!("/rest/v1/lists/1/leads.json?id={id}"), &json!({}));
        instance.sandbox.join_visitor(id);
    }
    let found = audit(&instance, &["--json"]).expect_code(0).json();
    assert_eq!(found["merges"], 3, "{found:#}");
    assert_eq!(found["merge"][0]["survivor_lives"], Value::Null, "{found:#}");
    assert!(found["not_known"].to_string().contains("was not looked for"), "{found:#}");
    let calls = instance.sandbox.calls();
    assert!(calls.keys().all(|call| !call.contains("listMembership")), "{calls:?}");
}
