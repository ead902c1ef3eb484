//! `mkto-audit upsert`: what would be written, and with `--confirm` the writing of it, so that no
//! duplicate can arise.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::confirm::counted;
use super::{Context, Exit, Failure, Progress};
use crate::dedupe::{KeyKind, KeySpec};
use crate::guard::{
    self, Ended, FileSettings, Format, LineResult, Record, Records, Status, UpsertReport, Watch,
};
use crate::leases::{SharedLeases, Terms};
use crate::ledger::Ledger;
use crate::marketo::{Client, Clock, ReadLeads, Schema};
use crate::table::{Encoding, Options, shown};
use crate::terminal::about;

/// The version from which on nothing is written without `--confirm`.
const ASKS_SINCE: &str = "0.2.0";

/// Write people so that no duplicate can arise; without --confirm only show it
///
/// Without --confirm the records are looked up, and nothing is written. With it each record is
/// looked up live; a new one is created, a known one updated by its id, never two calls with one
/// email at once. Records of one email in the file are joined in their order, later values winning.
/// Where an answer gets lost, nothing is sent again before that call is over and a look-up says
/// what it did. An email that several leads have is left alone and reported.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is a table with a header of REST API names (email,firstName,…), as CSV, text or .xlsx, or JSON \
    Lines; an empty cell leaves the field alone, a JSON null clears it.\n\nExamples:\n  mkto-audit upsert people.csv             show \
    what would be written\n  mkto-audit upsert people.csv --confirm   write it"
)]
pub(super) struct UpsertArgs {
    /// The file; - for standard input
    file: PathBuf,
    /// The field that makes two records the same
    #[arg(long, value_name = "FIELD", default_value = "email")]
    lookup_field: String,
    /// The partition that new leads go to
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// How the file is written; by default its name or its first character says
    #[arg(long)]
    format: Option<FormatArg>,
    /// In which order dates such as 3/4/2019 have day and month, where no value of the column tells
    #[arg(long, value_name = "ORDER")]
    dates: Option<super::scan::file::DatesArg>,
    /// The encoding of the file, where it is not Unicode, such as windows-1252
    #[arg(long, value_name = "ENCODING", value_parser = super::scan::file::encoding)]
    encoding: Option<Encoding>,
    /// The sheet of a workbook that has several
    #[arg(long, value_name = "SHEET")]
    sheet: Option<String>,
    /// Write. Without it nothing at Marketo is changed
    #[arg(long)]
    confirm: bool,
    /// Look up and say what would be done, write nothing; the same as leaving --confirm out
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Csv,
    Jsonl,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    dry_run: bool,
    records: usize,
    created: usize,
    updated: usize,
    would_create: usize,
    would_update: usize,
    unchanged: usize,
    coalesced: usize,
    skipped: usize,
    failed: usize,
    calls: u64,
    record: &'a [LineResult],
}

pub(super) async fn run(context: &mut Context, args: &UpsertArgs) -> Result<Exit, Failure> {
    let (name, mut read) = read(args)?;
    let dry_run = !args.confirm;
    context.say_instance();
    let client = context.client()?;
    let schema = context.or_stop(client.describe()).await??;
    check(&name, &read.records, &args.lookup_field, &schema)?;
    let dates = guard::read_dates(&name, &mut read, &schema, args.dates.map(Into::into))?;
    let Records { records, notes, .. } = read;
    notes.iter().chain(&dates).for_each(|note| context.ui.note(&format!("note: {note}")));
    let watcher: Arc<dyn Watch> =
        Arc::new(Watcher { progress: context.ui.progress("writing", Some(records.len() as u64)) });
    if !dry_run {
        outwait_older_runs(context, &watcher, client.clock()).await?;
    }
    // A dry run sends nothing that others would have to wait for.
    let leases = if dry_run {
        SharedLeases::memory(Terms::at(client.clock()))
    } else {
        super::leases::open_shared(context)?
    };
    let settings = FileSettings {
        lookup_field: args.lookup_field.clone(),
        lookup_kind: kind_of(&schema, &args.lookup_field),
        facts: crate::merge::facts(&schema),
        partition: args.partition.clone(),
        dry_run,
        concurrency: context.config.limits.concurrency,
        stop: context.interrupt.clone(),
        ..FileSettings::new(context.config.instance_name())
    };
    let report = guard::write_file(&client, leases, Arc::clone(&watcher), settings, records).await;
    drop(watcher);
    show(context, args, &report, &client)?;
    match report.ended {
        Ended::Failed(error) => Err(error.into()),
        Ended::Interrupted => Ok(Exit::Stopped),
        Ended::Complete if report.record.iter().all(|result| result.status.is_done()) => {
            Ok(Exit::Done)
        }
        Ended::Complete => Ok(Exit::Partial),
    }
}

/// Versions before leases wrote one file at a time, and held the ledger meanwhile. Once it was
/// opened by this version none of them runs, and none begins: its format is newer than theirs. A
/// merge that has it open is no reason to wait, since merges and writes are kept apart by leases.
async fn outwait_older_runs(
    context: &Context,
    watcher: &Arc<dyn Watch>,
    clock: Clock,
) -> Result<(), Failure> {
    let (path, instance) = (context.config.ledger_file()?, context.config.instance_name());
    let left_before = Ledger::old_upserts_of(&path, &instance)?;
    let wait = left_before
        .map(|left| guard::until_older_runs_are_over(left, super::now(), clock))
        .unwrap_or_default();
    if !wait.is_zero() {
        watcher.waiting(wait);
        // Nobody can say sooner that the writes are over: their leads are not known.
        context.or_stop(tokio::time::sleep(wait)).await?;
    }
    Ok(())
}

fn read(args: &UpsertArgs) -> Result<(String, Records), Failure> {
    let format = args.format.map(|format| match format {
        FormatArg::Csv => Format::Csv,
        FormatArg::Jsonl => Format::JsonLines,
    });
    let (name, source) =
        super::scan::file::source(&args.file, "a CSV or JSON Lines file or a workbook")?;
    let options =
        Options { encoding: args.encoding, sheet: args.sheet.clone(), ..Options::default() };
    let records = guard::read_records(&name, source, format, &options)?;
    Ok((name, records))
}

fn check(
    name: &str,
    records: &[Record],
    lookup_field: &str,
    schema: &Schema,
) -> Result<(), Failure> {
    let searchable = schema.searchable.iter().any(|field| field == lookup_field);
    if !searchable || lookup_field == "id" {
        let known: Vec<&str> =
            schema.searchable.iter().map(String::as_str).filter(|field| *field != "id").collect();
        let known = known.join(", ");
        return Err(guard::Error::LookupField { field: lookup_field.to_owned(), known }.into());
    }
    if records.iter().all(|record| !record.fields.contains_key(lookup_field)) {
        return Err(Failure::Usage {
            what: format!("{name} has no `{lookup_field}`, by which the records are looked up"),
            hint: Some("add the column, or name another with --lookup-field".to_owned()),
        });
    }
    // An update by id may set an email that another lead has, and Marketo does not look: that is
    // how duplicates arise.
    if lookup_field != "email" && records.iter().any(|record| record.fields.contains_key("email")) {
        return Err(Failure::Usage {
            what: format!(
                "{name} has an `email`, but its records are looked up by `{lookup_field}`: written so, two leads could get one email"
            ),
            hint: Some("look up by email, or leave the email out".to_owned()),
        });
    }
    Ok(guard::check_fields(name, records, lookup_field, schema)?)
}

fn kind_of(schema: &Schema, field: &str) -> KeyKind {
    let spec = KeySpec::new(vec![field.to_owned()], false);
    spec.by_schema(|field| schema.data_type(field)).kind(field)
}

fn show(
    context: &mut Context,
    args: &UpsertArgs,
    report: &UpsertReport,
    client: &Client,
) -> Result<(), Failure> {
    let count = |status| report.count(status);
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/upsert/1",
            dry_run: !args.confirm,
            records: report.records,
            created: count(Status::Created),
            updated: count(Status::Updated),
            would_create: count(Status::WouldCreate),
            would_update: count(Status::WouldUpdate),
            unchanged: count(Status::Unchanged),
            coalesced: count(Status::Coalesced),
            skipped: count(Status::Skipped),
            failed: count(Status::Failed),
            calls: client.calls_made(),
            record: &report.record,
        })?;
        say_nothing_was_written(context, args);
        return Ok(());
    }
    let lines: Vec<String> = report.record.iter().map(line).collect();
    if !lines.is_empty() {
        context.ui.print(&lines.join("\n"))?;
    }
    let written = if args.confirm {
        format!("{} created, {} updated", count(Status::Created), count(Status::Updated))
    } else {
        let (create, update) = (count(Status::WouldCreate), count(Status::WouldUpdate));
        format!("would create {create}, would update {update}")
    };
    context.ui.note(&format!(
        "{}: {written}, {} unchanged, {} combined with a later line, {} skipped, {} failed; {}",
        counted(report.records, "record"),
        count(Status::Unchanged),
        count(Status::Coalesced),
        count(Status::Skipped),
        count(Status::Failed),
        counted(usize::try_from(client.calls_made()).unwrap_or(usize::MAX), "call"),
    ));
    say_nothing_was_written(context, args);
    Ok(())
}

/// The last line of a dry run. Whoever asked for one knows why; whoever did not may be used to an
/// earlier version.
fn say_nothing_was_written(context: &mut Context, args: &UpsertArgs) {
    if args.dry_run {
        context.ui.note(
            "nothing was written: this is a dry run; add --confirm in place of --dry-run to write",
        );
    } else if !args.confirm {
        context
            .ui
            .note(&format!("nothing was written: add --confirm (since version {ASKS_SINCE})"));
    }
}

fn line(result: &LineResult) -> String {
    let id = result.id.map(|id| format!(" record {id}")).unwrap_or_default();
    let reason =
        result.reason.as_ref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
    let key = result.key.as_ref().map(|key| format!(" {}", shown(key))).unwrap_or_default();
    format!("line {}: {}{key}{id}{reason}", result.line, result.status.in_words())
}

struct Watcher {
    progress: Progress,
}

impl Watch for Watcher {
    fn lines_done(&self, done: u64) {
        self.progress.at(done, None);
    }

    fn waiting(&self, span: Duration) {
        self.progress.say(&format!("waiting {} for a call whose answer was lost", about(span)));
    }

    fn held_up(&self) {
        self.progress.say("waiting for somebody else who is writing the same people");
    }
}
