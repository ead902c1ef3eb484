//! What the guarded write costs in calls: 30,000 records, every other one of somebody who is
//! already there.

use std::sync::Arc;
use std::time::Duration;

use mkto_audit::guard::{Ended, FileSettings, Record, Status, Watch, write_file};
use mkto_audit::leases::{SharedLeases, Terms};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::goal::Goal;
use crate::instance::{self, Rate};

const RECORDS: u32 = 30_000;

/// What one call can carry.
const BATCH: u32 = 300;

/// Looking up counts as well as writing.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let calls = runtime.block_on(async {
        let (sandbox, client) = instance::start(instance::quick(), Rate::UNLIMITED).await;
        for number in (0..RECORDS).step_by(2) {
            sandbox.put_lead(&json!({"email": email(number), "company": "Before"}));
        }
        let before = Instant::now();
        let report = write_file(
            &client,
            SharedLeases::memory(Terms::default()),
            Arc::new(Unwatched),
            FileSettings::new("bench"),
            (0..RECORDS).map(record).collect(),
        )
        .await;
        println!("writing, {RECORDS} records: {:.1} s", before.elapsed().as_secs_f64());
        assert!(matches!(report.ended, Ended::Complete), "{:?}", report.ended);
        let half = RECORDS as usize / 2;
        assert_eq!((report.count(Status::Created), report.count(Status::Updated)), (half, half));
        assert_eq!(sandbox.leads_living(), RECORDS as usize, "no duplicate arose");
        sandbox.calls_made()
    });
    let calls = f64::from(u32::try_from(calls).unwrap()) / f64::from(RECORDS / BATCH);
    vec![Goal::at_most(3.0, "calls for 300 records", format!("writing, {RECORDS} records"), calls)]
}

fn email(number: u32) -> String {
    format!("person.{number}@example.com")
}

fn record(number: u32) -> Record {
    let Value::Object(fields) =
        json!({"email": email(number), "company": "After", "lastName": format!("Nr {number}")})
    else {
        unreachable!("an object was written down")
    };
    Record { line: u64::from(number) + 2, fields }
}

struct Unwatched;

impl Watch for Unwatched {
    fn lines_done(&self, _done: u64) {}
    fn waiting(&self, _span: Duration) {}
    fn held_up(&self) {}
}
