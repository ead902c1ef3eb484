use serde_json::json;

use super::*;

const OWNER: &str = "audit@api.example.com";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn order() -> Order {
    let body = json!({"fields": ["id"], "filter": {"staticListId": 1}});
    Order::parse(body.as_object().unwrap()).unwrap()
}

fn jobs() -> Jobs {
    Jobs::new(1_000, 1)
}

fn create(jobs: &mut Jobs, now: i64) -> String {
    jobs.create(order(), OWNER, at(now)).unwrap().id.clone()
}

fn settle(jobs: &mut Jobs, now: i64) {
    jobs.settle(at(now), |_| (b"id\n1\n2\n".to_vec(), 2));
}

fn status(jobs: &mut Jobs, id: &str, now: i64) -> Status {
    settle(jobs, now);
    jobs.find(id, OWNER).unwrap().status(at(now))
}

#[test]
fn a_job_is_created_queued_processing_and_completed_and_seen_so_once_a_minute() {
    let mut jobs = jobs();
    let [_, _, _, id] = [(); 4].map(|()| create(&mut jobs, 0));
    assert_eq!(status(&mut jobs, &id, 500), Status::Created);
    assert_eq!(
        jobs.enqueue(&id, OWNER, at(1_000), false).unwrap().status(at(1_000)),
        Status::Queued
    );
    assert_eq!(status(&mut jobs, &id, 1_059), Status::Queued);
    assert_eq!(status(&mut jobs, &id, 1_060), Status::Processing);
    assert_eq!(
        status(&mut jobs, &id, 1_119),
        Status::Processing,
        "finished after 95 seconds, but not yet seen so"
    );
    assert!(jobs.find(&id, OWNER).unwrap().file(at(1_119)).is_none());
    assert_eq!(status(&mut jobs, &id, 1_120), Status::Completed);
    assert!(jobs.find(&id, OWNER).unwrap().file(at(1_120)).is_some());
}

#[test]
fn a_completed_job_tells_records_size_and_the_checksum_of_its_file() {
    let mut jobs = jobs();
    let id = create(&mut jobs, 0);
    let created = jobs.find(&id, OWNER).unwrap().report(at(0));
    assert!(created.get("queuedAt").is_none(), "not queued yet");
    jobs.enqueue(&id, OWNER, at(0), false).unwrap();
    settle(&mut jobs, 60);
    let report = jobs.find(&id, OWNER).unwrap().report(at(60));
    assert_eq!(report["numberOfRecords"], 2);
    assert_eq!(report["fileSize"], 7);
    let sha256_of_the_file =
        "sha256:1d1c91d15ace6e21ea5f551e16e717f326992bdf800f6696628859be29b906bf";
    assert_eq!(report["fileChecksum"], sha256_of_the_file);
    assert_eq!(report["finishedAt"], "2026-09-21T14:13:40Z");
}

#[test]
fn two_jobs_run_and_the_third_waits_for_a_slot() {
    let mut jobs = jobs();
    let ids = [(); 3].map(|()| create(&mut jobs, 0));
    for id in &ids {
        jobs.enqueue(id, OWNER, at(0), false).unwrap();
    }
    let starts: Vec<i64> = ids
        .iter()
        .map(|id| (jobs.find(id, OWNER).unwrap().timetable.unwrap().starts - at(0)).num_seconds())
        .collect();
    assert_eq!(starts, [0, 0, 20], "the first runs 20 seconds, the second 45");
}

#[test]
fn a_cancelled_job_gives_its_slot_to_the_next() {
    let mut jobs = jobs();
    let ids = [(); 4].map(|()| create(&mut jobs, 0));
    for id in &ids {
        jobs.enqueue(id, OWNER, at(0), false).unwrap();
    }
    let job = jobs.cancel(&ids[0], OWNER, at(5)).unwrap();
    assert_eq!(job.report(at(5))["status"], "Cancelled");
    let third = jobs.find(&ids[2], OWNER).unwrap().timetable.unwrap();
    assert_eq!(third.starts, at(5));
    assert_eq!(status(&mut jobs, &ids[0], 500), Status::Cancelled);
}

#[test]
fn the_eleventh_job_in_the_queue_is_refused_until_one_is_done() {
    let mut jobs = jobs();
    let ids: Vec<String> = (0..11).map(|_| create(&mut jobs, 0)).collect();
    for id in &ids[..10] {
        jobs.enqueue(id, OWNER, at(0), false).unwrap();
    }
    let refusal = jobs.enqueue(&ids[10], OWNER, at(1), false).unwrap_err();
    assert_eq!((&*refusal.code, refusal.message.as_str()), ("1029", "Too many jobs in queue"));
    assert!(jobs.enqueue(&ids[10], OWNER, at(20), false).is_ok());
}

#[test]
fn a_job_is_queued_once() {
    let mut jobs = jobs();
    let id = create(&mut jobs, 0);
    jobs.enqueue(&id, OWNER, at(0), false).unwrap();
    let refusal = jobs.enqueue(&id, OWNER, at(1), false).unwrap_err();
    assert_eq!((&*refusal.code, refusal.message.as_str()), ("1029", "Job already queued"));
}

#[test]
fn a_day_whose_bytes_are_used_up_takes_neither_new_jobs_nor_created_ones() {
    let mut jobs = Jobs::new(7, 1);
    let (first, second) = (create(&mut jobs, 0), create(&mut jobs, 0));
    jobs.enqueue(&first, OWNER, at(0), false).unwrap();
    settle(&mut jobs, 60);
    let refusal = jobs.enqueue(&second, OWNER, at(60), false).unwrap_err();
    assert_eq!((&*refusal.code, refusal.message.as_str()), ("1029", "Export daily quota exceeded"));
    assert_eq!(jobs.create(order(), OWNER, at(60)).unwrap_err().code, "1029");
    let after_midnight_central = 15 * 3_600;
    assert!(jobs.enqueue(&second, OWNER, at(after_midnight_central), false).is_ok());
}

#[test]
fn jobs_of_others_do_not_exist() {
    let mut jobs = jobs();
    let id = create(&mut jobs, 0);
    assert_eq!(jobs.find(&id, "other@api.example.com").unwrap_err().code, "1013");
    assert_eq!(jobs.list("other@api.example.com", at(0)).count(), 0);
    assert_eq!(jobs.list(OWNER, at(0)).count(), 1);
    assert_eq!(jobs.list(OWNER, at(8 * 86_400)).count(), 0, "older than seven days");
}

#[test]
fn a_file_is_kept_for_seven_days() {
    let mut jobs = jobs();
    let id = create(&mut jobs, 0);
    jobs.enqueue(&id, OWNER, at(0), false).unwrap();
    settle(&mut jobs, 60);
    assert!(jobs.find(&id, OWNER).unwrap().file(at(7 * 86_400)).is_some());
    assert!(jobs.find(&id, OWNER).unwrap().file(at(7 * 86_400 + 60)).is_none());
}

#[test]
fn the_clocks_speed_divides_every_duration() {
    let mut jobs = Jobs::new(1_000, 60);
    let id = create(&mut jobs, 0);
    jobs.enqueue(&id, OWNER, at(0), false).unwrap();
    assert_eq!(status(&mut jobs, &id, 1), Status::Completed);
}
