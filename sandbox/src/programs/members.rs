//! Members of a program: their fields are read and written, and they are taken out.

use serde_json::{Map, Value, json};

use super::not_found;
use crate::answer::{Answer, Refused, refused, skipped};
use crate::clock::now;
use crate::instance::Shared;
use crate::request::{Request, number, page_token};
use crate::world::Membership;
use crate::world::log::What;
use crate::world::record::shown_time;

/// The fields of a member that callers may write: Marketo's own, and two that this instance added.
const UPDATEABLE: [&str; 7] = [
    "acquiredBy",
    "nurtureCadence",
    "registrationCode",
    "statusReason",
    "webinarUrl",
    "mealChoice",
    "seats",
];

/// What Marketo alone writes of a member.
const FIXED: [&str; 6] =
    ["leadId", "programId", "statusName", "reachedSuccess", "membershipDate", "isExhausted"];

/// What a call gets that names no fields.
const DEFAULT: [&str; 5] =
    ["leadId", "programId", "reachedSuccess", "acquiredBy", "membershipDate"];

/// Get Program Members, by lead: members of a program with the fields that are asked for.
pub(crate) fn get(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let world = shared.world();
    let program = world.programs.get(&id).ok_or_else(|| not_found(id))?;
    match request.param("filterType") {
        Some("leadId") => {}
        Some(other) => return Err(refused("1003", format!("Invalid filterType '{other}'"))),
        None => return Err(refused("1003", "filterType not specified")),
    }
    let asked = request.param_list("filterValues");
    if asked.is_empty() || asked.len() > crate::request::BATCH {
        return Err(refused("1003", "filterValues must name 1 to 300 values"));
    }
    let mut fields = request.param_list("fields");
    if fields.is_empty() {
        fields = DEFAULT.map(str::to_owned).into();
    }
    let is_known = |name: &String| [&FIXED[..], &UPDATEABLE].concat().contains(&name.as_str());
    if let Some(unknown) = fields.iter().find(|name| !is_known(name)) {
        return Err(refused("1006", format!("Field '{unknown}' not found")));
    }
    let (after, size) = (request.after()?, request.batch_size()?);
    let leads: std::collections::BTreeSet<u64> =
        asked.iter().filter_map(|id| id.parse().ok()).filter(|lead| *lead > after).collect();
    let found: Vec<(u64, &Membership)> =
        leads.iter().filter_map(|lead| Some((*lead, program.members.get(lead)?))).collect();
    let last = found.get(size.saturating_sub(1)).filter(|_| found.len() > size);
    Ok(Answer::Page {
        next: last.map(|(lead, _)| page_token(*lead)),
        more: last.map(|_| true),
        rows: found
            .iter()
            .take(size)
            .zip(0_u64..)
            .map(|((lead, member), seq)| row_of(id, *lead, member, &fields, seq))
            .collect(),
    })
}

fn row_of(program: u64, lead: u64, member: &Membership, fields: &[String], seq: u64) -> Value {
    let value = |name: &str| match name {
        "leadId" => json!(lead),
        "programId" => json!(program),
        "statusName" => json!(member.status),
        "reachedSuccess" => json!(member.reached_success),
        "membershipDate" => json!(shown_time(member.since)),
        "isExhausted" => json!(false),
        "acquiredBy" => member.data.get(name).cloned().unwrap_or(json!(false)),
        name => member.data.get(name).cloned().unwrap_or_default(),
    };
    // The lead is named whatever was asked for.
    let named = std::iter::once("leadId").chain(fields.iter().map(String::as_str));
    let mut row: Map<String, Value> = named.map(|name| (name.to_owned(), value(name))).collect();
    row.insert("seq".to_owned(), json!(seq));
    Value::Object(row)
}

/// Sync Program Member Data: fields of leads that are members.
pub(crate) fn set_fields(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let body = request.json()?;
    let input = Request::input(&body, "Lead ids not specified")?;
    let mut world = shared.world();
    let program = world.programs.get_mut(&id).ok_or_else(|| not_found(id))?;
    let mut rows = Vec::new();
    for (row, seq) in input.iter().zip(0_u64..) {
        let lead = lead_of(row);
        let fields: Map<String, Value> = row
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "leadId")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let unknown = fields.keys().find(|name| !UPDATEABLE.contains(&name.as_str()));
        let answer = match (program.members.get_mut(&lead), unknown) {
            (_, Some(unknown)) => skip(lead, seq, "1006", &format!("Field '{unknown}' not found")),
            (None, None) => skip(lead, seq, "1013", "Membership not found"),
            (Some(member), None) => {
                member.data.extend(fields);
                json!({"seq": seq, "leadId": lead, "status": "updated"})
            }
        };
        rows.push(answer);
    }
    Ok(Answer::Rows(rows))
}

/// Delete Program Members.
pub(crate) fn delete(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let body = request.json()?;
    let input = Request::input(&body, "Lead ids not specified")?;
    let mut world = shared.world();
    if !world.programs.contains_key(&id) {
        return Err(not_found(id));
    }
    let mut rows = Vec::new();
    for (row, seq) in input.iter().zip(0_u64..) {
        let lead = lead_of(row);
        let was_member =
            world.programs.get_mut(&id).and_then(|program| program.members.remove(&lead)).is_some();
        if was_member {
            world.record(
                lead,
                now(),
                What::ChangeStatus { program: id, new: "Not in Program".into() },
            );
            rows.push(json!({"seq": seq, "leadId": lead, "status": "deleted"}));
        } else {
            rows.push(skip(lead, seq, "1037", "Lead not in program"));
        }
    }
    Ok(Answer::Rows(rows))
}

fn lead_of(row: &Value) -> u64 {
    row.get("leadId").and_then(Value::as_u64).unwrap_or_default()
}

fn skip(lead: u64, seq: u64, code: &str, message: &str) -> Value {
    let mut row = skipped(code, message);
    if let Some(members) = row.as_object_mut() {
        members.insert("leadId".to_owned(), json!(lead));
        members.insert("seq".to_owned(), json!(seq));
    }
    row
}

/// Describe Program Member, with what this instance has of it.
pub(crate) fn describe() -> Answer {
    let field = |name: &str| {
        json!({
            "name": name,
            "displayName": name,
            "dataType": match name {
                "acquiredBy" | "reachedSuccess" | "isExhausted" => "boolean",
                "seats" | "leadId" | "programId" => "integer",
                "membershipDate" => "datetime",
                _ => "string",
            },
            "updateable": UPDATEABLE.contains(&name),
            "crmManaged": false,
        })
    };
    let fields: Vec<Value> = FIXED.into_iter().chain(UPDATEABLE).map(field).collect();
    Answer::Rows(vec![json!({
        "name": "API Program Member",
        "description": "API Program Member Map",
        "createdAt": "2021-02-01T00:00:00Z",
        "updatedAt": "2021-02-01T00:00:00Z",
        "dedupeFields": ["leadId", "programId"],
        "searchableFields": [["leadId"], ["reachedSuccess"], ["statusName"]],
        "fields": fields,
    })])
}
