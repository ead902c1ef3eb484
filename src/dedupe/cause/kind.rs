//! The causes, and how sure one can be of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dedupe::did_you_mean::did_you_mean;

/// How a group came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Upserts that overlapped.
    Race,
    /// A deliberate `createDuplicate`.
    CreateDuplicate,
    /// The CRM's sync, which does not look for an email.
    Crm,
    /// A list import.
    Import,
    /// One person in two lead partitions.
    Partition,
    /// Nothing that can be seen.
    Unknown,
}

impl Cause {
    /// Every cause, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Race,
        Self::CreateDuplicate,
        Self::Crm,
        Self::Import,
        Self::Partition,
        Self::Unknown,
    ];

    /// Whether the activity log alone shows that there is none of it: the records by themselves may
    /// not tell.
    pub fn needs_the_log(self) -> bool {
        matches!(self, Self::Race | Self::CreateDuplicate)
    }

    /// The word of the JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::CreateDuplicate => "create_duplicate",
            Self::Crm => "crm",
            Self::Import => "import",
            Self::Partition => "partition",
            Self::Unknown => "unknown",
        }
    }

    /// The cause in two or three words for a person.
    pub fn in_short(self) -> &'static str {
        match self {
            Self::Race => "two calls at once",
            Self::CreateDuplicate => "forced insert",
            Self::Crm => "CRM sync",
            Self::Import => "list import",
            Self::Partition => "partitions",
            Self::Unknown => "not known",
        }
    }

    /// The cause in plain words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Race => "two calls at once: neither saw the other",
            Self::CreateDuplicate => "an integration told Marketo to create without checking",
            Self::Crm => "the CRM sync created it; the sync does not look for an existing email",
            Self::Import => "a list import created it",
            Self::Partition => "one person in several lead partitions",
            Self::Unknown => "not known",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no cause `{word}`{hint}; there are race, create_duplicate, crm, import, partition and unknown",
    word = .0,
    hint = did_you_mean(.0, Cause::ALL.iter().map(|cause| cause.as_str()))
)]
pub struct UnknownCause(String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| UnknownCause(text.to_owned()))
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A guess.
    Low,
    /// Likely.
    Medium,
    /// As good as certain.
    High,
}

impl Confidence {
    /// The word of the JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
