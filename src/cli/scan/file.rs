//! `scan --file`: which file, how it is read, and what is said of it.

use std::fs::File;
use std::path::Path;

use std::sync::atomic::AtomicU64;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Context, Failure, Run, Watcher, configured_fields, open};
use crate::cache::Cache;
use crate::cli::Ui;
use crate::scan::{self, Ended, FileError, FileRules, FileScan, Unread};
use crate::table::date::{Order, Zone};
use crate::table::{Encoding, Options, Source, Table, shown, shown_short};
use crate::terminal::counted;

/// The name of what is read without a name.
const STANDARD_INPUT: &str = "standard input";

/// Flags that say how a file is to be read.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReadingArgs {
    /// Keep what is read in a cache of this name, which `report --as NAME` shows; one file never
    /// takes the place of another without it
    #[arg(long = "as", value_name = "NAME", requires = "file", value_parser = crate::cli::caches::name)]
    pub(in crate::cli) cache_name: Option<String>,
    /// In which order dates such as 3/4/2019 have day and month, where no value of the column tells
    #[arg(long, value_name = "ORDER", requires = "file")]
    dates: Option<DatesArg>,
    /// The zone of times that name none, such as Europe/Berlin; without it UTC
    #[arg(long, value_name = "ZONE", requires = "file", value_parser = zone)]
    zone: Option<Zone>,
    /// The encoding of the file, where it is told wrong, such as windows-1250
    #[arg(long, value_name = "ENCODING", requires = "file", value_parser = encoding)]
    encoding: Option<Encoding>,
    /// The sheet of a workbook that has several
    #[arg(long, value_name = "SHEET", requires = "file")]
    sheet: Option<String>,
}

/// The values of `--dates`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum DatesArg {
    /// Month first: 3/4/2019 is 4 March
    Us,
    /// Day first: 3/4/2019 is 3 April
    Eu,
    /// Year first: 19-03-04 is 4 March 2019
    Iso,
}

impl From<DatesArg> for Order {
    fn from(order: DatesArg) -> Self {
        match order {
            DatesArg::Us => Self::Us,
            DatesArg::Eu => Self::Eu,
            DatesArg::Iso => Self::Iso,
        }
    }
}

fn zone(text: &str) -> Result<Zone, &'static str> {
    Zone::by_name(text)
        .ok_or("there is no such zone; name one as Europe/Berlin, America/New_York or UTC")
}

/// The value of `--encoding`.
pub(in crate::cli) fn encoding(text: &str) -> Result<Encoding, &'static str> {
    Encoding::by_name(text).ok_or("there is no such encoding; name one as utf-8, utf-16, windows-1252, windows-1250, mac, dos or shift_jis")
}

/// What cannot be read of a column, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct UnreadColumn {
    column: String,
    field: String,
    values: u64,
    first_lines: Vec<u64>,
}

impl From<&Unread> for UnreadColumn {
    fn from(unread: &Unread) -> Self {
        Self {
            column: unread.column.clone(),
            field: unread.field.clone(),
            values: unread.count,
            first_lines: unread.first.iter().map(|(line, _)| *line).collect(),
        }
    }
}

/// What of a file is not in the cache as it stands there.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub(super) unread: Vec<UnreadColumn>,
    /// Rows with the id of a later one, which counts.
    pub(super) repeated_rows: u64,
}

/// Reads a file into the cache; where there is none, it is made, and stays only where the file was
/// read.
pub(super) fn run(
    context: &mut Context,
    file: &Path,
    args: &ReadingArgs,
) -> Result<(Run, Cache, LeftOut), Failure> {
    let (name, source) = source(file, "a CSV file or a workbook")?;
    let options = Options { encoding: args.encoding, sheet: args.sheet.clone(), by_head: true };
    let table = Table::open(source, &options)
        .map_err(|error| scan::Error::from(FileError::of(&name, error)))?;
    let fields = configured_fields(&context.config);
    let key = context.config.key.clone();
    let rules = FileRules {
        key: &key,
        fields: &fields,
        dates: args.dates.map(Into::into),
        zone: args.zone.unwrap_or_default(),
    };
    let place = place_of(file);
    let path = context.config.cache_file()?;
    let is_new = !path.exists();
    let mut cache = open(&context.config)?;
    let loaded = load(context, &mut cache, (&name, table), rules, &place);
    match loaded {
        Ok((run, left_out)) => Ok((run, cache, left_out)),
        Err(failure) => {
            drop(cache);
            // Nothing was read, so that there is no cache, either; where it stays, it is empty. One
            // that somebody else has by now was put in place, and is whole.
            let now = open(&context.config).ok().and_then(|cache| cache.summary().ok());
            let is_empty = now.is_some_and(|now| now.scanned_at.is_none() && now.leads == 0);
            if is_new && is_empty {
                std::fs::remove_file(path).ok();
            }
            Err(failure)
        }
    }
}

/// Looks the file through, says how it is read, and puts it into the cache.
fn load(
    context: &mut Context,
    cache: &mut Cache,
    (name, table): (&str, Table),
    rules: FileRules<'_>,
    place: &str,
) -> Result<(Run, LeftOut), Failure> {
    let watcher = |ui: &Ui, bytes| Watcher {
        bar: ui.progress("reading bytes of the file", Some(bytes)),
        budget: None,
        without_checksum: AtomicU64::new(0),
    };
    let looking = watcher(&context.ui, table.size());
    let mut found = scan::look_and_keep(name, table, rules, cache, &looking)?;
    drop(looking);
    refuse_other(cache, name, place, context)?;
    tell(&mut context.ui, &found);
    let (bytes, rows, unread) = (found.size(), found.rows(), found.unread().to_vec());
    let watcher = watcher(&context.ui, bytes);
    let ended = found.load(cache, place, super::super::now, &watcher)?;
    let repeated_rows = match &ended {
        Ended::Complete(totals) => rows.saturating_sub(totals.leads),
        Ended::Interrupted => 0,
    };
    let run = Run { strategy: "file", full: true, ended: Ok(ended), merged: 0, calls: 0, bytes };
    drop(watcher);
    tell_unread(&mut context.ui, &unread);
    tell_repeated(&mut context.ui, repeated_rows);
    Ok((run, LeftOut { unread: unread.iter().map(UnreadColumn::from).collect(), repeated_rows }))
}

/// The bytes of a file or of standard input, and what it is called in messages.
pub(in crate::cli) fn source(file: &Path, kinds: &str) -> Result<(String, Source), Failure> {
    let is_input = file.as_os_str() == "-";
    let name = if is_input { STANDARD_INPUT.to_owned() } else { file.display().to_string() };
    let source = if is_input {
        Source::spooled(std::io::stdin().lock())
    } else if file.is_dir() {
        Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
    } else {
        File::open(file).and_then(Source::of_file)
    };
    let source = source.map_err(|error| Failure::Usage {
        what: format!("{} cannot be read: {error}", shown(&name)),
        hint: Some(format!("name {kinds}, or - for standard input")),
    })?;
    Ok((name, source))
}

/// Where a file lies, by which it is known again.
fn place_of(file: &Path) -> String {
    if file.as_os_str() == "-" {
        return STANDARD_INPUT.to_owned();
    }
    std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// A file takes the place of its own earlier state alone, unless the user named the cache.
fn refuse_other(cache: &Cache, name: &str, place: &str, context: &Context) -> Result<(), Failure> {
    let summary = cache.summary()?;
    if context.config.has_named_cache() || summary.leads == 0 {
        return Ok(());
    }
    let held = match &summary.file {
        Some(held) if held == place && place != STANDARD_INPUT => return Ok(()),
        Some(held) => format!("the file {}", shown(held)),
        // Caches of earlier versions do not say which file they hold.
        None if summary.strategy.as_deref() == Some("file") => return Ok(()),
        None => format!("what a scan read from {} itself", shown(&summary.instance)),
    };
    Err(Failure::Usage {
        what: format!(
            "the cache {} holds {held}, and {} would take its place; nothing was changed",
            cache.path().display(),
            shown(name)
        ),
        hint: Some(format!(
            "keep both: add --as NAME, such as --as acme, here and to `report`; to put it in the other's place: --as '{}'",
            shown(&summary.instance)
        )),
    })
}

fn tell(ui: &mut Ui, found: &FileScan<'_>) {
    let lines: Vec<String> = found
        .columns()
        .map(|(column, filled)| {
            let header =
                if column.header.is_empty() { "(no name)".into() } else { shown(&column.header) };
            match &column.field {
                Some(field) if filled => format!("  {header} -> {field}"),
                Some(field) => format!("  {header} -> {field} (empty in every row)"),
                None => format!("  {header} (not kept)"),
            }
        })
        .collect();
    for note in found.notes() {
        ui.note(&format!("note: {note}"));
    }
    ui.note(&format!("columns:\n{}", lines.join("\n")));
    for (column, told) in found.readings() {
        ui.note(&format!("{}: {told}", shown(column)));
    }
}

fn tell_repeated(ui: &mut Ui, rows: u64) {
    let which = match rows {
        0 => return,
        1 => "one row has the id of a later one".to_owned(),
        rows => format!("{} have the id of a later one", counted(rows, "row")),
    };
    ui.note(&format!("note: {which}; of rows with one id the last one counts"));
}

fn tell_unread(ui: &mut Ui, unread: &[Unread]) {
    for Unread { column, field, count, first } in unread {
        let first: Vec<String> = first
            .iter()
            .map(|(line, text)| format!("line {line}: {}", shown_short(text)))
            .collect();
        let (values, are) = match *count {
            1 => ("one value".to_owned(), "is"),
            count => (counted(count, "value"), "are"),
        };
        let kind =
            if matches!(field.as_str(), "createdAt" | "updatedAt") { "as a date" } else { "" };
        ui.note(&format!(
            "{}: {values} cannot be read{}{kind} and {are} left empty ({})",
            shown(column),
            if kind.is_empty() { "" } else { " " },
            first.join("; ")
        ));
    }
}
