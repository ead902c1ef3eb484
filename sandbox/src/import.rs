//! Bulk lead import over HTTP: a file of leads comes as a form's part, waits as a batch, and is
//! written some time later.
//!
//! Two batches run at once, ten wait, each takes some seconds. What is due is worked off before the
//! next call looks at anything. Rows that Marketo does not take are kept for the file of failures;
//! nothing here warns of a row.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refused, refused};
use super::clock::now;
use super::instance::Shared;
use super::request::{Request, number};
use super::sync::decide::import_order;
use super::world::log::Call;

pub(super) mod batches;
mod multipart;

use batches::Ordered;
use multipart::Form;

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
    let order = import_order(&shared.world(), order)?;
    let list = asked("listId").map(|id| number(&id)).transpose()?;
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
    let ordered = Ordered { order, call, list, header, rows, delimiter };
    let id = shared.imports().add(ordered, now(), shared.options.knobs.clock_speed())?;
    Ok(Answer::Rows(vec![json!({"batchId": id, "importId": id.to_string(), "status": "Queued"})]))
}

/// Get Import Lead Status.
pub(super) fn status(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    let imports = shared.imports();
    let members = [("batchId", json!(number(id)?)), ("importId", json!(id))].into_iter();
    let standing = imports.find(id)?.standing(now());
    let row: Map<String, Value> = members.chain(standing).map(|(n, v)| (n.to_owned(), v)).collect();
    Ok(Answer::Rows(vec![Value::Object(row)]))
}

/// Get Import Lead Failures: the rows that were not taken, as they came, with the reason behind
/// each.
pub(super) fn failures(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    let imports = shared.imports();
    let batch = imports.find(id)?;
    Ok(file(batch.failures().map_err(|_memory| refused("611", "System error"))?))
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
    let mut imports = shared.imports();
    imports.work_off(&shared.options.knobs, || shared.world(), now());
}
