//! A line of `packed` that nothing can go wrong with, as nearly every row of a file makes one.
//!
//! For: what a row costs is the number of times that something is copied, and the checks before
//! it. Here a whole line is put together in memory of a fixed size, where values are copied by
//! blocks of a fixed length; what a block holds beyond the value is written over by what follows.
//! What does not fit is refused, and goes the longer way (`batch`, `fields`). Never: escapes
//! anything.

/// Bytes of a line. One that may be longer is refused.
const ROOM: usize = 4_096;

/// Bytes of a value that are copied at once.
pub(crate) const BLOCK: usize = 32;

/// What is left free behind a value, for all that is written without a look at the room.
const SLACK: usize = BLOCK + 64;

/// Puts one line together after the other.
#[derive(Debug)]
pub(crate) struct PlainLine {
    room: Box<[u8; ROOM]>,
    /// Where the next byte goes.
    at: usize,
    /// Where the body begins, and up to where it is not null.
    body: usize,
    filled: usize,
}

impl PlainLine {
    pub(crate) fn new() -> Self {
        Self { room: Box::new([0; ROOM]), at: 0, body: 0, filled: 0 }
    }

    /// Begins a line: the digits of an id, and the place of the value that is the key in lower
    /// case, where there is a key.
    pub(crate) fn begin(&mut self, id: &[u8], key: Option<usize>) {
        self.at = 0;
        self.put(b",\n[");
        self.put(id);
        match key {
            None => self.put(b",null,"),
            Some(place) => {
                self.put(b",");
                self.put(itoa::Buffer::new().format(place).as_bytes());
                self.put(b",");
            }
        }
        (self.body, self.filled) = (self.at, self.at);
    }

    /// The few bytes that a line begins with always fit.
    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room.get_mut(self.at..self.at + bytes.len()) {
            room.copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    /// The next field has no value.
    #[inline]
    pub(crate) fn nothing(&mut self) -> bool {
        let Some(to) = self.room.get_mut(self.at..self.at + SLACK) else { return false };
        if let Some(to) = to.first_chunk_mut::<5>() {
            *to = *b",null";
        }
        self.at += 5;
        true
    }

    /// The next field is the text of this length at the beginning of `from`, in UTF-8 and without a
    /// byte that JSON escapes.
    #[inline]
    pub(crate) fn text(&mut self, from: &[u8], length: usize) -> bool {
        let Some(to) = self.room.get_mut(self.at..self.at + SLACK) else { return false };
        let to = to.first_chunk_mut::<{ BLOCK + 3 }>();
        if let (Some(to), Some(block), ..=BLOCK) = (to, from.first_chunk::<BLOCK>(), length) {
            let [comma, quote, values @ ..] = to;
            (*comma, *quote) = (b',', b'"');
            if let Some(to) = values.first_chunk_mut::<BLOCK>() {
                *to = *block;
            }
            if let Some(end) = values.get_mut(length) {
                *end = b'"';
            }
            self.at += length + 3;
            self.filled = self.at;
            return true;
        }
        self.long_text(from.get(..length).unwrap_or_default())
    }

    #[inline(never)]
    fn long_text(&mut self, text: &[u8]) -> bool {
        if self.at + text.len() + SLACK > ROOM {
            return false;
        }
        self.put(b",\"");
        self.put(text);
        self.put(b"\"");
        self.filled = self.at;
        true
    }

    /// The next field is this number or flag, as JSON writes it.
    #[inline]
    pub(crate) fn word(&mut self, word: &[u8]) -> bool {
        if self.at + word.len() + SLACK > ROOM {
            return false;
        }
        self.put(b",");
        self.put(word);
        self.filled = self.at;
        true
    }

    /// The line with the comma and line feed before it and the bracket of the whole text behind it.
    pub(super) fn ended(&mut self) -> &[u8] {
        // An opening bracket takes the place of the comma before the first value.
        if let Some(first) = self.room.get_mut(self.body) {
            *first = b'[';
        }
        self.at = self.filled.max(self.body + 1);
        self.put(b"]]]");
        self.room.get(..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::PlainLine;
    use crate::cache::batch::{Batch, RowKey};

    #[derive(Debug, Clone)]
    enum Value {
        Nothing,
        Text(String),
        Word(u64),
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Nothing),
            "[ a-zé@]{0,80}".prop_map(Value::Text),
            any::<u64>().prop_map(Value::Word),
        ]
    }

    proptest! {
        #[test]
        fn a_line_is_what_the_longer_way_makes_of_it(
            rows in proptest::collection::vec(
                (1_u64..u64::MAX >> 1, any::<bool>(), proptest::collection::vec(value(), 0..20), 0_usize..40),
                1..4,
            ),
        ) {
            let (mut short, mut long, mut line) = (Batch::default(), Batch::default(), PlainLine::new());
            for (id, has_key, values, room) in &rows {
                let key = if *has_key { RowKey::LowerCaseOf(3, b"a") } else { RowKey::None };
                line.begin(id.to_string().as_bytes(), has_key.then_some(3));
                for value in values {
                    let fits = match value {
                        Value::Nothing => line.nothing(),
                        Value::Text(text) => {
                            let mut from = text.clone().into_bytes();
                            from.resize(text.len() + room, b'x');
                            line.text(&from, text.len())
                        }
                        Value::Word(word) => line.word(word.to_string().as_bytes()),
                    };
                    prop_assert!(fits);
                }
                short.line(*id, key, &mut line);
                let written = long.row(*id, key, |body| {
                    for value in values {
                        match value {
                            Value::Nothing => body.nothing(),
                            Value::Text(text) => body.plain_text(text.as_bytes()),
                            Value::Word(word) => body.plain_word(word.to_string().as_bytes()),
                        }
                    }
                    Ok::<_, Infallible>(())
                });
                prop_assert!(written.is_ok());
            }
            prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut line = PlainLine::new();
        line.begin(b"7", None);
        let text = [b'a'; 5_000];
        assert!(!line.text(&text, 5_000) && line.text(&text, 3_000));
        let fitting = (0..5_000).take_while(|_| line.nothing()).count();
        assert!((100..300).contains(&fitting), "{fitting}");
        assert!(!line.text(&text, 1) && !line.word(b"true"));
    }
}
