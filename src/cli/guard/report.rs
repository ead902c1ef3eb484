//! `mkto-audit guard report`: what a guard in shadow mode saw.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde::Serialize;

use crate::cli::{Context, Exit, Failure};
use crate::guard::{Counts, RaceCounts};
use crate::terminal::{count, counted};

/// Say what a guard in shadow mode saw
///
/// By API user: calls, records, and records that would have raced, since their key was being
/// written by another call at that moment. Each of those is a duplicate that could have arisen.
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit guard report --json")]
pub(super) struct ReportArgs {
    /// Print one JSON document, by day
    #[arg(long)]
    json: bool,
}

/// No frame but a line under the header.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    #[serde(flatten)]
    all: Counts,
    by_user: BTreeMap<&'a str, Counts>,
    by_day: &'a BTreeMap<NaiveDate, BTreeMap<String, Counts>>,
}

pub(super) fn run(context: &mut Context, args: &ReportArgs) -> Result<Exit, Failure> {
    let instance = context.config.instance_name();
    let Some(tally) = RaceCounts::read(&context.config.tally_file()?)? else {
        return Err(Failure::Usage {
            what: format!("no guard has watched {instance} in shadow mode on this machine"),
            hint: Some("run one: mkto-audit guard --mode shadow".to_owned()),
        });
    };
    let by_user = tally.by_user();
    let mut all = Counts::default();
    for counts in by_user.values() {
        all.add(*counts);
    }
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/guard-report/1",
            instance: &instance,
            since: tally.since,
            until: tally.until,
            all,
            by_user,
            by_day: &tally.days,
        })?;
        return Ok(Exit::Done);
    }
    let minute = "%Y-%m-%d %H:%M";
    if tally.is_empty() {
        context.ui.print(&format!(
            "Watching {instance} since {} UTC: no write has come through the guard yet. Counts are here a few seconds after a write.",
            tally.since.format(minute)
        ))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["API user", "calls", "records", "would have raced"]);
    for (user, counts) in &by_user {
        table.add_row([
            (*user).to_owned(),
            count(counts.calls),
            count(counts.records),
            count(counts.raced),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    context.ui.print(&format!(
        "{table}\n\n{} of {} would have raced with another write of the same key, from {} to {} UTC.",
        count(all.raced),
        counted(all.records, "record"),
        tally.since.format(minute),
        tally.until.format(minute)
    ))?;
    if all.unseen > 0 {
        context.ui.print(&format!(
            "Calls whose records were not looked at, since a body was too large, compressed, or one too many at once: {}.",
            count(all.unseen)
        ))?;
    }
    Ok(Exit::Done)
}
