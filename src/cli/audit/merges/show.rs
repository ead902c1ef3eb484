//! The merges of others as text, JSON and CSV.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;

use crate::repair::{Lost, LostKind, OthersMerge, OthersTotals, totals_of};
use crate::table::harmless;
use crate::terminal::{counted, moment, one_line};

/// What was found, and what cannot be known.
pub(super) struct Found {
    pub(super) instance: String,
    pub(super) since: NaiveDate,
    pub(super) until: NaiveDate,
    /// Merges of this program in that time.
    pub(super) ours: u64,
    pub(super) merges: Vec<OthersMerge>,
    pub(super) not_known: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    since: NaiveDate,
    until: NaiveDate,
    /// Merges of this program in that time, which are not listed.
    ours: u64,
    #[serde(flatten)]
    totals: OthersTotals,
    by_user: Vec<OfUser>,
    by_day: Vec<OfDay>,
    not_known: &'a [String],
    merge: &'a [OthersMerge],
}

#[derive(Debug, Serialize)]
struct OfUser {
    /// None where the log names nobody.
    user: Option<String>,
    #[serde(flatten)]
    totals: OthersTotals,
}

#[derive(Debug, Serialize)]
struct OfDay {
    day: NaiveDate,
    #[serde(flatten)]
    totals: OthersTotals,
}

/// Those who made most come first.
fn users(by_user: BTreeMap<Option<String>, OthersTotals>) -> Vec<(Option<String>, OthersTotals)> {
    let mut users: Vec<_> = by_user.into_iter().collect();
    users.sort_by(|a, b| b.1.merges.cmp(&a.1.merges).then_with(|| a.0.cmp(&b.0)));
    users
}

impl Found {
    pub(super) fn document(&self) -> Document<'_> {
        let (totals, by_user, by_day) = totals_of(&self.merges);
        let of_user = |(user, totals)| OfUser { user, totals };
        let of_day = |(day, totals)| OfDay { day, totals };
        Document {
            schema: "mkto-audit/audit-merges/1",
            instance: &self.instance,
            since: self.since,
            until: self.until,
            ours: self.ours,
            totals,
            by_user: users(by_user).into_iter().map(of_user).collect(),
            by_day: by_day.into_iter().map(of_day).collect(),
            not_known: &self.not_known,
            merge: &self.merges,
        }
    }

    pub(super) fn text(&self) -> String {
        let (all, by_user, by_day) = totals_of(&self.merges);
        let mut lines = vec![format!(
            "{} of others from {} to {}: {} removed; {} and {} look lost",
            counted(all.merges, "merge"),
            self.since,
            self.until,
            counted(all.removed, "record"),
            counted(all.opt_outs_lost, "opt-out"),
            counted(all.lists_lost, "list membership"),
        )];
        if self.ours > 0 {
            lines.push(format!("not listed: {} of this program", counted(self.ours, "merge")));
        }
        if !self.merges.is_empty() {
            lines.push("\nby user".to_owned());
            lines.extend(users(by_user).iter().map(|(user, totals)| {
                let user = user.as_deref().map_or("(nobody is named)".into(), one_line);
                line(&user, totals)
            }));
            lines.push("\nby day".to_owned());
            lines.extend(by_day.iter().map(|(day, totals)| line(&day.to_string(), totals)));
        }
        let lost: Vec<&OthersMerge> =
            self.merges.iter().filter(|merge| !merge.lost.is_empty()).collect();
        if !lost.is_empty() {
            lines.push("\nlooks lost".to_owned());
            lines.extend(lost.iter().flat_map(|merge| losses(merge)));
        }
        lines.push(String::new());
        lines.extend(self.not_known.iter().cloned());
        lines.join("\n") + "\n"
    }

    /// A row a merge; one more for each further thing that looks lost.
    pub(super) fn csv(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        csv.write_record(HEADER).map_err(as_io)?;
        for merge in &self.merges {
            let lost: Vec<Option<&Lost>> = match merge.lost.as_slice() {
                [] => vec![None],
                lost => lost.iter().map(Some).collect(),
            };
            for lost in lost {
                csv.write_record(row(merge, lost)).map_err(as_io)?;
            }
        }
        csv.flush()
    }
}

const HEADER: [&str; 12] = [
    "merged_at",
    "user",
    "winner_id",
    "survivor_id",
    "survivor_lives",
    "loser_ids",
    "request_id",
    "merge_source",
    "lost_kind",
    "lost",
    "lost_list_id",
    "lost_since",
];

fn row(merge: &OthersMerge, lost: Option<&Lost>) -> [String; 12] {
    let time = |at: Option<DateTime<Utc>>| {
        at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
    };
    let text = |text: Option<&str>| harmless(text.unwrap_or_default()).into_owned();
    let losers: Vec<String> = merge.loser_ids.iter().map(ToString::to_string).collect();
    [
        time(merge.at),
        text(merge.user.as_deref()),
        merge.winner_id.to_string(),
        merge.survivor_id.to_string(),
        merge.survivor_lives.map(|lives| lives.to_string()).unwrap_or_default(),
        losers.join(" "),
        text(merge.request_id.as_deref()),
        text(merge.merge_source.as_deref()),
        lost.map(|lost| word(lost.kind).to_owned()).unwrap_or_default(),
        text(lost.map(|lost| lost.name.as_str())),
        lost.and_then(|lost| lost.list_id).map(|id| id.to_string()).unwrap_or_default(),
        time(lost.and_then(|lost| lost.since)),
    ]
}

fn word(kind: LostKind) -> &'static str {
    match kind {
        LostKind::OptOut => "opt_out",
        LostKind::List => "list",
    }
}

fn as_io(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

fn line(of: &str, totals: &OthersTotals) -> String {
    let mut line = format!(
        "  {of}: {}, {} removed",
        counted(totals.merges, "merge"),
        counted(totals.removed, "record")
    );
    for (number, what) in
        [(totals.opt_outs_lost, "opt-out"), (totals.lists_lost, "list membership")]
    {
        if number > 0 {
            line = format!("{line}, {} lost", counted(number, what));
        }
    }
    line
}

fn losses(merge: &OthersMerge) -> Vec<String> {
    let losers: Vec<String> = merge.loser_ids.iter().map(ToString::to_string).collect();
    let at = merge.at.map_or_else(|| "a time that is not told".to_owned(), moment);
    let line = |lost: &Lost| {
        let what = match lost.kind {
            LostKind::OptOut => format!("opt-out `{}`", one_line(&lost.name)),
            LostKind::List => format!("list `{}`", one_line(&lost.name)),
        };
        let since = lost.since.map(|at| format!(", which a record had since {}", moment(at)));
        format!(
            "  record {}: {what}{}; {} went into {} on {at}",
            merge.survivor_id,
            since.unwrap_or_default(),
            losers.join(", "),
            merge.winner_id
        )
    };
    merge.lost.iter().map(line).collect()
}
