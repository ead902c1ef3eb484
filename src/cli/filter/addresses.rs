//! Reads the addresses of a file: one a line, or a table with an email column.

use std::borrow::Cow;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The addresses, as they are written.
    pub(super) found: Vec<String>,
    /// The lines that are not empty and hold none.
    pub(super) passed_over: Vec<usize>,
}

/// How the column is named, without case, blanks and marks.
const COLUMNS: &[&str] =
    &["email", "emailaddress", "mail", "emailadresse", "adresseemail", "correoelectronico"];

/// Reads UTF-8, or UTF-16 with a byte order mark.
pub(super) fn addresses(bytes: &[u8]) -> Result<Addresses, String> {
    let text = decoded(bytes)?;
    // A lone carriage return ends a line as well, as old programs on a Mac write it.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else {
        return Ok(Addresses::default());
    };
    if first.contains('@') {
        return one_a_line(&text);
    }
    let separator =
        [',', ';', '\t', '|'].into_iter().max_by_key(|c| first.matches(*c).count()).unwrap_or(',');
    of_table(&text, separator)
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            rest.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(unit)).collect();
        String::from_utf16(&units)
            .map(Cow::Owned)
            .map_err(|error| format!("is no valid UTF-16: {error}"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [b'P', b'K', 3, 4, ..] => {
            Err("is a workbook or an archive; save the sheet as CSV UTF-8 first".to_owned())
        }
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = std::str::from_utf8(bytes)
                .map_err(|error| format!("is not written in UTF-8 ({error}); save it as UTF-8"))?;
            Ok(Cow::Borrowed(text))
        }
    }
}

fn one_a_line(text: &str) -> Result<Addresses, String> {
    let mut read = Addresses::default();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        let line = line.trim_matches(ends);
        if line.matches('@').count() > 1 && !line.contains('"') || line.contains('\t') {
            return Err(format!(
                "has several values in line {number}; write one address a line, or a first line that names the columns"
            ));
        }
        if line.contains('@') {
            read.found.push(line.to_owned());
        } else {
            read.passed_over.push(number);
        }
    }
    Ok(read)
}

fn of_table(text: &str, separator: char) -> Result<Addresses, String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(u8::try_from(separator).unwrap_or(b','))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| format!("is no readable table: {error}"))?;
    let folded = |header: &str| -> String {
        header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let column =
        headers.iter().position(|header| COLUMNS.contains(&folded(header).as_str())).ok_or_else(|| {
            let plain = |header: &str| header.chars().filter(|c| !c.is_control()).collect::<String>();
            let named: Vec<String> = headers.iter().take(8).map(plain).collect();
            format!(
                "has no address in its first line, and no column `email` either; its columns are: {}",
                named.join(", ")
            )
        })?;
    let mut read = Addresses::default();
    for row in reader.records() {
        let row = row.map_err(|error| format!("is no readable table: {error}"))?;
        let line = row.position().map_or(0, csv::Position::line);
        match row.get(column).filter(|value| value.contains('@')) {
            Some(value) => read.found.push(value.to_owned()),
            None => read.passed_over.push(usize::try_from(line).unwrap_or(usize::MAX)),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::addresses;

    fn found(bytes: &[u8]) -> Vec<String> {
        addresses(bytes).unwrap().found
    }

    #[test]
    fn one_address_a_line_or_a_column_of_a_table_is_read_however_it_was_saved() {
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("Email\r\na@example.com\r\n".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        for bytes in [
            b"a@example.com\n".as_slice(),
            b"a@example.com",
            b"\xef\xbb\xbfa@example.com\r\n\r\n",
            b"\n  a@example.com ,\r",
            b"email\na@example.com\n",
            b"Name;E-Mail\nAda;a@example.com\n",
            b"name,Email Address\n\"Lovelace, Ada\",a@example.com\n",
            b"Id\tEMAIL\n1\ta@example.com\n",
            &utf16,
        ] {
            assert_eq!(found(bytes), ["a@example.com"], "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_holds_no_address_is_told_by_its_line_and_what_cannot_be_read_is_refused() {
        let read = addresses(b"a@example.com\nnonsense\n\nb@example.com\n").unwrap();
        assert_eq!((read.found.len(), read.passed_over), (2, vec![2]));
        let read = addresses(b"email,name\na@example.com,Ada\n,Bob\nn/a,Eve\n").unwrap();
        assert_eq!((read.found.len(), read.passed_over), (1, vec![3, 4]));
        for (bytes, words) in [
            (b"name,phone\nAda,1\n".as_slice(), "no column `email`"),
            (b"a@example.com, b@example.com\n", "several values in line 1"),
            (b"PK\x03\x04rest", "workbook"),
            (b"email\n\xff\xfe\xfd@example.com\n", "UTF-8"),
        ] {
            let why = addresses(bytes).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert_eq!(addresses(b" \n\n").unwrap().found.len(), 0);
    }
}
