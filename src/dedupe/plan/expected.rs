//! What a field may hold after a merge, and how a merge leaves.

use serde_json::Value;

/// What a field of the survivor may hold afterwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This value; null where it stays empty.
    Exactly(Value),
    /// One of these: Marketo's choice, where it cannot be written beforehand.
    OneOf(Vec<Value>),
}

impl Expected {
    /// The value that it most likely holds.
    pub fn likeliest(&self) -> &Value {
        match self {
            Self::Exactly(value) => value,
            Self::OneOf(values) => values.first().unwrap_or(&Value::Null),
        }
    }
}

/// How the losers leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// All in one call, where the first decides over what the winner lacks.
    Together,
    /// One loser a call, so that each is the first once.
    OneByOne,
}
