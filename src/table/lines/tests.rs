use super::*;

fn read(text: &str, separator: u8) -> Result<Vec<(u64, Vec<String>)>, TableError> {
    let mut lines = Lines::new(text.as_bytes(), Dialect { separator, blanks_at_quotes: false }, 1);
    let (mut rows, mut row) = (Vec::new(), Row::default());
    while lines.next(&mut row)? {
        rows.push((
            row.line,
            row.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
        ));
    }
    Ok(rows)
}

#[test]
fn every_line_end_is_one_and_lines_are_counted_through_quotes_and_blank_lines() {
    let rows = read("a,b\r1,\"x\r\ny\rz\"\n\n\r\n2,\"\"\r\n\r3,q\"q", b',').unwrap();
    let expected: [(u64, [&str; 2]); 4] =
        [(1, ["a", "b"]), (2, ["1", "x\r\ny\rz"]), (7, ["2", ""]), (9, ["3", "q\"q"])];
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for (row, (line, cells)) in rows.iter().zip(expected) {
        assert_eq!((row.0, row.1.as_slice()), (line, &cells.map(str::to_owned)[..]));
    }
}

#[test]
fn a_simple_line_is_what_a_closer_look_makes_of_it() {
    for line in ["1,a,b", "", ",", "1,\u{fc},", "1,a\\b", " x , y ", "1,a\u{7f}"] {
        for end in ["\n", "\r\n"] {
            let (text, dialect) =
                (format!("{line}{end}"), Dialect { separator: b',', blanks_at_quotes: false });
            let progress = || Progress { state: State::Start, line: 1, after_return: false };
            let (mut simple, mut closer) = (Row::default(), Row::default());
            let used = simple_line(text.as_bytes(), dialect, &mut progress(), &mut simple).unwrap();
            take(text.as_bytes(), dialect, &mut progress(), &mut closer).unwrap();
            assert_eq!(used, text.len());
            assert!(simple.cells().eq(closer.cells()), "{text:?}");
            assert_eq!(simple.is_plain(), !line.contains('\\'), "{text:?}");
        }
    }
    let row = |text: &[u8]| {
        let mut lines = Lines::new(text, Dialect { separator: b'\t', blanks_at_quotes: false }, 1);
        let mut row = Row::default();
        lines.next(&mut row).unwrap();
        row
    };
    assert!(row(b"1\ta\n").is_plain());
    for odd in [&b"1\t\"a\"\n"[..], b"1\ta\0\n", b"1\t\xff\n", b"1\ta\\\n", b"1\ta\x1f\n"] {
        assert!(!row(odd).is_plain(), "{odd:?}");
    }
}

#[test]
fn quotes_that_nobody_can_read_are_refused_with_their_line() {
    for (text, line, what) in [
        ("a,\"b\"c\"\n", 1, "cell 2 has a quote within quotes"),
        ("a\n\"x \"y\" z\",b\n", 2, "cell 1 has a quote within quotes"),
        ("a\r\"x\ry\"z", 3, "cell 1 has a quote within quotes"),
        ("a,\"b\nc,d\n", 1, "a quote is opened and never closed"),
    ] {
        let error = read(text, b',').unwrap_err();
        assert_eq!(error.line, Some(line), "{text:?}");
        assert!(error.what.starts_with(what), "{error}");
    }
}

#[test]
fn a_cell_that_never_ends_is_refused_before_it_fills_the_memory() {
    let endless = std::io::Read::chain(&b"a,\""[..], std::io::repeat(b'x'));
    let mut lines = Lines::new(endless, Dialect { separator: b',', blanks_at_quotes: false }, 1);
    assert_eq!(lines.next(&mut Row::default()).unwrap_err().what, ENDLESS);
}
