//! Duplicate groups by cause, each with exactly the traces that such a cause leaves.
//!
//! The truth about a group is decided here and nowhere else: whatever an audit concludes later can
//! be held against the [`SeedCause`] that made it. Traces are the times of calls and births,
//! sources, users, partitions and later changes of the address.

use super::births::{
    Birth, CARELESS_INTEGRATION, CrmType, DAY, HISTORY, HOUR, INTEGRATIONS, MINUTE, Origin,
    PRESENT, SECOND, any_origin, call, form, list_import, whole_second,
};
use super::people::{Person, Register};
use super::rng::SeededRng;
use super::spec::SeedCause;

/// The smallest and the largest group.
pub(super) const SIZES: std::ops::RangeInclusive<usize> = 2..=60;

/// Records of one person that came about by `cause`, oldest first.
pub(super) fn group(
    cause: SeedCause,
    size: usize,
    who: &Person,
    rng: &mut SeededRng,
    register: &mut Register,
) -> Vec<Birth> {
    let mut births = match cause {
        SeedCause::Race => race(size, who, rng),
        SeedCause::CreateDuplicate => create_duplicate(size, who, rng),
        SeedCause::Crm => crm(size, who, rng),
        SeedCause::Import => import(size, who, rng),
        SeedCause::Partition => partition(size, who, rng),
        SeedCause::Unknown => changed_address(size, who, rng, register),
    };
    births.sort_by_key(|birth| birth.born);
    births
}

/// How large a group of that cause is, mostly 2 or 3.
pub(super) fn usual_size(cause: SeedCause, rng: &mut SeededRng) -> usize {
    let small: &[(usize, u32)] = &[(2, 74), (3, 20), (4, 6)];
    let wide: &[(usize, u32)] =
        &[(2, 62), (3, 20), (4, 8), (5, 4), (6, 2), (8, 1), (12, 1), (20, 1), (60, 1)];
    *match cause {
        SeedCause::CreateDuplicate | SeedCause::Import => rng.weighted(wide),
        SeedCause::Race => rng.weighted(&[(2, 80), (3, 14), (4, 4), (6, 1), (8, 1)]),
        SeedCause::Partition => rng.weighted(&[(2, 80), (3, 20)]),
        SeedCause::Crm | SeedCause::Unknown => rng.weighted(small),
    }
}

/// Calls that overlap: each arrives before the first record is born, as its activity shows it in
/// whole seconds.
fn race(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let second = whole_second(a_time(rng, DAY));
    let one_user = *rng.pick(INTEGRATIONS);
    let several_users = rng.percent(40);
    let one_call = size == 2 && rng.percent(12);
    let with_form = !one_call && rng.percent(5);
    let first_arrival = second + rng.between(0, 400);
    let first = call(one_user, first_arrival, rng);
    let birth_of = |arrived: i64, rng: &mut SeededRng| {
        (arrived + rng.between(600, 3_600)).max(second + SECOND)
    };
    (0..size)
        .map(|place| {
            if place == 0 || one_call {
                return Birth::new(who, birth_of(first_arrival, rng), first);
            }
            if with_form && place == 1 {
                return Birth::new(who, second + SECOND, form(rng));
            }
            let arrived = rng.between(first_arrival, second + SECOND - 1);
            let user = if several_users { *rng.pick(INTEGRATIONS) } else { one_user };
            let origin = call(user, arrived, rng);
            Birth::new(who, birth_of(arrived, rng), origin)
        })
        .collect()
}

/// An integration that always inserts: each of its calls arrives when the earlier records are long
/// there.
fn create_duplicate(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let gap =
        if rng.percent(30) { 20 * MINUTE } else { 40 * DAY }.min(HISTORY / 2 / size_in_time(size));
    let mut born = a_time(rng, gap * size_in_time(size) + DAY);
    let first = marketo_only(born, rng);
    let mut births = vec![Birth::new(who, born, first)];
    while births.len() < size {
        let arrived = born + MINUTE + rng.between(0, gap - 2 * MINUTE);
        born = arrived + rng.between(300, 3_000);
        births.push(Birth::new(who, born, call(CARELESS_INTEGRATION, arrived, rng)));
    }
    births
}

/// The CRM's sync does not look at addresses: a lead and a contact of one person, or one of them
/// beside a record that Marketo had already.
fn crm(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let from = a_time(rng, 61 * DAY);
    let both_in_crm = rng.percent(50);
    let same_second = !both_in_crm && rng.percent(30);
    (0..size)
        .map(|place| {
            let born = match place {
                0 => from,
                _ if same_second => from + rng.between(0, SECOND),
                _ => from + rng.between(3 * MINUTE, 60 * DAY),
            };
            let origin = match place {
                0 if both_in_crm => Origin::Salesforce(CrmType::Lead),
                0 if same_second => form(rng),
                0 => marketo_only(born, rng),
                1 if both_in_crm => Origin::Salesforce(CrmType::Contact),
                _ => Origin::Salesforce(*rng.pick(&[CrmType::Lead, CrmType::Contact])),
            };
            Birth::new(who, born, origin)
        })
        .collect()
}

/// Files that were imported at one time, or again over a record that was being made.
fn import(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let from = a_time(rng, size_in_time(size) * 3 * MINUTE + DAY);
    let list = list_import(rng);
    (0..size)
        .map(|place| {
            let born = from + size_in_time(place) * rng.between(20 * SECOND, 3 * MINUTE);
            let again = if rng.percent(60) { list } else { list_import(rng) };
            let origin = if place == 0 && rng.percent(30) { form(rng) } else { again };
            Birth::new(who, born, origin)
        })
        .collect()
}

/// One person in several partitions, each of which deduplicates for itself.
fn partition(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let from = a_time(rng, 401 * DAY);
    (0..size)
        .map(|place| {
            let born = from + size_in_time(place) * rng.between(HOUR, 100 * DAY);
            let origin = if rng.percent(50) { form(rng) } else { list_import(rng) };
            let partition = u32::try_from(place % 3).unwrap_or(0) + 1;
            Birth { partition, ..Birth::new(who, born, origin) }
        })
        .collect()
}

/// Records that were born with other addresses, which were changed to one that another record has.
fn changed_address(
    size: usize,
    who: &Person,
    rng: &mut SeededRng,
    register: &mut Register,
) -> Vec<Birth> {
    let from = a_time(rng, 500 * DAY);
    (0..size)
        .map(|place| {
            let born = from + size_in_time(place) * rng.between(30 * DAY, 100 * DAY);
            let origin = match (place, rng.below(3)) {
                (0, _) => marketo_only(born, rng),
                (_, 0) => Origin::ByHand,
                (_, 1) => Origin::WebVisit,
                _ => form(rng),
            };
            let mut birth = Birth::new(who, born, origin);
            if place > 0 {
                let recently = (PRESENT - 80 * DAY).max(born + DAY);
                let at = if rng.percent(60) {
                    rng.between(recently, PRESENT - DAY)
                } else {
                    rng.between(born + DAY, PRESENT - DAY)
                };
                birth.changed_email = Some((register.person(rng).email, at));
            }
            birth
        })
        .collect()
}

/// People who share one address: no duplicates at all, though an audit by address finds them.
pub(super) fn shared(size: usize, who: &Person, rng: &mut SeededRng) -> Vec<Birth> {
    let mut born = a_time(rng, 60 * DAY * size_in_time(size));
    let mut births = vec![Birth::new(who, born, form(rng))];
    while births.len() < size {
        born += rng.between(2 * HOUR, 50 * DAY);
        let arrived = born - rng.between(300, 2_000);
        let other = Register::sharer(births.last().map_or(who, |birth| &birth.who), rng);
        births.push(Birth::new(&other, born, call(CARELESS_INTEGRATION, arrived, rng)));
    }
    births
}

/// An origin that has nothing to do with the CRM.
fn marketo_only(born: i64, rng: &mut SeededRng) -> Origin {
    loop {
        let origin = any_origin(born, rng);
        if !matches!(origin, Origin::Salesforce(_)) {
            return origin;
        }
    }
}

/// A time in the instance's past, with at least `room` left before its present. Instances grow:
/// later is likelier.
pub(super) fn a_time(rng: &mut SeededRng, room: i64) -> i64 {
    let span = (HISTORY - room).max(DAY);
    let drawn = rng.between(0, span).max(rng.between(0, span));
    PRESENT - HISTORY + drawn
}

fn size_in_time(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
