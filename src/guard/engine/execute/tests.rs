//! What each step of a batch returns.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Next, Results, find_winners, prepare, send};
use crate::dedupe::{WinnerOrder, WinnerRule};
use crate::guard::engine::request::{Action, ApiUser, Envelope, WriteMode};
use crate::guard::engine::settings::{EngineSettings, OnDuplicates};
use crate::guard::engine::tests::fake::{
    FakeMarketo, Fault, calls, is_free, key, memory, request, units,
};
use crate::guard::engine::{Outcome, WriteRequest};

fn to_winner() -> EngineSettings {
    let winner = WinnerOrder(vec![WinnerRule::Max("leadScore".to_owned())]);
    EngineSettings { on_duplicates: OnDuplicates::Winner, winner, ..EngineSettings::default() }
}

fn of(email: &str) -> WriteRequest<()> {
    let envelope = Envelope::sync(Action::CreateOrUpdate, "email");
    request("crm", envelope, &[json!({"email": email, "title": "Dr"})])
}

/// The emails or ids of units, and what is to happen next to each.
fn shown(results: &Results<()>) -> Vec<String> {
    let of_unit = |(unit, next): &(_, Next)| {
        let unit: &crate::guard::engine::unit::Unit<()> = unit;
        let values = unit.raw.values();
        let named =
            values.get("email").or_else(|| values.get("id")).cloned().unwrap_or(Value::Null);
        let next = match next {
            Next::Done(Outcome::Row { row, .. }) => row["status"].to_string(),
            Next::InDoubt(doubt) => format!("InDoubt {:?} {}", doubt.mode, doubt.looks),
            other => format!("{other:?}"),
        };
        format!("{named} {next}").replace('"', "")
    };
    results.iter().map(of_unit).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_held_and_looked_up_and_each_unit_is_told_how_to_leave() {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    marketo.put(7, &json!({"email": "known@example.com"}));
    marketo.put(8, &json!({"email": "twice@example.com"}));
    marketo.put(9, &json!({"email": "twice@example.com"}));
    let mut calls = calls(&marketo, &leases);
    calls.settings = to_winner();
    let _another_guards = leases.acquire(&key("held@example.com")).await.unwrap();
    let emails = ["new", "known", "twice", "held", "with,comma"];
    let writes = emails.map(|name| of(&format!("{name}@example.com"))).into();
    let (units, _writers) = units(writes);
    let slot = calls.turns.next(&ApiUser::named("crm")).await.unwrap();
    let (results, unused) = prepare(&calls, units, slot).await;
    assert_eq!(
        shown(&results),
        [
            "held@example.com WaitForLeases",
            "with,comma@example.com Send(AsAsked)",
            "new@example.com Send(Create)",
            "7 Send(Update)",
            "twice@example.com FindWinner",
        ]
    );
    assert!(unused.is_none() && marketo.look_ups() == 1 && marketo.writes().is_empty());
    assert!(!is_free(&leases, "new@example.com").await);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_looked_up_keeps_its_turn() {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    let mut calls = calls(&marketo, &leases);
    calls.settings.look_first = false;
    let (units, _writers) = units(vec![of("new@example.com")]);
    let slot = calls.turns.next(&ApiUser::named("crm")).await.unwrap();
    let (results, unused) = prepare(&calls, units, slot).await;
    assert_eq!(shown(&results), ["new@example.com Send(AsAsked)"]);
    assert!(unused.is_some() && marketo.look_ups() == 0);
}

#[tokio::test(start_paused = true)]
async fn the_winner_of_a_group_is_written_by_its_id() {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    marketo.put(8, &json!({"email": "twice@example.com", "leadScore": 3}));
    marketo.put(9, &json!({"email": "twice@example.com", "leadScore": 1}));
    let mut calls = calls(&marketo, &leases);
    calls.settings = to_winner();
    let (units, _writers) = units(vec![of("twice@example.com"), of("gone@example.com")]);
    let results = find_winners(&calls, units).await;
    assert_eq!(shown(&results), ["8 Send(Update)", "gone@example.com Again(Anybody)"]);
}

/// Sends these as one call that this befalls; what is to happen next.
async fn sent(fault: Fault, mode: WriteMode, emails: &[&str]) -> Vec<String> {
    let (marketo, leases) = (FakeMarketo::default().with(fault), memory());
    let mut calls = calls(&marketo, &leases);
    calls.settings = to_winner();
    let (mut units, _writers) = units(emails.iter().map(|email| of(email)).collect());
    for unit in &mut units {
        unit.leases = leases.acquire(&unit.first.record.leases).await.unwrap();
    }
    shown(&send(&calls, units, mode, None).await)
}

#[tokio::test(start_paused = true)]
async fn what_marketo_says_of_a_call_decides_what_is_next() {
    let lost = Fault::LostAndNotDone;
    let cases = [
        (Fault::Slow(Duration::ZERO), WriteMode::Create, "created"),
        // Somebody else was quicker.
        (Fault::Slow(Duration::ZERO), WriteMode::Update, "Again(Anybody)"),
        (lost, WriteMode::Create, "InDoubt Create 0"),
        (Fault::ShortRows, WriteMode::AsAsked, "InDoubt AsAsked 0"),
    ];
    for (fault, mode, next) in cases {
        assert_eq!(sent(fault, mode, &["a@example.com"]).await, [format!("a@example.com {next}")]);
    }
    let together = sent(Fault::Refused("1006"), WriteMode::Create, &["a@x.com", "b@x.com"]).await;
    assert_eq!(together, ["a@x.com Again(OwnWriter)", "b@x.com Again(OwnWriter)"]);
    let alone = sent(Fault::Refused("1006"), WriteMode::Create, &["a@x.com"]).await;
    assert!(alone[0].starts_with("a@x.com Done(Refused"), "{alone:?}");
    let all = sent(Fault::Refused("601"), WriteMode::Create, &["a@x.com", "b@x.com"]).await;
    assert!(all.iter().all(|next| next.contains("Done(Refused")), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_leases_have_ended_does_not_leave_and_is_no_try() {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    let calls = calls(&marketo, &leases);
    let (mut units, _writers) = units(vec![of("a@example.com")]);
    units[0].leases = leases.acquire(&key("a@example.com")).await.unwrap();
    tokio::time::advance(Duration::from_secs(100)).await;
    let _another_guards = leases.acquire(&key("a@example.com")).await.unwrap();
    let results = send(&calls, units, WriteMode::Create, None).await;
    assert_eq!(shown(&results), ["a@example.com Again(Anybody)"]);
    assert_eq!((results[0].0.tries(), marketo.writes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn leases_are_kept_while_a_call_waits_for_its_turn() {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    let calls = calls(&marketo, &leases);
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(calls.turns.next(&ApiUser::named("web")).await.unwrap());
    }
    let (mut units, _writers) = units(vec![of("a@example.com")]);
    units[0].leases = leases.acquire(&key("a@example.com")).await.unwrap();
    let sending = send(&calls, units, WriteMode::Create, None);
    let meanwhile = async {
        // Of paused time: much longer than a lease lasts that nobody renews.
        tokio::time::sleep(Duration::from_secs(600)).await;
        let is_kept = !is_free(&leases, "a@example.com").await;
        drop(held);
        is_kept
    };
    let (results, is_kept) = tokio::join!(sending, meanwhile);
    assert!(is_kept);
    assert_eq!(shown(&results), ["a@example.com created"]);
}
