//! What is to be done about one row of a custom object that went with a lost lead, by a look at it,
//! and how it is told. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::lead::LeadId;
use crate::ledger::RowThatLeft;
use crate::merge::restore::find::Loss;
use crate::merge::restore::report::Missing;
use crate::merge::rows::lead_of;
use crate::terminal::counted_of;

/// By how much this machine's clock and Marketo's may differ: a row that was changed so soon after
/// its last call was changed by that call.
const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// So many rows are named one by one where the same is said of them.
const NAMED: usize = 5;

/// A row as a look shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub(super) lead: Option<LeadId>,
    pub(super) changed_at: Option<DateTime<Utc>>,
    /// What its object's key has beside the link.
    pub(super) key: Vec<String>,
}

/// What is to be done about a row.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    Back(LeadId),
    There,
    Stays(String),
}

pub(super) fn found_of(row: &Map<String, Value>, link: &str, key: &[String]) -> Found {
    let text = |name: &String| match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.trim().to_lowercase(),
        Some(other) => other.to_string(),
    };
    let changed_at = row.get("updatedAt").and_then(Value::as_str);
    Found {
        lead: row.get(link).and_then(lead_of),
        changed_at: changed_at.and_then(|at| at.parse().ok()),
        key: key.iter().map(text).collect(),
    }
}

/// What is to be done about a row. `taken` are the keys of the new lead's own rows. Pure.
pub(super) fn judge(
    left: &RowThatLeft,
    found: Option<&Found>,
    loss: &Loss,
    new: Option<LeadId>,
    taken: &BTreeSet<Vec<String>>,
) -> Judged {
    let stays = |why: String| Judged::Stays(why);
    let Some(found) = found else {
        return stays("it is not there any more".to_owned());
    };
    let Some(lead) = found.lead else {
        return stays("it is linked to no record by now, and not by this program".to_owned());
    };
    if new == Some(lead) {
        return Judged::There;
    }
    // Who wrote it for the lost record knows nothing of the merge: it is the lost record's.
    let is_lost_ones = lead == loss.merged.loser;
    if !is_lost_ones && ![left.to, loss.merged.winner, loss.survivor].contains(&lead) {
        return stays(format!("somebody has linked it to record {lead} since, where it stays"));
    }
    let changed = found.changed_at.filter(|at| *at > left.touched_at + CLOCKS);
    if let Some(at) = changed.filter(|_| !is_lost_ones) {
        return stays(format!(
            "somebody has changed it since the merge ({}), so that it stays on record {lead}",
            crate::terminal::moment(at)
        ));
    }
    if taken.contains(&found.key) {
        let why = "the new record has a row with the same key, and Marketo would refuse it or put it in the other one's place";
        return stays(why.to_owned());
    }
    Judged::Back(lead)
}

/// What stays, by the reason: a few rows are named.
pub(super) fn told(object: &str, rows: &[(&Vec<RowThatLeft>, String)]) -> Vec<Missing> {
    let one = |(rows, why): &(&Vec<RowThatLeft>, String)| {
        let mut named: Vec<&str> = rows.iter().take(NAMED).map(|row| row.guid.as_str()).collect();
        if rows.len() > NAMED {
            named.push("…");
        }
        let count = counted_of(rows.len(), "row");
        Missing::new(format!("{count} of `{object}` ({})", named.join(", ")), why.as_str())
    };
    rows.iter().map(one).collect()
}
