//! Tables as the world writes them, through the real binary: read, or refused with what to do.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::wait;
use crate::support::{Instance, Run, binary, quick};

use workbook::{workbook, zipped};

mod workbook;

const ROWS: [[&str; 5]; 4] = [
    ["Id", "First Name", "Email Address", "Created At", "Unsubscribed"],
    ["101", "Zoë", "zoe@example.com", "2019-03-05 17:06:00", "false"],
    ["102", "Zoë", "ZOE@example.com", "2019-03-04 17:06:00", "false"],
    ["103", "Müller", "mueller@example.org", "2019-03-06 10:00:00", "true"],
];

fn text(separator: &str, line_end: &str) -> String {
    ROWS.map(|row| row.join(separator) + line_end).concat()
}

fn run(home: &TempDir, arguments: &[&str]) -> Run {
    Run::of(&mut binary(home.path(), arguments))
}

fn write(home: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(home.path().join(name), content).unwrap();
}

fn utf16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

fn bytes_of(text: &str, page: &str) -> Vec<u8> {
    let page = encoding_rs::Encoding::for_label(page.as_bytes()).unwrap();
    page.encode(text).0.into_owned()
}

fn leads_in_excel() -> Vec<Vec<&'static str>> {
    let mut rows: Vec<Vec<&str>> = ROWS.map(|row| row.to_vec()).to_vec();
    rows[1][3] = "@43529.7125";
    rows[2][3] = "@43528.7125";
    rows[3][3] = "@43530.416666666664";
    rows
}

/// The same three leads, whatever wrote the file.
fn expect_the_leads(home: &TempDir, name: &str) {
    let report = run(home, &["report", "--json"]).expect_code(0).json();
    assert_eq!((&report["leads"], &report["groups"]), (&json!(3), &json!(1)), "{name}");
    let group = &report["group"][0];
    assert_eq!(
        (&group["winner"], &group["key"]),
        (&json!(102), &json!("zoe@example.com")),
        "{name}"
    );
    let first = &group["leads"][0];
    assert_eq!(
        (&first["first_name"], &first["created_at"]),
        (&json!("Zoë"), &json!("2019-03-04T17:06:00Z")),
        "{name}"
    );
}

#[test]
fn the_same_leads_come_out_of_every_kind_of_file() {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(text(",", "\n").as_bytes()).unwrap();
    let us = text(",", "\r\n")
        .replace("2019-03-05 17:06:00", "3/5/2019 5:06:00 PM")
        .replace("2019-03-04 17:06:00", "3/4/2019 5:06:00 PM")
        .replace("2019-03-06 10:00:00", "3/16/2019 10:00:00 AM");
    let german = text(";", "\r\n")
        .replace("2019-03-05 17:06:00", "05.03.2019 17:06:00")
        .replace("2019-03-04 17:06:00", "04.03.2019 17:06:00")
        .replace("2019-03-06 10:00:00", "06. März 2019 10:00")
        .replace("false", "FALSCH")
        .replace("true", "WAHR");
    for (name, content, told) in [
        ("plain.csv", text(",", "\n").into_bytes(), ""),
        ("excel.csv", format!("\u{feff}sep=;\r\n{}", text(";", "\r\n")).into_bytes(), ""),
        ("old-mac.csv", bytes_of(&text(",", "\r"), "macintosh"), "read as Mac OS Roman"),
        ("mixed.csv", text(",", "\r\n").replacen("\r\n", "\r", 2).into_bytes(), ""),
        ("pipes.txt", text("|", "\n\n").into_bytes(), ""),
        ("unicode-text.txt", utf16(&text("\t", "\r\n")), ""),
        ("no-mark.txt", utf16(&text("\t", "\r\n"))[2..].to_vec(), "read as UTF-16"),
        ("ansi.csv", bytes_of(&text(";", "\r\n"), "windows-1252"), "read as Windows-1252"),
        ("us.csv", us.into_bytes(), "3 read as US dates (3/5/2019 5:06:00 PM = 5 March 2019)"),
        (
            "german.csv",
            bytes_of(&german, "windows-1252"),
            "read as European dates (05.03.2019 17:06:00 = 5 March 2019)",
        ),
        ("export.csv.gz", gz.finish().unwrap(), ""),
        (
            "export.zip",
            zipped(&[("leads.csv", text(",", "\n").as_bytes())]),
            "read from the zip file: leads.csv",
        ),
        (
            "book.xlsx",
            workbook(&[("Leads", leads_in_excel()), ("Notes", vec![])]),
            "read from the sheet `Leads`",
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        write(&home, name, content);
        let scan = run(&home, &["scan", "--file", name]).expect_code(0);
        assert!(scan.stderr.contains(told), "{name}: {}", scan.picture());
        assert!(scan.stderr.contains("Created At: 3 read as"), "{name}: {}", scan.picture());
        expect_the_leads(&home, name);
    }
}

#[test]
fn standard_input_is_read_as_a_file_is() {
    let home = tempfile::tempdir().unwrap();
    let mut command = binary(home.path(), ["scan", "--file", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&utf16(&text("\t", "\r\n"))).unwrap();
    let output = wait::output_of(child);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expect_the_leads(&home, "standard input");
}

#[test]
fn dates_that_fit_both_orders_are_refused_until_the_user_says_which() {
    let home = tempfile::tempdir().unwrap();
    let csv =
        "Id,Email,Created At\n1,a@example.com,3/5/2019 5:06 PM\n2,A@example.com,3/4/2019 5:06 PM\n";
    write(&home, "leads.csv", csv);
    let refused = run(&home, &["scan", "--file", "leads.csv"]).expect_code(2);
    assert!(
        refused.stderr.contains("`Created At`: 3/5/2019 5:06 PM can be 5 March 2019 (--dates us)"),
        "{}",
        refused.stderr
    );
    for (arguments, created) in [
        (&["--dates", "us"][..], "2019-03-04T17:06:00Z"),
        (&["--dates", "eu"], "2019-04-03T17:06:00Z"),
        (&["--dates", "us", "--zone", "America/Chicago"], "2019-03-04T23:06:00Z"),
    ] {
        let arguments: Vec<&str> =
            ["scan", "--file", "leads.csv"].iter().chain(arguments).copied().collect();
        run(&home, &arguments).expect_code(0);
        let group = &run(&home, &["report", "--json"]).expect_code(0).json()["group"][0];
        assert_eq!(
            (&group["winner"], &group["leads"][0]["created_at"]),
            (&json!(2), &json!(created)),
            "{arguments:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_told_and_ends_with_3() {
    let home = tempfile::tempdir().unwrap();
    write(
        &home,
        "leads.csv",
        "Id,Email,Created At,Title\n1,a@example.com,soon,\n2,A@example.com,2019-03-04,\n",
    );
    let scan = run(&home, &["scan", "--file", "leads.csv", "--json"]).expect_code(3);
    assert_eq!(
        scan.json()["unread"],
        json!([{"column": "Created At", "field": "createdAt", "values": 1, "first_lines": [2]}])
    );
    assert!(
        scan.stderr.contains("Created At: one value cannot be read as a date"),
        "{}",
        scan.stderr
    );
    assert!(scan.stderr.contains("and is left empty (line 2: soon)"), "{}", scan.stderr);
    assert!(scan.stderr.contains("Title -> title (empty in every row)"), "{}", scan.stderr);
}

#[test]
fn rows_with_one_id_are_counted_and_the_last_one_counts() {
    for (rows, told) in [
        ("5,old@example.com\n1,a@example.com\n5,new@example.com\n", "one row has the id"),
        ("1,a@example.com\n1,a@example.com\n1,b@example.com\n2,A@example.com\n", "2 rows have"),
    ] {
        let home = tempfile::tempdir().unwrap();
        write(&home, "leads.csv", format!("Id,Email\n{rows}"));
        let scan = run(&home, &["scan", "--file", "leads.csv", "--json"]).expect_code(0);
        let (document, leads) = (scan.json(), rows.lines().count() as u64);
        assert_eq!(document["repeated_rows"], leads - document["leads"].as_u64().unwrap());
        assert!(scan.stderr.contains(told), "{}", scan.stderr);
        assert!(scan.stderr.contains("the last one counts"), "{}", scan.stderr);
        let report = run(&home, &["report", "--json"]).expect_code(0).json();
        assert_eq!(report["group"].as_array().unwrap().len(), 0, "the last row of an id counts");
    }
}

#[test]
fn two_leads_of_one_day_are_no_race_where_the_file_has_no_time() {
    let home = tempfile::tempdir().unwrap();
    write(
        &home,
        "leads.csv",
        "Id,Email,Created At\n1,a@example.com,2019-03-04\n2,A@example.com,2019-03-04\n",
    );
    let scan = run(&home, &["scan", "--file", "leads.csv"]).expect_code(0);
    assert!(scan.stderr.contains("the time of day is not in the file"), "{}", scan.stderr);
    let report = run(&home, &["report", "--json"]).expect_code(0).json();
    assert_eq!(report["group"][0]["cause"], "unknown");
    assert_eq!(report["group"][0]["leads"][0]["created_at"], "2019-03-04T00:00:00Z");
}

#[test]
fn no_file_without_a_row_and_no_broken_one_empties_the_cache() {
    let home = tempfile::tempdir().unwrap();
    for (content, what) in [
        (&b"Id,Email\r\n"[..], "has a header and no row"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"%PDF-1.4", "is a PDF; save it as CSV"),
        (b"Id,Email\n1,\"a@example.com\n", "never closed"),
    ] {
        write(&home, "leads.csv", text(",", "\n"));
        run(&home, &["scan", "--file", "leads.csv"]).expect_code(0);
        write(&home, "leads.csv", content);
        let refused = run(&home, &["scan", "--file", "leads.csv"]).expect_code(2);
        assert!(refused.stderr.contains(what), "{}", refused.stderr);
        expect_the_leads(&home, what);
    }
}

#[test]
fn a_second_file_never_takes_the_place_of_the_first() {
    let home = tempfile::tempdir().unwrap();
    write(&home, "acme.csv", text(",", "\n"));
    write(&home, "globex.csv", "Id,Email\n1,x@example.com\n2,X@example.com\n");
    run(&home, &["scan", "--file", "acme.csv"]).expect_code(0);
    run(&home, &["scan", "--file", "acme.csv"]).expect_code(0);
    let refused = run(&home, &["scan", "--file", "globex.csv"]).expect_code(2);
    for name in ["acme.csv", "globex.csv", "--as"] {
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
    }
    expect_the_leads(&home, "acme.csv");

    run(&home, &["scan", "--file", "globex.csv", "--as", "Globex Inc"]).expect_code(0);
    expect_the_leads(&home, "acme.csv");
    let globex = run(&home, &["report", "--as", "Globex Inc", "--json"]).expect_code(0).json();
    assert_eq!((&globex["instance"], &globex["leads"]), (&json!("Globex Inc"), &json!(2)));
    run(&home, &["explain", "x@example.com", "--as", "Globex Inc"]).expect_code(0);

    let missing = run(&home, &["report", "--as", "initech"]).expect_code(2);
    assert!(missing.stderr.contains("caches here: Globex Inc ("), "{}", missing.stderr);
    run(&home, &["scan", "--file", "globex.csv", "--as", "file"]).expect_code(0);
    assert_eq!(
        run(&home, &["report", "--json"]).expect_code(0).json()["leads"],
        2,
        "replaced by its name"
    );
    run(&home, &["scan", "--as", "acme"]).expect_code(2);
    run(&home, &["scan", "--file", "acme.csv", "--as", "../acme"]).expect_code(2);
}

#[test]
fn a_file_never_takes_the_place_of_a_scan_and_a_forgotten_url_names_the_caches() {
    let mut options = quick();
    options.leads = 50;
    let instance = Instance::start(options);
    let file = instance.file("leads.csv", text(",", "\n"));
    instance.run(["scan"]).expect_code(0);
    let refused = instance.run(["scan", "--file", file.to_str().unwrap()]).expect_code(2);
    assert!(refused.stderr.contains("itself, and"), "{}", refused.stderr);
    let report = Run::of(&mut binary(instance.folder.path(), ["report"])).expect_code(2);
    assert!(
        report.stderr.contains("no Marketo instance is named; caches here: 127.0.0.1:"),
        "{}",
        report.stderr
    );
}

#[test]
fn what_is_printed_of_a_file_steers_no_terminal() {
    let home = tempfile::tempdir().unwrap();
    let evil = "Id,Email,Created At,\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\n1,a@example.com,\u{1b}[2Jx,\u{1b}[31m\n2,A@example.com,,\n";
    write(&home, "leads\u{1b}[31m.csv", evil);
    let scan = run(&home, &["scan", "--file", "leads\u{1b}[31m.csv"]).expect_code(3);
    let other = run(&home, &["scan", "--file", "other\u{1b}[31m.csv"]).expect_code(2);
    write(&home, "more\u{1b}[31m.csv", "Id,Email\n1,a@example.com\n");
    let second = run(&home, &["scan", "--file", "more\u{1b}[31m.csv"]).expect_code(2);
    for run in [scan, other, second] {
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!run.stderr.contains(steers) && !run.stdout.contains(steers), "{:?}", run.stderr);
        assert!(run.stderr.contains("\\u{1b}"), "{}", run.stderr);
    }
}

#[test]
fn a_workbook_of_several_filled_sheets_is_refused_with_their_names() {
    let home = tempfile::tempdir().unwrap();
    write(&home, "book.xlsx", workbook(&[("Old", leads_in_excel()), ("New", leads_in_excel())]));
    let refused = run(&home, &["scan", "--file", "book.xlsx"]).expect_code(2);
    assert!(
        refused.stderr.contains("several filled sheets: `Old`, `New`; name one with --sheet"),
        "{}",
        refused.stderr
    );
    run(&home, &["scan", "--file", "book.xlsx", "--sheet", "new"]).expect_code(0);
    expect_the_leads(&home, "--sheet");
}

fn people(path: &Path, content: impl AsRef<[u8]>) -> String {
    std::fs::write(path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn upsert_reads_the_same_files() {
    let instance = Instance::start(quick());
    let text = "email\tfirstName\r\nzoe@example.com\tZoë\r\n";
    let ansi = bytes_of(&text.replace('\t', ";"), "windows-1252");
    let book =
        workbook(&[("People", vec![vec!["email", "firstName"], vec!["zoe@example.com", "Zoë"]])]);
    for (name, content, more) in [
        ("people.txt", utf16(text), &[][..]),
        ("people.xlsx", book, &[]),
        ("people.csv", ansi.clone(), &["--encoding", "windows-1252"]),
    ] {
        let file = people(&instance.path(name), content);
        let arguments: Vec<&str> =
            ["upsert", &file, "--dry-run", "--json"].iter().chain(more).copied().collect();
        let report: Value = instance.run(&arguments).expect_code(0).json();
        assert_eq!(
            (&report["records"], &report["record"][0]["line"]),
            (&json!(1), &json!(2)),
            "{name}"
        );
    }
    let file = people(&instance.path("people.csv"), ansi);
    let guessed = instance.run(["upsert", &file, "--dry-run"]).expect_code(2);
    assert!(
        guessed.stderr.contains("Zoë; if that is right, say --encoding windows-1252"),
        "{}",
        guessed.stderr
    );
}
