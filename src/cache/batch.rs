//! Rows on their way into the cache, some hundreds at a time: keys and bodies in one piece of
//! memory.

use super::Error;
use super::fields::{BodyWriter, Fields};
use crate::lead::{Lead, LeadId};

/// Some rows.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    cuts: Vec<Cut>,
}

#[derive(Debug)]
struct Cut {
    id: LeadId,
    has_key: bool,
    key_ends: usize,
    body_ends: usize,
}

/// A row of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchRow<'a> {
    pub(super) id: LeadId,
    pub(super) key: Option<&'a str>,
    pub(super) body: &'a str,
}

impl Batch {
    /// How many rows are in it.
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Makes room for others.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cuts.clear();
    }

    /// Adds a lead, all of whose fields have a place.
    pub fn lead(&mut self, lead: &Lead, key: Option<&str>, fields: &Fields) -> Result<(), Error> {
        let key_ends = self.key(key);
        fields.write(lead, &mut self.text).map_err(Error::unstorable)?;
        self.end(lead.id, key, key_ends);
        Ok(())
    }

    /// Adds a row whose values `write` hands over in the order of their places. Where it fails,
    /// nothing is added.
    pub fn row<E>(
        &mut self,
        id: LeadId,
        key: Option<&str>,
        write: impl FnOnce(&mut BodyWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.text.len();
        let key_ends = self.key(key);
        let mut body = BodyWriter::begin(&mut self.text);
        if let Err(error) = write(&mut body) {
            self.text.truncate(before);
            return Err(error);
        }
        body.end();
        self.end(id, key, key_ends);
        Ok(())
    }

    fn key(&mut self, key: Option<&str>) -> usize {
        self.text.extend_from_slice(key.unwrap_or_default().as_bytes());
        self.text.len()
    }

    fn end(&mut self, id: LeadId, key: Option<&str>, key_ends: usize) {
        self.cuts.push(Cut { id, has_key: key.is_some(), key_ends, body_ends: self.text.len() });
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = BatchRow<'_>> {
        let mut at = 0;
        self.cuts.iter().map(move |cut| {
            // Keys and values were texts when they went in.
            let text = |from: usize, to: usize| {
                std::str::from_utf8(self.text.get(from..to).unwrap_or_default()).unwrap_or_default()
            };
            let (key, body) = (text(at, cut.key_ends), text(cut.key_ends, cut.body_ends));
            at = cut.body_ends;
            BatchRow { id: cut.id, key: cut.has_key.then_some(key), body }
        })
    }
}
