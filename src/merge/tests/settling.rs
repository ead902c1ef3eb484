//! What a look and Marketo's log say of a call, each case by itself.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::*;
use crate::ledger::{CallKind, NewCall, Purpose, State};
use crate::marketo::MergeRecord;
use crate::merge::compare::compare;
use crate::merge::settle::{Conclusion, Finding, Log, Made, Pending, done_by};

fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Marketo's id of a call that arrives so many seconds after noon.
fn request(seconds: i64) -> String {
    format!("1a2b#{:x}", (noon() + TimeDelta::seconds(seconds)).timestamp_millis())
}

fn record(at: Option<i64>, request_id: Option<String>, method: Option<&str>) -> MergeRecord {
    MergeRecord {
        winner: 1,
        then: None,
        losers: vec![2],
        at: at.map(|seconds| noon() + TimeDelta::seconds(seconds)),
        request_id,
        user: None,
        method: method.map(str::to_owned),
        source: None,
        by_another_user: false,
    }
}

/// A call that merges lead 2 into lead 1, left at noon, and is over.
fn pending<'p>(plan: &'p Plan, bench: &Bench, state: State) -> Pending<'p> {
    let call = NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: vec![],
        purpose: Purpose::default(),
        values: vec![],
    };
    let group = &plan.groups[0];
    Pending {
        call: bench.ledger().begin(&plan.id, &call, "2026-11-24T12:00:00Z").unwrap().call(),
        plan: &plan.id,
        group,
        rules: std::borrow::Cow::Borrowed(&plan.policy.fields),
        losers: group.losers.clone(),
        state,
        said: None,
        request_id: None,
        over_at: Instant::now(),
        left: (noon(), noon() + TimeDelta::seconds(25)),
        done_by: done_by(noon() + TimeDelta::seconds(25), Clock::real()),
        before: BTreeMap::new(),
        missed: group.losers.iter().copied().chain([group.winner]).collect(),
        lingers: false,
        log: Log::Silent,
        asks_log: false,
        log_until: Instant::now(),
        made: Made::ByThisRun,
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_of_the_log_is_ours_by_its_request_or_by_time_user_and_method() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    let survivor = BTreeMap::from([(1, pair()[0].clone())]);
    let hour = 3_600;
    let by_another = MergeRecord { by_another_user: true, ..record(Some(5), None, None) };
    for (ours, of_the_log, is_ours) in [
        // Its id decides, whatever the clocks say.
        (Some(request(900)), record(None, Some(request(900)), None), true),
        (Some(request(3)), record(Some(3), Some(request(4)), None), false),
        // Whose answer was lost arrived within seconds of its intent.
        (None, record(None, Some(request(0)), None), true),
        (None, record(None, Some(request(30)), Some("mergeLead")), true),
        (None, record(None, Some(request(-8)), None), false),
        (None, record(None, Some(request(hour)), None), false),
        // Without an id: as long as Marketo may take, and no longer.
        (None, record(Some(0), None, None), true),
        (None, record(Some(200), None, None), true),
        (None, record(Some(hour), None, None), false),
        (None, record(Some(-hour), None, None), false),
        (None, record(None, None, None), true),
        // Made by somebody else, another way, or into another lead than the one that is there.
        (None, by_another, false),
        (None, MergeRecord { winner: 9, ..record(Some(5), None, None) }, false),
        (None, record(Some(5), None, Some("associateLead")), false),
        (None, record(Some(5), None, Some("Merge Leads")), true),
    ] {
        let mut one = Pending { request_id: ours, ..pending(&plan, &bench, State::Unknown) };
        one.log = Log::Shows(vec![of_the_log.clone()]);
        let conclusion = one.conclude(&survivor, true);
        let merged =
            matches!(&conclusion, Conclusion::Found(Finding::Merged { gone, .. }) if *gone == [2]);
        let not_ours = matches!(&conclusion, Conclusion::Found(Finding::NotDone(why)) if why.contains("not by this program"));
        assert!(if is_ours { merged } else { not_ours }, "{of_the_log:?}: {conclusion:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_call_lingers_until_a_look_shows_it_done() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    let [winner, loser] = pair();
    for (there, lingers) in [
        (vec![winner.clone(), loser.clone()], true),
        // The winner is gone, and the loser that is there ranks no higher: nobody knows what came
        // of it.
        (vec![loser], true),
        (vec![winner], false),
    ] {
        let mut one = pending(&plan, &bench, State::Accepted);
        let live = there.iter().map(|lead| (lead.id, lead.clone())).collect();
        let conclusion = one.conclude(&live, false);
        assert_eq!(one.lingers, lingers, "{there:?}: {conclusion:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_difference_is_the_merges_only_where_a_merge_can_leave_it() {
    let bench = Bench::new([
        lead(1, "a@example.com").with("title", "Was").with("score", 5),
        lead(2, "a@example.com").with("title", "Is").with("score", 7).with("phone", "7"),
    ]);
    let mut plan = bench.plan().await;
    let change = crate::dedupe::FieldChange {
        name: "title".to_owned(),
        before: json!("Was"),
        after: json!("Is"),
        from: Some(2),
    };
    plan.groups[0].changes = vec![change];
    let schema = ReadLeads::describe(&bench.fake).await.unwrap();
    let mut facts = facts(&schema);
    facts.fields.get_mut("score").unwrap().data_type = "score".to_owned();
    let mut before = bench.fake.world().leads.clone();
    before.get_mut(&1).unwrap().set("title", json!("Is"));
    for (field, found, by_the_merge, in_an_earlier_run) in [
        ("score", json!(12), true, true),
        ("score", json!(7), true, true),
        // A score that is not set reads as zero.
        ("score", json!(0), true, true),
        ("score", json!(6), false, false),
        ("title", Value::Null, true, true),
        // Days later it is somebody's correction.
        ("title", json!("Was"), true, false),
        ("title", json!("Typed"), false, false),
    ] {
        for (made, taken) in
            [(Made::ByThisRun, by_the_merge), (Made::ByAnEarlierRun, in_an_earlier_run)]
        {
            let one =
                Pending { before: before.clone(), made, ..pending(&plan, &bench, State::Accepted) };
            let mut survivor = before[&1].clone();
            survivor.set(field, found.clone());
            let compared = compare(&one, &survivor, &facts);
            let is_taken = compared.taken.iter().any(|difference| difference.name == field);
            let is_changed = compared.changed.iter().any(|difference| difference.name == field);
            assert_eq!((is_taken, is_changed), (taken, !taken), "{field} {found} {made:?}");
        }
    }
}
