//! A certificate as one page that a person reads in a browser, or prints.
//!
//! For: a file that holds everything it needs: the page, and below it the certificate as JSON, by
//! which the page can be made again and compared. Never: runs a script, or asks a network for
//! anything; its policy forbids both. Leans on: askama (`templates/certificate.html`).

use std::collections::BTreeMap;
use std::io::{self, Write};

use askama::Template;
use serde_json::Value;

use super::{Certificate, CertifiedGroup, GroupAfterwards};
use crate::embed::{harmless_json, policy_digest};
use crate::lead::LeadId;
use crate::merge::{FieldProof, FieldVerdict};
use crate::terminal::{count, counted, moment};

mod later;
mod left_alone;

use later::{CountedRow, RateRow, when};
use left_alone::{LeftRow, is_left_alone};

const STYLE: &str = include_str!("../../../templates/certificate.css");
/// What stands around the certificate's JSON in the page.
const OPEN: &str = "<script type=\"application/json\" id=\"certificate\">";
const CLOSE: &str = "</script>";

#[derive(Template)]
#[template(path = "certificate.html")]
struct Page {
    style: &'static str,
    style_digest: String,
    run: u64,
    instance: String,
    warnings: Vec<String>,
    /// A name and what it is.
    facts: Vec<(&'static str, String)>,
    numbers: Vec<(String, &'static str)>,
    consent: String,
    consents: Vec<ConsentRow>,
    marketo: Vec<String>,
    members: Vec<String>,
    counted: Vec<CountedRow>,
    rate_words: String,
    rates: Vec<RateRow>,
    groups: Vec<GroupRows>,
    left_words: String,
    left_alone: Vec<LeftRow>,
    seal: String,
    last: String,
}

struct ConsentRow {
    key: String,
    field: String,
    before: String,
    after: String,
}

struct GroupRows {
    key: String,
    what: String,
    lines: Vec<String>,
    fields: Vec<FieldRow>,
    /// How many fields are not shown, since nothing happened to them.
    kept: Option<String>,
}

struct FieldRow {
    class: &'static str,
    name: String,
    before: String,
    predicted: String,
    after: String,
    verdict: String,
}

/// Writes the page.
pub fn write(certificate: &Certificate, out: &mut dyn Write) -> io::Result<()> {
    let page = page(certificate).render().map_err(io::Error::other)?;
    let json = serde_json::to_string(certificate).map_err(io::Error::other)?;
    write!(out, "{page}\n{OPEN}{}{CLOSE}\n</body>\n</html>\n", harmless_json(&json))
}

/// The certificate that a page holds; none where it is no such page.
pub fn read(page: &str) -> Option<Certificate> {
    let (_, rest) = page.rsplit_once(OPEN)?;
    let (json, _) = rest.split_once(CLOSE)?;
    serde_json::from_str(json).ok()
}

fn page(certificate: &Certificate) -> Page {
    let consents = consents(&certificate.group);
    let all = &certificate.afterwards;
    let seen: BTreeMap<&str, &GroupAfterwards> =
        all.group.iter().map(|group| (group.key.as_str(), group)).collect();
    let rows = |group: &CertifiedGroup| group_rows(group, seen.get(group.key.as_str()).copied());
    Page {
        style: STYLE,
        style_digest: policy_digest(STYLE),
        run: certificate.run,
        instance: certificate.instance.clone(),
        warnings: warnings(certificate),
        facts: facts(certificate),
        numbers: numbers(certificate),
        consent: consent_in_words(certificate),
        consents,
        marketo: later::marketo(all),
        members: later::members(all),
        counted: later::counted_rows(all),
        rate_words: later::rate_in_words(certificate.rate.as_ref()),
        rates: later::rate_rows(certificate.rate.as_ref()),
        groups: certificate.group.iter().filter(|group| !is_left_alone(group)).map(rows).collect(),
        left_words: left_alone::in_words(certificate),
        left_alone: left_alone::rows(certificate),
        seal: certificate.chain.seal.clone(),
        last: certificate.chain.last.clone(),
    }
}

fn warnings(certificate: &Certificate) -> Vec<String> {
    let mut warnings = later::warnings(certificate);
    let prepared = certificate.group.iter().filter(|group| left_alone::is_prepared(group));
    let prepared = prepared.count() as u64;
    if prepared > 0 {
        let groups = counted(prepared, "group");
        warnings.push(format!(
            "{groups} written to and not merged: what was written, and what of it stays, is named below."
        ));
    }
    let of = |verdict: FieldVerdict| {
        certificate.totals.verdicts.get(verdict.as_str()).copied().unwrap_or_default()
    };
    if of(FieldVerdict::Lost) > 0 {
        let values = counted(of(FieldVerdict::Lost), "value");
        warnings.push(format!("{values} lost: they are named below, and the ledger holds them."));
    }
    if of(FieldVerdict::Unexpected) > 0 {
        let values = counted(of(FieldVerdict::Unexpected), "field");
        warnings.push(format!("{values} not as predicted: somebody else wrote them meanwhile."));
    }
    if !certificate.settled {
        let open = "A merge of this run is not settled: `mkto-audit merge --confirm` looks what became of it, \
                    and this certificate then changes.";
        warnings.push(open.to_owned());
    }
    if certificate.ended_at.is_none() {
        warnings.push("The run was killed: it has a beginning and no end.".to_owned());
    }
    let not_compared =
        certificate.group.iter().filter(|group| !group.removed.is_empty() && !group.compared);
    let not_compared = not_compared.count() as u64;
    if not_compared > 0 {
        let groups = counted(not_compared, "group");
        warnings.push(format!("{groups} merged and not compared field by field."));
    }
    warnings
}

fn facts(certificate: &Certificate) -> Vec<(&'static str, String)> {
    let signed = |by: &super::Signature| {
        let note = by.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{} on {}{note}", by.by, when(&by.at))
    };
    let mut facts = Vec::new();
    if let Some(plan) = &certificate.plan {
        let name = certificate.plan_name.as_ref().map(|name| format!("{name}, "));
        facts.push(("Plan", format!("{}{plan}", name.unwrap_or_default())));
    }
    if let Some(at) = certificate.planned_at {
        let by = certificate.planned_by.as_ref();
        let by = by.map_or_else(|| "by somebody".to_owned(), |by| format!("by {by}"));
        facts.push(("Planned", format!("{by} on {}", moment(at))));
    }
    if let Some(digest) = &certificate.digest {
        facts.push(("Digest", digest.clone()));
    }
    if let Some(profile) = &certificate.profile {
        facts.push(("Measured", format!("predictions go by {profile}")));
    }
    facts.push(("Decided", decided(certificate)));
    let approved = certificate
        .approved
        .as_ref()
        .map_or_else(|| "by nobody; none was needed".to_owned(), signed);
    facts.push(("Approved", approved));
    facts.push((
        "Run by",
        certificate.by.clone().unwrap_or_else(|| {
            "not known: neither a flag nor the environment named anybody".to_owned()
        }),
    ));
    let ended = certificate.ended_at.map_or_else(|| "no end".to_owned(), moment);
    facts.push(("From, to", format!("{}, {ended}", moment(certificate.begun_at))));
    facts
}

/// Who decided about how many groups.
fn decided(certificate: &Certificate) -> String {
    let mut people: BTreeMap<&str, u64> = BTreeMap::new();
    for by in certificate.group.iter().filter_map(|group| group.decided.as_ref()) {
        *people.entry(&by.by).or_default() += 1;
    }
    if people.is_empty() {
        return "nobody decided about a group: the rules did".to_owned();
    }
    let each = people.iter().map(|(by, groups)| format!("{} by {by}", counted(*groups, "group")));
    each.collect::<Vec<_>>().join(", ")
}

fn numbers(certificate: &Certificate) -> Vec<(String, &'static str)> {
    let totals = &certificate.totals;
    let mut numbers = vec![
        (count(totals.merged), "groups merged"),
        (count(totals.removed), "records removed"),
        (
            count(totals.skipped),
            if certificate.left_alone_known {
                "groups left alone"
            } else {
                "groups left alone that are known of"
            },
        ),
        (count(totals.prepared), "groups written to and not merged"),
        (count(totals.failed), "groups failed or not known"),
    ];
    for verdict in FieldVerdict::ALL {
        let fields = totals.verdicts.get(verdict.as_str()).copied().unwrap_or_default();
        numbers.push((
            count(fields),
            match verdict {
                FieldVerdict::Kept => "fields kept",
                FieldVerdict::Filled => "blanks filled",
                FieldVerdict::Replaced => "values replaced as planned",
                FieldVerdict::Dropped => "fields of which other values were dropped as planned",
                FieldVerdict::Lost => "values lost",
                FieldVerdict::Unexpected => "fields not as predicted",
            },
        ));
    }
    if let Some(price) = &certificate.price {
        numbers.push((format!("{} × {price}", count(totals.removed)), "no longer paid for"));
    }
    numbers
}

fn consent_in_words(certificate: &Certificate) -> String {
    let totals = &certificate.totals;
    match (totals.opt_outs, totals.opt_outs_lost) {
        (0, _) => "No record of a merged group had opted out of anything.".to_owned(),
        (all, 0) => {
            format!("{} on a merged record; every survivor has them.", counted(all, "opt-out"))
        }
        (all, lost) => format!(
            "{} on a merged record, of which {} not on the survivor: set them in Marketo before anything is mailed.",
            counted(all, "opt-out"),
            counted(lost, "opt-out")
        ),
    }
}

fn consents(groups: &[CertifiedGroup]) -> Vec<ConsentRow> {
    let row = |group: &CertifiedGroup, field: &FieldProof| ConsentRow {
        key: group.key.clone(),
        field: field.name.clone(),
        before: before(field),
        after: shown(&field.after),
    };
    let opted_out = |field: &&FieldProof| {
        field.consent && field.before.values().any(|value| *value == Value::Bool(true))
    };
    groups
        .iter()
        .flat_map(|group| group.fields.iter().filter(opted_out).map(move |field| row(group, field)))
        .collect()
}

fn group_rows(group: &CertifiedGroup, seen: Option<&GroupAfterwards>) -> GroupRows {
    let ids = |ids: &[LeadId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = match (group.winner, group.removed.is_empty()) {
        (Some(winner), false) => {
            let at = group.merged_at.map(|at| format!(" on {}", moment(at))).unwrap_or_default();
            format!("{} went into {winner}{at}: {}.", ids(&group.removed), group.outcome)
        }
        (Some(winner), true) if left_alone::is_prepared(group) => {
            format!("Nothing went into {winner}, which was written to.")
        }
        (Some(winner), true) => format!("Nothing went into {winner}: {}.", group.outcome),
        (None, _) => format!("{}.", group.outcome),
    };
    let mut lines: Vec<String> = group.reason.iter().cloned().collect();
    if let Some(by) = &group.decided {
        let note = by.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let choice = group.decisions.as_ref().and_then(|decisions| decisions.choice);
        let choice = choice.map(|choice| format!(": {}", choice.in_words())).unwrap_or_default();
        lines.push(format!("Decided by {} on {}{choice}{note}", by.by, when(&by.at)));
    }
    if !group.request_ids.is_empty() {
        lines.push(format!("Marketo's request {}", group.request_ids.join(", ")));
    }
    lines.extend(seen.into_iter().flat_map(later::lines));
    lines.extend(group.others.iter().cloned());
    lines.extend(group.rows.iter().map(|rows| {
        format!(
            "rows of the custom object {}: {} moved, {} seen on the survivor",
            rows.object, rows.moved, rows.verified
        )
    }));
    lines.extend(group.written.iter().flat_map(left_alone::written));
    let (still, happened): (Vec<_>, Vec<_>) =
        group.fields.iter().partition(|field| field.verdict == FieldVerdict::Kept && !field.mended);
    let kept = (!still.is_empty())
        .then(|| format!("{} as they were.", counted(still.len() as u64, "other field")));
    GroupRows {
        key: group.key.clone(),
        what,
        lines,
        fields: happened.into_iter().map(field_row).collect(),
        kept,
    }
}

fn field_row(field: &FieldProof) -> FieldRow {
    let mended = if field.mended { ", written again after the merge" } else { "" };
    FieldRow {
        class: field.verdict.as_str(),
        name: field.name.clone(),
        before: before(field),
        predicted: field.predicted.iter().map(shown).collect::<Vec<_>>().join(" or "),
        after: shown(&field.after),
        verdict: format!("{}{mended}", field.verdict.in_words()),
    }
}

fn before(field: &FieldProof) -> String {
    if field.before.is_empty() {
        return "(blank)".to_owned();
    }
    let each = field.before.iter().map(|(lead, value)| format!("{lead}: {}", shown(value)));
    each.collect::<Vec<_>>().join("; ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(blank)".to_owned(),
        Value::String(text) if text.trim().is_empty() => "(blank)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}
