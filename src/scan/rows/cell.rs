//! A cell as a value.
//!
//! An empty cell is empty, and so is the bare word `null` that a bulk extract writes for an empty
//! field; nothing in a file tells it from a value that reads `null`. A person named `Null` is not
//! empty.

use serde_json::Value;

use crate::cache::BodyWriter;
use crate::table::shown_short;

/// What a field's values are, which decides how its cells are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scan) enum Kind {
    /// Kept as it is, blanks included.
    Text,
    /// True or false, and nothing else.
    Flag,
    /// A number; what is none is kept as text, since integer columns of files were seen to hold
    /// anything.
    Number,
}

impl Kind {
    /// By Marketo's data type.
    pub(in crate::scan) fn of(data_type: &str) -> Self {
        match data_type {
            "boolean" => Self::Flag,
            "integer" | "score" | "float" | "currency" | "percent" => Self::Number,
            _ => Self::Text,
        }
    }
}

/// A cell as a value, or why it is none. NUL bytes, which were seen inside values, are dropped.
pub(in crate::scan) fn value(field: &str, kind: Kind, bytes: &[u8]) -> Result<Value, String> {
    if bytes.is_empty() || bytes == b"null" {
        return Ok(Value::Null);
    }
    if bytes.contains(&0) {
        let visible: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        return value(field, kind, &visible);
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("`{field}` is not UTF-8 ({error})"))?;
    Ok(match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => number(text.trim()).unwrap_or_else(|| Value::String(text.to_owned())),
        Kind::Flag => match flag(text.trim()) {
            Some(flag) => Value::Bool(flag),
            None => {
                return Err(format!("`{field}` holds something that is neither true nor false"));
            }
        },
    })
}

/// Writes a cell as the next value of a body.
pub(in crate::scan) fn write(
    field: &str,
    kind: Kind,
    bytes: &[u8],
    body: &mut BodyWriter<'_>,
) -> Result<(), String> {
    if kind == Kind::Text
        && !bytes.is_empty()
        && bytes != b"null"
        && !bytes.contains(&0)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return body.text(text).map_err(|error| error.to_string());
    }
    let is_word = match kind {
        Kind::Text => false,
        Kind::Flag => matches!(bytes, b"true" | b"false"),
        Kind::Number => is_plain_number(bytes),
    };
    if is_word {
        body.plain_word(bytes);
        return Ok(());
    }
    let value = value(field, kind, bytes)?;
    body.value(&value).map_err(|error| error.to_string())
}

/// Whether it is a whole number exactly as JSON writes it.
pub(in crate::scan) fn is_plain_number(bytes: &[u8]) -> bool {
    match bytes {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The words for true and false of spreadsheets in several languages.
const TRUE: &[&str] = &[
    "true",
    "1",
    "yes",
    "wahr",
    "ja",
    "vrai",
    "oui",
    "verdadero",
    "sí",
    "si",
    "vero",
    "sì",
    "verdadeiro",
    "sim",
    "waar",
    "sant",
    "sand",
    "tosi",
    "prawda",
    "tak",
    "pravda",
    "ano",
    "igaz",
    "doğru",
    "истина",
    "да",
];
const FALSE: &[&str] = &[
    "false", "0", "no", "falsch", "nein", "faux", "non", "falso", "não", "onwaar", "nee", "falskt",
    "nej", "falsk", "usann", "nei", "epätosi", "fałsz", "nie", "nepravda", "ne", "hamis", "yanlış",
    "ложь", "нет",
];

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => return Some(true),
        "false" => return Some(false),
        _ => {}
    }
    let word = text.to_lowercase();
    let is = |words: &[&str]| words.contains(&word.as_str());
    if is(TRUE) { Some(true) } else { is(FALSE).then_some(false) }
}

/// An id as it is written nearly always: digits, no zero before them, and not too many.
pub(in crate::scan) fn plain_id(bytes: &[u8]) -> Option<u64> {
    let [b'1'..=b'9', ..] = bytes else { return None };
    if bytes.len() >= 19 {
        return None;
    }
    bytes
        .iter()
        .try_fold(0, |id, digit| digit.is_ascii_digit().then(|| id * 10 + u64::from(digit - b'0')))
}

/// An id; some exports write whole numbers with decimals, `8.0`. Three decimals may be thousands.
pub(in crate::scan) fn id(bytes: &[u8]) -> Result<u64, String> {
    if let Some(id) = plain_id(bytes) {
        return Ok(id);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim().trim_end_matches('\0');
    let whole = match text.split_once(['.', ',']) {
        Some((whole, zeros))
            if zeros.len() != 3 && !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        _ => text,
    };
    whole.parse().ok().filter(|id| *id > 0).ok_or_else(|| {
        let rounded = text.contains(['E', 'e']) && text.contains('+');
        let how = if rounded {
            ": the spreadsheet has rounded it; show the column as a number without decimals"
        } else {
            ""
        };
        if text.is_empty() {
            return "the id is empty; each row needs the one of its lead, a whole number above zero"
                .to_owned();
        }
        format!("`{}` is no id, which is a whole number above zero{how}", shown_short(text))
    })
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // Not `inf` or `NaN`, which JSON has no numbers for.
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
}
