//! The fields that a program keeps of each of its members, beside the membership itself.
//!
//! For: a merge destroys them where both records were members, so that backups hold them and
//! `restore` can write them again. Reading them costs a call for each program and 300 members,
//! asked once which fields there are. Where Marketo does not show them, a backup is taken without
//! them, and a restore says so. Never: keeps a merge from being made.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::lead::LeadId;
use crate::marketo::{self, ReadMemberFields};

/// Under this name the row of a membership holds them; a row without it was read without them.
pub(super) const OWN: &str = "memberFields";

/// What the row of a membership tells by itself.
pub(super) const IN_THE_ROW: [&str; 2] = ["acquiredBy", "nurtureCadence"];

/// A membership's row, and whose it is.
pub(super) type RowOf<'r> = (LeadId, &'r mut Map<String, Value>);

/// The fields of members that this instance has: none where Marketo does not show them.
pub(super) async fn known(marketo: &impl ReadMemberFields) -> Result<Vec<String>, marketo::Error> {
    let fields = match marketo.member_fields().await {
        Ok(fields) => fields,
        Err(error) => {
            not_shown(error, "the fields of program members are not shown")?;
            Vec::new()
        }
    };
    let is_of_their_own = |name: &String| !IN_THE_ROW.contains(&name.as_str());
    Ok(fields.into_iter().filter(is_of_their_own).collect())
}

/// Adds to each of these memberships what its program keeps of the member.
pub(super) async fn add_to<'r>(
    marketo: &impl ReadMemberFields,
    fields: &[String],
    rows: impl IntoIterator<Item = RowOf<'r>>,
) -> Result<(), marketo::Error> {
    if fields.is_empty() {
        return Ok(());
    }
    let mut by_program: BTreeMap<u64, Vec<RowOf<'r>>> = BTreeMap::new();
    for (lead, row) in rows {
        if let Some(program) = program_of(row) {
            by_program.entry(program).or_default().push((lead, row));
        }
    }
    for (program, rows) in by_program {
        let leads: Vec<LeadId> = rows.iter().map(|(lead, _)| *lead).collect();
        let values = match marketo.member_values(program, &leads, fields).await {
            Ok(values) => values,
            Err(error) => {
                not_shown(error, "the fields of a program's members are not shown")?;
                continue;
            }
        };
        for (lead, row) in rows {
            let Some(values) = values.get(&lead) else { continue };
            let told = values.iter().filter(|(_, value)| says_something(value));
            let told: Map<String, Value> =
                told.map(|(name, value)| (name.clone(), value.clone())).collect();
            row.insert(OWN.to_owned(), Value::Object(told));
        }
    }
    Ok(())
}

/// Goes on without what Marketo refuses to show; anything else ends the reading.
fn not_shown(error: marketo::Error, what: &'static str) -> Result<(), marketo::Error> {
    if !matches!(error, marketo::Error::Refused { .. } | marketo::Error::Permission { .. }) {
        return Err(error);
    }
    let (code, request_id) = (error.code(), error.request_id());
    tracing::warn!(code, request_id, "{what}; backups are taken without them");
    Ok(())
}

/// Whether a value differs from that of a new member.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// The fields of a member that say something; and whether those of its program were read.
pub(crate) fn of_member(row: &Map<String, Value>) -> (Map<String, Value>, bool) {
    let own = row.get(OWN).and_then(Value::as_object);
    let in_the_row = IN_THE_ROW.into_iter().filter_map(|name| row.get_key_value(name));
    let fields = in_the_row
        .chain(own.into_iter().flatten())
        .filter(|(_, value)| says_something(value))
        .map(|(name, value)| (name.clone(), value.clone()));
    (fields.collect(), own.is_some())
}

/// The program that a membership is of.
pub(in crate::merge) fn program_of(row: &Map<String, Value>) -> Option<u64> {
    match row.get("id")? {
        Value::Number(id) => id.as_u64(),
        Value::String(id) => id.trim().parse().ok(),
        _ => None,
    }
}
