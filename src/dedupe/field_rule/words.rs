//! The words of field rules, in the configuration and in a kept plan.

use std::fmt;
use std::str::FromStr;

use super::FieldRule;
use crate::dedupe::did_you_mean::did_you_mean;

const NAMES: &[(&str, FieldRule)] = &[
    ("winner", FieldRule::Winner),
    ("next_best", FieldRule::NextBest),
    ("oldest", FieldRule::Oldest),
    ("newest", FieldRule::Newest),
    ("max", FieldRule::Max),
    ("min", FieldRule::Min),
    ("sum", FieldRule::Sum),
    ("any_true", FieldRule::AnyTrue),
    ("all_true", FieldRule::AllTrue),
    ("longest", FieldRule::Longest),
    ("concat", FieldRule::Concat),
    ("keep_blank", FieldRule::KeepBlank),
    ("ignore", FieldRule::Ignore),
];

const PREFER: &str = "prefer:";
const BY: &str = "by:";

/// A text that is no field rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFieldRule {
    /// No rule has this name.
    #[error(
        "there is no field rule `{word}`{hint}; there are winner, next_best, oldest, newest, max, min, sum, any_true, all_true, longest, concat, prefer:[\"VALUE\", …], by:FIELD, by:-FIELD, keep_blank and ignore",
        word = .0,
        hint = did_you_mean(.0, NAMES.iter().map(|(name, _)| *name))
    )]
    Unknown(String),
    /// `prefer:` without a list of values.
    #[error(
        "`prefer:` takes a list of values, the best first, for example prefer:[\"Customer\", \"Prospect\"]"
    )]
    Prefer,
    /// `by:` without a field.
    #[error(
        "`by:` takes a field, for example by:lastPurchaseDate for the latest, by:-lastPurchaseDate for the earliest"
    )]
    By,
    /// `by:updatedAt`
    #[error(
        "`by:updatedAt` cannot be used: every write changes it, those of this program too, so that the winner's value would always win; name a date of your own, or use `newest`, which goes by createdAt"
    )]
    ByUpdate,
}

impl FromStr for FieldRule {
    type Err = NoFieldRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(list) = text.strip_prefix(PREFER) {
            let ranked: Vec<String> = serde_json::from_str(list).ok().ok_or(NoFieldRule::Prefer)?;
            let blank = ranked.is_empty() || ranked.iter().any(|value| value.trim().is_empty());
            return if blank { Err(NoFieldRule::Prefer) } else { Ok(Self::Prefer(ranked)) };
        }
        if let Some(field) = text.strip_prefix(BY).map(str::trim) {
            let (field, least) =
                field.strip_prefix('-').map_or((field, false), |field| (field.trim(), true));
            return match field {
                "" => Err(NoFieldRule::By),
                "updatedAt" => Err(NoFieldRule::ByUpdate),
                field => Ok(Self::By { field: field.to_owned(), least }),
            };
        }
        NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, rule)| rule.clone())
            .ok_or_else(|| NoFieldRule::Unknown(text.to_owned()))
    }
}

impl fmt::Display for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Texts always serialise.
            Self::Prefer(ranked) => {
                write!(f, "{PREFER}{}", serde_json::to_string(ranked).unwrap_or_default())
            }
            Self::By { field, least } => write!(f, "{BY}{}{field}", if *least { "-" } else { "" }),
            rule => NAMES
                .iter()
                .filter(|(_, known)| known == rule)
                .try_for_each(|(name, _)| f.write_str(name)),
        }
    }
}

impl From<FieldRule> for String {
    fn from(rule: FieldRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for FieldRule {
    type Error = NoFieldRule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
