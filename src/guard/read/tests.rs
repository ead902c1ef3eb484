//! Every way in which an input can be wrong says what and where.

use proptest::prelude::*;
use serde_json::json;

use super::{Format, Record, Records, check_fields, read_dates, read_records};
use crate::marketo::{Field, Schema};
use crate::table::date::Order;
use crate::table::{Options, Source};

fn read(file: &str, bytes: &[u8]) -> Result<Vec<Record>, String> {
    let read = read_records(file, Source::of_bytes(bytes), None, &Options::default());
    read.map(|read| read.records).map_err(|error| error.to_string())
}

#[test]
fn both_formats_give_the_same_records_with_their_lines() {
    let csv = read(
        "people.csv",
        b"\xef\xbb\xbfemail,firstName\na@example.com,\"Ada\nKing\"\nb@example.com,\n",
    )
    .unwrap();
    let lines: Vec<u64> = csv.iter().map(|record| record.line).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(json!(csv[0].fields), json!({"email": "a@example.com", "firstName": "Ada\nKing"}));
    assert_eq!(
        json!(csv[1].fields),
        json!({"email": "b@example.com"}),
        "an empty cell leaves the field alone"
    );
    let jsonl =
        read("standard input", b"\n{\"email\": \"b@example.com\", \"firstName\": null}\r\n")
            .unwrap();
    assert_eq!(
        (jsonl[0].line, json!(jsonl[0].fields)),
        (2, json!({"email": "b@example.com", "firstName": null}))
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (file, bytes, expected) in [
        (
            "p.csv",
            &b" \n"[..],
            "p.csv: is empty; it needs a header of REST API names, or a JSON object a line",
        ),
        ("p.csv", b"email,email\n", "p.csv line 1: there are two columns `email`"),
        ("p.csv", b"email,,x\n", "p.csv line 1: column 2 has no name"),
        (
            "p.csv",
            b"email,x\na@example.com\n",
            "p.csv line 2: has 1 cell where the header has 2; a separator or a line break in a value needs quotes around it",
        ),
        (
            "p.csv",
            b"email,x\na@example.com,\xff\n",
            "p.csv line 2: is not UTF-8, and may be Windows-1252, as which it reads: a@example.com,ÿ; if that is right, say \
             --encoding windows-1252, else save it as CSV in UTF-8 (Excel: File > Save As > CSV UTF-8; Numbers: File > Export \
             To > CSV; Google Sheets: File > Download > CSV)",
        ),
        ("p.csv", b"email,x\n", "p.csv: has a header and no row"),
        (
            "p.csv",
            b"email,x\na@example.com,#REF!\n",
            "p.csv line 2: `x` holds #REF!, which is a spreadsheet's error and no value",
        ),
        (
            "p.jsonl",
            b"{\"email\": 1}\n[1]\n",
            "p.jsonl line 2: is no JSON object: invalid type: sequence, expected a map at column 0; each record stands on a line of its own",
        ),
        (
            "p.jsonl",
            b"{\"email\": {\"a\": 1}}\n",
            "p.jsonl line 1: the value of `email` is not a plain value",
        ),
    ] {
        assert_eq!(read(file, bytes).unwrap_err(), expected);
    }
}

#[test]
fn fields_that_the_instance_does_not_take_are_refused_with_what_was_meant() {
    let field = |display: &str, updateable| Field {
        display_name: display.to_owned(),
        data_type: "string".to_owned(),
        length: None,
        updateable,
        crm_managed: false,
    };
    let schema = Schema {
        fields: [
            ("email".to_owned(), field("Email Address", true)),
            ("firstName".to_owned(), field("First Name", true)),
            ("createdAt".to_owned(), field("Created At", false)),
            ("id".to_owned(), field("Id", false)),
        ]
        .into(),
        searchable: vec!["email".to_owned()],
    };
    for (name, expected) in [
        (
            "Email Address",
            "p.csv line 2: this instance has no lead field `Email Address`; did you mean `email`?",
        ),
        (
            "fristName",
            "p.csv line 2: this instance has no lead field `fristName`; did you mean `firstName`?",
        ),
        ("zzz", "p.csv line 2: this instance has no lead field `zzz`"),
        ("createdAt", "p.csv line 2: the field `createdAt` cannot be written; leave it out"),
        (
            "id",
            "p.csv line 2: `id` cannot be written; leads are looked up by --lookup-field, so leave it out",
        ),
    ] {
        let records = read("p.csv", format!("{name}\nx\n").as_bytes()).unwrap();
        assert_eq!(
            check_fields("p.csv", &records, "email", &schema).unwrap_err().to_string(),
            expected
        );
    }
    let records = read("p.csv", b"email,firstName\na@example.com,Ada\n").unwrap();
    assert_eq!(check_fields("p.csv", &records, "email", &schema), Ok(()));
}

fn schema_with_dates() -> Schema {
    let field = |data_type: &str| Field {
        display_name: String::new(),
        data_type: data_type.to_owned(),
        length: None,
        updateable: true,
        crm_managed: false,
    };
    let fields = [("email", "email"), ("born", "date"), ("seen", "datetime"), ("note", "string")];
    Schema {
        fields: fields.map(|(name, data_type)| (name.to_owned(), field(data_type))).into(),
        searchable: vec!["email".to_owned()],
    }
}

fn table(text: &str) -> Records {
    read_records("p.csv", Source::of_bytes(text.as_bytes()), None, &Options::default()).unwrap()
}

#[test]
fn dates_of_a_table_are_written_in_marketos_form_and_how_they_were_read_is_told() {
    let mut read = table(
        "email;born;seen;note\na@example.com;4.3.1985;14.03.2019 17:06;3/4/2019\nb@example.com;;2019-03-04T17:06:00Z;\n",
    );
    let told = read_dates("p.csv", &mut read, &schema_with_dates(), None).unwrap();
    assert_eq!(
        json!(read.records[0].fields),
        json!({"email": "a@example.com", "born": "1985-03-04", "seen": "2019-03-14T17:06:00Z", "note": "3/4/2019"})
    );
    assert_eq!(read.records[1].fields["seen"], "2019-03-04T17:06:00Z");
    assert!(
        told[0].starts_with("born: 1 read as European dates (4.3.1985 = 4 March 1985)"),
        "{told:?}"
    );
    assert!(told[1].contains("times without a zone taken as UTC"), "{told:?}");
}

#[test]
fn a_date_that_nobody_can_tell_or_read_is_refused_before_anything_is_sent() {
    let refused = |text: &str, order| {
        read_dates("p.csv", &mut table(text), &schema_with_dates(), order).unwrap_err().to_string()
    };
    let told = refused("email,born\na@example.com,3/4/1985\n", None);
    assert!(told.starts_with("p.csv line 2: `born`: 3/4/1985 can be"), "{told}");
    let told = refused("email,born\na@example.com,soon\n", Some(Order::Us));
    assert_eq!(
        told,
        "p.csv line 2: `born`: soon is no date that can be read; write it as 2019-03-04"
    );
    let mut written = table("email,born\na@example.com,3/4/1985\n");
    read_dates("p.csv", &mut written, &schema_with_dates(), Some(Order::Eu)).unwrap();
    assert_eq!(written.records[0].fields["born"], "1985-04-03");
}

#[test]
fn a_table_of_any_kind_gives_the_same_records_and_a_repeated_header_is_nobody() {
    let plain = table("email,firstName\na@example.com,Zoë\n");
    let text = "sep=;\r\nemail;firstName\r\na@example.com;Zoë\r\nemail;firstName\r\n;\r\n";
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let read = read_records("p.txt", Source::of_bytes(utf16), None, &Options::default()).unwrap();
    assert_eq!(read.records[0].fields, plain.records[0].fields);
    assert_eq!((read.records.len(), read.records[0].line), (1, 3));
    assert_eq!(read.notes, ["left out: one empty row, one row that repeats the header"]);
}

proptest! {
    #[test]
    fn whatever_is_written_as_csv_is_read_back(cells in proptest::collection::vec("\\PC*|[a-z\"\n\r,]*", 1..5)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = (0..cells.len()).map(|column| format!("f{column}"));
        writer.write_record(header.chain(["last".to_owned()])).unwrap();
        // A row that is blank throughout is none.
        writer.write_record(cells.iter().map(String::as_str).chain(["x"])).unwrap();
        let bytes = writer.into_inner().unwrap();
        let read = read_records("x", Source::of_bytes(bytes), Some(Format::Csv), &Options::default());
        let records = read.unwrap().records;
        for (column, cell) in cells.iter().enumerate() {
            let value = records[0].fields.get(&format!("f{column}")).and_then(|value| value.as_str());
            prop_assert_eq!(value, Some(cell.as_str()).filter(|cell| !cell.trim().is_empty() && *cell != "null"));
        }
    }
}
