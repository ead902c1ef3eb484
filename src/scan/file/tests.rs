//! What a file may look like, and how a broken one is refused.

use std::ops::ControlFlow;

use serde_json::json;

use super::{ColumnUse, Ended, FileError, FileRules, Unread, look, look_and_keep};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::{Crm, Lead, Precision};
use crate::scan::{Error, Watch};
use crate::table::date::{Order, Zone};
use crate::table::{Options, Source, Table};

mod oracle;

struct Nobody;

impl Watch for Nobody {
    fn at(&self, _done: u64, _total: Option<u64>) {}
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// What a file came to.
#[derive(Debug, PartialEq)]
struct Read {
    leads: Vec<Lead>,
    columns: Vec<(ColumnUse, bool)>,
    told: Vec<String>,
    unread: Vec<Unread>,
}

/// A file that is kept while it is looked at, and one that is read once more, are the same.
fn read_with(content: &[u8], dates: Option<Order>) -> Result<Read, String> {
    let (once, twice) = (read_once(content, dates, true), read_once(content, dates, false));
    assert_eq!(once, twice);
    once
}

fn read_once(content: &[u8], dates: Option<Order>, keeps: bool) -> Result<Read, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), "file").unwrap();
    let key = KeySpec::default();
    let rules = FileRules { key: &key, fields: &[], dates, zone: Zone::default() };
    let mut read = || -> Result<Read, Error> {
        let options = Options { by_head: keeps, ..Options::default() };
        let table = Table::open(Source::of_bytes(content), &options)
            .map_err(|error| FileError::of("leads.csv", error))?;
        let mut found = if keeps {
            look_and_keep("leads.csv", table, rules, &cache, &Nobody)?
        } else {
            look("leads.csv", table, rules)?
        };
        let Ended::Complete(totals) = found.load(&mut cache, "leads.csv", now, &Nobody)? else {
            panic!("files are not interrupted")
        };
        let leads: Vec<Lead> = (0..=400).filter_map(|id| cache.lead(id).unwrap()).collect();
        assert_eq!(totals.leads, leads.len() as u64);
        assert_eq!(cache.summary().unwrap().file.as_deref(), Some("leads.csv"));
        let told = found.notes().iter().cloned();
        let told = told
            .chain(found.readings().map(|(column, told)| format!("{column}: {told}")))
            .collect();
        let columns = found.columns().map(|(column, filled)| (column.clone(), filled)).collect();
        Ok(Read { leads, columns, told, unread: found.unread().to_vec() })
    };
    let read = read().map_err(|error| error.to_string());
    if read.is_err() {
        assert_eq!(cache.summary().unwrap().leads, 0, "a broken file leaves the cache as it was");
    }
    read
}

fn read(content: &[u8]) -> Result<Read, String> {
    read_with(content, None)
}

#[test]
fn a_bulk_extract_with_every_oddity_is_read() {
    let content = b"\xef\xbb\xbfid,email,firstName,lastName,unsubscribed,leadScore\r\n\
        7,Ada@example.com,null,Null,true,5\r\n\
        8.0,null,\"O\"\"Hara, \r\nJr\",\"a\0b\rc\",false,null\r\n\
        7,ada@example.com,Ada,Lovelace,false,6\r\n";
    let Read { leads, columns, .. } = read(content).unwrap();
    assert_eq!(leads.len(), 2, "a lead that comes twice is one lead");
    assert_eq!(
        leads[0],
        Lead::new(7)
            .with("email", "ada@example.com")
            .with("firstName", "Ada")
            .with("lastName", "Lovelace")
            .with("unsubscribed", false)
            .with("leadScore", 6)
    );
    assert_eq!(leads[1].value("email"), None);
    assert_eq!(leads[1].value("firstName"), Some(&json!("O\"Hara, \r\nJr")));
    assert_eq!(leads[1].value("lastName"), Some(&json!("ab\rc")));
    let (score, empty_cells) =
        (ColumnUse { header: "leadScore".to_owned(), field: Some("leadScore".to_owned()) }, true);
    assert_eq!(columns.last().unwrap(), &(score, empty_cells));
}

#[test]
fn an_export_from_the_screens_is_read_by_its_display_names_whatever_its_separator() {
    for separator in [',', ';', '\t', '|'] {
        let content = "Id,Email Address,First Name,SFDC Type\n3,ada@example.com,Ada,Contact\n"
            .replace(',', &separator.to_string());
        let Read { leads, columns, .. } = read(content.as_bytes()).unwrap();
        assert_eq!(leads[0].first_name(), Some("Ada"), "{separator:?}");
        assert_eq!(columns[1].0.field.as_deref(), Some("email"));
    }
}

#[test]
fn a_person_named_null_keeps_the_name_and_an_empty_cell_is_empty() {
    let Read { leads, .. } =
        read(b"id,email,lastName\n1,a@example.com,Null\n2,b@example.com,null\n").unwrap();
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
            "leads.csv line 3: `x` is no id, which is a whole number above zero",
        ),
        (
            b"id,email\n1\n",
            "leads.csv line 2: has 1 cell where the header has 2; a separator or a line break in a value needs quotes around it",
        ),
        (b"id,email\r\n", "leads.csv: has a header and no row; nothing was replaced"),
        (
            b"id,email\n;\n,,\n\n",
            "leads.csv line 2: has 1 cell where the header has 2; a separator or a line break in a value needs quotes around it",
        ),
        (b"id,email\n,,\n\n", "leads.csv: has a header and no row; nothing was replaced"),
        (
            b"id,email\n1.000,a@example.com\n",
            "leads.csv line 2: `1.000` is no id, which is a whole number above zero",
        ),
        (
            b"id,email\n1.23E+15,a@example.com\n",
            "leads.csv line 2: `1.23E+15` is no id, which is a whole number above zero: the spreadsheet has rounded it; show the column as a number without decimals",
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
fn a_letter_in_the_last_row_decides_the_encoding_of_all() {
    let company = "Analytical Engines ".repeat(20);
    let mut file = "id,email,lastName,company,note\r\n".to_owned();
    for id in 1..=300 {
        file.extend([
            &id.to_string(),
            ",",
            &id.to_string(),
            "@example.com,Byron,",
            &company,
            ",\r\n",
        ]);
    }
    assert!(file.len() > 1 << 16, "more than is looked at before the rows");
    let with = |row: &[u8]| read(&[file.as_bytes(), row].concat());
    let name = |found: &Read| found.leads.last().unwrap().last_name().map(str::to_owned);
    for row in [&b"301,z@example.com,M\xfcller,x,\r\n"[..], b"301,z@example.com,\"M\xfcller\",x,"] {
        let found = with(row).unwrap();
        assert_eq!(name(&found).as_deref(), Some("M\u{fc}ller"));
        assert!(
            found.told.iter().any(|told| told.contains("it is not UTF-8 (line 302")),
            "{:?}",
            found.told
        );
    }
    // In a column that is not kept it decides as well.
    let found = with(b"301,z@example.com,Byron,x,Gr\xfc\xdfe aus M\xfcnchen\r\n").unwrap();
    assert!(found.told.iter().any(|told| told.contains("it is not UTF-8")), "{:?}", found.told);
    let found = with("301,z@example.com,M\u{fc}ller,x,".as_bytes()).unwrap();
    assert_eq!(name(&found).as_deref(), Some("M\u{fc}ller"));
    assert!(!found.told.iter().any(|told| told.contains("UTF-8")), "{:?}", found.told);
    let mixed = with(
        "301,z@example.com,M\u{fc}ller,\u{df}\u{e9}\u{e8}\u{e0},\n302,y@example.com,".as_bytes(),
    );
    assert!(mixed.is_ok());
    let pasted = [
        file.as_bytes(),
        "301,z@example.com,\u{fc}\u{fc}\u{fc}\u{fc}\u{fc},x,\n302,y@example.com,".as_bytes(),
        b"M\xfcller,x,\n",
    ];
    let refused = read(&pasted.concat()).unwrap_err();
    assert!(refused.contains("pasted together from two encodings"), "{refused}");
}

#[test]
fn groups_come_out_of_a_file_by_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let content = &b"id,email\n1,Ada@example.com\n2, ada@example.com\n3,null\n4,null\n"[..];
    let mut cache = Cache::open(&folder.path().join("cache.db"), "file").unwrap();
    let key = KeySpec::default();
    let rules = FileRules { key: &key, fields: &[], dates: None, zone: Zone::default() };
    let table = Table::open(Source::of_bytes(content), &Options::default()).unwrap();
    look("leads.csv", table, rules).unwrap().load(&mut cache, "leads.csv", now, &Nobody).unwrap();
    let mut groups = Vec::new();
    cache
        .for_each_group(crate::cache::Groups::All, |key, leads, _births| {
            groups.push((key.to_owned(), leads.len()));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        groups,
        [("ada@example.com".to_owned(), 2)],
        "law 1: leads without email are strangers"
    );
}

#[test]
fn what_a_person_would_miss_is_kept() {
    let content = "Id,Email Address,Job Title,Phone Number,Person Source,Person Score,Person Partition,SFDC Id,Colour\n\
        1,a@example.com,VP,+49 30 1,Messe,174,Europe,003A1,red\n2,b@example.com,,,,,,00Q12,\n";
    let Read { leads, columns, .. } = read(content.as_bytes()).unwrap();
    let expected = Lead::new(1)
        .with("email", "a@example.com")
        .with("title", "VP")
        .with("phone", "+49 30 1")
        .with("leadSource", "Messe")
        .with("leadScore", 174)
        .with("leadPartitionId", "Europe")
        .with("sfdcId", "003A1");
    assert_eq!(leads[0], expected);
    assert_eq!((leads[0].crm(), leads[1].crm()), (Crm::Contact, Crm::Lead));
    assert_eq!(leads[0].partition().as_deref(), Some("Europe"));
    assert_eq!(columns.last().unwrap().0.field, None);
}

#[test]
fn dates_are_read_as_the_whole_column_says_and_the_reading_is_told() {
    let content = b"Id,Email,Created At,Updated\n1,a@example.com,3/4/2019 5:06 PM,2019-03-05\n2,b@example.com,3/14/2019 5:06 PM,\n";
    let Read { leads, told, .. } = read(content).unwrap();
    assert_eq!(leads[0].created_at().unwrap().to_rfc3339(), "2019-03-04T17:06:00+00:00");
    assert_eq!(leads[0].creation_precision(), Some(Precision::Minute));
    assert_eq!(leads[0].updated_at().unwrap().to_rfc3339(), "2019-03-05T00:00:00+00:00");
    assert_eq!(
        told,
        [
            "Created At: 2 read as US dates (3/4/2019 5:06 PM = 4 March 2019), times without a zone taken as UTC",
            "Updated: 1 read as ISO dates (2019-03-05 = 5 March 2019); the time of day is not in the file",
        ]
    );
}

#[test]
fn dates_that_nobody_can_tell_are_refused_until_the_user_does() {
    let content = b"Id,Email,Created At\n1,a@example.com,3/4/2019\n";
    assert_eq!(
        read(content).unwrap_err(),
        "leads.csv line 2: `Created At`: 3/4/2019 can be 4 March 2019 (--dates us) or 3 April 2019 (--dates eu), and no \
         other value of the column decides; say which"
    );
    let day = |order| {
        read_with(content, Some(order)).unwrap().leads[0].text("createdAt").map(str::to_owned)
    };
    assert_eq!(day(Order::Us).as_deref(), Some("2019-03-04"));
    assert_eq!(day(Order::Eu).as_deref(), Some("2019-04-03"));
    let both = b"Id,Email,Created At\n1,a@example.com,3/14/2019\n2,b@example.com,14/3/2019\n";
    assert!(read(both).unwrap_err().contains("its dates are of two kinds"));
}

#[test]
fn what_cannot_be_read_is_counted_with_its_column_and_first_lines() {
    let content =
        b"Id,Email,Created At,Title\n1,a@example.com,garbage,#N/A\n2,b@example.com,#####,\n\
        3,c@example.com,2019-03-04,VP\n";
    let Read { leads, unread, .. } = read(content).unwrap();
    let unread: Vec<(&str, u64, Vec<u64>)> = unread
        .iter()
        .map(|unread| {
            (
                unread.field.as_str(),
                unread.count,
                unread.first.iter().map(|(line, _)| *line).collect(),
            )
        })
        .collect();
    assert_eq!(
        unread,
        [("title", 1, vec![2]), ("createdAt", 1, vec![3]), ("createdAt", 1, vec![2])]
    );
    assert_eq!((leads[0].value("title"), leads[0].created_at()), (None, None));
}

#[test]
fn a_column_that_is_empty_throughout_and_rows_that_say_nothing_are_told() {
    let content =
        b"sep=;\r\nId;Email;Created At;Unsubscribed;;\r\n\r\n1;a@example.com;;WAHR;;\r\n;;;;;\r\n\
        Id;Email;Created At;Unsubscribed\r\n2;b@example.com\r\n";
    let Read { leads, columns, told, .. } = read(content).unwrap();
    assert!(leads[0].flag("unsubscribed"));
    let filled: Vec<bool> = columns.iter().map(|(_, filled)| *filled).collect();
    assert_eq!(filled, [true, true, false, true]);
    assert_eq!(told[0], "left out: one empty row, one row that repeats the header");
    assert!(
        told[1].starts_with("one row is shorter than the header (the first is line 7)"),
        "{told:?}"
    );
}

#[test]
fn what_is_printed_of_a_file_steers_no_terminal() {
    for content in [
        &b"Id,\x1b]0;owned\x07\n1,x\n"[..],
        b"Id,Email,Email\x1b Address\n1,a,b\n",
        b"Id,Email,Created At\n1,a@example.com,1/2/2003\n2,a@example.com,\x1b[31m13/13/1\n",
        b"Id,\xc2\x9b31mEmail\n1,x\n",
    ] {
        let error = read(content).unwrap_err();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}
