//! A certificate as CSV: a row a field of each survivor, and one of each group that has none.

use std::io::{self, Write};

use serde_json::Value;

use super::{Certificate, CertifiedGroup};
use crate::table::harmless;

const HEADER: [&str; 13] = [
    "run",
    "key",
    "outcome",
    "reason",
    "survivor",
    "removed",
    "request_ids",
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
    for group in &certificate.group {
        for fields in rows(group) {
            let of_group = [
                certificate.run.to_string(),
                harmless(&group.key).into_owned(),
                group.outcome.clone(),
                harmless(group.reason.as_deref().unwrap_or_default()).into_owned(),
                group.winner.map(|id| id.to_string()).unwrap_or_default(),
                group.removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                group.request_ids.join(" "),
            ];
            csv.write_record(of_group.iter().chain(&fields).chain([&group.hash]))?;
        }
    }
    csv.flush()
}

fn rows(group: &CertifiedGroup) -> Vec<[String; 5]> {
    if group.fields.is_empty() {
        return vec![Default::default()];
    }
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text).into_owned(),
        other => other.to_string(),
    };
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
    group.fields.iter().map(row).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
