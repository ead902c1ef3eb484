//! Every way in which an input can be wrong says what and where.

use proptest::prelude::*;
use serde_json::json;

use super::{Format, Record, check_fields, read_records};
use crate::marketo::{Field, Schema};

fn read(file: &str, bytes: &[u8]) -> Result<Vec<Record>, String> {
    read_records(file, bytes, None).map_err(|error| error.to_string())
}

#[test]
fn both_formats_give_the_same_records_with_their_lines() {
    let csv =
        read("people.csv", b"\xef\xbb\xbfemail,firstName\na@example.com,\"Ada\nKing\"\nb@example.com,\n")
            .unwrap();
    let lines: Vec<u64> = csv.iter().map(|record| record.line).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(json!(csv[0].fields), json!({"email": "a@example.com", "firstName": "Ada\nKing"}));
    assert_eq!(
        json!(csv[1].fields),
        json!({"email": "b@example.com"}),
        "an empty cell leaves the field alone"
    );
    let jsonl = read("standard input", b"\n{\"email\": \"b@example.com\", \"firstName\": null}\r\n").unwrap();
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
            "p.csv line 2: has 1 cells where the header has 2; a comma or a line break in a value needs quotes around it",
        ),
        (
            "p.csv",
            b"email,x\na@example.com,\xff\n",
            "p.csv line 2: the value of `x` is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 0)",
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
        ("fristName", "p.csv line 2: this instance has no lead field `fristName`; did you mean `firstName`?"),
        ("zzz", "p.csv line 2: this instance has no lead field `zzz`"),
        ("createdAt", "p.csv line 2: the field `createdAt` cannot be written; leave it out"),
        (
            "id",
            "p.csv line 2: `id` cannot be written; leads are looked up by --lookup-field, so leave it out",
        ),
    ] {
        let records = read("p.csv", format!("{name}\nx\n").as_bytes()).unwrap();
        assert_eq!(check_fields("p.csv", &records, "email", &schema).unwrap_err().to_string(), expected);
    }
    let records = read("p.csv", b"email,firstName\na@example.com,Ada\n").unwrap();
    assert_eq!(check_fields("p.csv", &records, "email", &schema), Ok(()));
}

proptest! {
    #[test]
    fn whatever_is_written_as_csv_is_read_back(cells in proptest::collection::vec("\\PC*|[a-z\"\n\r,]*", 1..5)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record((0..cells.len()).map(|column| format!("f{column}"))).unwrap();
        writer.write_record(&cells).unwrap();
        let bytes = writer.into_inner().unwrap();
        let records = read_records("x", bytes.as_slice(), Some(Format::Csv)).unwrap();
        for (column, cell) in cells.iter().enumerate() {
            let value = records[0].fields.get(&format!("f{column}")).and_then(|value| value.as_str());
            prop_assert_eq!(value, Some(cell.as_str()).filter(|cell| !cell.trim().is_empty()));
        }
    }
}
