//! The JSON document, field by field as the documentation promises it.
//!
//! The structs here are the promise; they are apart from the program's own, so that a change inside
//! cannot change it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde::ser::SerializeSeq;

use super::shown::{Element, Elements};
use super::{
    DayTotals, GroupTotals, IntegrationTotals, Log, MailedTwice, OptedOut, Report, Shown,
    ShownGroup,
};
use crate::dedupe::{Group, Objection};
use crate::lead::{Lead, LeadId};

const SCHEMA: &str = "mkto-audit/report/1";

/// Writes the report as one JSON document, and ends the line. The groups are those of `shown`, one
/// at a time.
pub fn write_json(report: &Report, shown: &dyn Shown, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, &Document::of(report, shown))?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    /// Whether it is the whole of a scan.
    complete: bool,
    scanned_at: Option<DateTime<Utc>>,
    /// Where the leads were read.
    source: &'static str,
    activity_log: Log,
    leads: u64,
    groups: u64,
    duplicates: u64,
    excess: u64,
    mergeable: Totals,
    undecided: Undecided,
    perhaps_meant: Totals,
    /// Null: opt-outs were not read.
    opted_out: Option<OptedOutRecord<'a>>,
    /// Null: who can be mailed is not known.
    mailed_twice: Option<MailedTwiceRecord>,
    /// Null: not known.
    by_cause: BTreeMap<&'static str, Option<Totals>>,
    // Of these the activity log alone tells; null where it was not read.
    prevented: Option<u64>,
    by_integration: Option<Vec<IntegrationRecord<'a>>>,
    /// Null where no creation time is known.
    by_day: Option<Vec<DayRecord>>,
    races_by_hour: Option<&'a [u64; 24]>,
    merged_before: Option<Vec<MergedRecord<'a>>>,
    group: Elements<'a, AsRecord>,
}

/// A group as its record.
struct AsRecord;

impl Element for AsRecord {
    fn put<S: SerializeSeq>(&self, shown: &ShownGroup, into: &mut S) -> Result<(), S::Error> {
        into.serialize_element(&GroupRecord::from(shown))
    }
}

/// How far the activity log was read for the leads in groups, as documents say it.
#[derive(Serialize)]
pub(super) struct LogRecord {
    /// `all`, `some` or `none` of them.
    read: &'static str,
    /// Leads in groups that were not looked for; null where all were, or none.
    leads_unread: Option<u64>,
    /// Why not all.
    why: Option<&'static str>,
}

#[derive(Serialize)]
struct Totals {
    groups: u64,
    excess: u64,
}

#[derive(Serialize)]
struct Undecided {
    groups: u64,
    excess: u64,
    by_reason: BTreeMap<&'static str, Totals>,
}

#[derive(Serialize)]
struct OptedOutRecord<'a> {
    people: u64,
    by_field: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct MailedTwiceRecord {
    people: u64,
    mails: u64,
}

/// Why a person must decide.
#[derive(Serialize)]
pub(super) struct UndecidedRecord<'a> {
    reason: &'static str,
    words: &'a str,
}

impl<'a> UndecidedRecord<'a> {
    pub(super) fn of(objection: &'a Objection) -> Self {
        Self { reason: objection.reason.as_str(), words: &objection.words }
    }
}

#[derive(Serialize)]
struct IntegrationRecord<'a> {
    /// Null: not known, or no integration at all.
    api_user: Option<&'a str>,
    groups: u64,
    excess: u64,
    races: u64,
}

#[derive(Serialize)]
struct DayRecord {
    day: NaiveDate,
    excess: u64,
    /// Null: not known.
    races: Option<u64>,
}

#[derive(Serialize)]
struct MergedRecord<'a> {
    day: NaiveDate,
    api_user: Option<&'a str>,
    leads: u64,
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    key: String,
    size: usize,
    cause: &'static str,
    confidence: &'static str,
    evidence: &'a [String],
    /// Null: a person must decide first, for the reason that follows.
    winner: Option<LeadId>,
    undecided: Option<UndecidedRecord<'a>>,
    leads: Vec<LeadRecord<'a>>,
}

#[derive(Serialize)]
struct LeadRecord<'a> {
    id: LeadId,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    company: Option<&'a str>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    source: Option<&'a str>,
    /// The integration that created it: known from the activity log alone.
    api_user: Option<&'a str>,
    partition_id: Option<u64>,
    crm: Option<&'static str>,
}

impl<'a> Document<'a> {
    fn of(report: &'a Report, shown: &'a dyn Shown) -> Self {
        let statistics = &report.statistics;
        let source = &report.source;
        let log_is_read = !source.log.is_unread();
        let by_cause = report.by_cause.iter().map(|(cause, totals)| {
            let is_known = log_is_read || totals.groups > 0 || !cause.needs_the_log();
            (cause.as_str(), is_known.then(|| totals.into()))
        });
        let integration = |(api_user, totals): (&'a Option<String>, &IntegrationTotals)| {
            let IntegrationTotals { groups, excess, races } = *totals;
            IntegrationRecord { api_user: api_user.as_deref(), groups, excess, races }
        };
        let day = |(day, totals): (&NaiveDate, &DayTotals)| DayRecord {
            day: *day,
            excess: totals.excess,
            races: log_is_read.then_some(totals.races),
        };
        let merged = |((day, api_user), leads): (&'a (NaiveDate, Option<String>), &u64)| {
            MergedRecord { day: *day, api_user: api_user.as_deref(), leads: *leads }
        };
        Self {
            schema: SCHEMA,
            instance: &source.instance,
            complete: source.complete,
            scanned_at: source.scanned_at,
            source: if source.is_file { "file" } else { "instance" },
            activity_log: source.log,
            leads: source.leads,
            groups: report.groups,
            duplicates: report.duplicates,
            excess: report.excess,
            mergeable: Totals::from(&report.mergeable),
            undecided: Undecided::from(report),
            perhaps_meant: Totals::from(&report.perhaps_meant()),
            opted_out: report
                .opted_out
                .as_ref()
                .map(|OptedOut { people, by_field }| OptedOutRecord { people: *people, by_field }),
            mailed_twice: report
                .mailed_twice
                .map(|MailedTwice { people, mails }| MailedTwiceRecord { people, mails }),
            by_cause: by_cause.collect(),
            prevented: log_is_read.then_some(statistics.prevented),
            by_integration: log_is_read
                .then(|| statistics.by_integration.iter().map(integration).collect()),
            by_day: (log_is_read || !statistics.by_day.is_empty())
                .then(|| statistics.by_day.iter().map(day).collect()),
            races_by_hour: log_is_read.then_some(&statistics.races_by_hour),
            merged_before: log_is_read
                .then(|| statistics.merged_before.iter().map(merged).collect()),
            group: Elements::of(shown, AsRecord),
        }
    }
}

impl From<Log> for LogRecord {
    fn from(log: Log) -> Self {
        match log {
            Log::Read => Self { read: "all", leads_unread: None, why: None },
            Log::InPart { unread, why } => {
                Self { read: "some", leads_unread: Some(unread), why: Some(why.as_str()) }
            }
            Log::Unread(why) => Self { read: "none", leads_unread: None, why: Some(why.as_str()) },
        }
    }
}

impl From<&GroupTotals> for Totals {
    fn from(totals: &GroupTotals) -> Self {
        Self { groups: totals.groups, excess: totals.excess }
    }
}

impl From<&Report> for Undecided {
    fn from(report: &Report) -> Self {
        let GroupTotals { groups, excess } = report.all_undecided();
        let by_reason = report.undecided.iter();
        let by_reason =
            by_reason.map(|(reason, totals)| (reason.as_str(), totals.into())).collect();
        Self { groups, excess, by_reason }
    }
}

impl<'a> From<&'a ShownGroup> for GroupRecord<'a> {
    fn from(shown: &'a ShownGroup) -> Self {
        Self {
            key: shown.group.key.to_string(),
            size: shown.group.leads.len(),
            cause: shown.explanation.cause.as_str(),
            confidence: shown.explanation.confidence.as_str(),
            evidence: &shown.explanation.evidence,
            winner: shown.winner(),
            undecided: shown.objection().map(UndecidedRecord::of),
            leads: shown
                .group
                .leads
                .iter()
                .map(|lead| LeadRecord::of(lead, &shown.group))
                .collect(),
        }
    }
}

impl<'a> LeadRecord<'a> {
    fn of(lead: &'a Lead, group: &'a Group) -> Self {
        Self {
            id: lead.id,
            email: lead.email(),
            first_name: lead.first_name(),
            last_name: lead.last_name(),
            company: lead.company(),
            created_at: lead.created_at(),
            updated_at: lead.updated_at(),
            source: lead.source(),
            api_user: group.birth_of(lead.id).and_then(|birth| birth.api_user.as_deref()),
            partition_id: lead.partition_id(),
            crm: Some(lead.crm().label()).filter(|label| !label.is_empty()),
        }
    }
}
