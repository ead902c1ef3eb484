//! Bulk lead extract over HTTP: create, enqueue, status, list, cancel, file.
//!
//! Jobs and their timetable stand in [`jobs`], what may be ordered in [`order`], the file's form in
//! [`mod@file`]; here they meet the instance. An export never holds merged, deleted or anonymous
//! leads.

use chrono::{DateTime, Utc};
use chrono_tz::America::Chicago;
use parking_lot::MutexGuard;

use self::file::FileWriter;
use self::jobs::Jobs;
use self::order::{Filter, Order};
use self::range::Part;
use super::answer::{Answer, Refused, refused};
use super::clock::now;
use super::instance::Shared;
use super::options::Fault;
use super::request::{Request, page_token};
use super::schema;
use super::world::World;
use super::world::record::Record;

mod file;
pub(super) mod jobs;
mod order;
mod range;

/// Create Export Lead Job.
pub(super) fn create(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let order = Order::parse(&request.json()?)?;
    let now = now();
    let mut jobs = settled(shared, now);
    check(&shared.world(), shared.options.knobs.is("updated_at_filter", "on"), &order)?;
    Ok(Answer::Rows(vec![jobs.create(order, &request.user, now)?.report(now)]))
}

/// Enqueue Export Lead Job.
pub(super) fn enqueue(
    shared: &Shared,
    request: &Request,
    id: &str,
    fault: Option<Fault>,
) -> Result<Answer, Refused> {
    let (now, fails) = (now(), fault == Some(Fault::FailedExport));
    Ok(Answer::Rows(vec![settled(shared, now).enqueue(id, &request.user, now, fails)?.report(now)]))
}

/// Cancel Export Lead Job.
pub(super) fn cancel(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let now = now();
    Ok(Answer::Rows(vec![settled(shared, now).cancel(id, &request.user, now)?.report(now)]))
}

/// Get Export Lead Job Status.
pub(super) fn status(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let now = now();
    Ok(Answer::Rows(vec![settled(shared, now).find(id, &request.user)?.report(now)]))
}

/// Get Export Lead Jobs: this API user's, newest first, by status if asked.
pub(super) fn list(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let now = now();
    let statuses = request.param_list("status");
    let jobs = settled(shared, now);
    let wanted = |name: &str| statuses.is_empty() || statuses.iter().any(|status| status == name);
    let all: Vec<_> =
        jobs.list(&request.user, now).filter(|job| wanted(job.status(now).name())).collect();
    let from = usize::try_from(request.after()?).unwrap_or(usize::MAX);
    let to = from.saturating_add(request.batch_size()?);
    let rows = all.iter().skip(from).take(to - from).map(|job| job.report(now)).collect();
    let next = (all.len() > to).then(|| page_token(to as u64));
    Ok(Answer::Page { more: next.is_some().then_some(true), rows, next })
}

/// Get Export Lead File, or a part of it. There is none before a look sees the job as completed.
pub(super) fn file(shared: &Shared, request: &Request, id: &str, fault: Option<Fault>) -> Answer {
    let now = now();
    let jobs = settled(shared, now);
    let file = jobs.find(id, &request.user).ok().and_then(|job| job.file(now));
    let Some(file) = file.filter(|_| fault != Some(Fault::NoFile)) else {
        return raw(404, "text/plain", Vec::new(), b"Not Found".to_vec());
    };
    let total = file.bytes.len();
    let part = Part::asked_for(request.range.as_deref(), total);
    let (status, range, bytes) = match part {
        Part::Whole => (200, None, file.bytes.to_vec()),
        Part::Bytes { first, last } => {
            let bytes = file.bytes.get(first..=last).unwrap_or_default().to_vec();
            (206, Some(format!("bytes {first}-{last}/{total}")), bytes)
        }
        Part::Beyond => (416, Some(format!("bytes */{total}")), Vec::new()),
    };
    let mut headers = vec![("accept-ranges", "bytes".to_owned())];
    headers.extend(range.map(|range| ("content-range", range)));
    raw(status, "text/csv;charset=UTF-8", headers, damaged(bytes, fault))
}

fn raw(
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Answer {
    Answer::Raw { status, content_type, headers, body }
}

/// The bytes as they are, or with one of them changed so that they do not fit the checksum.
fn damaged(mut bytes: Vec<u8>, fault: Option<Fault>) -> Vec<u8> {
    if fault == Some(Fault::BadChecksum)
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    bytes
}

/// The jobs, with the files made of those that finished by now.
fn settled(shared: &Shared, now: DateTime<Utc>) -> MutexGuard<'_, Jobs> {
    let mut jobs = shared.jobs();
    let bare = shared.options.knobs.is("export_quotes", "bare");
    jobs.settle(now, |order| write(&shared.world(), order, bare));
    jobs
}

/// Whether the instance has what the order names.
fn check(world: &World, has_updated_at: bool, order: &Order) -> Result<(), Refused> {
    if let Some(unknown) = order.fields.iter().find(|name| schema::find(name).is_none()) {
        return Err(refused("1006", format!("Field '{unknown}' not found")));
    }
    let unsupported = || refused("1035", "Unsupported filter type for target subscription");
    let has_list = |list: bool, name: &str| {
        list.then_some(()).ok_or_else(|| refused("1013", format!("List '{name}' not found")))
    };
    match &order.filter {
        Filter::CreatedAt(_) => Ok(()),
        Filter::UpdatedAt(_) if has_updated_at => Ok(()),
        Filter::UpdatedAt(_) => Err(unsupported()),
        Filter::SmartListId(_) | Filter::SmartListName(_) if !has_updated_at => Err(unsupported()),
        Filter::SmartListId(id) => has_list(false, &id.to_string()),
        Filter::SmartListName(name) => has_list(false, name),
        Filter::StaticListId(id) => has_list(world.lists.contains_key(id), &id.to_string()),
        Filter::StaticListName(name) => {
            has_list(world.lists.values().any(|list| list.name == *name), name)
        }
    }
}

/// The file of an order. Rows come in an order that is the same each time and helps nobody; leads
/// that were created in the hour that the end of daylight saving repeats come twice. Quotes within
/// quotes that are left bare were seen once.
fn write(world: &World, order: &Order, bare_quotes: bool) -> (Vec<u8>, usize) {
    let columns: Vec<u16> = order
        .fields
        .iter()
        .filter_map(|name| schema::find(name))
        .map(|(number, _)| number)
        .collect();
    let mut records: Vec<&Record> =
        world.leads().filter(|record| is_wanted(world, order, record)).collect();
    records.sort_unstable_by_key(|record| record.id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut file = FileWriter::new(order, bare_quotes);
    for record in records {
        let values: Vec<Option<String>> =
            columns.iter().map(|column| record.text_of(*column)).collect();
        let times = if in_repeated_hour(record.created_at) { 2 } else { 1 };
        for _ in 0..times {
            file.row(values.iter().map(Option::as_deref));
        }
    }
    file.finish()
}

fn is_wanted(world: &World, order: &Order, record: &Record) -> bool {
    let on = |list: Option<&super::world::StaticList>| {
        list.is_some_and(|list| list.members.contains(&record.id))
    };
    match &order.filter {
        Filter::CreatedAt(window) => window.holds(record.created_at),
        Filter::UpdatedAt(window) => window.holds(record.updated_at),
        Filter::StaticListId(id) => on(world.lists.get(id)),
        Filter::StaticListName(name) => on(world.lists.values().find(|list| list.name == *name)),
        // No instance here has smart lists; orders for them were refused.
        Filter::SmartListId(_) | Filter::SmartListName(_) => false,
    }
}

fn in_repeated_hour(time: DateTime<Utc>) -> bool {
    let local = time.with_timezone(&Chicago).naive_local();
    matches!(local.and_local_timezone(Chicago), chrono::LocalResult::Ambiguous(..))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(body: &serde_json::Value) -> Order {
        Order::parse(body.as_object().unwrap()).unwrap()
    }

    fn world(births: &[(u64, &str)]) -> World {
        let mut world = World::new(chrono::Duration::zero());
        for (id, born) in births {
            world.insert(Record::new(*id, born.parse().unwrap(), 1));
        }
        world
    }

    fn ids(world: &World, start: &str, end: &str) -> Vec<u64> {
        let filter = json!({"createdAt": {"startAt": start, "endAt": end}});
        let (bytes, records) =
            write(world, &order(&json!({"fields": ["id"], "filter": filter})), false);
        let text = String::from_utf8(bytes).unwrap();
        let mut ids: Vec<u64> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        assert_eq!(ids.len(), records);
        ids.sort_unstable();
        ids
    }

    #[test]
    fn both_ends_of_a_window_are_in_the_file() {
        let world = world(&[
            (1, "2026-01-01T00:00:00Z"),
            (2, "2026-01-31T23:59:59Z"),
            (3, "2026-02-01T00:00:00Z"),
            (4, "2025-12-31T23:59:59Z"),
        ]);
        assert_eq!(ids(&world, "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"), [1, 2]);
    }

    #[test]
    fn a_lead_of_the_hour_that_comes_twice_comes_twice() {
        let world = world(&[
            (1, "2025-11-02T06:30:00Z"),
            (2, "2025-11-02T05:59:59Z"),
            (3, "2025-11-02T08:00:00Z"),
        ]);
        assert_eq!(ids(&world, "2025-11-01T00:00:00Z", "2025-11-30T00:00:00Z"), [1, 1, 2, 3]);
    }

    #[test]
    fn updated_at_and_smart_lists_are_not_in_every_subscription() {
        let window = json!({"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-02T00:00:00Z"});
        let updated = order(&json!({"fields": ["id"], "filter": {"updatedAt": window}}));
        let smart = order(&json!({"fields": ["id"], "filter": {"smartListId": 1}}));
        let world = world(&[]);
        assert_eq!(check(&world, false, &updated).unwrap_err().code, "1035");
        assert_eq!(check(&world, false, &smart).unwrap_err().code, "1035");
        assert!(check(&world, true, &updated).is_ok());
    }
}
