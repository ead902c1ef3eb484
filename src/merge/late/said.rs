//! What the log of changes says of opt-outs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::lead::LeadId;
use crate::marketo::LeadChange;

/// By every lead of a group that was merged: the one that is to survive, and the group's key.
pub(super) type Groups = BTreeMap<LeadId, (LeadId, String)>;

/// When a field changed last, and whether it says no since.
type Last = (Option<DateTime<Utc>>, bool);

/// Which survivors, or leads that may be ones, said no last, by the log: the last change of each
/// field counts.
pub(super) fn said_no(
    changes: &[LeadChange],
    groups: &Groups,
) -> BTreeMap<LeadId, BTreeSet<String>> {
    let mut last: BTreeMap<(LeadId, &str), Last> = BTreeMap::new();
    for change in changes.iter().filter(|change| groups.contains_key(&change.lead)) {
        let says_no = is_true(&change.new);
        let entry =
            last.entry((change.lead, change.field.as_str())).or_insert((change.at, says_no));
        // Of two in one second the no counts.
        if change.at > entry.0 || (change.at == entry.0 && says_no) {
            *entry = (change.at, says_no);
        }
    }
    let mut said: BTreeMap<LeadId, BTreeSet<String>> = BTreeMap::new();
    for ((lead, field), _) in last.iter().filter(|(_, (_, says_no))| *says_no) {
        said.entry(*lead).or_default().insert((*field).to_owned());
    }
    said
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => {
            let text = text.trim();
            text.eq_ignore_ascii_case("true") || text == "1"
        }
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
