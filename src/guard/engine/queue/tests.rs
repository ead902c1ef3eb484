//! Which records leave together, and which wait.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Item, Sharing, Submitted, Unit, WriteQueue};
use crate::guard::engine::batching::into_calls;
use crate::guard::engine::outcome::PendingReply;
use crate::guard::engine::request::{Action, ApiUser, Envelope, Record, WriteRequest};

/// A queue, and the writers that wait for it.
struct Scene {
    queue: WriteQueue<()>,
    waiting: Vec<PendingReply>,
}

fn sync() -> Envelope {
    Envelope::sync(Action::CreateOrUpdate, "email")
}

impl Scene {
    /// With records for so many calls taken together.
    fn of(calls: usize) -> Self {
        Self { queue: WriteQueue::taking(calls), waiting: Vec::new() }
    }

    /// Somebody of this user sends these emails.
    fn send(&mut self, user: &str, emails: &[&str]) {
        let by = self.waiting.len();
        let records: Vec<Value> =
            emails.iter().map(|email| json!({"email": email, "by": by})).collect();
        self.send_records(user, sync(), &records);
    }

    fn send_records(&mut self, user: &str, envelope: Envelope, records: &[Value]) {
        let fields = |record: &Value| -> Map<String, Value> { record.as_object().unwrap().clone() };
        let read = |record| Record::of_fields(&fields(record), &envelope, "test");
        let records: Vec<Record> = records.iter().map(read).collect();
        let mut fingerprint = [0; 32];
        fingerprint[..user.len()].copy_from_slice(user.as_bytes());
        let (request, records, pending) = Submitted::of(WriteRequest {
            user: ApiUser::named(user),
            origin: (),
            fingerprint,
            envelope,
            records,
            admitted: Vec::new(),
        });
        self.queue.enter(&request, records);
        self.waiting.push(pending);
    }

    /// As the supervisor does when a turn has come.
    fn take(&mut self, user: &str) -> Vec<Unit<()>> {
        let user = ApiUser::named(user);
        self.queue.take(&user, &mut Vec::new())
    }

    /// The users for whom a turn is sent for then.
    fn finish(&mut self, units: &[Unit<()>]) -> Vec<String> {
        self.queue.due();
        self.queue.finish(units.iter().flat_map(Unit::items).map(|item| item.number));
        self.queue.due().iter().map(ToString::to_string).collect()
    }
}

/// The emails of a call, and which writers each stands for.
fn shown(units: &[Unit<()>]) -> Vec<(String, Vec<u64>)> {
    let by = |item: &Item<()>| item.record.raw.values()["by"].as_u64().unwrap();
    let of_unit = |unit: &Unit<()>| {
        let email = unit.raw.values()["email"].as_str().unwrap().to_owned();
        (email, unit.items().map(by).collect())
    };
    units.iter().map(of_unit).collect()
}

#[tokio::test]
async fn what_waits_and_agrees_leaves_as_one_call_and_a_key_once_in_it() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["b@example.com", "A@example.com"]);
    scene.send("crm", &["a@example.com"]);
    let call = scene.take("crm");
    assert_eq!(
        shown(&call),
        [("a@example.com".to_owned(), vec![0, 1, 2]), ("b@example.com".to_owned(), vec![1])]
    );
    assert_eq!(call[0].raw.values()["by"], 2, "the last word counts");
    assert!(scene.take("crm").is_empty());
}

#[tokio::test]
async fn a_key_that_is_on_its_way_holds_up_itself_alone_and_first_come_is_first_served() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com"]);
    let first = scene.take("crm");
    scene.send("web", &["a@example.com", "b@example.com"]);
    scene.send("crm", &["a@example.com", "c@example.com"]);
    assert_eq!(shown(&scene.take("crm")), [("c@example.com".to_owned(), vec![2])]);
    assert_eq!(shown(&scene.take("web")), [("b@example.com".to_owned(), vec![1])]);
    assert!(scene.take("web").is_empty() && scene.take("crm").is_empty());
    assert_eq!(scene.finish(&first), ["web"], "the next in line is told");
    assert!(scene.take("crm").is_empty(), "not before its turn");
    let second = scene.take("web");
    assert_eq!(shown(&second), [("a@example.com".to_owned(), vec![1])]);
    assert_eq!(scene.finish(&second), ["crm"]);
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![2])]);
}

#[tokio::test]
async fn writes_that_do_not_agree_leave_apart() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com"]);
    let create_only = Envelope::sync(Action::CreateOnly, "email");
    scene.send_records("crm", create_only, &[json!({"email": "b@example.com", "by": 1})]);
    scene.send("crm", &["c@example.com"]);
    assert_eq!(shown(&scene.take("crm")).len(), 2);
    assert_eq!(shown(&scene.take("crm")), [("b@example.com".to_owned(), vec![1])]);
}

#[tokio::test]
async fn records_whose_result_hangs_on_each_other_are_never_one() {
    let mut scene = Scene::of(1);
    let create_only = Envelope::sync(Action::CreateOnly, "email");
    let record = json!({"email": "a@example.com", "by": 0});
    scene.send_records("crm", create_only, &[record.clone(), record]);
    assert_eq!(scene.take("crm").len(), 1);
    assert!(scene.take("crm").is_empty());
}

#[tokio::test]
async fn a_call_has_at_most_300_records_and_less_than_a_megabyte() {
    let mut scene = Scene::of(1);
    let emails =
        |of: &str| -> Vec<String> { (0..200).map(|n| format!("{of}{n}@example.com")).collect() };
    for of in ["p", "q"] {
        let emails = emails(of);
        scene.send("crm", &emails.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(scene.take("crm").len(), 300);
    assert_eq!(scene.take("crm").len(), 100);

    for n in 0..3 {
        let large =
            json!({"email": format!("l{n}@example.com"), "by": n, "note": "x".repeat(400_000)});
        scene.send_records("crm", sync(), &[large]);
    }
    let call = scene.take("crm");
    assert_eq!(call.len(), 2);
    let body = call[0]
        .first
        .request
        .envelope
        .body(crate::guard::engine::request::WriteMode::AsAsked, call.iter().map(|unit| &unit.raw));
    assert!(body.len() < 1_000_000);
    assert_eq!(scene.take("crm").len(), 1);
}

#[tokio::test]
async fn what_was_refused_in_company_leaves_apart_and_in_its_old_place() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["b@example.com"]);
    let call = scene.take("crm");
    scene.send("crm", &["a@example.com"]);
    for item in call.into_iter().flat_map(|unit| unit.into_parts().0) {
        scene.queue.put_back(item.sharing_at_most(Sharing::OwnWriter));
    }
    let first = scene.take("crm");
    assert_eq!(shown(&first), [("a@example.com".to_owned(), vec![0])]);
    assert_eq!(shown(&scene.take("crm")), [("b@example.com".to_owned(), vec![1])]);
    assert!(scene.take("crm").is_empty());
    scene.finish(&first);
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![2])]);
}

#[tokio::test]
async fn what_has_not_left_is_dropped_when_its_writer_is_gone() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["a@example.com"]);
    drop(scene.waiting.remove(0));
    let mut given_up = Vec::new();
    let call = scene.queue.take(&ApiUser::named("crm"), &mut given_up);
    assert_eq!((call.len(), given_up.len()), (0, 1));
    scene.queue.finish(given_up.iter().map(|item| item.number));
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![1])]);
}

#[tokio::test]
async fn a_finished_record_leaves_nothing_behind() {
    let mut scene = Scene::of(1);
    scene.send("crm", &["a@example.com", "b@example.com", "a@example.com"]);
    let standing = scene.queue.standing(Instant::now());
    assert_eq!(standing.waiting, 3);
    let call = scene.take("crm");
    scene.finish(&call);
    assert!(scene.queue.keys.is_empty() && scene.queue.open.is_empty());
    assert!(scene.queue.users.is_empty());
}

#[tokio::test]
async fn several_calls_worth_of_records_are_taken_together_and_cut_to_what_a_call_may_hold() {
    let mut scene = Scene::of(3);
    let emails: Vec<String> = (0..1_000).map(|n| format!("p{n}@example.com")).collect();
    scene.send("file", &emails.iter().map(String::as_str).collect::<Vec<_>>());
    let batch = scene.take("file");
    assert_eq!(batch.len(), 900);
    let calls: Vec<usize> = into_calls(batch).iter().map(Vec::len).collect();
    assert_eq!(calls, [300, 300, 300]);
    assert_eq!(scene.take("file").len(), 100);
    // By bytes: one that is too large for any call leaves alone.
    let mut scene = Scene::of(3);
    let sizes = [400_000, 500_000, 400_000, 1_200_000, 10];
    let notes = |(n, size): (usize, &usize)| json!({"email": format!("p{n}@example.com"), "notes": "x".repeat(*size)});
    let records: Vec<Value> = sizes.iter().enumerate().map(notes).collect();
    scene.send_records("file", sync(), &records);
    let calls: Vec<usize> = into_calls(scene.take("file")).iter().map(Vec::len).collect();
    assert_eq!(calls, [2, 1, 1, 1]);
}

#[tokio::test]
async fn a_full_batch_still_takes_along_what_its_last_record_stands_for() {
    let mut scene = Scene::of(1);
    let mut emails: Vec<String> = (0..300).map(|n| format!("p{n}@example.com")).collect();
    emails.push("p299@example.com".to_owned());
    scene.send("file", &emails.iter().map(String::as_str).collect::<Vec<_>>());
    let batch = scene.take("file");
    assert_eq!((batch.len(), batch[299].len()), (300, 2));
}
