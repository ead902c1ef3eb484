//! Programs: which there are, who is in them and how far; and the top folders, whose oldest tells
//! the instance's age.

use serde_json::{Value, json};

use super::answer::{Answer, Refused, refused, skipped};
use super::clock::now;
use super::instance::Shared;
use super::leads::{fields, page, shown};
use super::request::{Request, number, page_token};
use super::world::Membership;
use super::world::log::What;
use super::world::record::Record;
use super::world::record::shown_time;

pub(super) mod members;

/// The programs, by offset, 20 at once unless more are asked for.
pub(super) fn browse(shared: &Shared, request: &Request) -> Answer {
    let from = |name: &str, default: usize| {
        request.param(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (offset, size) = (from("offset", 0), from("maxReturn", 20).min(200));
    let world = shared.world();
    let rows: Vec<Value> = world
        .programs
        .iter()
        .skip(offset)
        .take(size)
        .map(|(id, program)| {
            json!({
                "id": id,
                "name": program.name,
                "type": "Default",
                "channel": "Online Advertising",
                "createdAt": "2021-01-01T00:00:00Z+0000",
                "updatedAt": "2021-01-01T00:00:00Z+0000",
                "workspace": "Default",
            })
        })
        .collect();
    let warnings = if rows.is_empty() {
        vec!["No assets found for the given search criteria."]
    } else {
        Vec::new()
    };
    Answer::Asset { rows, warnings }
}

/// The top folders. No lead is older than the oldest of them.
pub(super) fn folders(shared: &Shared) -> Answer {
    let oldest = shared.world().leads().map(|record| record.created_at).min().unwrap_or_else(now);
    let folder = |id: u64, name: &str| {
        json!({
            "id": id,
            "name": name,
            "createdAt": (oldest - chrono::Duration::days(1)).format("%Y-%m-%dT%H:%M:%SZ+0000").to_string(),
            "folderType": "Zone",
            "isSystem": true,
        })
    };
    Answer::Asset {
        rows: vec![folder(1, "Design Studio"), folder(2, "Marketing Activities")],
        warnings: Vec::new(),
    }
}

/// A program's members, by id, each with its membership.
pub(super) fn members(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let world = shared.world();
    let program = world.programs.get(&id).ok_or_else(|| not_found(id))?;
    let (after, fields) = (request.after()?, fields(request)?);
    let records: Vec<&Record> = program
        .members
        .keys()
        .filter(|lead| **lead > after)
        .filter_map(|lead| world.lead(*lead))
        .collect();
    Ok(page(&records, request.batch_size()?, |record| {
        let mut row = shown(record, &fields);
        if let (Some(members), Some(membership)) =
            (row.as_object_mut(), program.members.get(&record.id))
        {
            members.insert("membership".to_owned(), described(record.id, membership));
        }
        row
    }))
}

/// The programs that a lead is in.
pub(super) fn of_lead(shared: &Shared, request: &Request, lead: &str) -> Result<Answer, Refused> {
    let lead = number(lead)?;
    let world = shared.world();
    if world.lead(lead).is_none() {
        return Err(refused("1004", format!("Lead [{lead}] not found")));
    }
    let (after, size) = (request.after()?, request.batch_size()?);
    let is_in: Vec<(u64, Value)> = world
        .programs
        .iter()
        .filter(|(id, _)| **id > after)
        .filter_map(|(id, program)| {
            let mut row = described(*id, program.members.get(&lead)?);
            row.as_object_mut()?.insert("name".to_owned(), json!(program.name));
            Some((*id, row))
        })
        .collect();
    let next = is_in
        .get(size.saturating_sub(1))
        .filter(|_| is_in.len() > size)
        .map(|(id, _)| page_token(*id));
    Ok(Answer::Page {
        rows: is_in.into_iter().take(size).map(|(_, row)| row).collect(),
        next,
        more: None,
    })
}

/// Change Program Member Status: forward only.
pub(super) fn set_status(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let body = request.json()?;
    let status = body
        .get("statusName")
        .or_else(|| body.get("status"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let input = Request::input(&body, "Lead ids not specified")?;
    let mut world = shared.world();
    let program = world.programs.get(&id).ok_or_else(|| not_found(id))?;
    let steps = program.statuses.clone();
    let Some(step) = steps.iter().position(|known| known == status) else {
        return Err(refused("1025", format!("Program status '{status}' not found")));
    };
    let mut rows = Vec::new();
    for (row, seq) in input.iter().zip(0_u64..) {
        let lead =
            row.get("leadId").or_else(|| row.get("id")).and_then(Value::as_u64).unwrap_or_default();
        let skip = |code: &str, message: &str| {
            let mut row = skipped(code, message);
            if let Some(members) = row.as_object_mut() {
                members.insert("leadId".to_owned(), json!(lead));
                members.insert("seq".to_owned(), json!(seq));
            }
            row
        };
        if world.lead(lead).is_none() {
            rows.push(skip("1004", "Lead not found"));
            continue;
        }
        let Some(program) = world.programs.get_mut(&id) else { return Err(not_found(id)) };
        let held = program.members.get(&lead).cloned();
        let held_step =
            held.as_ref().and_then(|held| steps.iter().position(|known| *known == held.status));
        if held_step.is_some_and(|held| held >= step) {
            rows.push(skip("1037", "Lead is already in or past the status"));
            continue;
        }
        // Success once reached and the day of joining stay.
        let reached_success =
            step + 1 == steps.len() || held.as_ref().is_some_and(|held| held.reached_success);
        let member = program
            .members
            .entry(lead)
            .or_insert_with(|| Membership::new(String::new(), now(), false));
        status.clone_into(&mut member.status);
        member.reached_success = reached_success;
        member.changed = now();
        world.record(lead, now(), What::ChangeStatus { program: id, new: status.into() });
        rows.push(json!({"seq": seq, "leadId": lead, "status": "updated"}));
    }
    Ok(Answer::Rows(rows))
}

fn described(id: u64, membership: &Membership) -> Value {
    let mut row = json!({
        "id": id,
        "progressionStatus": membership.status,
        "membershipDate": shown_time(membership.since),
        "reachedSuccess": membership.reached_success,
        "acquiredBy": false,
        "isExhausted": false,
    });
    // What else a caller wrote is not in this answer.
    for shown in ["acquiredBy", "nurtureCadence"] {
        if let (Some(value), Some(members)) = (membership.data.get(shown), row.as_object_mut()) {
            members.insert(shown.to_owned(), value.clone());
        }
    }
    row
}

fn not_found(id: u64) -> Refused {
    refused("1013", format!("Program with id '{id}' not found"))
}
