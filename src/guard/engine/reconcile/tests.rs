//! What a look at a call in doubt returns, and when.

use serde_json::json;
use tokio::time::Instant;

use super::look;
use crate::guard::engine::execute::{InDoubt, Next, Results};
use crate::guard::engine::outcome::Outcome;
use crate::guard::engine::request::{Action, Envelope, WriteMode};
use crate::guard::engine::tests::fake::{FakeMarketo, calls, key, memory, request, units};
use crate::marketo::{Clock, InFlight, SYNC_LIMIT};

fn shown(results: &Results<()>) -> Vec<String> {
    let word = |next: &Next| match next {
        Next::Done(Outcome::Row { row, .. }) => row["status"].as_str().unwrap().to_owned(),
        Next::InDoubt(doubt) => format!("look {}", doubt.looks),
        other => format!("{other:?}"),
    };
    results.iter().map(|(_, next)| word(next)).collect()
}

/// Looks at a call with these emails that has just left, for the so manieth time.
async fn looked(
    marketo: &FakeMarketo,
    envelope: Envelope,
    mode: WriteMode,
    emails: &[&str],
    looks: usize,
) -> (Vec<String>, u64) {
    let leases = memory();
    let calls = calls(marketo, &leases);
    let records: Vec<_> =
        emails.iter().map(|email| json!({"email": email, "title": "Dr"})).collect();
    let (mut units, _writers) = units(vec![request("crm", envelope, &records)]);
    for unit in &mut units {
        let email = unit.raw.values()["email"].as_str().unwrap().to_owned();
        unit.leases = leases.acquire(&key(&email)).await.unwrap();
        unit.first.tries = 1;
    }
    let start = Instant::now();
    let in_flight = InFlight::left_at(start, SYNC_LIMIT, Clock::real());
    let results = look(&calls, units, InDoubt { mode, in_flight, looks }).await;
    (shown(&results), start.elapsed().as_secs())
}

fn sync(action: Action) -> Envelope {
    Envelope::sync(action, "email")
}

#[tokio::test(start_paused = true)]
async fn an_early_look_only_ever_tells_that_a_record_is_done() {
    let marketo = FakeMarketo::default();
    marketo.put(7, &json!({"email": "born@example.com", "title": "Dr"}));
    marketo.put(8, &json!({"email": "other@example.com", "title": "Lady"}));
    let emails = ["born@example.com", "other@example.com", "nobody@example.com"];
    for (looks, second) in [(0, 4), (1, 15), (2, 45)] {
        let next = format!("look {}", looks + 1);
        let (shown, after) =
            looked(&marketo, sync(Action::CreateOrUpdate), WriteMode::Create, &emails, looks).await;
        assert_eq!((shown, after), (vec!["created".to_owned(), next.clone(), next], second));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_over_is_done_or_sent_anew_apart() {
    let marketo = FakeMarketo::default();
    marketo.put(7, &json!({"email": "born@example.com", "title": "Dr"}));
    let emails = ["born@example.com", "nobody@example.com"];
    let (shown, after) =
        looked(&marketo, sync(Action::CreateOrUpdate), WriteMode::Create, &emails, 3).await;
    assert_eq!((shown, after), (vec!["created".to_owned(), "Again(OwnRecord)".to_owned()], 100));
}

#[tokio::test(start_paused = true)]
async fn an_update_is_not_looked_at_before_it_is_over() {
    let marketo = FakeMarketo::default();
    marketo.put(7, &json!({"email": "a@example.com", "title": "Dr"}));
    let (shown, after) =
        looked(&marketo, sync(Action::CreateOrUpdate), WriteMode::Update, &["a@example.com"], 0)
            .await;
    assert_eq!((shown, after, marketo.look_ups()), (vec!["updated".to_owned()], 100, 1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_for_stays_open_when_the_call_is_over() {
    let comma = ["with,comma@example.com"];
    let marketo = FakeMarketo::default();
    for action in [Action::CreateOrUpdate, Action::CreateDuplicate] {
        let (shown, after) = looked(&marketo, sync(action), WriteMode::AsAsked, &comma, 3).await;
        assert_eq!((shown, after), (vec!["Done(Open)".to_owned()], 100));
    }
    marketo.refuse_look_ups("601");
    let emails = ["a@example.com"];
    let (shown, after) =
        looked(&marketo, sync(Action::CreateOrUpdate), WriteMode::Create, &emails, 3).await;
    assert_eq!((shown, after), (vec!["Done(Open)".to_owned()], 100));
}
