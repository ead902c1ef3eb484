//! The JSON document, field by field as the documentation promises it.
//!
//! The structs here are the promise; they are apart from the program's own, so that a change inside cannot change it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{CauseTotals, Report, ShownGroup};
use crate::lead::{Lead, LeadId};

const SCHEMA: &str = "mkto-audit/report/1";

/// Writes the report as one JSON document, and ends the line.
pub fn write_json(report: &Report, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, &Document::from(report))?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    scanned_at: Option<DateTime<Utc>>,
    leads: u64,
    groups: u64,
    duplicates: u64,
    excess: u64,
    by_cause: BTreeMap<&'static str, Totals>,
    group: Vec<GroupRecord<'a>>,
}

#[derive(Serialize)]
struct Totals {
    groups: u64,
    excess: u64,
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    key: String,
    size: usize,
    cause: &'static str,
    confidence: &'static str,
    evidence: &'a [String],
    winner: LeadId,
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

impl<'a> From<&'a Report> for Document<'a> {
    fn from(report: &'a Report) -> Self {
        let by_cause = report.by_cause.iter();
        Self {
            schema: SCHEMA,
            instance: &report.source.instance,
            scanned_at: report.source.scanned_at,
            leads: report.source.leads,
            groups: report.groups,
            duplicates: report.duplicates,
            excess: report.excess,
            by_cause: by_cause.map(|(cause, totals)| (cause.as_str(), totals.into())).collect(),
            group: report.shown.iter().map(GroupRecord::from).collect(),
        }
    }
}

impl From<&CauseTotals> for Totals {
    fn from(totals: &CauseTotals) -> Self {
        Self { groups: totals.groups, excess: totals.excess }
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
            winner: shown.winner,
            leads: shown.group.leads.iter().map(LeadRecord::from).collect(),
        }
    }
}

impl<'a> From<&'a Lead> for LeadRecord<'a> {
    fn from(lead: &'a Lead) -> Self {
        Self {
            id: lead.id,
            email: lead.email(),
            first_name: lead.first_name(),
            last_name: lead.last_name(),
            company: lead.company(),
            created_at: lead.created_at(),
            updated_at: lead.updated_at(),
            source: lead.source(),
            api_user: None,
            partition_id: lead.partition_id(),
            crm: Some(lead.crm().label()).filter(|label| !label.is_empty()),
        }
    }
}
