//! Gives the records of a unit their outcome. One row of Marketo's may be for several records.

use std::sync::Arc;

use serde_json::Value;

use super::events::{Event, Observer};
use super::outcome::Outcome;
use super::rows::{is_skipped, status, written};
use super::unit::Unit;
use crate::marketo::Meaning;

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
