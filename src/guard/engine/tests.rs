//! The engine as a whole, on a clock that the tests turn, with a Marketo in memory.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

pub(super) mod fake;
mod faults;

use self::fake::{Events, FakeMarketo, Fault, is_free, memory, pacer, request};
use super::{
    Action, ApiUser, Engine, EngineSettings, Envelope, FairQueue, Goal, OnDuplicates, Outcome,
    PendingReply, Waited,
};
use crate::dedupe::{WinnerOrder, WinnerRule};
use crate::leases::SharedLeases;
use crate::marketo::{OneRun, Pacer};

const ADA: &str = "ada@example.com";
const HOUR: Duration = Duration::from_secs(3_600);

struct Scene {
    engine: Engine<()>,
    marketo: FakeMarketo,
    leases: SharedLeases,
    turns: Arc<FairQueue>,
    events: Arc<Events>,
}

fn scene() -> Scene {
    scene_with(EngineSettings::default(), pacer(10))
}

fn scene_with(settings: EngineSettings, pacer: Arc<Pacer>) -> Scene {
    let (marketo, leases) = (FakeMarketo::default(), memory());
    let turns = Arc::new(FairQueue::new(pacer));
    let events = Arc::new(Events::default());
    let settings = EngineSettings { observer: Arc::<Events>::clone(&events), ..settings };
    let engine = Engine::start(marketo.clone(), leases.clone(), Arc::clone(&turns), settings);
    Scene { engine, marketo, leases, turns, events }
}

fn sync() -> Envelope {
    Envelope::sync(Action::CreateOrUpdate, "email")
}

impl Scene {
    fn write(&self, user: &str, fields: Value) -> PendingReply {
        self.engine.submit(request(user, sync(), &[fields]))
    }

    fn ada(&self) -> PendingReply {
        self.write("crm", json!({"email": ADA, "title": "Countess"}))
    }

    fn count(&self, event: &str) -> usize {
        self.events.0.lock().iter().filter(|said| said.starts_with(event)).count()
    }
}

/// Lets paused time pass.
async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The outcomes of a write, shortly: a status, a code, or a word.
async fn outcomes(pending: PendingReply) -> Vec<String> {
    let Waited::Done(outcomes) = pending.within(HOUR).await else { panic!("no outcomes") };
    let word = |outcome: Outcome| match outcome {
        Outcome::Row { row, .. } if row["status"] == "skipped" => {
            row["reasons"][0]["code"].as_str().unwrap().to_owned()
        }
        Outcome::Row { row, .. } => row["status"].as_str().unwrap().to_owned(),
        Outcome::Refused(refused) => format!("refused {}", refused.code()),
        Outcome::Several { ids, .. } => format!("several {ids:?}"),
        other => format!("{other:?}"),
    };
    outcomes.into_iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn a_write_is_looked_up_and_then_created_or_updated_and_its_leases_are_released() {
    let scene = scene();
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
    assert_eq!(outcomes(scene.ada()).await, ["updated"]);
    let writes = scene.marketo.writes();
    assert_eq!(
        (&writes[0]["action"], &writes[1]["action"]),
        (&json!("createOnly"), &json!("updateOnly"))
    );
    scene.engine.drain().await;
    assert!(is_free(&scene.leases, ADA).await);
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_key_at_once_make_one_lead_in_few_calls() {
    for look_first in [true, false] {
        let scene =
            scene_with(EngineSettings { look_first, ..EngineSettings::default() }, pacer(10));
        let pending: Vec<PendingReply> = (0..200)
            .map(|number| {
                scene.write(&format!("user{}", number % 7), json!({"email": ADA, "n": number}))
            })
            .collect();
        let mut created = 0;
        for pending in pending {
            created += usize::from(outcomes(pending).await == ["created"]);
        }
        assert_eq!((created, scene.marketo.with_email(ADA)), (1, 1), "{look_first}");
        scene.marketo.assert_one_at_a_time();
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_lost_answers_makes_no_duplicate_and_loses_nothing() {
    let scene = scene();
    for round in 0..40 {
        scene.marketo.fail_next(match round % 8 {
            0 => Fault::LostAndDone(Duration::from_secs(2)),
            2 => Fault::LostAndNotDone,
            3 => Fault::Refused("1003"),
            4 => Fault::LostAndDone(Duration::from_secs(80)),
            5 => Fault::ShortRows,
            6 => Fault::Slow(Duration::from_secs(20)),
            _ => Fault::Slow(Duration::ZERO),
        });
    }
    let pending: Vec<PendingReply> = (0..120)
        .map(|number| {
            let email = format!("p{}@example.com", number % 9);
            scene.write(&format!("user{}", number % 5), json!({"email": email, "n": number}))
        })
        .collect();
    for pending in pending {
        let outcome = outcomes(pending).await;
        assert!(
            ["created", "updated", "refused 1003", "Open"].contains(&outcome[0].as_str()),
            "{outcome:?}"
        );
    }
    scene.marketo.assert_one_at_a_time();
    for number in 0..9 {
        assert_eq!(scene.marketo.with_email(&format!("p{number}@example.com")), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_create_is_told_at_the_first_look_that_finds_it() {
    for (done_after, told_after) in [(1, 4), (10, 15), (20, 45), (60, 100)] {
        let scene = scene();
        scene.marketo.fail_next(Fault::LostAndDone(Duration::from_secs(done_after)));
        let start = Instant::now();
        assert_eq!(outcomes(scene.ada()).await, ["created"]);
        assert_eq!(start.elapsed().as_secs(), told_after, "{done_after}");
        assert_eq!(scene.marketo.writes().len(), 1, "nothing is sent again");
        assert_eq!(scene.count("InDoubt"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_key_in_doubt_leaves_before_its_call_is_over() {
    let scene = scene();
    scene.marketo.fail_next(Fault::LostAndNotDone);
    let (first, behind) = (scene.ada(), async {
        seconds(1).await;
        outcomes(scene.write("web", json!({"email": ADA, "title": "Lady"}))).await
    });
    let other = scene.write("web", json!({"email": "bob@example.com"}));
    let start = Instant::now();
    assert_eq!(outcomes(other).await, ["created"], "other keys do not wait");
    assert!(start.elapsed() < Duration::from_secs(1));
    let (first, behind) = tokio::join!(outcomes(first), behind);
    assert_eq!((first, behind), (vec!["created".to_owned()], vec!["updated".to_owned()]));
    let left = scene.marketo.left();
    assert!(left[2] - left[0] >= Duration::from_secs(100), "{left:?}");
    assert_eq!(scene.marketo.with_email(ADA), 1);
    scene.marketo.assert_one_at_a_time();
}

#[tokio::test(start_paused = true)]
async fn a_writer_without_patience_is_told_what_is_known_and_its_key_stays_protected() {
    let scene = scene();
    scene.marketo.fail_next(Fault::LostAndDone(Duration::from_secs(80)));
    let second = Duration::from_secs(1);
    assert!(matches!(scene.ada().within(second).await, Waited::Open));
    assert!(matches!(scene.ada().within(second).await, Waited::NothingSent));
    seconds(60).await;
    assert!(!is_free(&scene.leases, ADA).await);
    assert_eq!(outcomes(scene.ada()).await, ["updated"]);
    assert_eq!(scene.marketo.with_email(ADA), 1);
}

#[tokio::test(start_paused = true)]
async fn each_record_of_a_call_in_doubt_is_counted_once() {
    let settings = EngineSettings { look_first: false, ..EngineSettings::default() };
    let scene = scene_with(settings, pacer(10));
    scene.marketo.fail_next(Fault::LostAndNotDone);
    // Without a key nobody can look for the second one.
    let records = [json!({"email": ADA}), json!({"title": "Dr"})];
    let pending = scene.engine.submit(request("crm", sync(), &records));
    assert_eq!(outcomes(pending).await, ["created", "Open"]);
    assert_eq!((scene.count("InDoubt(2)"), scene.count("InDoubt")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_writers_bad_call_fails_no_other() {
    let scene =
        scene_with(EngineSettings { look_first: false, ..EngineSettings::default() }, pacer(1));
    let held = scene.turns.next(&ApiUser::named("web")).await.unwrap();
    let writers: Vec<PendingReply> = ["a", "b", "c"]
        .map(|name| scene.write("crm", json!({"email": format!("{name}@example.com")})))
        .into();
    seconds(1).await;
    // The three together, and then the first of them alone.
    scene.marketo.fail_next(Fault::Refused("1006"));
    scene.marketo.fail_next(Fault::Refused("1006"));
    drop(held);
    let mut ends = Vec::new();
    for writer in writers {
        ends.extend(outcomes(writer).await);
    }
    assert_eq!(ends, ["refused 1006", "created", "created"]);
    let sizes: Vec<usize> =
        scene.marketo.writes().iter().map(|body| body["input"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_all_would_get_is_not_asked_for_again() {
    let scene =
        scene_with(EngineSettings { look_first: false, ..EngineSettings::default() }, pacer(1));
    let held = scene.turns.next(&ApiUser::named("web")).await.unwrap();
    let writers =
        ["a", "b"].map(|name| scene.write("crm", json!({"email": format!("{name}@example.com")})));
    seconds(1).await;
    scene.marketo.fail_next(Fault::Refused("601"));
    drop(held);
    for writer in writers {
        assert_eq!(outcomes(writer).await, ["refused 601"]);
    }
    assert_eq!((scene.marketo.writes().len(), scene.count("TokenRefused")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_takes_no_other_of_its_key_with_it() {
    let scene = scene_with(EngineSettings::default(), pacer(1));
    let records = [json!({"email": ADA, "title": "Dr"}), json!({"email": ADA, "phone": "bad"})];
    let pending = scene.engine.submit(request("crm", sync(), &records));
    assert_eq!(outcomes(pending).await, ["created", "1003"]);
    assert_eq!(scene.marketo.lead(101)["title"], "Dr");
}

#[tokio::test(start_paused = true)]
async fn without_leave_to_read_writes_go_as_they_were_asked_for() {
    let scene = scene();
    scene.marketo.refuse_look_ups("603");
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
    assert_eq!(
        (&scene.marketo.writes()[0]["action"], scene.count("ReadingDenied")),
        (&json!("createOrUpdate"), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_of_several_leads_is_left_alone_or_written_at_the_winner() {
    for (on_duplicates, expected) in
        [(OnDuplicates::Error, "several [7, 9]"), (OnDuplicates::Winner, "updated")]
    {
        let winner = WinnerOrder(vec![WinnerRule::Max("leadScore".to_owned())]);
        let settings = EngineSettings { on_duplicates, winner, ..EngineSettings::default() };
        let scene = scene_with(settings, pacer(10));
        scene.marketo.put(7, &json!({"email": ADA, "leadScore": 1}));
        scene.marketo.put(9, &json!({"email": ADA, "leadScore": 2}));
        assert_eq!(outcomes(scene.ada()).await, [expected]);
        let is_written = on_duplicates == OnDuplicates::Winner;
        assert_eq!(scene.marketo.lead(9)["title"] == "Countess", is_written);
        assert_eq!(scene.marketo.lead(7)["title"], Value::Null);
        assert_eq!(scene.count("SeveralLeads"), usize::from(!is_written));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lead_holds_is_not_written_where_changes_are_asked_for_and_a_preview_writes_nothing()
{
    let scene = scene();
    scene.marketo.put(7, &json!({"email": ADA, "title": "Countess"}));
    let records = [json!({"email": ADA, "title": "Countess"}), json!({"email": "bob@example.com"})];
    for (goal, expected) in [
        (Goal::Preview, ["Unchanged(7)", "WouldCreate"]),
        (Goal::WriteChanges, ["Unchanged(7)", "created"]),
        (Goal::Write, ["updated", "updated"]),
    ] {
        let pending = scene.engine.submit(request("file", Envelope { goal, ..sync() }, &records));
        assert_eq!(outcomes(pending).await, expected, "{goal:?}");
    }
    assert_eq!(scene.marketo.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_write_is_brought_to_its_end_where_it_has_left_and_not_sent_where_it_has_not() {
    let scene = scene();
    scene.marketo.fail_next(Fault::Slow(Duration::from_secs(30)));
    let records = [json!({"email": ADA}), json!({"email": "bob@example.com"})];
    let mut first = scene.engine.submit(request("crm", sync(), &records));
    seconds(1).await;
    let mut second = scene.ada();
    seconds(1).await;
    first.withdraw();
    second.withdraw();
    for _ in 0..2 {
        assert!(matches!(first.next().await, Some((_, Outcome::Row { .. }))));
    }
    assert!(first.next().await.is_none());
    assert!(matches!(second.next().await, Some((0, Outcome::NotSent))));
    assert_eq!(scene.engine.standing().await.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_what_is_in_doubt() {
    let scene = scene();
    scene.marketo.fail_next(Fault::LostAndDone(Duration::from_secs(60)));
    let pending = scene.ada();
    let start = Instant::now();
    scene.engine.drain().await;
    assert_eq!(start.elapsed().as_secs(), 100);
    assert_eq!(outcomes(pending).await, ["created"]);
    assert!(is_free(&scene.leases, ADA).await);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_refuses_what_waits() {
    let pacer = Pacer::new(1_000, Duration::from_secs(1), 1, 2, Arc::new(OneRun::default()));
    let scene = scene_with(EngineSettings::default(), Arc::new(pacer));
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
    assert_eq!(outcomes(scene.ada()).await, ["refused 607"]);
}
