//! What stands in a record: the values of its fields, its lists and programs.
//!
//! The members of a group are written by different hands: some lack a value that others have, only
//! some are opted out, their scores differ. Values that break careless readers (line breaks,
//! quotes, formulas, blanks) are everywhere.

use serde_json::Value;

use super::births::{Birth, CrmType, Origin};
use super::names::TITLES;
use super::rng::SeededRng;
use crate::world::record::SfdcType;

/// A static list of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StaticList {
    pub(super) id: u64,
    pub(super) name: &'static str,
}

/// A program of the instance, with the statuses that its members go through, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) statuses: &'static [&'static str],
}

/// The static lists of every seeded instance.
pub(super) const LISTS: &[StaticList] = &[
    StaticList { id: 1001, name: "Trade fair 2024, booth 12" },
    StaticList { id: 1002, name: "Webinar \"Scale\" attendees" },
    StaticList { id: 1003, name: "Alte Kundendatei" },
    StaticList { id: 1007, name: "Partner upload #3" },
    StaticList { id: 1008, name: "=Q3 list" },
    StaticList { id: 1012, name: "顧客リスト" },
];

/// The programs of every seeded instance.
pub(super) const PROGRAMS: &[Program] = &[
    Program { id: 2001, name: "Newsletter 2026", statuses: &["Sent", "Opened", "Clicked"] },
    Program {
        id: 2002,
        name: "Webinar: Scale, safely",
        statuses: &["Invited", "Registered", "No Show", "Attended"],
    },
    Program {
        id: 2005, name: "Messe Köln", statuses: &["Invited", "Visited Booth", "Influenced"]
    },
];

/// A record's place in a duplicate group: the group's number, and the record's in it by age.
#[derive(Debug, Clone, Copy)]
pub(super) struct Membership {
    pub(super) group: usize,
    pub(super) place: usize,
}

/// Field names and values of one record, without what the sandbox keeps apart: id, dates,
/// partition, Salesforce's id.
pub(super) fn fields(
    birth: &Birth,
    id: u64,
    of: Option<Membership>,
    rng: &mut SeededRng,
) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::with_capacity(16);
    let mut add = |name: &'static str, value: Value| fields.push((name, value));
    if let Some(email) = &birth.email {
        add("email", email.as_str().into());
    }
    names(birth, rng, &mut add);
    contact_data(birth, rng, &mut add);
    if !rng.percent(10) {
        add("leadScore", rng.below(200).into());
    }
    let (kind, info) = channel(birth.origin);
    add("originalSourceType", kind.into());
    if let Some(info) = info {
        add("originalSourceInfo", info.into());
    }
    add("leadSource", rng.word(SOURCES).into());
    opt_outs(of, rng, &mut add);
    of_this_instance(id, &mut add);
    if birth.origin == Origin::Salesforce(CrmType::Contact) {
        add("sfdcAccountId", format!("001{:015}", id / 7).into());
    }
    fields
}

/// Fields that callers may not write, and opt-outs of the instance's own. They are drawn from the
/// id alone, so that they shift nothing else.
fn of_this_instance(id: u64, add: &mut impl FnMut(&'static str, Value)) {
    if id.is_multiple_of(13) {
        add("firstTouchChannel", "Trade fair".into());
    }
    if id.is_multiple_of(17) {
        add("accountTier", "Gold".into());
    }
    match id % 101 {
        5 => add("emailOptOut", true.into()),
        31 => add("doNotEmail", true.into()),
        57 => add("gdprConsent", true.into()),
        _ => {}
    }
}

/// Which static lists a record is on.
pub(super) fn lists(rng: &mut SeededRng) -> Vec<u64> {
    let mut on: Vec<u64> = match rng.below(100) {
        0..=19 => vec![rng.pick(LISTS).id],
        20..=27 => vec![rng.pick(LISTS).id, rng.pick(LISTS).id],
        _ => Vec::new(),
    };
    on.sort_unstable();
    on.dedup();
    on
}

/// Which programs a record is a member of, with its status in each.
pub(super) fn programs(rng: &mut SeededRng) -> Vec<(u64, &'static str)> {
    if !rng.percent(18) {
        return Vec::new();
    }
    let program = rng.pick(PROGRAMS);
    vec![(program.id, rng.word(program.statuses))]
}

fn names(birth: &Birth, rng: &mut SeededRng, add: &mut impl FnMut(&'static str, Value)) {
    let (first, last) = (birth.who.first, birth.who.last);
    match rng.below(100) {
        0..=5 => {}
        6..=8 => add("firstName", first.to_lowercase().into()),
        9 => add("firstName", format!(" {first}").into()),
        10 => add("firstName", format!("{first} 🙂").into()),
        _ => add("firstName", first.into()),
    }
    match rng.below(100) {
        0..=2 => {}
        3 => add("lastName", last.to_uppercase().into()),
        _ => add("lastName", last.into()),
    }
}

fn contact_data(birth: &Birth, rng: &mut SeededRng, add: &mut impl FnMut(&'static str, Value)) {
    if !rng.percent(25) {
        add("company", birth.who.company.into());
    }
    if rng.percent(45) {
        add("title", rng.word(TITLES).into());
    }
    if rng.percent(40) {
        add("phone", format!("+1 555 01{:02}", rng.below(100)).into());
    }
    if rng.percent(60) {
        add("country", birth.who.country.into());
    }
    match rng.below(100) {
        0..=4 => add("city", "  ".into()),
        5..=40 => add("city", rng.word(CITIES).into()),
        _ => {}
    }
    if rng.percent(4) {
        add(
            "address",
            format!("{} High St.\r\nFloor \"{}\"", rng.below(200) + 1, rng.below(9)).into(),
        );
    }
}

/// Singles opt out now and then. In every fourth group its second record is opted out and no other
/// one is, so that a merge which keeps only the winner's value shows.
fn opt_outs(
    of: Option<Membership>,
    rng: &mut SeededRng,
    add: &mut impl FnMut(&'static str, Value),
) {
    let drawn = rng.below(100);
    let opted_out = match of {
        Some(of) => of.group % 4 == 0 && of.place == 1,
        None => drawn < 6,
    };
    if !opted_out {
        return;
    }
    match drawn % 6 {
        0..=2 => {
            add("unsubscribed", true.into());
            add("unsubscribedReason", "Too many mails,\nthanks".into());
        }
        3 => add("marketingSuspended", true.into()),
        4 => add("doNotCall", true.into()),
        _ => add("blackListed", true.into()),
    }
}

/// The record's type and id in Salesforce, which the sandbox keeps apart from the fields.
pub(super) fn crm(birth: &Birth, id: u64) -> Option<(SfdcType, String)> {
    match birth.origin {
        Origin::Salesforce(CrmType::Lead) => Some((SfdcType::Lead, format!("00Q{id:015}"))),
        Origin::Salesforce(CrmType::Contact) => Some((SfdcType::Contact, format!("003{id:015}"))),
        _ => None,
    }
}

/// The channel as the source fields tell it.
fn channel(origin: Origin) -> (&'static str, Option<String>) {
    match origin {
        Origin::Api { .. } => ("Web service API", None),
        Origin::Form(form) => ("Web form fillout", Some(form.to_owned())),
        Origin::ListImport(list) => ("List import", Some(format!("List: {list}"))),
        Origin::Salesforce(_) => ("salesforce.com", None),
        Origin::ByHand => ("New person", None),
        Origin::WebVisit => ("Web page visit", None),
    }
}

const SOURCES: &[&str] =
    &["Web", "Event, on site", "Partner", "Referral", "Cold \"outbound\"", "Messe"];
const CITIES: &[&str] =
    &["Zürich", "København", "Αθήνα", "東京", "São Paulo", "Washington, D.C.", "Київ", "القاهرة"];
