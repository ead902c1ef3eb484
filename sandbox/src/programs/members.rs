//! Members of a program: their fields are written, and they are taken out.

use serde_json::{Map, Value, json};

use super::not_found;
use crate::answer::{Answer, Refused, skipped};
use crate::clock::now;
use crate::instance::Shared;
use crate::request::{Request, number};
use crate::world::log::What;

/// The fields of a member that callers may write.
const UPDATEABLE: [&str; 5] =
    ["acquiredBy", "nurtureCadence", "registrationCode", "statusReason", "webinarUrl"];

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
            "dataType": if name == "acquiredBy" { "boolean" } else { "string" },
            "updateable": UPDATEABLE.contains(&name),
            "crmManaged": false,
        })
    };
    let fixed =
        ["leadId", "programId", "statusName", "reachedSuccess", "membershipDate", "isExhausted"];
    let fields: Vec<Value> = fixed.into_iter().chain(UPDATEABLE).map(field).collect();
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
