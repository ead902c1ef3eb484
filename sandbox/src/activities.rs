//! Activities over HTTP: types, paging tokens, pages, lead changes, deleted leads.
//!
//! A page is short, or empty, whenever little of what was scanned is wanted; that there is more to
//! scan is all that `moreResult` says. What the log holds, and when it can be read, stands in
//! [`super::world::log`].

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::answer::{Answer, Refused, refused};
use super::clock::now;
use super::instance::Shared;
use super::request::Request;
use super::schema;
use super::world::log::{Activity, Wanted};
use super::world::{World, activity_types};

mod show;
mod token;

/// The most types that one call asks for.
const MOST_TYPES: usize = 10;
/// The most leads that one call names.
const MOST_LEADS: usize = 30;
/// Lists of this size and above are not taken as a filter.
const LARGE_LIST: usize = 10_000;

/// Get Activity Types.
pub(super) fn activity_types() -> Answer {
    Answer::Rows(activity_types::ALL.iter().map(|known| known.describe()).collect())
}

/// Get Paging Token: where activities since a time begin.
pub(super) fn paging_token(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let written = request.param("sinceDatetime");
    let written = written.ok_or_else(|| refused("1002", "Missing parameter 'sinceDatetime'"))?;
    let since = parse_since(written).ok_or_else(|| {
        refused("704", format!("Invalid date format '{written}' for 'sinceDatetime'"))
    })?;
    let token = token::write(shared.world().log.since(since), now());
    Ok(Answer::Token(token))
}

/// Get Lead Activities: any type but deletions.
pub(super) fn browse(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let types = types_asked_for(request)?;
    let mut world = shared.world();
    world.log.commit_late(now());
    let leads = leads_asked_for(&world, request)?;
    let wanted = Wanted { types: &types, leads: leads.as_ref(), fields: None, of_deleted: false };
    page(&world, request, &wanted, show::activity)
}

/// Get Lead Changes: births, and changes of the fields that are asked for.
pub(super) fn lead_changes(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let fields = request.param_list("fields");
    if fields.is_empty() {
        return Err(refused("1002", "Missing parameter 'fields'"));
    }
    if let Some(unknown) = fields.iter().find(|name| schema::find(name).is_none()) {
        return Err(refused("1006", format!("Field '{unknown}' not found")));
    }
    let mut world = shared.world();
    world.log.commit_late(now());
    let leads = leads_asked_for(&world, request)?;
    let types = [activity_types::NEW_LEAD.id, activity_types::CHANGE_DATA_VALUE.id];
    let wanted =
        Wanted { types: &types, leads: leads.as_ref(), fields: Some(&fields), of_deleted: false };
    page(&world, request, &wanted, show::lead_change)
}

/// Get Deleted Leads.
pub(super) fn deleted_leads(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let wanted = Wanted {
        types: &[activity_types::DELETE_LEAD.id],
        leads: None,
        fields: None,
        of_deleted: true,
    };
    page(&shared.world(), request, &wanted, show::activity)
}

/// One page, and always a token: the last one finds what is committed later.
fn page(
    world: &World,
    request: &Request,
    wanted: &Wanted<'_>,
    show: impl Fn(usize, u64, &Activity, &World) -> Value,
) -> Result<Answer, Refused> {
    let now = now();
    let token = request.param("nextPageToken");
    let token = token.ok_or_else(|| refused("1002", "Missing parameter 'nextPageToken'"))?;
    let from = token::read(token, now).map_err(|error| match error {
        token::Unusable::Invalid => refused("1003", "Invalid nextPageToken"),
        token::Unusable::Expired => refused("1003", "The nextPageToken has expired"),
    })?;
    let page = world.log.page(from, request.batch_size()?, now, wanted, world);
    // Numbers begin at one, as ids do.
    let rows = page
        .entries
        .iter()
        .map(|(place, lead, entry)| show(place + 1, *lead, entry, world))
        .collect();
    Ok(Answer::Page { rows, next: Some(token::write(page.next, now)), more: Some(page.more) })
}

fn types_asked_for(request: &Request) -> Result<Vec<u32>, Refused> {
    let ids = request.param_list("activityTypeIds");
    if ids.is_empty() {
        return Err(refused("1002", "Missing parameter 'activityTypeIds'"));
    }
    if ids.len() > MOST_TYPES {
        return Err(refused(
            "1003",
            format!("Too many activity types: {}; at most {MOST_TYPES}", ids.len()),
        ));
    }
    ids.iter()
        .map(|id| {
            let known = activity_types::ALL.iter().find(|known| known.id.to_string() == *id);
            let known = known.filter(|known| known.id != activity_types::DELETE_LEAD.id);
            known
                .map(|known| known.id)
                .ok_or_else(|| refused("1003", format!("Invalid activity type '{id}'")))
        })
        .collect()
}

/// The leads that a call names itself or by a static list.
fn leads_asked_for(world: &World, request: &Request) -> Result<Option<BTreeSet<u64>>, Refused> {
    let ids = request.param_list("leadIds");
    if ids.len() > MOST_LEADS {
        return Err(refused(
            "1003",
            format!("Too many lead ids: {}; at most {MOST_LEADS}", ids.len()),
        ));
    }
    if !ids.is_empty() {
        let ids: Option<BTreeSet<u64>> = ids.iter().map(|id| id.parse().ok()).collect();
        return ids.map(Some).ok_or_else(|| refused("1003", "Invalid leadIds"));
    }
    let Some(list) = request.param("listId") else { return Ok(None) };
    let members =
        list.parse().ok().and_then(|id: u64| world.lists.get(&id)).map(|list| &list.members);
    let members = members
        .ok_or_else(|| refused("1013", format!("Static List with id '{list}' not found")))?;
    if members.len() >= LARGE_LIST {
        return Err(refused("1003", format!("The list has {LARGE_LIST} members or more")));
    }
    Ok(Some(members.clone()))
}

/// ISO 8601 with a zone, or a bare date. A time with fractions of a second counts as its day's
/// midnight, as users report.
fn parse_since(written: &str) -> Option<DateTime<Utc>> {
    let day = || {
        let date = NaiveDate::parse_from_str(written.get(..10)?, "%Y-%m-%d").ok()?;
        date.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc())
    };
    if written.len() == 10 || written.contains('.') {
        return day();
    }
    let zoned = DateTime::parse_from_rfc3339(written)
        .or_else(|_| DateTime::parse_from_str(written, "%Y-%m-%dT%H:%M:%S%z"));
    zoned.ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::parse_since;

    #[test]
    fn a_time_needs_a_zone_and_fractions_of_a_second_make_it_midnight() {
        let midnight = parse_since("2026-01-02");
        assert!(midnight.is_some());
        assert_eq!(parse_since("2026-01-02T00:00:00Z"), midnight);
        assert_eq!(parse_since("2026-01-01T16:00:00-0800"), midnight);
        assert_eq!(parse_since("2026-01-02T15:00:00.000Z"), midnight);
        assert_eq!(
            parse_since("2026-01-02T15:00:00 0000"),
            None,
            "a plus sign that was not encoded"
        );
        assert_eq!(parse_since("yesterday"), None);
    }
}
