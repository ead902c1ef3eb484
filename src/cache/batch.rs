//! Leads on their way into the cache, some hundreds at a time, as one text that can be stored as it
//! is: see `packed`.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use super::fields::{BodyWriter, Fields, is_escaped};
use super::line::Line;
use super::plain_line::PlainLine;
use super::{Error, open};
use crate::lead::{Lead, LeadId};

/// One for all batches, so that equal keys have equal hashes whoever reads them. Whoever finds two
/// equal hashes compares the keys.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Bytes of a page of the file.
const PAGE: usize = open::PAGE as usize;

/// A batch of so many bytes is full. Stored as one value of `packed` it fills three pages of the
/// file, and what SQLite keeps beside them of such a value is as little as can be: of a batch of a
/// few bytes less that would be a page of its own, half of it empty.
const FULL: usize = 3 * (PAGE - 4) + (PAGE - 12) * 32 / 255 - 23;

/// Some rows.
#[derive(Debug, Default)]
pub struct Batch {
    /// `[`, the lines with a comma and a line feed between them, and `]`.
    text: Vec<u8>,
    rows: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    id: LeadId,
    /// Of the key.
    hash: Option<u64>,
    /// Its line in the text.
    starts: usize,
    ends: usize,
}

/// The key of a lead on its way.
#[derive(Debug, Clone, Copy)]
pub enum RowKey<'a> {
    /// It has none.
    None,
    /// This text.
    Text(&'a str),
    /// The value at this place of the body in lower case, which is this text. All of it is ASCII,
    /// and no byte of it is written otherwise in JSON.
    LowerCaseOf(usize, &'a [u8]),
}

impl RowKey<'_> {
    fn hash(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Text(key) => Some(HASHER.hash_one(key.as_bytes())),
            Self::LowerCaseOf(_, key) => Some(HASHER.hash_one(key)),
        }
    }
}

impl<'a> From<Option<&'a str>> for RowKey<'a> {
    fn from(key: Option<&'a str>) -> Self {
        key.map_or(Self::None, Self::Text)
    }
}

/// A row of a batch.
#[derive(Debug)]
pub(super) struct BatchRow<'a> {
    pub(super) id: LeadId,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) body: &'a str,
}

/// Lines that can be stored as they are.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pub(super) first: LeadId,
    pub(super) last: LeadId,
    pub(super) keyed: usize,
    pub(super) text: &'a str,
}

impl Batch {
    /// How many rows are in it.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it is to be stored before more rows come.
    pub fn is_full(&self) -> bool {
        self.text.len() >= FULL
    }

    /// Makes room for others.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
    }

    /// Adds a lead, all of whose fields have a place.
    pub fn lead(&mut self, lead: &Lead, key: Option<&str>, fields: &Fields) -> Result<(), Error> {
        self.row(lead.id, key.into(), |body| fields.write(lead, body)).map_err(Error::unstorable)
    }

    /// Adds a row whose values `write` hands over in the order of their places. Where it fails,
    /// nothing is added.
    pub fn row<E>(
        &mut self,
        id: LeadId,
        key: RowKey<'_>,
        write: impl FnOnce(&mut BodyWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // The bracket at the end, or none yet.
        self.text.pop();
        let before = self.text.len();
        self.text.extend_from_slice(if before == 0 { b"[" } else { b",\n" });
        let starts = self.text.len();
        self.text.push(b'[');
        self.text.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        self.text.push(b',');
        match key {
            RowKey::None => self.text.extend_from_slice(b"null"),
            RowKey::Text(key) => write_key(key, &mut self.text),
            RowKey::LowerCaseOf(place, _) => {
                self.text.extend_from_slice(itoa::Buffer::new().format(place).as_bytes());
            }
        }
        self.text.push(b',');
        let mut body = BodyWriter::begin(&mut self.text);
        if let Err(error) = write(&mut body) {
            self.text.truncate(before);
            if before > 0 {
                self.text.push(b']');
            }
            return Err(error);
        }
        body.end();
        self.text.push(b']');
        let (hash, ends) = (key.hash(), self.text.len());
        self.text.push(b']');
        self.rows.push(Place { id, hash, starts, ends });
        Ok(())
    }

    /// Adds a line that was put together elsewhere.
    pub(crate) fn line(&mut self, id: LeadId, key: RowKey<'_>, line: &mut PlainLine) {
        let line = line.ended();
        let (separator, line) = line.split_at_checked(2).unwrap_or_default();
        if self.text.pop().is_none() {
            self.text.push(b'[');
        } else {
            self.text.extend_from_slice(separator);
        }
        let starts = self.text.len();
        self.text.extend_from_slice(line);
        // The line ends with the bracket of the whole text.
        let ends = self.text.len() - 1;
        self.rows.push(Place { id, hash: key.hash(), starts, ends });
    }

    /// The hash of each key, and whose it is.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (u64, LeadId)> {
        self.rows.iter().filter_map(|row| Some((row.hash?, row.id)))
    }

    /// The lines as one text, where each id is higher than the one before and the first one higher
    /// than `above`.
    pub(super) fn lines(&self, above: LeadId) -> rusqlite::Result<Option<Lines<'_>>> {
        let mut last = above;
        for row in &self.rows {
            if row.id <= last {
                return Ok(None);
            }
            last = row.id;
        }
        let Some(first) = self.rows.first().map(|row| row.id) else { return Ok(None) };
        let keyed = self.rows.iter().filter(|row| row.hash.is_some()).count();
        Ok(Some(Lines { first, last, keyed, text: text_of(&self.text)? }))
    }

    /// Row by row, in the order in which they were added.
    pub(super) fn rows(
        &self,
    ) -> rusqlite::Result<impl Iterator<Item = rusqlite::Result<BatchRow<'_>>>> {
        let text = text_of(&self.text)?;
        Ok(self.rows.iter().map(move |row| {
            let (key, body) =
                Line::of(text.get(row.starts..row.ends).unwrap_or_default())?.parts()?;
            Ok(BatchRow { id: row.id, key, body })
        }))
    }
}

/// Writes a key as a JSON text.
fn write_key(key: &str, text: &mut Vec<u8>) {
    text.push(b'"');
    if key.bytes().any(is_escaped) {
        for byte in key.bytes() {
            if is_escaped(byte) {
                text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            } else {
                text.push(byte);
            }
        }
    } else {
        text.extend_from_slice(key.as_bytes());
    }
    text.push(b'"');
}

/// Keys and values were texts when they went in; were they none, nobody would store something else.
fn text_of(text: &[u8]) -> rusqlite::Result<&str> {
    std::str::from_utf8(text)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_no_text_is_refused_and_never_taken_for_an_empty_one() {
        let mut batch = Batch::default();
        let written = batch.row(1, RowKey::Text("a"), |body| {
            body.plain_text(b"\xff");
            Ok::<_, Infallible>(())
        });
        assert!(written.is_ok() && batch.lines(0).is_err() && batch.rows().is_err());
    }

    #[test]
    fn a_row_that_fails_leaves_the_others_as_they_were() {
        let mut batch = Batch::default();
        let write = |batch: &mut Batch, id, key, fails: bool| {
            batch.row(id, RowKey::from(key), |body| {
                body.plain_text(b"x");
                if fails { Err(()) } else { Ok(()) }
            })
        };
        assert_eq!(write(&mut batch, 1, None, true), Err(()));
        assert!(batch.is_empty() && batch.lines(0).unwrap().is_none());
        write(&mut batch, 7, Some("a\"\u{1f}b"), false).unwrap();
        write(&mut batch, 8, Some("c"), true).unwrap_err();
        write(&mut batch, 9, None, false).unwrap();
        let lines = batch.lines(6).unwrap().unwrap();
        let text = "[[7,\"a\\u0022\\u001fb\",[\"x\"]],\n[9,null,[\"x\"]]]";
        assert_eq!((lines.first, lines.last, lines.keyed, lines.text), (7, 9, 1, text));
        assert!(batch.lines(7).unwrap().is_none(), "7 is not above 7");
        let rows: Vec<_> = batch.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!((rows[0].id, rows[0].key.as_deref()), (7, Some("a\"\u{1f}b")));
        assert_eq!((rows[1].key.as_deref(), rows[1].body), (None, "[\"x\"]"));
        assert_eq!(batch.hashes().count(), 1);
    }
}
