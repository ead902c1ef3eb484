//! A run that is killed at each of its calls in turn, and what the next run makes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Kill, Moment};
use super::{Bench, Ran, lead};
use crate::dedupe::FieldRule;
use crate::lead::{Lead, LeadId};
use crate::ledger::State;

/// Killed at each of its calls, with Marketo's work done before, long after, or never, and run
/// again: laws 2 to 5 hold.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_call_loses_nothing() {
    let mut survived = 0;
    for call in 1.. {
        let mut ended = true;
        for moment in [Moment::Never, Moment::Before, Moment::LongAfter] {
            let bench = crowd();
            let before = bench.fake.world().leads.clone();
            bench.fake.world().kill = Some(Kill { call, moment });
            // Dropping the run in mid-call is what a kill leaves: whatever is in the ledger, and no
            // more.
            let killed = tokio::time::timeout(Duration::from_secs(60), bench.run()).await.is_err();
            ended &= !killed;
            bench.fake.world().kill = None;
            let Ran { resumed, report } = bench.run().await;
            assert_eq!((resumed.alarms, resumed.open), (vec![], 0), "call {call}");
            assert!(report.stopped.is_none(), "call {call}: {:?}", report.stopped);
            nothing_is_lost(&bench, &before, call);
            survived += usize::from(killed);
        }
        if ended {
            break;
        }
    }
    assert!(survived > 20, "the run was killed at {survived} calls only");
}

fn crowd() -> Bench {
    let mut leads = Vec::new();
    for n in 0..7 {
        let email = format!("{n}@example.com");
        for copy in 0..2 + n % 3 {
            let id = 10 * n + copy + 1;
            let lead = lead(id, &email).with("score", 10).with("unsubscribed", copy == 1);
            leads.push(if copy == 1 { lead.with("phone", format!("+{id}")) } else { lead });
        }
    }
    leads.extend((100..130).map(|id| lead(id, "many@example.com").with("score", 1)));
    let mut bench = Bench::new(leads);
    bench.policy.fields.0.insert("score".into(), FieldRule::Sum);
    for id in bench.ids() {
        let mut world = bench.fake.world();
        world.lists.get_mut(&(id % 2 + 1)).unwrap().insert(id);
        if id % 3 == 0 {
            world.programs.get_mut(&9).unwrap().insert(id);
        }
    }
    bench
}

fn nothing_is_lost(bench: &Bench, before: &BTreeMap<LeadId, Lead>, call: usize) {
    let world = bench.fake.world();
    let ledger = bench.ledger();
    let merged = ledger.merged_into().unwrap();
    for (id, lead) in before {
        let survivor =
            world.leads.values().find(|left| left.email() == lead.email()).expect("a survivor");
        if *id != survivor.id {
            assert_eq!(
                world.into.get(id),
                Some(&survivor.id),
                "call {call}: lead {id} into a stranger"
            );
            assert_eq!(
                merged.get(id),
                Some(&survivor.id),
                "call {call}: the ledger does not know of {id}"
            );
            let backups = ledger.backups_of(*id).unwrap();
            assert!(
                backups.iter().any(|backup| backup.lead == *lead),
                "call {call}: no backup of {id}"
            );
            assert!(
                backups
                    .iter()
                    .all(|backup| backup.lists.as_ref().is_some_and(|lists| lists.len() == 1))
            );
        }
        assert!(
            !lead.flag("unsubscribed") || survivor.flag("unsubscribed"),
            "call {call}: opt-out of {id}"
        );
        assert!(world.lists[&(id % 2 + 1)].contains(&survivor.id), "call {call}: list of {id}");
        assert!(
            id % 3 != 0 || world.programs[&9].contains(&survivor.id),
            "call {call}: program of {id}"
        );
        if let Some(phone) = lead.value("phone") {
            assert_eq!(survivor.value("phone"), Some(phone), "call {call}");
        }
        let total: u64 = before
            .values()
            .filter(|other| other.email() == lead.email())
            .filter_map(|other| other.value("score").and_then(Value::as_u64))
            .sum();
        assert_eq!(
            survivor.value("score"),
            Some(&json!(total)),
            "call {call}: score of {}",
            survivor.id
        );
    }
    let left = ledger.open_calls().unwrap();
    assert!(left.iter().all(|call| call.state == State::Skipped), "{left:?}");
}
