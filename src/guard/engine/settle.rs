//! The outcome of each record of a unit, by Marketo's row, and the log's line about a call. One row
//! may be for several records.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::events::{Event, Observer};
use super::outcome::Outcome;
use super::unit::{Submitted, Unit};
use crate::marketo::Meaning;

/// A row for a record that was written.
pub(crate) fn written(id: u64, status: &str) -> Value {
    json!({"id": id, "status": status})
}

pub(crate) fn status(row: &Value) -> &str {
    row.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a row says that nothing was written.
pub(super) fn is_skipped(row: &Value) -> bool {
    status(row) == "skipped"
}

/// One line for a call, and on demand one for each record, by the hash of its key.
pub(super) fn log<O>(request: &Submitted<O>, request_id: &str, units: &[Unit<O>], rows: &[Value]) {
    let with = |wanted: &str| rows.iter().filter(|row| status(row) == wanted).count();
    let writers: BTreeSet<*const Submitted<O>> =
        units.iter().flat_map(Unit::items).map(|item| Arc::as_ptr(&item.request)).collect();
    tracing::info!(
        user = %request.user,
        call = request.envelope.endpoint.name(),
        request_id,
        callers = writers.len(),
        created = with("created"),
        updated = with("updated"),
        skipped = with("skipped"),
        "written"
    );
    for (unit, row) in units.iter().zip(rows) {
        if let Some(key) = unit.lease_keys().next() {
            tracing::debug!(%key, status = status(row), records = unit.len(), "a key was written");
        }
    }
}

/// Tells each record's writer, and the observer.
pub(super) fn settle<O>(unit: &Unit<O>, outcome: &Outcome, observer: &dyn Observer) {
    let records = unit.len();
    let has_several_leads = match outcome {
        Outcome::Row { row, .. } => {
            observer.event(&Event::Written { status: status(row), records });
            Meaning::of_row(row) == Some(Meaning::SeveralMatch)
        }
        Outcome::Several { .. } => {
            observer.event(&Event::Written { status: "skipped", records });
            true
        }
        Outcome::Refused(_) => {
            observer.event(&Event::Refused(records));
            false
        }
        Outcome::Open => {
            observer.event(&Event::Open(records));
            false
        }
        _ => false,
    };
    for key in unit.lease_keys().filter(|_| has_several_leads) {
        observer.event(&Event::SeveralLeads { user: &unit.first.request.user, key });
    }
    for (position, item) in unit.items().enumerate() {
        item.request.reply.settle(item.place, of_record(outcome, position, records));
    }
}

/// The outcome of one of a unit's records: the first created the lead, and the others updated it.
fn of_record(outcome: &Outcome, position: usize, records: usize) -> Outcome {
    match outcome {
        Outcome::Row { row, request_id, warnings, .. } if !is_skipped(row) => Outcome::Row {
            row: match row.get("id").and_then(Value::as_u64) {
                Some(id) if position > 0 => written(id, "updated"),
                _ => row.clone(),
            },
            request_id: Arc::clone(request_id),
            warnings: Arc::clone(warnings),
            coalesced: position + 1 < records,
        },
        other => other.clone(),
    }
}
