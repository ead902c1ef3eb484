//! `mkto-audit map`: which lead went into which, and who lives in its place now.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, ledgers};
use crate::lead::LeadId;
use crate::ledger::Ledger;
use crate::marketo::MergeRecord;
use crate::repair::{ByWhom, MapRow, Restored, map_of};
use crate::report::write_beside;
use crate::terminal::{counted_of, moment};

mod others;

/// Which record went into which, and which lives in its place now
///
/// For warehouses and other systems that hold ids of merged records. Only merges that Marketo was
/// seen to have made are in it. Told from the ledger and the cache; Marketo is asked with --since
/// alone.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  mkto-audit map                       what went where, the oldest first\n  \
    mkto-audit map --csv map.csv         for a program\n  \
    mkto-audit map --csv --fivetran      with the columns of Fivetran's MERGED_LEAD\n  \
    mkto-audit map --since 2026-06-01    with merges that others made, from Marketo's log\n  \
    mkto-audit map resolve 1286861       the record that lives in the place of this one"
)]
pub(super) struct MapArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Write CSV to a file, or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "json")]
    csv: Option<PathBuf>,
    /// The columns of Fivetran's table `MERGED_LEAD`, `merged_lead` and `into_lead`, which is the
    /// record that lives now
    #[arg(long, requires = "csv")]
    fivetran: bool,
    /// Add the merges that others made since this day, from Marketo's activity log
    #[arg(long, value_name = "DATE")]
    since: Option<chrono::NaiveDate>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    Resolve(ResolveArgs),
}

/// Say which record lives in the place of each id now
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit map resolve 1286861 1286862")]
struct ResolveArgs {
    /// Ids of records, merged or not
    #[arg(value_name = "ID", required = true)]
    ids: Vec<LeadId>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct MapDocument<'a> {
    schema: &'static str,
    instance: String,
    /// The day since which merges of others are in it, where they were asked for.
    others_since: Option<chrono::NaiveDate>,
    merge: &'a [MapRow],
}

#[derive(Debug, Serialize)]
struct ResolveDocument {
    schema: &'static str,
    resolved: Vec<Resolved>,
}

/// What became of an id.
#[derive(Debug, Serialize)]
struct Resolved {
    id: LeadId,
    /// The record that lives in its place; itself where no merge is known.
    survivor_id: LeadId,
    merged: bool,
}

/// The columns of the contract.
const HEADER: [&str; 9] = [
    "loser_id",
    "winner_id",
    "survivor_id",
    "loser_created_at",
    "winner_created_at",
    "merged_at",
    "by",
    "run",
    "request_id",
];

pub(super) async fn run(context: &mut Context, args: &MapArgs) -> Result<Exit, Failure> {
    if let Some(What::Resolve(resolve)) = &args.what {
        return self::resolve(context, resolve);
    }
    let others = match args.since {
        Some(since) => others::since(context, since).await?,
        None => others::cached(context)?,
    };
    let ledger = ledgers::open_existing(context)?;
    let rows = rows(&ledger, others)?;
    if args.json {
        let instance = context.config.instance_name();
        let document = MapDocument {
            schema: "mkto-audit/map/1",
            instance,
            others_since: args.since,
            merge: &rows,
        };
        context.ui.json(&document)?;
    } else if let Some(file) = &args.csv {
        write(context, file, &rows, args.fivetran)?;
    } else {
        print(context, &rows)?;
    }
    Ok(Exit::Done)
}

fn rows(ledger: &Ledger, others: Vec<MapRow>) -> Result<Vec<MapRow>, Failure> {
    let restored: Vec<Restored> = ledger
        .restored_leads()?
        .into_iter()
        .filter_map(|one| Some(Restored { lost: one.lost, new: one.new? }))
        .collect();
    // Merges of test people are nobody's.
    let of_tests = ledger.probe_leads()?;
    let others = others.into_iter().filter(|row| !of_tests.contains(&row.loser_id)).collect();
    Ok(map_of(&ledger.merged_leads()?, others, &restored))
}

fn resolve(context: &mut Context, args: &ResolveArgs) -> Result<Exit, Failure> {
    let others = others::cached(context)?;
    let ledger = ledgers::open_existing(context)?;
    let rows = rows(&ledger, others)?;
    let survivors: BTreeMap<LeadId, LeadId> =
        rows.iter().map(|row| (row.loser_id, row.survivor_id)).collect();
    let resolved: Vec<Resolved> = args
        .ids
        .iter()
        .map(|id| Resolved {
            id: *id,
            survivor_id: survivors.get(id).copied().unwrap_or(*id),
            merged: survivors.contains_key(id),
        })
        .collect();
    if args.json {
        context.ui.json(&ResolveDocument { schema: "mkto-audit/map-resolve/1", resolved })?;
        return Ok(Exit::Done);
    }
    let line = |one: &Resolved| {
        if one.merged {
            format!("{} {}", one.id, one.survivor_id)
        } else {
            format!("{} {} no merge of it is known", one.id, one.survivor_id)
        }
    };
    let lines: Vec<String> = resolved.iter().map(line).collect();
    context.ui.print(&format!("{}\n", lines.join("\n")))?;
    Ok(Exit::Done)
}

fn print(context: &mut Context, rows: &[MapRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return context.ui.print("no merge is known\n");
    }
    let line = |row: &MapRow| {
        let now = if row.survivor_id == row.winner_id {
            String::new()
        } else {
            format!(", now {}", row.survivor_id)
        };
        let at = row.merged_at.map(moment).unwrap_or_default();
        let by = row.by.as_str();
        let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
        let run = row.run.map(|run| format!(" (run {run})")).unwrap_or_default();
        format!("{} → {}{now}  {at}{by}{run}", row.loser_id, row.winner_id)
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    context.ui.print(&format!(
        "{}\n\n{} merged\n",
        lines.join("\n"),
        counted_of(rows.len(), "record")
    ))
}

fn write(
    context: &mut Context,
    file: &std::path::Path,
    rows: &[MapRow],
    fivetran: bool,
) -> Result<(), Failure> {
    let csv = |out: &mut dyn Write| write_csv(rows, fivetran, out);
    if file.as_os_str() == "-" {
        return context.ui.write(csv);
    }
    write_beside(file, csv).map_err(|source| Failure::File { path: file.to_owned(), source })?;
    context.ui.note(&format!(
        "{} written to {}",
        counted_of(rows.len(), "merged record"),
        file.display()
    ));
    Ok(())
}

fn write_csv(rows: &[MapRow], fivetran: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    let as_io = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    };
    if fivetran {
        csv.write_record(["merged_lead", "into_lead"]).map_err(as_io)?;
    } else {
        csv.write_record(HEADER).map_err(as_io)?;
    }
    for row in rows {
        let ids = [row.loser_id, row.winner_id, row.survivor_id].map(|id| id.to_string());
        let [loser, winner, survivor] = ids;
        if fivetran {
            csv.write_record([loser, survivor]).map_err(as_io)?;
            continue;
        }
        let at = row.merged_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        csv.write_record([
            loser,
            winner,
            survivor,
            row.loser_created_at.clone().unwrap_or_default(),
            row.winner_created_at.clone().unwrap_or_default(),
            at.unwrap_or_default(),
            crate::table::harmless(row.by.as_str()).into_owned(),
            row.run.map(|run| run.to_string()).unwrap_or_default(),
            row.request_id.clone().unwrap_or_default(),
        ])
        .map_err(as_io)?;
    }
    csv.flush()
}
