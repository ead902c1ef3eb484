//! A birth: how and when one record came about, before it has an id or fields.
//!
//! Only facts that leave a trace in Marketo stand here. Times are milliseconds since 1970, since a
//! race is decided within a second; what Marketo shows of them is cut to whole seconds when they
//! are written down.

use super::people::Person;
use super::rng::SeededRng;

/// One second, in the unit of all times here.
pub(super) const SECOND: i64 = 1_000;
/// One minute.
pub(super) const MINUTE: i64 = 60 * SECOND;
/// One hour.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// One day.
pub(super) const DAY: i64 = 24 * HOUR;

/// The present of a seeded instance, 2026-11-01T00:00:00Z: a constant, so that one seed gives one
/// instance on any day.
pub(super) const PRESENT: i64 = 1_793_491_200 * SECOND;
/// How far back the instance goes: six years.
pub(super) const HISTORY: i64 = 6 * 365 * DAY;
/// New Lead activities from before this time lack the API's three attributes, as old ones do.
pub(super) const API_ATTRIBUTES_SINCE: i64 = PRESENT - 5 * 365 * DAY;

/// The integrations that write to the instance, by the login of their API-only users.
pub(super) const INTEGRATIONS: &[&str] = &[
    "webshop-sync@api.example.com",
    "event-app@api.example.com",
    "ipaas-connector@api.example.com",
    "chat-widget@api.example.com",
];
/// The integration that asks for `createDuplicate` where it should not.
pub(super) const CARELESS_INTEGRATION: &str = "legacy-import@api.example.com";

/// What the New Lead activity tells of the creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A call of the REST API, which arrived at this time under this number (the two halves of its
    /// request id).
    Api { user: &'static str, arrived: i64, number: u32 },
    /// A form was filled out.
    Form(&'static str),
    /// A file was imported into this list.
    ListImport(&'static str),
    /// The CRM's sync brought it.
    Salesforce(CrmType),
    /// Somebody typed it in on Marketo's screens.
    ByHand,
    /// An anonymous visitor became known.
    WebVisit,
}

/// What a record is in Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrmType {
    Lead,
    Contact,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// Merged into another birth, by its place in the list of births.
    Merged {
        into: usize,
        at: i64,
    },
    Deleted {
        at: i64,
    },
}

/// One record's beginning and fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) who: Person,
    /// The address as it is written in the record today; none for a record without one.
    pub(super) email: Option<String>,
    /// The address it was born with, and when that was replaced.
    pub(super) changed_email: Option<(String, i64)>,
    /// When the record was committed.
    pub(super) born: i64,
    pub(super) origin: Origin,
    pub(super) partition: u32,
    pub(super) fate: Fate,
}

impl Birth {
    /// A record of `who`, born at that time in the default partition, that lives with its plain
    /// address.
    pub(super) fn new(who: &Person, born: i64, origin: Origin) -> Self {
        Self {
            who: who.clone(),
            email: Some(who.email.clone()),
            changed_email: None,
            born,
            origin,
            partition: 1,
            fate: Fate::Lives,
        }
    }
}

/// The time without its fraction of a second, as Marketo shows times.
pub(super) fn whole_second(time: i64) -> i64 {
    time - time.rem_euclid(SECOND)
}

/// A call of an integration that arrives at the given time.
pub(super) fn call(user: &'static str, arrived: i64, rng: &mut SeededRng) -> Origin {
    Origin::Api { user, arrived, number: rng.below(0x1_ffff) }
}

/// Any of the ways in which one record of a person comes about, for a record born at `born`.
pub(super) fn any_origin(born: i64, rng: &mut SeededRng) -> Origin {
    match rng.below(100) {
        0..=44 => {
            let user = rng.word(INTEGRATIONS);
            let arrived = born - rng.between(100, 3_600);
            call(user, arrived, rng)
        }
        45..=64 => form(rng),
        65..=79 => list_import(rng),
        80..=84 => Origin::Salesforce(CrmType::Lead),
        85..=89 => Origin::Salesforce(CrmType::Contact),
        90..=94 => Origin::ByHand,
        _ => Origin::WebVisit,
    }
}

/// One of the forms.
pub(super) fn form(rng: &mut SeededRng) -> Origin {
    Origin::Form(rng.word(FORMS))
}

/// One of the imports.
pub(super) fn list_import(rng: &mut SeededRng) -> Origin {
    Origin::ListImport(rng.word(IMPORT_LISTS))
}

/// Names of forms.
pub(super) const FORMS: &[&str] = &[
    "Contact us",
    "Newsletter, short",
    "Whitepaper \"CDP\" – download",
    "Anfrage für Händler",
    "資料請求",
];
/// Names of lists that files were imported into.
pub(super) const IMPORT_LISTS: &[&str] = &[
    "Trade fair 2024, booth 12",
    "Webinar \"Scale\" attendees",
    "Alte Kundendatei",
    "Partner upload #3",
    "=Q3 list",
];
