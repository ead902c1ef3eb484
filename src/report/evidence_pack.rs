//! What the vendor of an integration is shown: its calls, their times and the leads they made, and
//! no personal data.
//!
//! Groups are named by their lowest lead id, never by an address; the logins of other integrations
//! are left out.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};

use super::ShownGroup;
use super::csv::{as_io, time};
use crate::lead::Lead;
use crate::table::harmless;

const HEADER: [&str; 10] = [
    "group",
    "lead",
    "made_by",
    "late",
    "cause",
    "confidence",
    "request_id",
    "request_arrived_at",
    "born_at",
    "api_method",
];

/// Whether this integration added a lead to the group although there was one.
pub fn is_of_integration(shown: &ShownGroup, api_user: &str) -> bool {
    shown.explanation.late.iter().any(|late| late.api_user.as_deref() == Some(api_user))
}

/// Writes the groups of an integration as CSV, a row a lead, by creation. The groups are handed in
/// already chosen.
pub fn write_evidence_pack(
    groups: &[ShownGroup],
    api_user: &str,
    out: impl Write,
) -> io::Result<()> {
    let mut csv = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    csv.write_record(HEADER).map_err(as_io)?;
    for shown in groups {
        for lead in &shown.group.leads {
            csv.write_record(row(shown, lead, api_user)).map_err(as_io)?;
        }
    }
    csv.flush()
}

fn row(shown: &ShownGroup, lead: &Lead, api_user: &str) -> [String; HEADER.len()] {
    let group = shown.group.leads.iter().map(|lead| lead.id).min().unwrap_or_default();
    let birth = shown.group.birth_of(lead.id);
    let made_by = match birth.and_then(|birth| birth.api_user.as_deref()) {
        Some(user) if user == api_user => harmless(user).into_owned(),
        Some(_) => "another integration".to_owned(),
        None => "not by the API, or not known".to_owned(),
    };
    let late = shown.explanation.late.iter().find(|late| late.id == lead.id);
    let text = |value: Option<&str>| harmless(value.unwrap_or_default()).into_owned();
    let own = birth.filter(|birth| birth.api_user.as_deref() == Some(api_user));
    [
        group.to_string(),
        lead.id.to_string(),
        made_by,
        if late.is_some() { "late" } else { "first" }.to_owned(),
        late.map(|late| late.cause.to_string()).unwrap_or_default(),
        late.map(|late| late.confidence.to_string()).unwrap_or_default(),
        text(own.and_then(|birth| birth.request_id.as_deref())),
        millis(birth.and_then(crate::lead::Birth::arrived)),
        time(birth.map(|birth| birth.at).or(lead.created_at())).into_owned(),
        text(own.and_then(|birth| birth.api_method.as_deref())),
    ]
}

fn millis(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)).unwrap_or_default()
}
