//! Leads that change while `mkto-audit merge` waits, reads or writes.

use mkto_sandbox::{Fault, Meanwhile};
use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, open_ledger};
use crate::support::wait::{self, until_async};
use crate::support::{Instance, Run, quick};

const MERGE: &str = "POST /rest/v1/leads/{id}/merge";

/// Groups of two, each the winner and the loser, with these values of the loser.
fn pairs(merge_ms: u32, groups: usize, of_loser: &Value) -> (Instance, Vec<[u64; 2]>) {
    let mut options = quick();
    for knob in [format!("merge_ms={merge_ms}"), "activity_delay_ms=0".to_owned()] {
        options.set_knob(&knob).unwrap();
    }
    let instance = Instance::start(options);
    let put = |n: usize| {
        let mut ada = json!({"email": format!("p{n}@example.com"), "firstName": "Ada", "lastName": "Lovelace"});
        let winner = instance.sandbox.put_lead(&ada);
        ada.as_object_mut().unwrap().extend(of_loser.as_object().unwrap().clone());
        [winner, instance.sandbox.put_lead(&ada)]
    };
    let pairs = (0..groups).map(put).collect();
    fill_cache(&instance);
    (instance, pairs)
}

fn value(instance: &Instance, id: u64, field: &str) -> Value {
    instance.sandbox.lead(id).unwrap().fields.get(field).cloned().unwrap_or_default()
}

#[test]
fn a_merge_that_is_held_behind_rate_limits_is_not_made_of_a_person_who_changed_meanwhile() {
    let (instance, pairs) = pairs(0, 1, &json!({}));
    let [winner, loser] = pairs[0];
    (0..30).for_each(|_| instance.sandbox.fail_next(MERGE, Fault::Rate));
    let mut run = command(&instance, &["--confirm", "--json"]);
    let child = run
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    instance.block_on(async {
        until_async("the first 606", async || instance.sandbox.errors().contains_key("606")).await;
    });
    // Somebody else's from now on.
    instance.sandbox.change_lead(
        loser,
        &json!({"email": "bob@example.org", "firstName": "Bob", "lastName": "Baker"}),
    );
    let run = Run::from(wait::output_of(child)).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(loser), None, "{}", run.picture());
    assert_eq!(value(&instance, loser, "lastName"), "Baker");
    assert!(instance.sandbox.lead(winner).is_some());
    assert_eq!(run.json()["group"][0]["outcome"], "skipped", "{}", run.picture());
}

#[test]
fn a_loser_that_changed_its_address_40_seconds_before_its_merge_is_left_alone() {
    // Each merge takes ten seconds of Marketo's, one after the other.
    let (instance, pairs) = pairs(10_000, 7, &json!({}));
    let moved = pairs[6][1];
    let fields = json!({"email": "else@example.com"});
    instance.sandbox.at_call("/merge", 2, Meanwhile::Change { lead: moved, fields });
    let run = Run::of(&mut command(&instance, &["--confirm", "--json"])).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(moved), None, "{}", run.picture());
    assert_eq!(value(&instance, moved, "email"), "else@example.com");
    let document = run.json();
    assert_eq!(
        (&document["merged"], &document["skipped"]),
        (&json!(6), &json!(1)),
        "{}",
        run.picture()
    );
}

#[test]
fn what_somebody_types_while_lists_are_read_is_neither_overwritten_nor_lost() {
    let (instance, pairs) = pairs(0, 2, &json!({"title": "Countess"}));
    let [[winner, _], [other_winner, loser]] = [pairs[0], pairs[1]];
    instance.sandbox.put_list(1, "Newsletter", &[winner]);
    let typed = |lead: u64, fields: Value| Meanwhile::Change { lead, fields };
    // The plan has its values by then, and nothing is written yet.
    let lists = "GET /rest/v1/lists/1/leads";
    instance.sandbox.at_call(lists, 1, typed(winner, json!({"title": "Typed"})));
    instance.sandbox.at_call(lists, 1, typed(loser, json!({"city": "Turin"})));
    let run = Run::of(&mut command(&instance, &["--confirm", "--json"]));
    assert_eq!(instance.sandbox.meddled().len(), 2, "{}", run.picture());
    assert_eq!(value(&instance, winner, "title"), "Typed", "{}", run.picture());
    let kept = open_ledger(&instance).backups_of(loser).unwrap();
    let in_ledger =
        kept.last().is_some_and(|kept| kept.lead.value("city") == Some(&json!("Turin")));
    let lives = instance.sandbox.lead(loser).is_some();
    assert!(lives || in_ledger, "the loser's newest value is destroyed: {}", run.picture());
    let on_survivor = value(&instance, other_winner, "city") == "Turin";
    assert!(lives || on_survivor || in_ledger);
}
