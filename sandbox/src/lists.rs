//! Static lists: which there are, who is on them, who goes on and off.

use serde_json::{Value, json};

use super::answer::{Answer, Refused, refused, skipped_id};
use super::clock::now;
use super::instance::Shared;
use super::leads::{fields, page, shown};
use super::request::{Request, number, page_token};
use super::world::StaticList;
use super::world::log::What;
use super::world::record::Record;

/// The lists, by id; those with these ids or names, if asked.
pub(super) fn browse(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let world = shared.world();
    let after = request.after()?;
    let (ids, names) = (request.param_list("id"), request.param_list("name"));
    let wanted = |(id, list): &(&u64, &StaticList)| {
        **id > after
            && (ids.is_empty() || ids.contains(&id.to_string()))
            && (names.is_empty() || names.contains(&list.name))
    };
    Ok(pages(world.lists.iter().filter(wanted), request.batch_size()?))
}

/// One list.
pub(super) fn one(shared: &Shared, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let world = shared.world();
    let list = world.lists.get(&id).ok_or_else(|| not_found(id))?;
    Ok(Answer::Rows(vec![described(id, list)]))
}

/// The leads on a list, by id.
pub(super) fn members(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let world = shared.world();
    let list = world.lists.get(&id).ok_or_else(|| not_found(id))?;
    let (after, fields) = (request.after()?, fields(request)?);
    let records: Vec<&Record> = list
        .members
        .iter()
        .filter(|lead| **lead > after)
        .filter_map(|lead| world.lead(*lead))
        .collect();
    Ok(page(&records, request.batch_size()?, |record| shown(record, &fields)))
}

/// The lists that a lead is on.
pub(super) fn of_lead(shared: &Shared, request: &Request, lead: &str) -> Result<Answer, Refused> {
    let lead = number(lead)?;
    let world = shared.world();
    if world.lead(lead).is_none() {
        return Err(refused("1004", format!("Lead [{lead}] not found")));
    }
    let after = request.after()?;
    let on = world.lists.iter().filter(|(id, list)| **id > after && list.members.contains(&lead));
    Ok(pages(on, request.batch_size()?))
}

/// Member of List: for each lead whether it is on the list. The words are recorded.
pub(super) fn is_member(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let ids = request.ids("Lead ids not specified")?;
    let world = shared.world();
    let list = world.lists.get(&id).ok_or_else(|| not_found(id))?;
    let row = |lead: u64| {
        if world.lead(lead).is_none() {
            return skipped_id(lead, "1004", "Lead not found");
        }
        let status = if list.members.contains(&lead) { "memberof" } else { "notmemberof" };
        json!({"id": lead, "status": status})
    };
    Ok(Answer::Rows(ids.into_iter().map(row).collect()))
}

/// Puts leads on a list; one that is on it already is added all the same.
pub(super) fn add(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let ids = request.ids("Lead ids not specified")?;
    let mut world = shared.world();
    if !world.lists.contains_key(&id) {
        return Err(not_found(id));
    }
    let mut rows = Vec::new();
    for lead in ids {
        if world.lead(lead).is_none() {
            rows.push(skipped_id(lead, "1004", "Lead not found"));
            continue;
        }
        let is_new = world.lists.get_mut(&id).is_some_and(|list| list.members.insert(lead));
        if is_new {
            world.record(lead, now(), What::AddToList { list: id });
        }
        rows.push(json!({"id": lead, "status": "added"}));
    }
    Ok(Answer::Rows(rows))
}

/// Takes leads off a list.
pub(super) fn remove(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let id = number(id)?;
    let ids = request.ids("Lead ids not specified")?;
    let mut world = shared.world();
    if !world.lists.contains_key(&id) {
        return Err(not_found(id));
    }
    let mut rows = Vec::new();
    for lead in ids {
        if world.lists.get_mut(&id).is_some_and(|list| list.members.remove(&lead)) {
            world.record(lead, now(), What::RemoveFromList { list: id });
            rows.push(json!({"id": lead, "status": "removed"}));
        } else {
            rows.push(skipped_id(lead, "1015", "Lead not in list"));
        }
    }
    Ok(Answer::Rows(rows))
}

fn pages<'a>(lists: impl Iterator<Item = (&'a u64, &'a StaticList)>, size: usize) -> Answer {
    let lists: Vec<(&u64, &StaticList)> = lists.collect();
    let rows: Vec<Value> =
        lists.iter().take(size).map(|(id, list)| described(**id, list)).collect();
    let next = lists
        .get(size.saturating_sub(1))
        .filter(|_| lists.len() > size)
        .map(|(id, _)| page_token(**id));
    Answer::Page { rows, next, more: None }
}

fn described(id: u64, list: &StaticList) -> Value {
    json!({
        "id": id,
        "name": list.name,
        "programName": null,
        "workspaceName": "Default",
        "createdAt": "2021-01-01T00:00:00Z",
        "updatedAt": "2021-01-01T00:00:00Z",
    })
}

fn not_found(id: u64) -> Refused {
    refused("1013", format!("Static List with id '{id}' not found"))
}
