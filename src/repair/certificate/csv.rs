//! A certificate as CSV: a row a field of each survivor, a row a list and a program that its
//! records were in, one of what of these is not known, one of each value that was written for a
//! merge that was not made, and one of each group that has none of them. At the end the lists and
//! programs in all.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::{Certificate, CertifiedGroup, Counted, GroupAfterwards, GroupLate};
use crate::lead::LeadId;
use crate::repair::{Written, WrittenField};
use crate::table::harmless;

const HEADER: [&str; 16] = [
    "run",
    "key",
    "outcome",
    "reason",
    "survivor",
    "removed",
    "records",
    "left_alone_at",
    "request_ids",
    "marketo",
    "field",
    "before",
    "predicted",
    "after",
    "verdict",
    "hash",
];

/// Writes it.
pub fn write(certificate: &Certificate, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    csv.write_record(HEADER)?;
    let seen: BTreeMap<&str, &GroupAfterwards> =
        certificate.afterwards.group.iter().map(|group| (group.key.as_str(), group)).collect();
    for group in &certificate.group {
        let seen = seen.get(group.key.as_str());
        for fields in rows(group, seen.copied()) {
            let of_group = [
                certificate.run.to_string(),
                harmless(&group.key).into_owned(),
                group.outcome.clone(),
                harmless(group.reason.as_deref().unwrap_or_default()).into_owned(),
                group.winner.map(|id| id.to_string()).unwrap_or_default(),
                ids(&group.removed),
                ids(&group.leads),
                group.left_alone_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
                group.request_ids.join(" "),
                seen.map(|seen| seen.marketo.clone()).unwrap_or_default(),
            ];
            csv.write_record(of_group.iter().chain(&fields).chain([&group.hash]))?;
        }
    }
    let all = &certificate.afterwards;
    for fields in members(&all.lists, &all.programs) {
        let run = certificate.run.to_string();
        let mut of_all: [String; 10] = Default::default();
        let [first, _, outcome, ..] = &mut of_all;
        (*first, *outcome) = (run, "total".to_owned());
        csv.write_record(of_all.iter().chain(&fields).chain([&String::new()]))?;
    }
    csv.flush()
}

/// A row a list, a program and its success: members before, those that there can be, members after.
fn members(lists: &[Counted], programs: &[Counted]) -> Vec<[String; 5]> {
    let row = |what: &str, one: &Counted, [before, predicted, after]: [u64; 3]| {
        let name = if one.name.is_empty() { one.id.to_string() } else { one.name.clone() };
        let verdict = if after < predicted { "missing" } else { "carried" };
        let numbers = [before, predicted, after].map(|number| number.to_string());
        let [before, predicted, after] = numbers;
        [harmless(&format!("{what} {name}")).into_owned(), before, predicted, after, verdict.into()]
    };
    let counted =
        |one: &Counted| [one.before, one.before.saturating_sub(one.collisions), one.after];
    let mut rows: Vec<[String; 5]> =
        lists.iter().map(|one| row("list", one, counted(one))).collect();
    for one in programs {
        rows.push(row("program", one, counted(one)));
        if one.success_before > 0 {
            let expected = one.success_before.saturating_sub(one.success_collisions);
            let success = [one.success_before, expected, one.success_after];
            rows.push(row("success in program", one, success));
        }
    }
    rows
}

fn rows(group: &CertifiedGroup, seen: Option<&GroupAfterwards>) -> Vec<[String; 5]> {
    let mut members = seen.map(|seen| members(&seen.lists, &seen.programs)).unwrap_or_default();
    for what in seen.iter().flat_map(|seen| &seen.not_known) {
        let mut row: [String; 5] = Default::default();
        let [name, .., verdict] = &mut row;
        *name = harmless(&format!("lists and programs: {what}")).into_owned();
        "not_known".clone_into(verdict);
        members.push(row);
    }
    members.extend(seen.iter().filter_map(|seen| seen.late_rows.as_ref()).flat_map(late_rows));
    let written = group.written.iter().flat_map(written);
    let written: Vec<[String; 5]> = written.collect();
    if group.fields.is_empty() && members.is_empty() && written.is_empty() {
        return vec![Default::default()];
    }
    let row = |field: &crate::merge::FieldProof| {
        let before: Vec<String> =
            field.before.iter().map(|(lead, value)| format!("{lead}: {}", plain(value))).collect();
        let predicted: Vec<String> = field.predicted.iter().map(text).collect();
        [
            field.name.clone(),
            harmless(&before.join("; ")).into_owned(),
            predicted.join(" or "),
            text(&field.after),
            field.verdict.as_str().to_owned(),
        ]
    };
    group.fields.iter().map(row).chain(written).chain(members).collect()
}

/// A row of the table for each row of a custom object that came late and was linked, and for those
/// that were left behind.
fn late_rows(late: &GroupLate) -> Vec<[String; 5]> {
    let row = |object: &str, before: u64, after: String, verdict: &str| {
        let name = harmless(&format!("rows of {object}")).into_owned();
        [name, before.to_string(), String::new(), after, verdict.to_owned()]
    };
    let moved = late
        .moved
        .iter()
        .map(|one| row(&one.object, one.from, one.to.to_string(), "came_late_and_moved"));
    let left = late.left.iter().map(|rows| {
        row(&rows.object, rows.lead, harmless(&rows.why).into_owned(), "came_late_and_left")
    });
    moved.chain(left).collect()
}

/// A row a value that was written for a merge that was not made.
fn written(written: &Written) -> Vec<[String; 5]> {
    let row = |field: &WrittenField| {
        let back = match (field.given_back, written.settled) {
            (true, _) => "written_and_given_back",
            (false, true) => "written_and_settled",
            (false, false) => "written_and_open",
        };
        let before = format!("{}: {}", written.lead, plain(&field.before));
        let before = harmless(&before).into_owned();
        [field.name.clone(), before, String::new(), text(&field.after), back.to_owned()]
    };
    written.fields.iter().map(row).collect()
}

fn ids(ids: &[LeadId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text).into_owned(),
        other => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
