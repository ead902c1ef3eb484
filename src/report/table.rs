//! The report for a person, at most as wide as the terminal.

use chrono::{DateTime, Utc};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

use super::plain::{count, counted, one_line};
use super::{Report, ShownGroup};
use crate::dedupe::{Cause, span};
use crate::lead::Lead;

/// A rule below the header, and none elsewhere: what is not drawn leaves room for the data.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The report in words and tables of at most `width` columns.
pub fn render(report: &Report, width: usize) -> String {
    let mut parts: Vec<String> =
        report.source.unfinished().map(|words| wrapped(&words, width)).into_iter().collect();
    parts.push(headline(report, width));
    if report.groups > 0 {
        parts.push(causes(report, width));
        parts.extend(integrations(report, width));
        if !report.source.log.is_unread() {
            parts.push(wrapped(&past_and_future(report), width));
        }
    }
    // Also where no group passed the filter: it may be one by cause.
    if report.source.leads > 0 {
        parts.extend(report.source.not_known().map(|words| wrapped(&words, width)));
    }
    if !report.shown.is_empty() {
        parts.push(wrapped(&shown_line(report), width));
        parts.push(groups(report, width));
    }
    parts.join("\n\n") + "\n"
}

fn headline(report: &Report, width: usize) -> String {
    let source = &report.source;
    let scanned = source
        .scanned_at
        .filter(|_| source.complete)
        .map_or_else(|| "not fully scanned yet".to_owned(), |at| format!("scanned {} UTC", minute(at)));
    let from = format!("{}, {scanned}: {}", one_line(&source.instance), counted(source.leads, "lead"));
    let found = if report.groups == 0 {
        source.none_found()
    } else {
        format!(
            "{}{} in {} of duplicates; a perfect merge would remove {}{}.",
            if source.complete { "" } else { "So far: " },
            counted(report.duplicates, "lead"),
            counted(report.groups, "group"),
            count(report.excess),
            // A share of what was read so far is a share of nothing.
            if source.complete { share(report.excess, source.leads) } else { String::new() },
        )
    };
    wrapped(&[from, found].join("\n"), width)
}

fn share(part: u64, whole: u64) -> String {
    share_of(part, whole, "all leads")
}

fn share_of(part: u64, whole: u64, of_what: &str) -> String {
    if whole == 0 {
        return String::new();
    }
    let per_mille = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!(", {}.{}% of {of_what}", per_mille / 10, per_mille % 10)
}

fn causes(report: &Report, width: usize) -> String {
    let mut table = new_table(width);
    table.set_header(["cause", "groups", "excess", "what it is"]);
    let found = report.by_cause.iter().filter(|(_, totals)| totals.groups > 0);
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(cause, totals)| (std::cmp::Reverse(totals.groups), **cause));
    for (cause, totals) in found {
        table.add_row([
            Cell::new(cause.as_str()),
            number(totals.groups),
            number(totals.excess),
            Cell::new(meaning(*cause)),
        ]);
    }
    finished(&table)
}

/// Who made the duplicates; nothing where no birth is known.
fn integrations(report: &Report, width: usize) -> Option<String> {
    let mut found: Vec<_> = report.statistics.by_integration.iter().collect();
    if found.iter().all(|(user, _)| user.is_none()) {
        return None;
    }
    found.sort_by_key(|(user, totals)| (std::cmp::Reverse(totals.excess), *user));
    let mut table = new_table(width);
    table.set_header(["integration", "groups", "excess", "by races"]);
    for (user, totals) in found {
        table.add_row([
            Cell::new(one_line(user.as_deref().unwrap_or("(none, or not known)"))),
            number(totals.groups),
            number(totals.excess),
            number(totals.races),
        ]);
    }
    Some(finished(&table))
}

/// What a guard would have prevented, and what was merged before.
fn past_and_future(report: &Report) -> String {
    let prevented = report.statistics.prevented;
    let would_have = format!(
        "Writes through the guard would have prevented {} of the {} leads that are too many{}.",
        count(prevented),
        count(report.excess),
        share_of(prevented, report.excess, "them")
    );
    match report.statistics.merged_before() {
        0 => would_have,
        merged => {
            format!("{would_have} Known of the past: {} merged into others before.", counted(merged, "lead"))
        }
    }
}

/// A cause in a few words.
pub(super) fn meaning(cause: Cause) -> &'static str {
    match cause {
        Cause::Race => "writes that overlapped, all inserted",
        Cause::CreateDuplicate => "a program inserted, and did not look",
        Cause::Crm => "the CRM sync, which looks for no address",
        Cause::Import => "a list import",
        Cause::Partition => "one person in several partitions",
        Cause::Unknown => "nothing in the cache says why",
    }
}

fn shown_line(report: &Report) -> String {
    let (shown, all) = (report.shown.len() as u64, report.groups);
    if shown < all {
        let how_many = if shown == 1 { String::new() } else { count(shown) + " " };
        format!("The {how_many}largest of {} groups (--limit N shows more, --csv FILE all):", count(all))
    } else if all == 1 {
        "The group:".to_owned()
    } else {
        format!("All {} groups, largest first:", count(all))
    }
}

fn groups(report: &Report, width: usize) -> String {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| width >= column.room).collect();
    let mut table = new_table(width);
    table.set_header(columns.iter().map(|column| column.title));
    for shown in &report.shown {
        table.add_row(columns.iter().map(|column| (column.cell)(shown)));
    }
    // The key is the one column that may break; it takes what the others leave.
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    finished(&table)
}

/// A column of the groups' table, and the least width of a terminal that has room for it.
struct Column {
    title: &'static str,
    room: usize,
    cell: fn(&ShownGroup) -> Cell,
}

const COLUMNS: &[Column] = &[
    Column { title: "key", room: 0, cell: |shown| Cell::new(one_line(&shown.group.key.to_string())) },
    Column { title: "leads", room: 0, cell: |shown| number(shown.group.leads.len() as u64) },
    Column { title: "cause", room: 0, cell: |shown| Cell::new(shown.explanation.cause.as_str()) },
    Column { title: "confidence", room: 96, cell: |shown| Cell::new(shown.explanation.confidence.as_str()) },
    Column { title: "winner", room: 56, cell: |shown| right(shown.winner.to_string()) },
    Column {
        title: "created",
        room: 64,
        cell: |shown| Cell::new(created(shown).map(day).unwrap_or_default()),
    },
    Column { title: "within", room: 72, cell: |shown| right(within(shown).unwrap_or_default()) },
];

/// When the first of the leads was created.
fn created(shown: &ShownGroup) -> Option<DateTime<Utc>> {
    shown.group.leads.iter().filter_map(Lead::created_at).min()
}

/// How long after the first lead the last one was created.
fn within(shown: &ShownGroup) -> Option<String> {
    let last = shown.group.leads.iter().filter_map(Lead::created_at).max()?;
    Some(span((last - created(shown)?).num_seconds()))
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn number(number: u64) -> Cell {
    right(count(number))
}

fn new_table(width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table
}

/// The table without the blanks that pad its last column.
fn finished(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Text broken at blanks into lines of at most `width` columns.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let longer = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && longer > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    lines.join("\n")
}
