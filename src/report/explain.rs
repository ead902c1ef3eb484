//! One group, explained: as a text for a person, and as a JSON document.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::document::UndecidedRecord;
use super::table::wrapped;
use super::timeline::{Event, What, timeline};
use super::{Merged, ShownGroup, Source, Verdict};
use crate::dedupe::{Cause, Explanation, LateLead, advice};
use crate::lead::LeadId;
use crate::terminal::{counted, one_line};

/// The explanation of a group in lines of at most `width` columns.
pub fn render_explanation(shown: &ShownGroup, width: usize) -> String {
    let ShownGroup { group, explanation, verdict } = shown;
    let head = format!(
        "{}: {}; {}",
        one_line(&group.key.to_string()),
        counted(group.leads.len() as u64, "record"),
        match verdict {
            Verdict::Mergeable(winner) => format!("the record to keep would be {winner}"),
            Verdict::Undecided(_) => "a person must decide".to_owned(),
        }
    );
    let mut parts = vec![wrapped(&head, width)];
    let events: Vec<String> =
        timeline(group).iter().map(|event| indented(&line(event), width, "  ")).collect();
    parts.push(events.join("\n"));
    let Explanation { cause, confidence, .. } = explanation;
    let said = format!("cause: {} ({cause}, {confidence} confidence)", cause.in_words());
    let reasons = explanation.evidence.iter().map(|reason| format!("for: {}", one_line(reason)));
    let doubts = explanation.doubts.iter().map(|doubt| format!("against: {}", one_line(doubt)));
    let reasons: Vec<String> =
        reasons.chain(doubts).map(|reason| indented(&reason, width, "  ")).collect();
    parts.push([vec![wrapped(&said, width)], reasons].concat().join("\n"));
    if let Some(objection) = shown.objection() {
        parts
            .push(wrapped(&format!("a person must decide: {}", one_line(&objection.words)), width));
    }
    parts.push(wrapped(&format!("how to stop it: {}", advice_of(shown)), width));
    parts.join("\n\n") + "\n"
}

/// Writes explanations as one JSON document, and ends the line.
pub fn write_explanations(
    source: &Source,
    groups: &[ShownGroup],
    merged: &[Merged],
    mut out: impl Write,
) -> io::Result<()> {
    let document = Document {
        schema: "mkto-audit/explain/1",
        instance: &source.instance,
        complete: source.complete,
        scanned_at: source.scanned_at,
        group: groups.iter().map(GroupRecord::from).collect(),
        merged,
    };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")
}

fn line(event: &Event) -> String {
    let Event { at, what, lead, merged_into, request_id, api_user, source } = event;
    let by = api_user.as_deref().map(|user| format!(" by {}", one_line(user))).unwrap_or_default();
    match what {
        What::CallArrived => format!(
            "{}  the call that made record {lead} arrived: {}{by}",
            at.format("%Y-%m-%d %H:%M:%S%.3f"),
            one_line(request_id.as_deref().unwrap_or_default())
        ),
        What::LeadBorn => {
            let source = source
                .as_deref()
                .map(|source| format!(" ({})", one_line(source)))
                .unwrap_or_default();
            let merged = merged_into
                .map(|into| format!(", and merged into record {into} since"))
                .unwrap_or_default();
            format!(
                "{}      record {lead} was created{source}{merged}",
                at.format("%Y-%m-%d %H:%M:%S")
            )
        }
    }
}

/// The integration that made most of the group's late leads of its cause, as far as it is known.
fn advice_of(shown: &ShownGroup) -> String {
    let cause = shown.explanation.cause;
    let mut users: Vec<&str> =
        shown.explanation.late.iter().filter(|late| late.cause == cause).filter_map(user).collect();
    users.sort_unstable();
    let integration = users
        .chunk_by(|a, b| a == b)
        .max_by_key(|same| same.len())
        .and_then(|same| same.first())
        .map(|user| one_line(user));
    advice(cause, integration.as_deref())
}

fn user(late: &LateLead) -> Option<&str> {
    late.api_user.as_deref()
}

/// Text broken into lines, those after the first further in.
fn indented(text: &str, width: usize, indent: &str) -> String {
    let lines = wrapped(text, width.saturating_sub(2 * indent.len()).max(20));
    indent.to_owned() + &lines.replace('\n', &format!("\n{indent}{indent}"))
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    complete: bool,
    scanned_at: Option<DateTime<Utc>>,
    group: Vec<GroupRecord<'a>>,
    /// The merges that are known of the address, the oldest first.
    merged: &'a [Merged],
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    key: String,
    size: usize,
    /// Null: a person must decide first.
    winner: Option<LeadId>,
    undecided: Option<UndecidedRecord<'a>>,
    cause: Cause,
    confidence: &'static str,
    evidence: &'a [String],
    doubts: &'a [String],
    maybe_shared: Option<String>,
    advice: String,
    timeline: Vec<EventRecord>,
}

#[derive(Serialize)]
struct EventRecord {
    /// With milliseconds, where they are known.
    at: String,
    event: &'static str,
    lead: LeadId,
    merged_into: Option<LeadId>,
    request_id: Option<String>,
    api_user: Option<String>,
    source: Option<String>,
}

impl<'a> From<&'a ShownGroup> for GroupRecord<'a> {
    fn from(shown: &'a ShownGroup) -> Self {
        let ShownGroup { group, explanation, .. } = shown;
        Self {
            key: group.key.to_string(),
            size: group.leads.len(),
            winner: shown.winner(),
            undecided: shown.objection().map(UndecidedRecord::of),
            cause: explanation.cause,
            confidence: explanation.confidence.as_str(),
            evidence: &explanation.evidence,
            doubts: &explanation.doubts,
            maybe_shared: group.likely_shared(),
            advice: advice_of(shown),
            timeline: timeline(group).into_iter().map(EventRecord::from).collect(),
        }
    }
}

impl From<Event> for EventRecord {
    fn from(event: Event) -> Self {
        let Event { at, what, lead, merged_into, request_id, api_user, source } = event;
        let precision = match what {
            What::CallArrived => SecondsFormat::Millis,
            What::LeadBorn => SecondsFormat::Secs,
        };
        let at = at.to_rfc3339_opts(precision, true);
        Self { at, event: what.as_str(), lead, merged_into, request_id, api_user, source }
    }
}
