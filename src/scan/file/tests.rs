//! What a file may look like, and how a broken one is refused.

use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::json;

use super::{ColumnUse, Ended, scan_file};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::Lead;
use crate::scan::Watch;

struct Nobody;

impl Watch for Nobody {
    fn at(&self, _done: u64, _total: Option<u64>) {}
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn read(content: &[u8]) -> Result<(Vec<Lead>, Vec<ColumnUse>), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leads.csv");
    std::fs::write(&path, content).unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), "file").unwrap();
    let mut columns = Vec::new();
    let ended =
        scan_file(&path, &mut cache, &KeySpec::default(), now, &Nobody, |uses| columns = uses.to_vec())
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "leads.csv"));
    let leads: Vec<Lead> = (0..=400).filter_map(|id| cache.lead(id).unwrap()).collect();
    match ended {
        Ok(Ended::Complete(totals)) => {
            assert_eq!(totals.leads, leads.len() as u64);
            Ok((leads, columns))
        }
        Ok(Ended::Interrupted) => panic!("files are not interrupted"),
        Err(error) => {
            assert!(leads.is_empty(), "a broken file leaves the cache as it was");
            Err(error)
        }
    }
}

#[test]
fn a_bulk_extract_with_every_oddity_is_read() {
    let content = b"\xef\xbb\xbfid,email,firstName,lastName,unsubscribed,leadScore\r\n\
        7,Ada@example.com,null,Null,true,5\r\n\
        8.0,null,\"O\"\"Hara, \r\nJr\",\"a\0b\rc\",false,null\r\n\
        7,ada@example.com,Ada,Lovelace,false,6\r\n";
    let (leads, columns) = read(content).unwrap();
    assert_eq!(leads.len(), 2, "a lead that comes twice is one lead");
    assert_eq!(
        leads[0],
        Lead::new(7)
            .with("email", "ada@example.com")
            .with("firstName", "Ada")
            .with("lastName", "Lovelace")
            .with("unsubscribed", false)
    );
    assert_eq!(leads[1].value("email"), None);
    assert_eq!(leads[1].value("firstName"), Some(&json!("O\"Hara, \r\nJr")));
    assert_eq!(leads[1].value("lastName"), Some(&json!("ab\rc")));
    assert_eq!(columns.last().unwrap(), &ColumnUse { header: "leadScore".to_owned(), field: None });
}

#[test]
fn an_export_from_the_screens_is_read_by_its_display_names_whatever_its_separator() {
    for separator in [',', ';', '\t'] {
        let content = "Id,Email Address,First Name,SFDC Type\n3,ada@example.com,Ada,Contact\n"
            .replace(',', &separator.to_string());
        let (leads, columns) = read(content.as_bytes()).unwrap();
        assert_eq!(leads[0].first_name(), Some("Ada"), "{separator:?}");
        assert_eq!(columns[1].field.as_deref(), Some("email"));
    }
}

#[test]
fn a_person_named_null_keeps_the_name_and_an_empty_cell_is_empty() {
    let (leads, _) = read(b"id,email,lastName\n1,a@example.com,Null\n2,b@example.com,null\n").unwrap();
    assert_eq!((leads[0].last_name(), leads[1].last_name()), (Some("Null"), None));
}

#[test]
fn a_broken_file_is_refused_with_its_line_and_nothing_of_it_is_kept() {
    for (content, expected) in [
        (&b""[..], "leads.csv: is empty"),
        (
            b"name,email\nx,a@example.com\n",
            "leads.csv line 1: has no column for the id (`id` or `Id`); it has: name, email",
        ),
        (
            b"id,name\n1,x\n",
            "leads.csv line 1: has no column for `email`, which makes leads the same (`email` or `Email Address`); it has: id, name",
        ),
        (
            b"id,email\n1,a@example.com\nx,b@example.com\n",
            "leads.csv line 3: the id is not a whole number above zero",
        ),
        (
            b"id,email\n1\n",
            "leads.csv line 2: has 1 cells where the header has 2; a separator or a line break in a value needs quotes around it",
        ),
        (
            b"id,email\n1,\xff\xfe\n",
            "leads.csv line 2: `email` is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 0)",
        ),
        (
            b"id,Email,Email Address\n1,a,b\n",
            "leads.csv line 1: both `Email` and `Email Address` are the field `email`",
        ),
        (
            b"id,email\n1,\"a@example.com\n2,b@example.com\n",
            "leads.csv line 2: a quote is opened and never closed, so that rows may have been swallowed; this is where the last row begins",
        ),
        (
            b"id,email,unsubscribed\n1,a@example.com,maybe\n",
            "leads.csv line 2: `unsubscribed` holds something that is neither true nor false",
        ),
    ] {
        assert_eq!(read(content).unwrap_err(), expected);
    }
}

#[test]
fn groups_come_out_of_a_file_by_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leads.csv");
    std::fs::write(&path, "id,email\n1,Ada@example.com\n2, ada@example.com\n3,null\n4,null\n").unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), "file").unwrap();
    scan_file(&path, &mut cache, &KeySpec::default(), now, &Nobody, |_| {}).unwrap();
    let mut groups = Vec::new();
    cache
        .for_each_group(|key, leads, _births| {
            groups.push((key.to_owned(), leads.len()));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(groups, [("ada@example.com".to_owned(), 2)], "law 1: leads without email are strangers");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_csv_writer_writes_is_read_back(cells in proptest::collection::vec("\\PC*|[a-z\"\n\r,;\t]*", 1..8)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "email", "company"]).unwrap();
        for (cell, id) in cells.iter().zip(1..) {
            writer.write_record([&format!("{id}"), "a@example.com", cell]).unwrap();
        }
        let (leads, _) = read(&writer.into_inner().unwrap()).unwrap();
        for (lead, cell) in leads.iter().zip(&cells) {
            let held = lead.value("company").and_then(|value| value.as_str()).unwrap_or_default();
            // The last cell's last carriage return is the line's.
            let kept = cell.strip_suffix('\r').unwrap_or(cell);
            prop_assert_eq!(held, if kept == "null" { "" } else { kept });
        }
    }
}
