//! The CSV: a row a lead, RFC 4180.

use std::borrow::Cow;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Shown, ShownGroup};
use crate::lead::Lead;
use crate::table::harmless;

const HEADER: [&str; 16] = [
    "key",
    "size",
    "cause",
    "confidence",
    "role",
    "id",
    "email",
    "first_name",
    "last_name",
    "company",
    "created_at",
    "updated_at",
    "source",
    "api_user",
    "partition_id",
    "crm",
];

/// Writes groups as CSV, the leads of a group by creation. Lines end as RFC 4180 wants
/// them, with CR LF.
pub fn write_csv(groups: &dyn Shown, out: impl Write) -> io::Result<()> {
    let mut csv = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    csv.write_record(HEADER).map_err(as_io)?;
    groups.each(&mut |shown| {
        for lead in &shown.group.leads {
            csv.write_record(row(shown, lead).iter().map(|cell| cell.as_bytes())).map_err(as_io)?;
        }
        Ok(())
    })?;
    csv.flush()
}

/// The writer's own reason, so that a closed pipe is known as one.
pub(super) fn as_io(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn row<'a>(shown: &'a ShownGroup, lead: &'a Lead) -> [Cow<'a, str>; HEADER.len()] {
    let text = |value: Option<&'a str>| harmless(value.unwrap_or_default());
    [
        Cow::Owned(harmless(&shown.group.key.to_string()).into_owned()),
        shown.group.leads.len().to_string().into(),
        shown.explanation.cause.as_str().into(),
        shown.explanation.confidence.as_str().into(),
        role(shown, lead).into(),
        lead.id.to_string().into(),
        text(lead.email()),
        text(lead.first_name()),
        text(lead.last_name()),
        text(lead.company()),
        time(lead.created_at()),
        time(lead.updated_at()),
        text(lead.source()),
        text(shown.group.birth_of(lead.id).and_then(|birth| birth.api_user.as_deref())),
        lead.partition_id().map(|id| id.to_string()).unwrap_or_default().into(),
        lead.crm().label().into(),
    ]
}

/// What a merge makes of a lead; where a person must decide first, nobody says.
fn role(shown: &ShownGroup, lead: &Lead) -> &'static str {
    match shown.winner() {
        Some(winner) if winner == lead.id => "winner",
        Some(_) => "loser",
        None => "undecided",
    }
}

pub(super) fn time(time: Option<DateTime<Utc>>) -> Cow<'static, str> {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default().into()
}
