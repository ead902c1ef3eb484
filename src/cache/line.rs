//! One lead of a packed row, as text: `[7,0,["Ada@example.com",null,true]]` is its id, its key and
//! its body.
//!
//! A key is a JSON text, or null where there is none, or the place of a value in the body whose
//! lower case it is, as of nearly all email addresses: those need not be stored twice. Never:
//! parses a body beyond the value that it is asked for.

use std::borrow::Cow;

use rusqlite::types::Type;

/// A lead on its line: what stands behind the id is looked at only where it is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) id: i64,
    rest: Rest<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Rest<'a> {
    /// Key, body and the bracket that ends the line.
    Packed(&'a str),
    Columns {
        key: Option<&'a str>,
        body: &'a str,
    },
}

impl<'a> Line<'a> {
    /// A line as it is stored.
    pub(super) fn of(text: &'a str) -> rusqlite::Result<Self> {
        let parts = text.strip_prefix('[').and_then(|text| text.split_once(','));
        let (id, rest) = parts.ok_or_else(|| odd("a line without an id"))?;
        Ok(Self { id: id.parse::<i64>().map_err(odd)?, rest: Rest::Packed(rest) })
    }

    /// A lead in a row of its own.
    pub(super) fn of_columns(id: i64, key: Option<&'a str>, body: &'a str) -> Self {
        Self { id, rest: Rest::Columns { key, body } }
    }

    /// Its key, and its body.
    pub(super) fn parts(&self) -> rusqlite::Result<(Option<Cow<'a, str>>, &'a str)> {
        let (key, body) = self.split()?;
        let key = match key {
            KeyText::None => None,
            KeyText::Whole(key) => Some(Cow::Borrowed(key)),
            KeyText::Json(key) => Some(text_of(key)?),
            KeyText::At(place) => {
                let place = place.parse().map_err(odd)?;
                Some(Cow::Owned(text_of(value_at(body, place)?)?.to_ascii_lowercase()))
            }
        };
        Ok((key, body))
    }

    /// Its body.
    pub(super) fn body(&self) -> rusqlite::Result<&'a str> {
        self.split().map(|(_, body)| body)
    }

    fn split(&self) -> rusqlite::Result<(KeyText<'a>, &'a str)> {
        let rest = match self.rest {
            Rest::Columns { key, body } => {
                return Ok((key.map_or(KeyText::None, KeyText::Whole), body));
            }
            Rest::Packed(rest) => rest.strip_suffix(']').ok_or_else(|| odd("half a line"))?,
        };
        if let Some(body) = rest.strip_prefix("null,") {
            return Ok((KeyText::None, body));
        }
        if !rest.starts_with('"') {
            let parts = rest.split_once(',').ok_or_else(|| odd("a line without a body"))?;
            return Ok((KeyText::At(parts.0), parts.1));
        }
        let end = end_of_text(rest).ok_or_else(|| odd("a key without an end"))?;
        let (key, body) = rest.split_at(end);
        let body = body.strip_prefix(',').ok_or_else(|| odd("a line without a body"))?;
        Ok((KeyText::Json(key), body))
    }
}

/// A key as it is stored.
enum KeyText<'a> {
    None,
    Whole(&'a str),
    /// Within quotes.
    Json(&'a str),
    /// The digits of a place of the body, whose value in lower case it is.
    At(&'a str),
}

/// The value at a place of a body, as JSON, where all before it are texts, numbers, flags or null.
fn value_at(body: &str, place: usize) -> rusqlite::Result<&str> {
    let mut rest = body.strip_prefix('[').unwrap_or_default();
    let mut before = place;
    loop {
        let end = if rest.starts_with('"') { end_of_text(rest) } else { rest.find([',', ']']) };
        let parts = end.and_then(|end| rest.split_at_checked(end));
        let (value, behind) = parts.ok_or_else(|| odd("a key without its value"))?;
        if before == 0 {
            return Ok(value);
        }
        rest = behind.strip_prefix(',').ok_or_else(|| odd("a key without its value"))?;
        before -= 1;
    }
}

/// Where the JSON text at the beginning ends, its quotes included.
fn end_of_text(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn text_of(json: &str) -> rusqlite::Result<Cow<'_, str>> {
    match json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str::<String>(json).map(Cow::Owned).map_err(odd),
    }
}

pub(super) fn odd(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn half_a_line_is_refused() {
        for text in [
            "",
            "7,null,[]",
            "[x,null,[]]",
            "[7,null,[",
            "[7,\"a,[]]",
            "[7,\"a\"[]]",
            "[7,0]",
            "[7,0,[]]",
            "[7,1,[\"A@example.com\"]]",
            "[7,0,[null,\"A@example.com\"]]",
            "[7,x,[\"A@example.com\"]]",
        ] {
            let parts = Line::of(text).and_then(|line| line.parts().map(drop));
            assert!(parts.is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_may_be_a_value_in_lower_case_wherever_it_stands() {
        for (text, body) in [
            ("[7,0,[\"Ada@Example.com\"]]", "[\"Ada@Example.com\"]"),
            (
                "[7,4,[\"a,\\\"]\",null,-5.0,true,\"ada@EXAMPLE.com\",1]]",
                "[\"a,\\\"]\",null,-5.0,true,\"ada@EXAMPLE.com\",1]",
            ),
        ] {
            let (key, of_line) = Line::of(text).unwrap().parts().unwrap();
            assert_eq!((key.as_deref(), of_line), (Some("ada@example.com"), body));
        }
    }
}
