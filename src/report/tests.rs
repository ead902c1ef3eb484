//! What a report says of groups that were handed in.

use std::collections::BTreeSet;
use std::io;

use comfy_table::Cell;
use proptest::prelude::*;

use super::{
    Collector, Emails, Filter, Report, Source, parse_since, render, write_beside, write_csv,
    write_json,
};
use crate::dedupe::{Cause, Group, Key, Policy};
use crate::lead::Lead;
use crate::terminal::{count, one_line};

fn lead(id: u64, email: &str, created: &str) -> Lead {
    Lead::new(id)
        .with("email", email)
        .with("createdAt", created)
        .with("updatedAt", created)
        .with("originalSourceType", "Web service API")
        .with("leadPartitionId", 1)
}

fn group(leads: Vec<Lead>) -> Group {
    Group::new(Key::of(leads[0].email().unwrap()).unwrap(), leads)
}

fn sample() -> Vec<Group> {
    vec![
        group(vec![
            lead(17, "ada@example.com", "2026-03-01T08:00:00Z").with("firstName", "Ada"),
            lead(18, "Ada@Example.com", "2026-03-01T08:00:02Z")
                .with("company", "=HYPERLINK(\"evil\")"),
        ]),
        group(vec![
            lead(40, "王小明@example.net", "2025-01-01T00:00:00Z").with("firstName", "王小明"),
            lead(41, "王小明@example.net", "2025-06-01T00:00:00Z")
                .with("firstName", "👩‍💻\u{1b}[31mred")
                .with("lastName", "O'Neil, \"Ed\"\nJr.")
                .with("originalSourceType", "Salesforce.com")
                .with("sfdcContactId", "0031"),
            lead(42, "王小明@example.net", "2025-07-01T00:00:00Z")
                .with("originalSourceType", "List import"),
        ]),
        group(vec![
            lead(
                7,
                "a.very.long.address.that.fits.no.narrow.terminal@mail.example.org",
                "2024-02-29T23:59:59Z",
            ),
            lead(
                8,
                "a.very.long.address.that.fits.no.narrow.terminal@mail.example.org",
                "2026-02-28T00:00:00Z",
            ),
        ]),
    ]
}

fn report_of(groups: Vec<Group>, filter: &Filter, limit: Option<usize>) -> Report {
    let policy = Policy::default();
    let mut collector = Collector::new(filter, &policy, limit);
    for group in groups {
        collector.add(group);
    }
    collector.finish(Source {
        instance: "https://123-abc-456.mktorest.com".to_owned(),
        scanned_at: Some("2026-03-02T10:00:00Z".parse().unwrap()),
        leads: 1_234,
        complete: true,
        ..Source::default()
    })
}

fn sample_report() -> Report {
    report_of(sample(), &Filter::default(), None)
}

fn csv_of(report: &Report) -> String {
    let mut csv = Vec::new();
    write_csv(report, &mut csv).unwrap();
    String::from_utf8(csv).unwrap()
}

fn keys(report: &Report) -> Vec<String> {
    report.shown.iter().map(|shown| shown.group.key.to_string()).collect()
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_table_shows_totals_causes_and_the_largest_groups() {
    snapshot("report_table_80", &render(&sample_report(), 80));
    snapshot(
        "report_table_limited",
        &render(&report_of(sample(), &Filter::default(), Some(1)), 80),
    );
}

#[test]
fn an_instance_without_duplicates_is_told_so() {
    snapshot("report_table_none", &render(&report_of(vec![], &Filter::default(), None), 80));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [40, 48, 56, 60, 72, 80, 100, 200] {
        for line in render(&sample_report(), width).lines() {
            let cell = Cell::new(line);
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::NOTHING).add_row([cell]);
            let columns = usize::from(table.column_max_content_widths()[0]);
            assert!(columns <= width, "{columns} columns at a width of {width}: {line}");
        }
    }
}

#[test]
fn a_value_cannot_steer_the_terminal() {
    let hostile = group(vec![
        lead(1, "x\u{1b}]0;owned\u{7}\r\n\u{202e}@example.com", "2026-01-01T00:00:00Z"),
        lead(2, "x\u{1b}]0;owned\u{7}\r\n\u{202e}@example.com", "2026-01-01T00:00:00Z"),
    ]);
    let hostile =
        Group { key: Key::stored("x\u{1b}[2J\u{9b}1m\r\nfake".to_owned()).unwrap(), ..hostile };
    let report = report_of(vec![hostile], &Filter::default(), None);
    let shown = render(&report, 80);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("fake")), "{shown}");
    assert_eq!(one_line("a\tb\r\nc\u{1b}[0m\u{202e}"), "a b  c\u{fffd}[0m\u{fffd}");
}

#[test]
fn the_json_is_what_the_documentation_promises() {
    let mut json = Vec::new();
    let report = sample_report();
    write_json(&report, &report, &mut json).unwrap();
    snapshot("report_json", &String::from_utf8(json).unwrap());
}

#[test]
fn the_csv_is_what_the_documentation_promises() {
    let csv = csv_of(&sample_report());
    assert!(csv.contains("crm\r\n"), "RFC 4180 wants CR LF");
    snapshot("report_csv", &csv.replace("\r\n", "\n"));
}

#[test]
fn a_text_that_a_spreadsheet_would_run_is_made_harmless() {
    for formula in
        ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\u{ff1d}1", "=cmd|' /C calc'!A0"]
    {
        let leads = vec![
            lead(1, "ada@example.com", "2026-01-01T00:00:00Z")
                .with("lastName", format!("\u{feff}{formula}")),
            lead(2, "ada@example.com", "2026-01-01T00:00:00Z").with("firstName", formula),
        ];
        let csv = csv_of(&report_of(vec![group(leads)], &Filter::default(), None));
        for record in csv::Reader::from_reader(csv.as_bytes()).records() {
            for cell in record.unwrap().iter().skip(5) {
                let shown = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                assert!(!shown.starts_with(['=', '+', '-', '@', '\u{ff1d}']), "{cell:?}");
            }
        }
    }
}

#[test]
fn each_filter_keeps_what_it_says_and_the_totals_follow() {
    let all = Filter::default();
    for (filter, expected) in [
        (Filter { cause: Some(Cause::Race), ..all.clone() }, vec!["ada@example.com"]),
        (Filter { min_size: 3, ..all.clone() }, vec!["王小明@example.net"]),
        (
            Filter { since: Some(parse_since("2026-03-01").unwrap()), ..all.clone() },
            vec!["ada@example.com"],
        ),
        (Filter { domain: Some("@Example.NET".into()), ..all.clone() }, vec!["王小明@example.net"]),
        (Filter { domain: Some("example.org".into()), ..all.clone() }, vec![]),
        (
            Filter {
                emails: Some(Emails::of([" ADA@example.com", "nobody@example.com"])),
                ..all.clone()
            },
            vec!["ada@example.com"],
        ),
        (Filter { emails: Some(Emails::of([""])), ..all }, vec![]),
    ] {
        let report = report_of(sample(), &filter, None);
        assert_eq!(keys(&report), expected, "{filter:?}");
        assert_eq!(report.groups, expected.len() as u64);
    }
}

#[test]
fn a_time_may_be_a_date_or_a_moment_and_nothing_else() {
    assert_eq!(parse_since("2026-01-31").unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
    assert_eq!(
        parse_since("2026-01-31T08:00:00-08:00").unwrap().to_rfc3339(),
        "2026-01-31T16:00:00+00:00"
    );
    for text in ["", "yesterday", "2026-02-30", "31.01.2026", "2026-1"] {
        assert!(parse_since(text).is_err(), "{text}");
    }
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    std::fs::write(&path, "before").unwrap();
    let failed = write_beside(&path, |out| {
        out.write_all(b"half")?;
        Err(io::Error::other("disk full"))
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    write_beside(&path, |out| out.write_all(b"whole")).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[cfg(unix)]
#[test]
fn a_file_full_of_people_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    write_beside(&path, |out| out.write_all(b"x")).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn numbers_are_grouped_by_thousands() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
        assert_eq!(count(number), text);
    }
}

fn any_groups() -> impl Strategy<Value = Vec<Group>> {
    proptest::collection::btree_map("[a-e]{1,3}", 2..6_usize, 0..20).prop_map(|sizes| {
        let groups = sizes.into_iter().map(|(name, size)| {
            let email = format!("{name}@example.com");
            group((1..=size as u64).map(|id| lead(id, &email, "2026-01-01T00:00:00Z")).collect())
        });
        groups.collect()
    })
}

proptest! {
    #[test]
    fn whatever_is_shown_are_the_largest_groups_and_everything_is_counted(
        groups in any_groups().prop_shuffle(),
        limit in 0..25_usize,
    ) {
        let mut sorted: Vec<(usize, String)> =
            groups.iter().map(|group| (group.leads.len(), group.key.to_string())).collect();
        sorted.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let report = report_of(groups, &Filter::default(), Some(limit));
        prop_assert_eq!(report.groups, sorted.len() as u64);
        prop_assert_eq!(report.duplicates, sorted.iter().map(|(size, _)| *size as u64).sum::<u64>());
        prop_assert_eq!(report.excess, report.duplicates - report.groups);
        let wanted: Vec<String> = sorted.into_iter().take(limit).map(|(_, key)| key).collect();
        prop_assert_eq!(keys(&report), wanted);
    }

    #[test]
    fn whatever_text_goes_into_a_csv_comes_out_as_one_row_a_lead(names in proptest::collection::vec(".*", 2..6)) {
        let leads = names.iter().zip(1..).map(|(name, id)| {
            lead(id, "ada@example.com", "2026-01-01T00:00:00Z").with("lastName", name.as_str())
        });
        let csv = csv_of(&report_of(vec![group(leads.collect())], &Filter::default(), None));
        let rows: Vec<_> = csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
        prop_assert_eq!(rows.len(), names.len());
        let ids: BTreeSet<&str> = rows.iter().map(|row| &row[5]).collect();
        prop_assert_eq!(ids.len(), names.len());
        for row in &rows {
            prop_assert_eq!(row.len(), 16);
        }
    }

    #[test]
    fn no_value_draws_a_second_line(text in ".*") {
        prop_assert!(!one_line(&text).contains(char::is_control));
    }
}
