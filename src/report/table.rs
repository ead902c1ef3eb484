//! The report for a person, at most as wide as the terminal.

use chrono::{DateTime, Utc};
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

use super::{GroupTotals, MailedTwice, OptedOut, Report, ShownGroup};
use crate::dedupe::span;
use crate::lead::Lead;
use crate::terminal::{count, counted, one_line};

/// A rule below the header, and none elsewhere: what is not drawn leaves room for the data.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The least width of a terminal that has room for the codes of causes.
const WITH_CODES: usize = 60;

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
    let scanned = source.scanned_at.filter(|_| source.complete).map_or_else(
        || "not fully scanned yet".to_owned(),
        |at| format!("scanned {} UTC", minute(at)),
    );
    let from =
        format!("{}, {scanned}: {}", one_line(&source.instance), counted(source.leads, "record"));
    if report.groups == 0 {
        return wrapped(&[from, source.none_found()].join("\n"), width);
    }
    let found = format!(
        "{}{} in {} of duplicates: {}{}.",
        if source.complete { "" } else { "So far: " },
        counted(report.duplicates, "record"),
        counted(report.groups, "group"),
        counted(report.excess, "extra record"),
        // A share of what was read so far is a share of nothing.
        if source.complete {
            share_of(report.excess, source.leads, "all records")
        } else {
            String::new()
        },
    );
    let lines = [from, found].into_iter().map(|line| wrapped(&line, width));
    let people = people(report).into_iter().map(|line| wrapped(&line, width));
    lines.chain(numbers(report, width)).chain(people).collect::<Vec<_>>().join("\n")
}

/// What can be merged now, what a person must decide, and what of that is perhaps meant.
fn numbers(report: &Report, width: usize) -> Vec<String> {
    let (undecided, meant) = (report.all_undecided(), report.perhaps_meant());
    let of_groups = |totals: GroupTotals| format!("({})", counted(totals.groups, "group"));
    let reasons: Vec<String> = report
        .reasons()
        .map(|(reason, totals)| format!("{} {}", count(totals.excess), reason.in_words()))
        .collect();
    let mut lines = vec![
        "Extra records, as far as the scan knows:".to_owned(),
        format!(
            "{} can be merged now {}",
            count(report.mergeable.excess),
            of_groups(report.mergeable)
        ),
    ];
    if undecided.groups > 0 {
        let (all, why) = (count(undecided.excess), reasons.join(", "));
        let need = if undecided.excess == 1 { "needs" } else { "need" };
        lines.push(format!("{all} {need} a person's decision {}: {why}", of_groups(undecided)));
    }
    if meant.groups > 0 {
        lines.push(format!(
            "of those, {} {} perhaps meant to be there {}",
            count(meant.excess),
            if meant.excess == 1 { "is" } else { "are" },
            of_groups(meant)
        ));
    }
    let indented = |line: &String| {
        let text = wrapped(line, width.saturating_sub(4).max(20));
        format!("  {}", text.replace('\n', "\n    "))
    };
    let head = lines.first().map(|line| wrapped(line, width));
    head.into_iter().chain(lines.iter().skip(1).map(indented)).collect()
}

/// What the duplicates do to people, in a sentence each.
pub(super) fn people(report: &Report) -> Vec<String> {
    let opted_out = match &report.opted_out {
        Some(OptedOut { people: 0, .. }) => None,
        Some(OptedOut { people: 1, .. }) => {
            Some("1 person who said stop has a second record that does not say so.".to_owned())
        }
        Some(OptedOut { people, .. }) => Some(format!(
            "{} people who said stop have a second record that does not say so.",
            count(*people)
        )),
        None => Some("Who said stop is not known: the scan read no opt-outs.".to_owned()),
    };
    let twice = match report.mailed_twice {
        Some(MailedTwice { people: 0, .. }) => None,
        Some(MailedTwice { people, mails }) => Some(format!(
            "{} two or more records that can be mailed: up to {} too many in each send.",
            if people == 1 {
                "1 person has".to_owned()
            } else {
                format!("{} people have", count(people))
            },
            counted(mails, "mail"),
        )),
        None => Some(
            "Who gets mails twice is not known: the scan did not read who unsubscribed.".to_owned(),
        ),
    };
    opted_out.into_iter().chain(twice).collect()
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
    // The code for `--cause` is a help where there is room for it.
    let columns = if width >= WITH_CODES { 4 } else { 3 };
    table.set_header(
        ["extra\nrecords", "groups", "how they came about", "--cause"].into_iter().take(columns),
    );
    let found = report.by_cause.iter().filter(|(_, totals)| totals.groups > 0);
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(cause, totals)| (std::cmp::Reverse(totals.excess), **cause));
    for (cause, totals) in found {
        let cells = [
            number(totals.excess),
            number(totals.groups),
            Cell::new(cause.in_words()),
            Cell::new(cause.as_str()),
        ];
        table.add_row(cells.into_iter().take(columns));
    }
    narrow(&mut table, 2);
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
    table.set_header(["extra\nrecords", "groups", "integration", "by two calls\nat once"]);
    for (user, totals) in found {
        table.add_row([
            number(totals.excess),
            number(totals.groups),
            Cell::new(one_line(user.as_deref().unwrap_or("(none, or not known)"))),
            number(totals.races),
        ]);
    }
    narrow(&mut table, 2);
    Some(finished(&table))
}

/// What a guard would have prevented, and what was merged before.
fn past_and_future(report: &Report) -> String {
    let prevented = report.statistics.prevented;
    let would_have = format!(
        "Writes through the guard would have prevented {} of the {}{}.",
        count(prevented),
        counted(report.excess, "extra record"),
        share_of(prevented, report.excess, "them")
    );
    match report.statistics.merged_before() {
        0 => would_have,
        merged => {
            let known = if merged == 1 { "merge is" } else { "merges are" };
            format!("{would_have} {} earlier {known} known.", count(merged))
        }
    }
}

fn shown_line(report: &Report) -> String {
    let (shown, all) = (report.shown.len() as u64, report.groups);
    if shown < all {
        let how_many = if shown == 1 { String::new() } else { count(shown) + " " };
        format!(
            "The {how_many}largest of {} groups (--limit N shows more, --csv FILE all):",
            count(all)
        )
    } else if all == 1 {
        "The group:".to_owned()
    } else {
        format!("All {} groups, largest first:", count(all))
    }
}

fn groups(report: &Report, width: usize) -> String {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| width >= column.room).collect();
    let mut table = new_table(width);
    let key = report.key_name.as_str();
    let title = |column: &Column| if column.title.is_empty() { key } else { column.title };
    table.set_header(columns.iter().map(|column| title(column)));
    for shown in &report.shown {
        table.add_row(columns.iter().map(|column| (column.cell)(shown)));
    }
    narrow(&mut table, 0);
    finished(&table)
}

/// A column of the groups' table, and the least width of a terminal that has room for it. The one
/// without a title has the key's name.
struct Column {
    title: &'static str,
    room: usize,
    cell: fn(&ShownGroup) -> Cell,
}

const COLUMNS: &[Column] = &[
    Column { title: "", room: 0, cell: |shown| Cell::new(one_line(&shown.group.key.to_string())) },
    Column { title: "records", room: 0, cell: |shown| number(shown.group.leads.len() as u64) },
    Column { title: "cause", room: 0, cell: |shown| Cell::new(shown.explanation.cause.in_short()) },
    Column {
        title: "confidence",
        room: 122,
        cell: |shown| Cell::new(shown.explanation.confidence.as_str()),
    },
    Column { title: "record\nto keep", room: 56, cell: |shown| right(kept(shown)) },
    Column {
        title: "first\ncreated",
        room: 108,
        cell: |shown| Cell::new(created(shown).map(day).unwrap_or_default()),
    },
    Column {
        title: "first\nto last",
        room: 72,
        cell: |shown| right(within(shown).unwrap_or_default()),
    },
];

/// The record to keep; where a person must decide first, nobody says.
fn kept(shown: &ShownGroup) -> String {
    shown.winner().map_or_else(|| "undecided".to_owned(), |winner| winner.to_string())
}

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

/// Lets the column at this place alone break its lines; it takes what the others leave.
fn narrow(table: &mut Table, wide: usize) {
    for (place, column) in table.column_iter_mut().enumerate() {
        if place != wide {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
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
