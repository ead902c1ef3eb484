//! Any table that is written in any of the styles of spreadsheets reads back the same.

use std::io::Write as _;

use proptest::prelude::*;

use super::{Encoding, Options, Row, Source, Table, TableError};

/// How a program writes a table.
#[derive(Debug, Clone, Copy)]
struct Style {
    separator: char,
    line_end: &'static str,
    encoding: Encoding,
    mark: bool,
    quotes_all: bool,
    names_separator: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let encodings = prop_oneof![
        Just(Encoding::Utf8),
        Just(Encoding::Utf16Le),
        Just(Encoding::Utf16Be),
        Just(Encoding::Page(encoding_rs::WINDOWS_1252)),
        Just(Encoding::Page(encoding_rs::MACINTOSH)),
        Just(Encoding::Dos),
    ];
    let separators = prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')];
    let line_ends = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (separators, line_ends, encodings, any::<[bool; 3]>()).prop_map(
        |(separator, line_end, encoding, [mark, quotes_all, names_separator])| Style {
            separator,
            line_end,
            encoding,
            mark,
            quotes_all,
            names_separator,
        },
    )
}

/// The table as a program of this style writes it.
fn written(rows: &[Vec<String>], style: Style) -> Vec<u8> {
    let mut text = String::new();
    if style.names_separator {
        text.extend(["sep=", &style.separator.to_string(), style.line_end]);
    }
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| {
                let needs = cell.contains([style.separator, '"', '\n', '\r']) || cell.is_empty();
                if needs || style.quotes_all {
                    format!("\"{}\"", cell.replace('"', "\"\""))
                } else {
                    cell.clone()
                }
            })
            .collect();
        text += &cells.join(&style.separator.to_string());
        text += style.line_end;
    }
    encoded(&text, style)
}

fn encoded(text: &str, style: Style) -> Vec<u8> {
    let mark = |bytes: &[u8]| if style.mark { bytes.to_vec() } else { Vec::new() };
    match style.encoding {
        Encoding::Utf8 => [mark(b"\xef\xbb\xbf"), text.as_bytes().to_vec()].concat(),
        Encoding::Utf16Le => {
            [mark(b"\xff\xfe"), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
        }
        Encoding::Utf16Be => {
            [mark(b"\xfe\xff"), text.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat()
        }
        page => {
            let byte = |c: char| {
                (0..=255).find(|byte| page.text(&[*byte]) == c.to_string()).unwrap_or(b'?')
            };
            text.chars().map(byte).collect()
        }
    }
}

fn read(bytes: &[u8], options: &Options) -> Result<Vec<Vec<String>>, TableError> {
    let table = Table::open(Source::of_bytes(bytes), options)?;
    let mut rows = table.rows()?;
    let strings =
        |row: &Row| row.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    let mut all = vec![strings(rows.header())];
    let mut row = Row::default();
    while rows.next(&mut row)? {
        all.push(strings(&row));
    }
    Ok(all)
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9@. ]{0,12}",
        2 => "[a-z\"\n\r,;\t| ]{0,8}",
        1 => prop::sample::select(vec!["Zoë", "Müller", "Núñez", "François", "O'Hara", "a\r\nb"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn every_table_reads_back_from_every_style(
        cells in proptest::collection::vec((cell(), cell()), 1..12), style in style()
    ) {
        let mut rows = vec![["id", "email", "company"].map(str::to_owned).to_vec()];
        for ((email, company), id) in cells.into_iter().zip(1..) {
            rows.push(vec![id.to_string(), email, company]);
        }
        let bytes = written(&rows, style);
        // Letters alone do not always tell one code page from another; then the user names it.
        let named = matches!(style.encoding, Encoding::Page(_) | Encoding::Dos).then_some(style.encoding);
        let options = Options { encoding: named, ..Options::default() };
        prop_assert_eq!(read(&bytes, &options).unwrap(), rows, "{:?}", style);
    }

    #[test]
    fn letters_beyond_utf_8_survive_utf_16_with_and_without_a_mark(
        names in proptest::collection::vec("[a-zäöüßéžЖ日本😀]{1,9}", 1..8), mark in any::<bool>(), big in any::<bool>()
    ) {
        let encoding = if big { Encoding::Utf16Be } else { Encoding::Utf16Le };
        let style = Style { separator: '\t', line_end: "\r\n", encoding, mark, quotes_all: false, names_separator: false };
        let mut rows = vec![["Id", "Email Address", "Company Name"].map(str::to_owned).to_vec()];
        rows.extend(names.into_iter().zip(1..).map(|(name, id)| vec![id.to_string(), "a@example.com".to_owned(), name]));
        prop_assert_eq!(read(&written(&rows, style), &Options::default()).unwrap(), rows);
    }

    #[test]
    fn no_bytes_make_it_fail_other_than_by_words(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = read(&bytes, &Options::default()) {
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
    }
}

fn refused(bytes: &[u8]) -> String {
    read(bytes, &Options::default()).unwrap_err().to_string()
}

#[test]
fn what_is_no_table_is_refused_with_what_it_is_and_how_to_save_it() {
    for (bytes, what) in [
        (&b"%PDF-1.7\n"[..], "is a PDF; save it as CSV"),
        (b"<html><table><tr><td>Id</td></tr></table>", "is a web page (HTML)"),
        (b"<?xml version=\"1.0\"?><Workbook>", "is XML"),
        (b"\xff\xfe\0\0I\0\0\0d\0\0\0", "is UTF-32"),
        (b"Rar!\x1a\x07\x01\0", "is a RAR archive"),
        (b"SQLite format 3\0", "is a database of SQLite"),
        (b"PK\x03\x04rubbish", "is a zip file that cannot be unpacked"),
        (b"\x1f\x8bxx", "is a gzip file that cannot be unpacked"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a document of Microsoft's, and no workbook"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "is empty"),
        (b"\x01\x02\x03\x04\x05\x06", "is no text and no workbook that is known here"),
        (
            "“Id”,“Email”\n1,2\n".as_bytes(),
            "line 1: the column “Id” has quotes that are not the straight double ones",
        ),
        (b"'Id','Email'\n1,2\n", "line 1: the column 'Id' has quotes"),
        (b"Id,Name\n1,a,b\n", "line 2: has 3 cells where the header has 2"),
    ] {
        let told = refused(bytes);
        assert!(told.starts_with(what), "{told}");
    }
    let cut = ["Id,Name\n1,Zoë Müller Łódź\n2,".as_bytes(), b"\xc3"].concat();
    assert!(refused(&cut).starts_with("is UTF-8 in most places and something else in one place"));
}

#[test]
fn a_code_page_is_said_and_one_that_is_named_is_taken() {
    let table =
        |bytes: &[u8], options: &Options| Table::open(Source::of_bytes(bytes), options).unwrap();
    let bytes = b"Id;Name\r\n1;Ada\r\n2;M\xfcller\r\n";
    let notes = table(bytes, &Options::default()).notes().to_vec();
    assert!(
        notes[0].starts_with("read as Windows-1252, since it is not UTF-8 (line 3: 2;Müller)"),
        "{notes:?}"
    );
    let named = Options { encoding: Encoding::by_name("windows-1251"), ..Options::default() };
    assert_eq!(read(bytes, &named).unwrap()[2][1], "Mьller");
    for (name, encoding) in [
        ("UTF-16", "UTF-16"),
        ("latin1", "Windows-1252"),
        ("Mac", "Mac OS Roman"),
        ("cp1250", "Windows-1250"),
    ] {
        assert_eq!(Encoding::by_name(name).unwrap().name(), encoding);
    }
    assert_eq!(Encoding::by_name("klingon"), None);
}

#[test]
fn a_blank_before_quotes_is_no_part_of_the_value_where_the_header_has_one() {
    let rows = read(b"\"Id\", \"Name\"\n1, \"King, Ada\"\n", &Options::default()).unwrap();
    assert_eq!(rows[1], ["1", "King, Ada"]);
}

#[test]
fn compressed_tables_are_unpacked_and_archives_of_several_files_name_them() {
    let csv = b"Id,Name\n1,Ada\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(csv).unwrap();
    assert_eq!(read(&gz.finish().unwrap(), &Options::default()).unwrap()[1], ["1", "Ada"]);
    let zip = |names: &[&str]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(csv).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    assert_eq!(
        read(&zip(&["export.csv", "__MACOSX/._export.csv"]), &Options::default()).unwrap()[1],
        ["1", "Ada"]
    );
    assert_eq!(
        refused(&zip(&["a.csv", "b\u{1b}.csv"])),
        "is a zip file of 2 files (a.csv, b\\u{1b}.csv); unpack it and name one of them"
    );
    assert!(refused(&zip(&["Index/Document.iwa"])).starts_with("is a document of Apple's Numbers"));
}
