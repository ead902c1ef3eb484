//! Whether a file's quotes are what RFC 4180 allows: the parser takes others for something, and
//! loses them or rows without a sound.
//!
//! Two things are caught as they go by: a quote within quotes that is not doubled, and a cell that
//! never ends. The third, a quote that is never closed, shows at the end.

use std::io::{self, Read};

use super::RowError;

/// No value of a lead is longer. Past it a quote was opened somewhere and never closed, or no line
/// ever ends, and the cell would swallow the rest of the file, and all memory.
const LONGEST_CELL: u64 = 64 << 20;

/// What is read through it, with its quotes watched.
#[derive(Debug)]
pub(super) struct Quotes<R> {
    inner: R,
    delimiter: u8,
    state: State,
    line: u64,
    cell: usize,
    /// Bytes of the cell so far.
    length: u64,
    trouble: Option<Trouble>,
}

/// What is wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Counted from 1.
    pub(super) line: u64,
    /// Counted from 0.
    pub(super) cell: usize,
    pub(super) what: &'static str,
}

impl Trouble {
    /// As an error of the column with this name, or of the cell by its place.
    pub(super) fn of(self, column: Option<&str>) -> RowError {
        let Self { line, cell, what } = self;
        let cell =
            column.map_or_else(|| format!("cell {}", cell + 1), |column| format!("`{column}`"));
        RowError { line: Some(line), what: format!("{cell} {what}") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    /// A quote within quotes: the end of them, or the first of two.
    Quote,
    /// A carriage return after the end of quotes, which only a line's end may follow.
    Return,
}

impl<R> Quotes<R> {
    pub(super) fn new(inner: R, delimiter: u8) -> Self {
        Self { inner, delimiter, state: State::Start, line: 1, cell: 0, length: 0, trouble: None }
    }

    /// Whether a quote stands open after what was read so far.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    /// What went wrong, where reading failed for it.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Follows the bytes; at one that cannot be, its place and what is wrong.
    fn watch(&mut self, bytes: &[u8]) -> Result<(), (usize, &'static str)> {
        for (place, byte) in bytes.iter().copied().enumerate() {
            self.length += 1;
            if byte == b'\n' {
                self.line += 1;
            }
            self.state = match (self.state, byte) {
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) | (State::Quote | State::Start, b'"') => State::Quoted,
                (_, b'\n') => self.next_cell(0),
                (State::Return, _) => return Err((place, NOT_DOUBLED)),
                (_, byte) if byte == self.delimiter => self.next_cell(self.cell + 1),
                (State::Quote, b'\r') => State::Return,
                (State::Quote, _) => return Err((place, NOT_DOUBLED)),
                (State::Start | State::Bare, _) => State::Bare,
            };
            if self.length > LONGEST_CELL {
                return Err((place, ENDLESS));
            }
        }
        Ok(())
    }

    fn next_cell(&mut self, cell: usize) -> State {
        (self.cell, self.length) = (cell, 0);
        State::Start
    }
}

const NOT_DOUBLED: &str =
    "has a quote within quotes that is not doubled, so that nobody can tell where the value ends";
const ENDLESS: &str =
    "goes on for over 64 MB: a quote was opened and never closed, or the file has no lines";

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let broken = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if let Some(trouble) = self.trouble {
            return broken(trouble.what);
        }
        let read = self.inner.read(buffer)?;
        match self.watch(buffer.get(..read).unwrap_or_default()) {
            Ok(()) => Ok(read),
            Err((place, what)) => {
                self.trouble = Some(Trouble { line: self.line, cell: self.cell, what });
                // What comes before is whole, the header that names the column among it.
                if place == 0 { broken(what) } else { Ok(place) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Quotes<&[u8]>, bool) {
        let mut quotes = Quotes::new(text.as_bytes(), b',');
        let ended = quotes.read_to_end(&mut Vec::new()).is_ok();
        (quotes, ended)
    }

    #[test]
    fn quotes_that_are_doubled_or_stand_in_a_bare_cell_are_taken() {
        for text in
            ["a,\"b\"\n", "\"a\"\"b\",c\r\n\"d\"\r\n", "a\"b\",c\n", "\"\"\n", "\"a\nb\",\"\r\"\n"]
        {
            let (quotes, ended) = read(text);
            assert!(ended && !quotes.is_open(), "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_doubled_is_refused_with_its_line_and_cell() {
        for (text, line, cell) in
            [("a,\"b\"c\"\n", 1, 1), ("a\n\"x \"y\" z\",b\n", 2, 0), ("\"a\"\rb\n", 1, 0)]
        {
            let (quotes, ended) = read(text);
            let trouble = quotes.trouble().unwrap();
            assert!(!ended);
            assert_eq!(
                (trouble.line, trouble.cell, trouble.what),
                (line, cell, NOT_DOUBLED),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_cell_that_never_ends_is_refused_before_it_fills_the_memory() {
        let endless = std::io::Read::chain(&b"a,\""[..], std::io::repeat(b'x'));
        let mut quotes = Quotes::new(endless, b',');
        let read = io::copy(&mut quotes, &mut io::sink());
        assert!(read.is_err());
        assert_eq!(quotes.trouble().unwrap().what, ENDLESS);
    }

    #[test]
    fn a_quote_that_is_never_closed_stands_open_at_the_end() {
        let (quotes, ended) = read("a,\"b\nc,d\n");
        assert!(ended && quotes.is_open());
    }
}
