//! Which field stands at which place of a stored body, and bodies as text.
//!
//! A body is a JSON array: values without their names, which are the same in every row. Equal leads
//! have equal bodies, since both ways of writing one write a value as `serde_json` does.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;

use rusqlite::types::Type;
use rusqlite::{Connection, params};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::view;
use crate::lead::{Lead, LeadId};

/// The fields of a cache, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Fields {
    /// Those that the cache has by now.
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut statement = db.prepare_cached("SELECT name FROM field ORDER BY place")?;
        let mut fields = Self::default();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            fields.push(row.get(0)?);
        }
        Ok(fields)
    }

    /// Gives every one of these fields a place that has none yet.
    pub(super) fn add<'a>(
        &mut self,
        db: &Connection,
        names: impl IntoIterator<Item = &'a String>,
    ) -> rusqlite::Result<()> {
        let before = self.names.len();
        for name in names {
            if name != "id" && !self.places.contains_key(name) {
                db.prepare_cached("INSERT INTO field VALUES (?1, ?2)")?
                    .execute(params![i64::try_from(self.names.len()).unwrap_or(i64::MAX), name])?;
                self.push(name.clone());
            }
        }
        if self.names.len() > before { self.make_views(db) } else { Ok(()) }
    }

    /// Makes the views anew, as they are today.
    pub(super) fn make_views(&self, db: &Connection) -> rusqlite::Result<()> {
        if self.names.is_empty() { Ok(()) } else { view::make(db, &self.names) }
    }

    fn push(&mut self, name: String) {
        self.places.insert(name.clone(), self.names.len());
        self.names.push(name);
    }

    /// The place of a field.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Writes the values of a lead, all of whose fields have a place.
    pub(super) fn write(&self, lead: &Lead, writer: &mut BodyWriter<'_>) -> rusqlite::Result<()> {
        let mut values: Vec<Option<&Value>> = vec![None; self.names.len()];
        for (name, value) in &lead.fields {
            if let Some(slot) = self.place(name).and_then(|place| values.get_mut(place)) {
                *slot = Some(value);
            }
        }
        for value in values {
            match value {
                Some(value) => writer.value(value)?,
                None => writer.nothing(),
            }
        }
        Ok(())
    }

    /// The lead of a stored body.
    pub(super) fn lead(&self, id: i64, body: &str) -> rusqlite::Result<Lead> {
        let id = LeadId::try_from(id).map_err(|error| damaged(0, error))?;
        let mut lead = Lead::new(id);
        let mut reader = serde_json::Deserializer::from_str(body);
        Into { fields: self, lead: &mut lead }
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|error| damaged(1, error))?;
        Ok(lead)
    }
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Whether JSON writes a byte of a text otherwise than it is.
pub(crate) fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Writes one body, value by value.
#[derive(Debug)]
pub struct BodyWriter<'a> {
    body: &'a mut Vec<u8>,
    /// Up to where it is not null.
    filled: usize,
    is_first: bool,
}

impl<'a> BodyWriter<'a> {
    pub(super) fn begin(body: &'a mut Vec<u8>) -> Self {
        body.push(b'[');
        Self { filled: body.len(), body, is_first: true }
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.body.push(b',');
        }
    }

    /// The next field has no value.
    pub fn nothing(&mut self) {
        self.separate();
        self.body.extend_from_slice(b"null");
    }

    /// The next field is this text.
    pub fn text(&mut self, text: &str) -> rusqlite::Result<()> {
        self.separate();
        if text.bytes().any(is_escaped) {
            self.json(&text)?;
        } else {
            self.body.push(b'"');
            self.body.extend_from_slice(text.as_bytes());
            self.body.push(b'"');
        }
        self.filled = self.body.len();
        Ok(())
    }

    /// The next field is a text in UTF-8 in which no byte [`is_escaped`].
    pub(crate) fn plain_text(&mut self, text: &[u8]) {
        let quotes: &[u8] = if std::mem::take(&mut self.is_first) { b"\"" } else { b",\"" };
        self.body.reserve(text.len() + 3);
        self.body.extend_from_slice(quotes);
        self.body.extend_from_slice(text);
        self.body.push(b'"');
        self.filled = self.body.len();
    }

    /// The next field is this number or flag, as JSON writes it.
    pub(crate) fn plain_word(&mut self, word: &[u8]) {
        self.separate();
        self.body.extend_from_slice(word);
        self.filled = self.body.len();
    }

    /// The next field is this value.
    pub fn value(&mut self, value: &Value) -> rusqlite::Result<()> {
        match value {
            Value::Null => self.nothing(),
            Value::String(text) => self.text(text)?,
            value => {
                self.separate();
                self.json(value)?;
                self.filled = self.body.len();
            }
        }
        Ok(())
    }

    fn json(&mut self, value: &impl serde::Serialize) -> rusqlite::Result<()> {
        serde_json::to_writer(self.body.by_ref(), value)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }

    pub(super) fn end(self) {
        self.body.truncate(self.filled);
        self.body.push(b']');
    }
}

/// Puts the values of a body into a lead.
struct Into<'a> {
    fields: &'a Fields,
    lead: &'a mut Lead,
}

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        for name in &self.fields.names {
            let Some(value) = values.next_element::<Value>()? else { return Ok(()) };
            if !value.is_null() {
                self.lead.fields.insert(name.clone(), value);
            }
        }
        match values.next_element::<Value>()? {
            None => Ok(()),
            Some(_) => Err(serde::de::Error::custom("a value without a field")),
        }
    }
}
