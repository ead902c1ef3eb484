//! Puts backed-up groups into a sandbox: records, lists, programs.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::Sandbox;
use serde_json::{Map, Value, json};

use super::KeptGroup;
use crate::dedupe::differs_by_nature;
use crate::lead::LeadId;
use crate::marketo::Schema;
use crate::merge::member_fields::of_member;

/// What a sandbox was loaded with.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The key of each group, and its records in the sandbox.
    pub(super) groups: Vec<(String, Vec<LeadId>)>,
}

/// A program's steps from the backups, and who is at which.
#[derive(Default)]
struct Steps {
    name: String,
    statuses: Vec<String>,
    /// Statuses with which somebody had reached success: the last steps.
    successes: Vec<String>,
    members: Vec<(u64, String)>,
    fields: Vec<(u64, Map<String, Value>)>,
}

/// `member_fields`: the fields of program members that the sandbox has.
pub(super) fn load(sandbox: &Sandbox, groups: &[KeptGroup], member_fields: &[String]) -> Loaded {
    let mut lists: BTreeMap<u64, (String, Vec<u64>)> = BTreeMap::new();
    let mut programs: BTreeMap<u64, Steps> = BTreeMap::new();
    let mut loaded = Vec::new();
    for group in groups {
        let mut ids = Vec::new();
        for backup in &group.leads {
            let fields: Map<String, Value> = backup.lead.fields.clone().into_iter().collect();
            let id = sandbox.put_lead(&Value::Object(fields));
            ids.push(id);
            for row in backup.lists.iter().flatten() {
                let Some(list) = row.get("id").and_then(Value::as_u64) else { continue };
                let entry = lists.entry(list).or_default();
                entry.0 = text(row, "name");
                entry.1.push(id);
            }
            for row in backup.programs.iter().flatten() {
                let Some(program) = row.get("id").and_then(Value::as_u64) else { continue };
                let steps = programs.entry(program).or_default();
                steps.name = text(row, "name");
                let status = text(row, "progressionStatus");
                let success = row.get("reachedSuccess") == Some(&json!(true));
                let known = if success { &mut steps.successes } else { &mut steps.statuses };
                if !known.contains(&status) {
                    known.push(status.clone());
                }
                steps.members.push((id, status));
                let (mut fields, _) = of_member(row);
                fields.retain(|name, _| member_fields.contains(name));
                steps.fields.push((id, fields));
            }
        }
        loaded.push((group.key.clone(), ids));
    }
    for (id, (name, members)) in &lists {
        sandbox.put_list(*id, name, members);
    }
    for (id, steps) in &programs {
        let mut statuses: Vec<&str> = steps
            .statuses
            .iter()
            .filter(|status| !steps.successes.contains(status))
            .map(String::as_str)
            .collect();
        statuses.extend(steps.successes.iter().map(String::as_str));
        let members: Vec<(u64, &str)> =
            steps.members.iter().map(|(lead, status)| (*lead, status.as_str())).collect();
        sandbox.put_program(*id, &steps.name, &statuses, &members);
        for (lead, fields) in &steps.fields {
            sandbox.put_member_fields(*id, *lead, fields);
        }
    }
    Loaded { groups: loaded }
}

/// The fields with values that the sandbox does not have.
pub(super) fn unknown_fields(
    groups: &[KeptGroup],
    schema: &Schema,
    member_fields: &[String],
) -> BTreeSet<String> {
    let rows = groups.iter().flat_map(|group| &group.leads);
    let rows = rows.flat_map(|backup| backup.programs.iter().flatten());
    let of_members = rows.flat_map(|row| of_member(row).0.into_iter().map(|(name, _)| name));
    let of_members = of_members.filter(|name| !member_fields.contains(name));
    let names =
        groups.iter().flat_map(|group| &group.leads).flat_map(|backup| backup.lead.fields.keys());
    names
        .filter(|name| !schema.fields.contains_key(*name) && !differs_by_nature(name))
        .cloned()
        .chain(of_members)
        .collect()
}

fn text(row: &Map<String, Value>, name: &str) -> String {
    row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
