//! Any file, whatever it looks like, is grouped as a slow oracle groups it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{Nobody, Read, now, read};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::scan::file::{FileRules, look_and_keep};
use crate::table::date::Zone;
use crate::table::{Options, Source, Table, is_error_of_a_spreadsheet};

/// The spellings of one address, and of none.
const SPELLINGS: [&str; 10] = [
    "ada#@example.com",
    "ADA#@Example.COM",
    "  ada#@example.com ",
    "<ada#@example.com>",
    "mailto:ada#@example.com",
    "ada#\u{ff20}example.com",
    "\u{200b}ada#@example.com\u{a0}",
    "Ada, \"the\" <ada#@example.com>",
    "ada#@example.com.",
    "ad\u{ad}a#@example.com",
];
const NONE: [&str; 6] = ["", " ", "null", "NULL", "\u{feff}", "\u{a0}\t"];

/// A row of a file, told by what it means: its id, and whose address it has.
#[derive(Debug, Clone)]
struct Meant {
    id: u64,
    person: Option<u8>,
    spelling: usize,
    fraction: bool,
}

fn meant() -> impl Strategy<Value = Meant> {
    (1_u64..900, proptest::option::weighted(0.9, 0_u8..200), 0_usize..60, any::<bool>())
        .prop_map(|(id, person, spelling, fraction)| Meant { id, person, spelling, fraction })
}

/// The file that says so.
fn written(rows: &[Meant], separator: char, end: &str, quotes: bool) -> String {
    let cell = |text: &str| {
        if quotes || text.contains([separator, '"', '\r', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut text = ["Id", "Email Address", "Notes"].map(cell).join(&separator.to_string()) + end;
    for Meant { id, person, spelling, fraction } in rows {
        let id = if *fraction { format!("{id}.0") } else { id.to_string() };
        let email = match person {
            Some(person) => SPELLINGS[spelling % SPELLINGS.len()].replace('#', &person.to_string()),
            None => NONE[spelling % NONE.len()].to_owned(),
        };
        let row = [id.as_str(), &email, "two\nlines"].map(cell);
        text += &(row.join(&separator.to_string()) + end);
    }
    text
}

/// Who shares an address, found by nothing but what was meant.
fn oracle(rows: &[Meant]) -> BTreeSet<Vec<u64>> {
    let last: BTreeMap<u64, Option<u8>> = rows.iter().map(|row| (row.id, row.person)).collect();
    let mut of_person: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
    for (id, person) in last {
        if let Some(person) = person {
            of_person.entry(person).or_default().push(id);
        }
    }
    of_person.into_values().filter(|ids| ids.len() > 1).collect()
}

fn grouped(content: &[u8]) -> BTreeSet<Vec<u64>> {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), "file").unwrap();
    let key = KeySpec::default();
    let rules = FileRules { key: &key, fields: &[], dates: None, zone: Zone::default() };
    let table = Table::open(Source::of_bytes(content), &Options::default()).unwrap();
    let mut found = look_and_keep("leads.csv", table, rules, &cache, &Nobody).unwrap();
    found.load(&mut cache, "leads.csv", now, &Nobody).unwrap();
    let mut groups = BTreeSet::new();
    cache
        .for_each_group(crate::cache::Groups::All, |_key, leads, _births| {
            groups.insert(leads.iter().map(|lead| lead.id).collect());
            ControlFlow::Continue(())
        })
        .unwrap();
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// More rows than go into a batch, so that the leads of a group lie on both sides of a border.
    #[test]
    fn groups_are_those_of_a_slow_oracle_whatever_the_file_looks_like(
        rows in proptest::collection::vec(meant(), 1..1_300),
        separator in proptest::sample::select(vec![',', ';', '\t', '|']),
        end in proptest::sample::select(vec!["\n", "\r\n"]),
        quotes in any::<bool>(),
        encoding in 0_u8..3,
    ) {
        let text = written(&rows, separator, end, quotes);
        let content: Vec<u8> = match encoding {
            0 => text.into_bytes(),
            1 => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            _ => "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        };
        prop_assert_eq!(grouped(&content), oracle(&rows));
    }
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
        let Read { leads, .. } = read(&writer.into_inner().unwrap()).unwrap();
        for (lead, cell) in leads.iter().zip(&cells) {
            let held = lead.value("company").and_then(|value| value.as_str()).unwrap_or_default();
            prop_assert_eq!(held, if cell == "null" || is_error_of_a_spreadsheet(cell.as_bytes()) { "" } else { cell });
        }
    }
}
