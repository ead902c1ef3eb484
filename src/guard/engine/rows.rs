//! Marketo's row for a record, and the log's line about a call.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::unit::{Submitted, Unit};

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
