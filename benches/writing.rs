//! What the guarded write costs in calls: 30,000 records, every other one of somebody who is
//! already there.

use std::time::Duration;

use mkto_audit::dedupe::{FieldFacts, KeyKind};
use mkto_audit::guard::lease::{SharedLeases, Terms};
use mkto_audit::guard::{Ended, Guard, GuardSettings, Record, Status, Watch};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
        let settings = GuardSettings {
            instance: "bench".to_owned(),
            lookup_field: "email".to_owned(),
            lookup_kind: KeyKind::Email,
            facts: FieldFacts::default(),
            partition: None,
            dry_run: false,
            concurrency: 5,
            clock: client.clock(),
            stop: CancellationToken::new(),
        };
        let before = Instant::now();
        let guard =
            Guard::new(&client, SharedLeases::memory(Terms::default()), &Unwatched, settings);
        let report = guard.upsert((0..RECORDS).map(record).collect()).await.unwrap();
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
