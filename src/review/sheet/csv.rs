//! The CSV: a row a lead, and a column for each field that conflicts.
//!
//! On the row of the record to keep a `value:` cell says what the survivor will hold; on the other
//! rows what that record holds. The last column's heading names the plan and its digest, which so
//! survive sorting and the deletion of rows.

use std::collections::HashMap;
use std::io::{self, Write};

use super::guard::guarded;
use super::words::{
    held, is_included, kept, number, sentences, value_or_blank, value_text, warnings, yes_no,
};
use super::{PlanFacts, Survey};
use crate::dedupe::ChosenValue;
use crate::lead::LeadId;
use crate::review::card::{Card, CardField};
use crate::table::harmless;

/// The columns that every file has, before those of the values.
pub(super) const COLUMNS: [&str; 14] = [
    "group",
    "decision",
    "keep",
    "id",
    "include",
    "risk",
    "why",
    "warning",
    "note",
    "email",
    "first_name",
    "last_name",
    "company",
    "created_at",
];

/// What the heading of a column of values begins with.
pub(super) const VALUE: &str = "value:";

/// What the heading begins with that names the plan: `plan:ID:DIGEST`.
pub(super) const PLAN: &str = "plan:";

/// Without this mark Excel takes UTF-8 for another code page, and shows `Łukasz` wrong.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Writes cards as CSV, one after the other. Lines end as RFC 4180 wants them, with CR LF.
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    csv: ::csv::Writer<W>,
    fields: Vec<String>,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the heading.
    pub fn new(mut out: W, plan: &PlanFacts, survey: &Survey) -> io::Result<Self> {
        out.write_all(MARK)?;
        let mut csv =
            ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
        let values = survey.fields.iter().map(|field| format!("{VALUE}{field}"));
        let stamp = format!("{PLAN}{}:{}", plan.plan, plan.digest);
        let heading = COLUMNS.iter().map(|&column| column.to_owned()).chain(values).chain([stamp]);
        csv.write_record(heading).map_err(as_io)?;
        Ok(Self { csv, fields: survey.fields.clone() })
    }

    /// Writes the rows of a group.
    pub fn add(&mut self, card: &Card) -> io::Result<()> {
        let by_name: HashMap<&str, &CardField> =
            card.fields.iter().map(|field| (field.name.as_str(), field)).collect();
        for (place, lead) in card.leads.iter().enumerate() {
            for cell in fixed_cells(card, place) {
                self.csv.write_field(cell).map_err(as_io)?;
            }
            for name in &self.fields {
                let field = by_name.get(name.as_str());
                let cell = field.map(|field| value_cell(card, field, lead.id)).unwrap_or_default();
                self.csv.write_field(cell).map_err(as_io)?;
            }
            self.csv.write_field("").map_err(as_io)?;
            self.csv.write_record(None::<&[u8]>).map_err(as_io)?;
        }
        Ok(())
    }

    /// Writes what is left in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.csv.flush()
    }
}

/// The cells of a lead before its values; what concerns the whole group stands on its first row.
fn fixed_cells(card: &Card, place: usize) -> [String; COLUMNS.len()] {
    let Some(lead) = card.leads.get(place) else { return [const { String::new() }; _] };
    let of_group = |text: String| if place == 0 { text } else { String::new() };
    let text = |value: &Option<String>| harmless(value.as_deref().unwrap_or_default()).into_owned();
    let keep = kept(card) == Some(lead.id);
    [
        number(card).to_string(),
        of_group(decision_cell(card)),
        if keep { yes_no(true).to_owned() } else { String::new() },
        lead.id.to_string(),
        yes_no(is_included(&card.decisions, lead.id)).to_owned(),
        card.risk.as_str().to_owned(),
        of_group(harmless(&why(card)).into_owned()),
        of_group(harmless(&warning(card)).into_owned()),
        of_group(note_cell(card)),
        text(&lead.email),
        text(&lead.first_name),
        text(&lead.last_name),
        text(&lead.company),
        text(&lead.created_at),
    ]
}

fn why(card: &Card) -> String {
    sentences([card.cause_in_words.as_str(), card.why.as_str()].into_iter())
}

/// The warnings, the consent, and what of its own the record to keep would lose: its row shows the
/// survivor's values, so nothing else in the file says so.
fn warning(card: &Card) -> String {
    let gives_way = |field: &CardField| {
        let own = value_text(field, held(card, field, kept(card)?));
        let stays = own.trim().is_empty() || own == value_text(field, &field.after);
        let decided = card.decisions.values.contains_key(&field.name);
        (!stays && (field.conflict || decided)).then(|| format!("{}: {own}", field.name))
    };
    let replaced: Vec<String> = card.fields.iter().filter_map(gives_way).collect();
    let replaced = (!replaced.is_empty())
        .then(|| format!("The record to keep gives up its own {}", replaced.join(", ")));
    let warnings = warnings(card);
    let told = [Some(warnings.as_str()), card.consent.as_deref(), replaced.as_deref()];
    sentences(told.into_iter().flatten())
}

/// The decision so far.
pub(super) fn decision_cell(card: &Card) -> String {
    card.decisions.choice.map(|choice| choice.as_str().to_owned()).unwrap_or_default()
}

/// The note so far.
pub(super) fn note_cell(card: &Card) -> String {
    guarded(card.decisions.note.as_deref().unwrap_or_default())
}

/// What a `value:` cell says on the row of this lead.
pub(super) fn value_cell(card: &Card, field: &CardField, id: LeadId) -> String {
    if kept(card) != Some(id) {
        return guarded(&value_text(field, held(card, field, id)));
    }
    let chosen = match card.decisions.values.get(&field.name) {
        None => return guarded(&value_text(field, &field.after)),
        Some(ChosenValue::From(from)) => held(card, field, *from),
        Some(ChosenValue::Typed(value)) => value,
    };
    if value_text(field, chosen).trim().is_empty() {
        return value_or_blank(field, chosen);
    }
    guarded(&value_text(field, chosen))
}

/// The writer's own reason, so that a closed pipe is known as one.
fn as_io(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
