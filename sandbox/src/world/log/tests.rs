use std::collections::BTreeMap;

use super::super::activity_types::{CHANGE_DATA_VALUE, DELETE_LEAD, MERGE_LEADS, NEW_LEAD};
use super::*;

/// A directory in which every lead is itself, save those named.
#[derive(Default)]
struct Leads(BTreeMap<u64, Option<u64>>);

impl Directory for Leads {
    fn survivor(&self, lead: u64) -> Option<u64> {
        self.0.get(&lead).copied().unwrap_or(Some(lead))
    }
    fn field(&self, rest_name: &str) -> (u64, String) {
        (1, rest_name.to_owned())
    }
    fn list_name(&self, _: u64) -> Option<String> {
        None
    }
    fn program_name(&self, _: u64) -> Option<String> {
        None
    }
}

fn day(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap() + Duration::days(days)
}

fn entry(lead: u64, at: DateTime<Utc>, what: What) -> Activity {
    Activity { lead, at, visible_from: at, what }
}

fn visit() -> What {
    What::VisitWebPage { page: "/".into() }
}

fn born() -> What {
    What::NewLead(Source::ByHand)
}

fn log(entries: impl IntoIterator<Item = Activity>) -> Log {
    let mut log = Log::default();
    for activity in entries {
        log.record(activity);
    }
    log
}

fn wanted(types: &[u32]) -> Wanted<'_> {
    Wanted { types, leads: None, fields: None, of_deleted: false }
}

/// The leads of all pages to the end, and the number of entries of each page.
fn walk(
    log: &Log,
    now: DateTime<Utc>,
    batch: usize,
    wanted: &Wanted<'_>,
    leads: &Leads,
) -> (Vec<u64>, Vec<usize>) {
    let (mut found, mut sizes, mut from) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = log.page(from, batch, now, wanted, leads);
        found.extend(page.entries.iter().map(|(_, lead, _)| *lead));
        sizes.push(page.entries.len());
        from = page.next;
        if !page.more {
            return (found, sizes);
        }
    }
}

#[test]
fn a_rare_type_comes_in_short_and_empty_pages_and_nothing_is_lost() {
    let entries =
        (0..1_000).map(|n| entry(n, day(0), if n == 3 || n >= 900 { born() } else { visit() }));
    let (found, sizes) =
        walk(&log(entries), day(1), 300, &wanted(&[NEW_LEAD.id]), &Leads::default());
    assert_eq!(sizes, [1, 0, 0, 100]);
    assert_eq!(found, [3].into_iter().chain(900..1_000).collect::<Vec<_>>());
}

#[test]
fn a_page_ends_after_half_a_year_so_that_small_instances_have_short_pages_too() {
    let entries =
        [entry(1, day(0), visit()), entry(2, day(200), born()), entry(3, day(300), born())];
    let (found, sizes) =
        walk(&log(entries), day(400), 300, &wanted(&[NEW_LEAD.id]), &Leads::default());
    assert_eq!((found, sizes), (vec![2, 3], vec![0, 2]));
}

#[test]
fn a_full_batch_ends_a_page_exactly_there() {
    let entries = (0..10).map(|n| entry(n, day(0), born()));
    let (found, sizes) = walk(&log(entries), day(1), 4, &wanted(&[NEW_LEAD.id]), &Leads::default());
    assert_eq!((found, sizes), ((0..10).collect(), vec![4, 4, 2]));
}

#[test]
fn an_entry_that_is_not_readable_yet_hides_later_commits() {
    let late = Activity { visible_from: day(2), ..entry(1, day(0), born()) };
    let log = log([late, entry(2, day(1), born())]);
    let read = |now| walk(&log, now, 300, &wanted(&[NEW_LEAD.id]), &Leads::default()).0;
    assert!(
        log.page(0, 300, day(1), &wanted(&[NEW_LEAD.id]), &Leads::default()).entries.is_empty()
    );
    assert_eq!(read(day(2)), [1, 2]);
}

#[test]
fn the_last_token_finds_what_was_committed_after_it() {
    let mut log = log([entry(1, day(0), born())]);
    let leads = Leads::default();
    let next = log.page(0, 300, day(1), &wanted(&[NEW_LEAD.id]), &leads).next;
    log.record(Activity { visible_from: day(2), ..entry(2, day(0), born()) });
    let page = log.page(next, 300, day(2), &wanted(&[NEW_LEAD.id]), &leads);
    assert_eq!(page.entries.iter().map(|(_, lead, _)| *lead).collect::<Vec<_>>(), [2]);
    assert!(!page.more);
}

#[test]
fn entries_of_a_merged_lead_are_its_survivors_and_those_of_a_deleted_one_are_gone() {
    let leads = Leads(BTreeMap::from([(2, Some(1)), (3, None)]));
    let log = log([1, 2, 3].map(|lead| entry(lead, day(0), born())));
    assert_eq!(walk(&log, day(1), 300, &wanted(&[NEW_LEAD.id]), &leads).0, [1, 1]);
    let of_survivor = Wanted { leads: Some(&[1].into()), ..wanted(&[12]) };
    assert_eq!(walk(&log, day(1), 300, &of_survivor, &leads).0, [1, 1]);
    let of_loser = Wanted { leads: Some(&[2].into()), ..wanted(&[12]) };
    assert_eq!(walk(&log, day(1), 300, &of_loser, &leads).0, [0_u64; 0]);
}

#[test]
fn deletions_are_kept_fourteen_days_value_changes_ninety_and_births_for_ever() {
    let change = What::ChangeDataValue { field: "email".into(), old: None, new: None, by: None };
    let merge = What::MergeLeads { losers: [2].into(), in_sales: false, by: None };
    let log = log([
        entry(1, day(0), What::DeleteLead),
        entry(1, day(0), change),
        entry(1, day(0), merge),
        entry(1, day(0), born()),
    ]);
    let all = [DELETE_LEAD.id, CHANGE_DATA_VALUE.id, MERGE_LEADS.id, NEW_LEAD.id];
    let left = |days| walk(&log, day(days), 300, &wanted(&all), &Leads::default()).0.len();
    assert_eq!([14, 15, 90, 91, 760, 761, 4_000].map(left), [4, 3, 3, 2, 2, 1, 1]);
}

#[test]
fn a_seeds_history_does_not_age_with_the_day_on_which_it_is_read() {
    let mut log = log([entry(1, day(0), What::DeleteLead), entry(2, day(20), What::DeleteLead)]);
    log.end_history(day(21));
    let deleted = |now| walk(&log, now, 300, &wanted(&[DELETE_LEAD.id]), &Leads::default()).0;
    assert_eq!(deleted(day(21)), [2]);
    assert_eq!(deleted(day(4_000)), [2]);
}

#[test]
fn value_changes_can_be_asked_for_by_field() {
    let change =
        |field: &str| What::ChangeDataValue { field: field.into(), old: None, new: None, by: None };
    let log = log([
        entry(1, day(0), change("email")),
        entry(2, day(0), change("title")),
        entry(3, day(0), born()),
    ]);
    let fields = ["email".to_owned()];
    let wanted = Wanted { fields: Some(&fields), ..wanted(&[12, 13]) };
    assert_eq!(walk(&log, day(1), 300, &wanted, &Leads::default()).0, [1, 3]);
}
