//! Leases that are waited for and lost, and faults of the program itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::fake::{Fault, is_free, key, pacer};
use super::{ADA, HOUR, Scene, outcomes, scene, scene_with, seconds};
use crate::guard::engine::{ApiUser, EngineSettings, Outcome, PendingReply, Refused, Waited};
use crate::leases::Terms;
use crate::marketo::{Clock, OneRun, Pacer, SYNC_LIMIT, Slot, Spending, Spent, Uncounted, longest};

/// A scene with a record that waited for another guard to write its key, has got the lease, and
/// stands in the queue for the one place among the calls, which is somebody else's.
async fn with_a_lease_in_the_queue() -> (Scene, PendingReply, Slot) {
    let scene = scene_with(EngineSettings::default(), pacer(1));
    let of_another_guard = scene.leases.acquire(&key(ADA)).await.unwrap();
    let waiting = scene.ada();
    seconds(1).await;
    let place = scene.turns.next(&ApiUser::named("web")).await.unwrap();
    scene.leases.release(of_another_guard).await.unwrap();
    seconds(1).await;
    (scene, waiting, place)
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_however_long_its_record_stands_in_the_queue() {
    let (scene, waiting, place) = with_a_lease_in_the_queue().await;
    seconds(600).await;
    assert!(
        !is_free(&scene.leases, ADA).await,
        "another guard has got the key, whose turn it is not"
    );
    drop(place);
    assert_eq!(outcomes(waiting).await, ["created"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_waits_for_any_more_is_given_back_before_its_turn() {
    let (scene, waiting, _place) = with_a_lease_in_the_queue().await;
    drop(waiting);
    tokio::time::sleep(Terms::default().unsent / 2).await;
    assert!(is_free(&scene.leases, ADA).await);
    assert_eq!(scene.engine.standing().await.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_in_the_queue_is_asked_for_anew_before_its_turn() {
    let (scene, waiting, place) = with_a_lease_in_the_queue().await;
    // As after a suspension of the machine.
    tokio::time::advance(Duration::from_secs(100)).await;
    seconds(600).await;
    assert!(!is_free(&scene.leases, ADA).await, "nobody has asked for it anew");
    assert_eq!(scene.engine.standing().await.waiting, 1);
    drop(place);
    assert_eq!(outcomes(waiting).await, ["created"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_task_panics_is_open_and_its_key_protected_as_long_as_marketo_may_be_writing_it()
 {
    let scene = scene();
    scene.marketo.fail_next(Fault::Panic);
    let start = Instant::now();
    // A writer that would wait for longer is told at once.
    assert_eq!(outcomes(scene.ada()).await, ["Open"]);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(scene.count("BrokenOff"), 1);
    // The queue goes on: other keys at once, this one when its lease has ended by itself.
    assert_eq!(
        outcomes(scene.write("crm", json!({"email": "bob@example.com"}))).await,
        ["created"]
    );
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
    assert!(start.elapsed() >= longest(SYNC_LIMIT, Clock::real()), "{:?}", start.elapsed());
    scene.engine.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_whose_key_is_busy_is_told_that_nothing_was_sent_and_nothing_is_sent_afterwards() {
    let scene = scene();
    let of_another_guard = scene.leases.acquire(&key(ADA)).await.unwrap();
    assert!(matches!(scene.ada().within(Duration::from_secs(1)).await, Waited::NothingSent));
    scene.leases.release(of_another_guard).await.unwrap();
    seconds(600).await;
    assert!(scene.marketo.writes().is_empty());
    assert!(is_free(&scene.leases, ADA).await);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_goes_right_before_its_call_leaves_keeps_it_from_leaving_and_takes_no_other_along()
 {
    let scene = scene_with(EngineSettings::default(), pacer(1));
    let held = scene.turns.next(&ApiUser::named("web")).await.unwrap();
    let (ada, bob) = (scene.ada(), scene.write("crm", json!({"email": "bob@example.com"})));
    seconds(1).await;
    drop(held);
    // The look-up takes a tenth of a second, and ends after her patience.
    let nothing = ada.within(Duration::from_millis(50)).await;
    assert!(matches!(nothing, Waited::NothingSent), "{nothing:?}");
    assert_eq!(outcomes(bob).await, ["created"]);
    assert_eq!(scene.marketo.with_email(ADA), 0);
    assert!(is_free(&scene.leases, ADA).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_leases_end_each_time_before_it_leaves_is_refused_in_the_end() {
    let scene = scene();
    for _ in 0..5 {
        scene.marketo.fail_next(Fault::Sleep(Duration::from_secs(100)));
    }
    assert_eq!(outcomes(scene.ada()).await, ["refused 606"]);
    assert!(scene.marketo.writes().is_empty());
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
}

/// Counts no first call, but panics.
#[derive(Debug, Default)]
struct Miscounting {
    is_sound: AtomicBool,
    counts: OneRun,
}

impl Spending for Miscounting {
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted> {
        assert!(self.is_sound.swap(true, Ordering::SeqCst), "as it was meant to");
        self.counts.spend_call(a_day)
    }

    fn unspend_call(&self) {
        self.counts.unspend_call();
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted> {
        self.counts.charge_bytes(bytes)
    }

    fn spent(&self) -> Result<Spent, Uncounted> {
        self.counts.spent()
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_counting_refuses_what_waits_and_the_queue_goes_on() {
    let second = Duration::from_secs(1);
    let pacer = Pacer::new(1_000, second, 1, 1_000_000, Arc::new(Miscounting::default()));
    let scene = scene_with(EngineSettings::default(), Arc::new(pacer));
    let Waited::Done(ends) = scene.ada().within(HOUR).await else { panic!() };
    assert!(matches!(ends[..], [Outcome::Refused(Refused::Fault)]), "{ends:?}");
    assert_eq!(outcomes(scene.ada()).await, ["created"]);
}
