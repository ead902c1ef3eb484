//! The results of the lines.

use serde::Serialize;

use super::Ended;
use crate::lead::LeadId;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A new lead holds it.
    Created,
    /// An existing lead was written to.
    Updated,
    /// In a dry run: no lead has the key, so one would be created.
    WouldCreate,
    /// In a dry run: a lead has the key, and would be written to.
    WouldUpdate,
    /// An existing lead held it already; nothing was written.
    Unchanged,
    /// A later line of the same key took it in.
    Coalesced,
    /// Nothing was sent, or nothing was written, and the reason says why.
    Skipped,
    /// Marketo refused it, or its outcome stayed unclear.
    Failed,
}

impl Status {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::WouldCreate => "would_create",
            Self::WouldUpdate => "would_update",
            Self::Unchanged => "unchanged",
            Self::Coalesced => "coalesced",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The same for a person: `would create`, `combined`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::WouldCreate => "would create",
            Self::WouldUpdate => "would update",
            Self::Coalesced => "combined",
            other => other.as_str(),
        }
    }

    /// Whether the line's values are in Marketo, or, in a dry run, would be.
    pub fn is_done(self) -> bool {
        !matches!(self, Self::Skipped | Self::Failed)
    }
}

/// The result of one line of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineResult {
    /// Counted from 1.
    pub line: u64,
    /// What was looked up; none where the line has none.
    pub key: Option<String>,
    /// How it ended.
    pub status: Status,
    /// The lead, where there is one.
    pub id: Option<LeadId>,
    /// Why, where it was not written as it stands.
    pub reason: Option<String>,
}

/// The result of a run.
#[derive(Debug)]
pub struct UpsertReport {
    /// Lines in the input.
    pub records: usize,
    /// The results, by line.
    pub record: Vec<LineResult>,
    /// Whether the run came to its end, and if not, why.
    pub ended: Ended,
}

impl UpsertReport {
    /// How many lines ended so.
    pub fn count(&self, status: Status) -> usize {
        self.record.iter().filter(|result| result.status == status).count()
    }
}
