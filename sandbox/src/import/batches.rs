//! The batches of bulk lead import: which wait, which run, and what became of their rows.

use std::ops::DerefMut;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use crate::answer::{Refused, refused};
use crate::options::Knobs;
use crate::request::number;
use crate::sync::commit::commit;
use crate::sync::decide::{Order, decide};
use crate::world::World;
use crate::world::log::{Call, What};

/// How many batches run at once.
const RUNNING: usize = 2;
/// How many batches may wait, those running included.
const QUEUE: usize = 10;
/// How long a batch runs, in Marketo's time.
const RUNS_FOR: Duration = Duration::seconds(10);
/// The id of the first batch.
const FIRST: usize = 1_001;

/// All batches of an instance, by the time at which they came.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    batches: Vec<Batch>,
}

/// What a call asked for.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) order: Order,
    pub(crate) call: Call,
    pub(crate) list: Option<u64>,
    pub(crate) header: csv::StringRecord,
    pub(crate) rows: Vec<csv::StringRecord>,
    pub(crate) delimiter: u8,
}

/// One file of leads.
#[derive(Debug)]
pub(crate) struct Batch {
    ordered: Ordered,
    starts: DateTime<Utc>,
    finishes: DateTime<Utc>,
    /// Once it was worked off.
    outcome: Option<Outcome>,
}

/// What became of a batch: rows that were written, and those that were not, with the reason.
#[derive(Debug, Default)]
struct Outcome {
    written: usize,
    failed: Vec<(csv::StringRecord, String)>,
}

impl Imports {
    /// Takes a batch into the queue, and gives its id.
    pub(crate) fn add(
        &mut self,
        ordered: Ordered,
        now: DateTime<Utc>,
        clock_speed: u32,
    ) -> Result<usize, Refused> {
        let takes = RUNS_FOR / i32::try_from(clock_speed).unwrap_or(i32::MAX);
        if self.batches.iter().filter(|batch| batch.finishes > now).count() >= QUEUE {
            return Err(refused(
                "1016",
                "There are 10 imports currently being processed. Please try again later",
            ));
        }
        let before =
            self.batches.iter().rev().nth(RUNNING - 1).map_or(now, |batch| batch.finishes.max(now));
        // A second of Marketo's in the queue at least: no batch was seen to run at once.
        let starts = before + takes / 10;
        let id = FIRST + self.batches.len();
        self.batches.push(Batch { ordered, starts, finishes: starts + takes, outcome: None });
        Ok(id)
    }

    /// Writes the batches that are due by now.
    pub(crate) fn work_off<W: DerefMut<Target = World>>(
        &mut self,
        knobs: &Knobs,
        world: impl Fn() -> W,
        now: DateTime<Utc>,
    ) {
        let is_due = |batch: &&mut Batch| batch.outcome.is_none() && batch.finishes <= now;
        for batch in self.batches.iter_mut().filter(is_due) {
            batch.outcome = Some(batch.ordered.write(knobs, &mut world(), now));
        }
    }

    pub(crate) fn find(&self, id: &str) -> Result<&Batch, Refused> {
        let place = usize::try_from(number(id)?).ok().and_then(|id| id.checked_sub(FIRST));
        place
            .and_then(|place| self.batches.get(place))
            .ok_or_else(|| refused("1013", format!("Import batch with id '{id}' not found")))
    }
}

impl Batch {
    /// How far it is, as its status says it.
    pub(crate) fn standing(&self, now: DateTime<Utc>) -> Vec<(&'static str, Value)> {
        let Some(Outcome { written, failed }) = &self.outcome else {
            return vec![("status", json!(if now < self.starts { "Queued" } else { "Importing" }))];
        };
        let (failed, members) =
            (failed.len(), if self.ordered.list.is_some() { *written } else { 0 });
        let imported = format!("{written} records imported ({members} members)");
        let message = match failed {
            0 => format!("Import succeeded, {imported}"),
            _ => format!("Import completed with errors, {imported}, {failed} failed"),
        };
        vec![
            ("status", json!("Complete")),
            ("numOfLeadsProcessed", json!(written)),
            ("numOfRowsFailed", json!(failed)),
            ("numOfRowsWithWarning", json!(0)),
            ("message", json!(message)),
        ]
    }

    /// The rows that were not taken, as they came, with the reason behind each; none if there are
    /// none.
    pub(crate) fn failures(&self) -> csv::Result<Option<Vec<u8>>> {
        let Some(Outcome { failed, .. }) =
            self.outcome.as_ref().filter(|outcome| !outcome.failed.is_empty())
        else {
            return Ok(None);
        };
        let Ordered { header, delimiter, .. } = &self.ordered;
        let mut writer = csv::WriterBuilder::new().delimiter(*delimiter).from_writer(Vec::new());
        writer.write_record(header.iter().chain(["Import Failure Reason"]))?;
        for (row, reason) in failed {
            writer.write_record(row.iter().chain([reason.as_str()]))?;
        }
        Ok(writer.into_inner().ok())
    }
}

impl Ordered {
    fn write(&self, knobs: &Knobs, world: &mut World, now: DateTime<Utc>) -> Outcome {
        let mut outcome = Outcome::default();
        for row in &self.rows {
            // An empty cell says nothing of its field.
            let cells = self.header.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
            let record: Map<String, Value> =
                cells.map(|(name, cell)| (name.to_owned(), json!(cell))).collect();
            let decision = decide(knobs, world, &self.order, &Value::Object(record));
            let result = commit(world, knobs, &self.order, &self.call, decision);
            let Some(lead) = result.get("id").and_then(Value::as_u64) else {
                let reason = result
                    .pointer("/reasons/0/message")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                outcome.failed.push((row.clone(), reason.to_owned()));
                continue;
            };
            outcome.written += 1;
            let Some(id) = self.list else { continue };
            if world.lists.get_mut(&id).is_some_and(|list| list.members.insert(lead)) {
                world.record(lead, now, What::AddToList { list: id });
            }
        }
        outcome
    }
}
