//! Bulk lead import over HTTP: a file of leads comes as a form's part, waits as a batch, and is
//! written some time later.
//!
//! Two batches run at once, ten wait, each takes some seconds. What is due is worked off before the
//! next call looks at anything. Rows that Marketo does not take are kept for the file of failures;
//! nothing here warns of a row.

mod multipart;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use self::multipart::Form;
use super::activities::log::{Call, What};
use super::answer::{Answer, Refused, refused};
use super::request::Request;
use super::server::{Shared, now};
use super::sync::{self, Order};

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
pub(super) struct Imports {
    batches: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    order: Order,
    call: Call,
    list: Option<u64>,
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
    delimiter: u8,
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

/// Import Leads.
pub(super) fn create(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let form = Form::parse(&request.content_type, &request.body)?;
    let asked = |name: &str| request.param(name).map(str::to_owned).or_else(|| form.text(name));
    let delimiter = match asked("format").as_deref() {
        Some("csv") => b',',
        Some("tsv") => b'\t',
        Some("ssv") => b';',
        _ => return Err(refused("1003", "format takes csv, tsv or ssv")),
    };
    let mut order = Map::new();
    for name in ["lookupField", "partitionName"] {
        order.extend(asked(name).map(|value| (name.to_owned(), json!(value))));
    }
    let order = sync::import_order(shared, order)?;
    let list = asked("listId").map(|id| super::lists::number(&id)).transpose()?;
    if let Some(id) = list.filter(|id| !shared.world().lists.contains_key(id)) {
        return Err(refused("1013", format!("Static List with id '{id}' not found")));
    }
    let unreadable = |_broken| refused("1003", "The file cannot be read");
    let file = form.part("file").ok_or_else(|| refused("1003", "File not specified"))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
    let header = reader.headers().map_err(unreadable)?.clone();
    let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let call = Call {
        method: "importLead",
        user: request.user.as_str().into(),
        request_id: request.call_id.as_str().into(),
    };
    let (now, takes) =
        (now(), RUNS_FOR / i32::try_from(shared.options.knobs.clock_speed()).unwrap_or(i32::MAX));
    let mut imports = shared.imports();
    if imports.batches.iter().filter(|batch| batch.finishes > now).count() >= QUEUE {
        return Err(refused(
            "1016",
            "There are 10 imports currently being processed. Please try again later",
        ));
    }
    let before =
        imports.batches.iter().rev().nth(RUNNING - 1).map_or(now, |batch| batch.finishes.max(now));
    // A second of Marketo's in the queue at least: no batch was seen to run at once.
    let starts = before + takes / 10;
    let id = FIRST + imports.batches.len();
    let (finishes, outcome) = (starts + takes, None);
    imports.batches.push(Batch {
        order,
        call,
        list,
        header,
        rows,
        delimiter,
        starts,
        finishes,
        outcome,
    });
    Ok(Answer::Rows(vec![json!({"batchId": id, "importId": id.to_string(), "status": "Queued"})]))
}

/// Get Import Lead Status.
pub(super) fn status(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    let imports = shared.imports();
    let batch = imports.find(id)?;
    let members = [("batchId", json!(number(id)?)), ("importId", json!(id))].into_iter();
    let row: Map<String, Value> =
        members.chain(batch.standing(now())).map(|(n, v)| (n.to_owned(), v)).collect();
    Ok(Answer::Rows(vec![Value::Object(row)]))
}

/// Get Import Lead Failures: the rows that were not taken, as they came, with the reason behind
/// each.
pub(super) fn failures(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    let imports = shared.imports();
    let batch = imports.find(id)?;
    let failed =
        batch.outcome.as_ref().map(|outcome| outcome.failed.as_slice()).unwrap_or_default();
    let mut writer = csv::WriterBuilder::new().delimiter(batch.delimiter).from_writer(Vec::new());
    let header = batch.header.iter().chain(["Import Failure Reason"]);
    let rows = failed.iter().map(|(row, reason)| row.iter().chain([reason.as_str()]));
    let unwritten = |_memory| refused("611", "System error");
    writer.write_record(header).map_err(unwritten)?;
    for row in rows {
        writer.write_record(row).map_err(unwritten)?;
    }
    let body = if failed.is_empty() { None } else { writer.into_inner().ok() };
    Ok(file(body))
}

/// Get Import Lead Warnings.
pub(super) fn warnings(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    shared.imports().find(id)?;
    Ok(file(None))
}

/// A file; where there is nothing to put into it there is none.
fn file(body: Option<Vec<u8>>) -> Answer {
    match body {
        Some(body) => Answer::Raw {
            status: 200,
            content_type: "text/csv;charset=UTF-8",
            headers: Vec::new(),
            body,
        },
        None => Answer::Raw {
            status: 404,
            content_type: "text/plain",
            headers: Vec::new(),
            body: b"Not Found".to_vec(),
        },
    }
}

/// Writes the batches that are due by now.
pub(super) fn work_off(shared: &Shared) {
    let now = now();
    let mut imports = shared.imports();
    for batch in
        imports.batches.iter_mut().filter(|batch| batch.outcome.is_none() && batch.finishes <= now)
    {
        batch.outcome = Some(batch.write(shared));
    }
}

impl Imports {
    fn find(&self, id: &str) -> Result<&Batch, Refused> {
        let place = number(id)?.checked_sub(FIRST);
        place
            .and_then(|place| self.batches.get(place))
            .ok_or_else(|| refused("1013", format!("Import batch with id '{id}' not found")))
    }
}

impl Batch {
    /// How far it is, as its status says it.
    fn standing(&self, now: DateTime<Utc>) -> Vec<(&'static str, Value)> {
        let Some(Outcome { written, failed }) = &self.outcome else {
            return vec![("status", json!(if now < self.starts { "Queued" } else { "Importing" }))];
        };
        let (failed, members) = (failed.len(), if self.list.is_some() { *written } else { 0 });
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

    fn write(&self, shared: &Shared) -> Outcome {
        let mut world = shared.world();
        let mut outcome = Outcome::default();
        for row in &self.rows {
            // An empty cell says nothing of its field.
            let cells = self.header.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
            let record: Map<String, Value> =
                cells.map(|(name, cell)| (name.to_owned(), json!(cell))).collect();
            let result =
                sync::import(shared, &mut world, &self.order, &self.call, &Value::Object(record));
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
                world.record(lead, now(), What::AddToList { list: id });
            }
        }
        outcome
    }
}

fn number(id: &str) -> Result<usize, Refused> {
    id.parse().map_err(|_no_number| refused("610", "Requested resource not found"))
}
