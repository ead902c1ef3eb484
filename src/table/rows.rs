//! The header and the rows of a table, whatever file they come from.

use std::io::{Cursor, Read};

use super::container::{Unpacked, unpack};
use super::encoding::{Decoded, Detected, Encoding, Guessed, detect};
use super::lines::{Dialect, Lines, Row};
use super::source::Source;
use super::{HOW_TO_SAVE, Options, TableError, shown, workbook};

/// A table that can be read several times.
#[derive(Debug)]
pub struct Table {
    body: Body,
    notes: Vec<String>,
    guess: Option<Guessed>,
    size: u64,
}

#[derive(Debug)]
enum Body {
    Text {
        source: Source,
        encoding: Encoding,
        mark: u64,
        /// Whether nothing but the first bytes were looked at.
        is_assumed: bool,
    },
    Sheet(Vec<Row>),
}

/// Rows that were left out, since they say nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows of separators alone.
    pub blank: u64,
    /// Rows that repeat the header.
    pub headers: u64,
}

impl LeftOut {
    /// In words, where there are any.
    pub fn told(self) -> Option<String> {
        let rows = |number: u64, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("one {one}")),
            number => Some(format!("{number} {many}")),
        };
        let parts = [
            rows(self.blank, "empty row", "empty rows"),
            rows(self.headers, "row that repeats the header", "rows that repeat the header"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("left out: {}", parts.join(", ")))
    }
}

/// How much of a text is looked at for its separator.
const HEAD: u64 = 1 << 16;

impl Table {
    /// Finds out what kind of file it is, and its encoding.
    pub fn open(source: Source, options: &Options) -> Result<Self, TableError> {
        let mut notes = Vec::new();
        let size = source.size();
        match unpack(source, &mut notes, 0)? {
            Unpacked::Workbook(source) => {
                let rows = workbook::read(&source, options.sheet.as_deref(), &mut notes)?;
                Ok(Self { body: Body::Sheet(rows), notes, guess: None, size })
            }
            Unpacked::Text(_) if options.sheet.is_some() => {
                Err(TableError::of_file("is text, which has no sheets; leave --sheet out"))
            }
            Unpacked::Text(source) => {
                let detected = detect(&source, options.encoding, options.by_head)?;
                let mut table =
                    Self { body: Body::Sheet(Vec::new()), notes, guess: None, size: source.size() };
                table.take_in(source, detected);
                Ok(table)
            }
        }
    }

    fn take_in(&mut self, source: Source, detected: Detected) {
        let Detected { encoding, mark, note, guess, is_assumed } = detected;
        self.notes.extend(note);
        self.guess = guess;
        self.body = Body::Text { source, encoding, mark, is_assumed };
    }

    /// The same table with an encoding that all of its bytes decide.
    pub fn look_closer(mut self) -> Result<Self, TableError> {
        match std::mem::replace(&mut self.body, Body::Sheet(Vec::new())) {
            Body::Text { source, is_assumed: true, .. } => {
                let detected = detect(&source, None, false)?;
                self.take_in(source, detected);
            }
            body => self.body = body,
        }
        Ok(self)
    }

    /// What was assumed of the file, a sentence each. Harmless on a terminal.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The encoding, where nothing but the letters of the text speaks for it.
    pub fn guess(&self) -> Option<&Guessed> {
        self.guess.as_ref()
    }

    /// Its length in bytes, as [`Rows::byte`] counts them, or nearly so.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is a workbook.
    pub fn is_workbook(&self) -> bool {
        matches!(self.body, Body::Sheet(_))
    }

    /// The text from its start, decoded; none of a workbook.
    pub fn text(&self) -> Result<Option<Box<dyn Read + Send>>, TableError> {
        let Body::Text { source, encoding, mark, .. } = &self.body else { return Ok(None) };
        let unreadable = |error: std::io::Error| TableError::unreadable(&error);
        let mut reader = source.reader().map_err(unreadable)?;
        std::io::copy(&mut reader.by_ref().take(*mark), &mut std::io::sink())
            .map_err(unreadable)?;
        Ok(Some(match encoding {
            Encoding::Utf8 => reader,
            encoding => Box::new(Decoded::new(reader, *encoding)),
        }))
    }

    /// Reads the header; the rows come one by one.
    pub fn rows(&self) -> Result<Rows<'_>, TableError> {
        let mut feed = match (&self.body, self.text()?) {
            (Body::Sheet(rows), _) => Feed::Sheet { rows, at: 0 },
            (Body::Text { is_assumed, .. }, Some(text)) => {
                Feed::Text(separated(text)?.of_text_alone(*is_assumed))
            }
            (_, None) => return Err(TableError::of_file("is no text")),
        };
        let mut header = Row::default();
        loop {
            if !feed.next(&mut header)? {
                return Err(TableError::of_file("is empty"));
            }
            if !header.is_blank() {
                break;
            }
        }
        let named = header
            .cells()
            .collect::<Vec<_>>()
            .iter()
            .rposition(|cell| !cell.trim_ascii().is_empty());
        header.truncate(named.map_or(0, |last| last + 1));
        refuse_odd_quotes(&header)?;
        Ok(Rows { feed, header, left_out: LeftOut::default() })
    }
}

/// Programs that write for print turn quotes into others, which no reader takes for quotes.
fn refuse_odd_quotes(header: &Row) -> Result<(), TableError> {
    let odd = |c: char| matches!(c, '“' | '”' | '„' | '«' | '»' | '‘' | '’' | '\'');
    for cell in header.cells() {
        let name = String::from_utf8_lossy(cell);
        let name = name.trim();
        if name.chars().count() > 1 && name.starts_with(odd) && name.ends_with(odd) {
            let what = format!(
                "the column {} has quotes that are not the straight double ones (\"); write those, or {HOW_TO_SAVE}",
                shown(name)
            );
            return Err(TableError::at(header.line, what));
        }
    }
    Ok(())
}

enum Feed<'a> {
    Text(Lines<Box<dyn Read + Send>>),
    Sheet { rows: &'a [Row], at: usize },
}

impl Feed<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, TableError> {
        match self {
            Self::Text(lines) => lines.next(row),
            Self::Sheet { rows, at } => {
                let Some(next) = rows.get(*at) else { return Ok(false) };
                row.clone_from(next);
                *at += 1;
                Ok(true)
            }
        }
    }
}

/// The rows of a table, after its header.
pub struct Rows<'a> {
    feed: Feed<'a>,
    header: Row,
    left_out: LeftOut,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("header", &self.header)
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// The header, up to its last cell with a name.
    pub fn header(&self) -> &Row {
        &self.header
    }

    /// How many bytes of text were read.
    pub fn byte(&self) -> u64 {
        match &self.feed {
            Feed::Text(lines) => lines.byte(),
            Feed::Sheet { .. } => 0,
        }
    }

    /// Whether a row ended the reading since it is in another encoding than the first bytes of the
    /// file.
    pub fn is_other_encoding(&self) -> bool {
        matches!(&self.feed, Feed::Text(lines) if lines.is_other_encoding())
    }

    /// Which rows were left out so far.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// The next row; false at the end. It has no more cells than the header, and may have fewer.
    pub fn next(&mut self, row: &mut Row) -> Result<bool, TableError> {
        loop {
            if !self.feed.next(row)? {
                return Ok(false);
            }
            if row.is_blank() {
                self.left_out.blank += 1;
                continue;
            }
            let named = self.header.len();
            if row.len() > named {
                if (named..row.len()).any(|place| !row.cell(place).trim_ascii().is_empty()) {
                    return Err(TableError::at(row.line, wrong_length(row.len(), named)));
                }
                row.truncate(named);
            }
            if row.cell(0) == self.header.cell(0) && row.cells().eq(self.header.cells()) {
                self.left_out.headers += 1;
                continue;
            }
            return Ok(true);
        }
    }
}

/// Of a row with another number of cells than the header.
pub fn wrong_length(cells: usize, named: usize) -> String {
    let cells = if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") };
    format!(
        "has {cells} where the header has {named}; a separator or a line break in a value needs quotes around it"
    )
}

/// Finds the separator in the first line, and whether that line does nothing but name it.
fn separated(mut text: Box<dyn Read + Send>) -> Result<Lines<Box<dyn Read + Send>>, TableError> {
    let mut head = Vec::new();
    text.by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| TableError::unreadable(&error))?;
    refuse_binary(&head)?;
    let (named, skip) = named_separator(&head);
    let rest = head.get(skip..).unwrap_or_default().to_vec();
    let line = first_line(&rest);
    let separator = named.unwrap_or_else(|| most_frequent(line));
    let blanks_at_quotes = line.windows(3).any(|three| three == [separator, b' ', b'"']);
    let first_number = if skip > 0 { 2 } else { 1 };
    let text: Box<dyn Read + Send> = Box::new(Cursor::new(rest).chain(text));
    Ok(Lines::new(text, Dialect { separator, blanks_at_quotes }, first_number))
}

/// Excel's `sep=;` in the first line, and how many bytes that line takes.
fn named_separator(head: &[u8]) -> (Option<u8>, usize) {
    let length = head.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(head.len());
    let line = head.get(..length).unwrap_or_default();
    let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let [s, e, p, equals, separator] = bare else { return (None, 0) };
    if ![*s, *e, *p, *equals].eq_ignore_ascii_case(b"sep=") {
        return (None, 0);
    }
    let end = head.get(length..).unwrap_or_default();
    let ends = if end.starts_with(b"\r\n") { 2 } else { end.len().min(1) };
    (Some(*separator), length + ends)
}

/// The first line with something in it, quoted line ends within it.
fn first_line(text: &[u8]) -> &[u8] {
    let start =
        text.iter().position(|byte| !matches!(byte, b'\n' | b'\r' | b' ')).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let mut quoted = false;
    let end = text.iter().position(|byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The separator that a header has most of outside quotes; a comma where it has none.
fn most_frequent(line: &[u8]) -> u8 {
    let mut counts = [(b'\t', 0), (b'|', 0), (b';', 0), (b',', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && byte == separator);
        }
    }
    counts.iter().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| *separator)
}

/// Control characters that no text has.
fn refuse_binary(head: &[u8]) -> Result<(), TableError> {
    let odd = |byte: &&u8| matches!(byte, 1..=8 | 0x0e..=0x19 | 0x1c..=0x1e);
    let odd = head.iter().filter(odd).count();
    if odd * 20 > head.len() {
        return Err(TableError::of_file(format!(
            "is no text and no workbook that is known here; {HOW_TO_SAVE}"
        )));
    }
    Ok(())
}

/// What a spreadsheet writes where a formula failed, or where a column was too narrow for a date.
#[inline]
pub fn is_error_of_a_spreadsheet(cell: &[u8]) -> bool {
    cell.first() == Some(&b'#') && is_error_after_a_hash(cell)
}

fn is_error_after_a_hash(cell: &[u8]) -> bool {
    let errors: [&[u8]; 9] = [
        b"#N/A", b"#REF!", b"#NAME?", b"#VALUE!", b"#DIV/0!", b"#NULL!", b"#NUM!", b"#NV",
        b"#ERROR!",
    ];
    errors.contains(&cell) || cell.len() > 2 && cell.iter().all(|byte| *byte == b'#')
}
