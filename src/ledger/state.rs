//! What can happen to a call, and what it then is.
//!
//! For: one place that says which event may follow which, so that a journal which does not make
//! sense is noticed before anything rests on it. Never: I/O.
//!
//! ```text
//! planned ─▶ started ─▶ accepted ─▶ verified
//!    │          ├─────▶ refused ──▶ verified (in part) │ not done
//!    │          └─────▶ unknown ──▶ verified │ not done      contradicted: after any of the three
//!    └─▶ skipped
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lead::LeadId;

/// Something that happened to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It will be made.
    Planned,
    /// It is about to leave.
    Started,
    /// Marketo answered that it did it.
    Accepted {
        /// Marketo's id of the call.
        request_id: Option<String>,
    },
    /// Marketo, or the client before sending, refused it. A merge of several losers may still be
    /// done in part.
    Refused {
        /// Marketo's code, where it gave one.
        code: Option<String>,
        /// Marketo's id of the call.
        request_id: Option<String>,
        /// Why.
        why: String,
    },
    /// It left, and what came of it is not known.
    Unknown {
        /// Marketo's id of the call, where it came.
        request_id: Option<String>,
        /// What was seen in place of an answer.
        what: String,
    },
    /// It was done, wholly or in part: a look at Marketo showed it, or, of a write, Marketo's
    /// answer record by record.
    Verified {
        /// The lead that a merge left; none for a write.
        survivor: Option<LeadId>,
        /// The losers that are gone.
        merged: Vec<LeadId>,
    },
    /// A look at Marketo, after the time limit, showed that nothing of it was done.
    NotDone {
        /// What was seen.
        why: String,
    },
    /// It was never sent.
    Skipped {
        /// Why not.
        why: String,
    },
    /// What Marketo shows fits no outcome; a person must look.
    Contradicted {
        /// What was seen.
        what: String,
    },
}

impl Event {
    /// The state that it leads to.
    pub fn leads_to(&self) -> State {
        match self {
            Self::Planned => State::Planned,
            Self::Started => State::Started,
            Self::Accepted { .. } => State::Accepted,
            Self::Refused { .. } => State::Refused,
            Self::Unknown { .. } => State::Unknown,
            Self::Verified { .. } => State::Verified,
            Self::NotDone { .. } => State::NotDone,
            Self::Skipped { .. } => State::Skipped,
            Self::Contradicted { .. } => State::Contradicted,
        }
    }
}

/// Where a call stands: the fold of its events. The names are those of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the event of the same name, described there")]
pub enum State {
    Planned,
    Started,
    Accepted,
    Refused,
    Unknown,
    Verified,
    NotDone,
    Skipped,
    Contradicted,
}

impl State {
    /// The state after one more event, or an error where it cannot follow. `None` is a call without
    /// events.
    pub fn next(from: Option<Self>, to: Self) -> Result<Self, IllegalEvent> {
        use State::{
            Accepted, Contradicted, NotDone, Planned, Refused, Skipped, Started, Unknown, Verified,
        };
        let legal = match from {
            None => matches!(to, Planned),
            Some(Planned) => matches!(to, Started | Skipped),
            Some(Started) => matches!(to, Accepted | Refused | Unknown),
            Some(Accepted) => matches!(to, Verified | Contradicted),
            Some(Refused | Unknown) => matches!(to, Verified | NotDone | Contradicted),
            Some(Verified | NotDone | Skipped | Contradicted) => false,
        };
        if legal { Ok(to) } else { Err(IllegalEvent { from, to }) }
    }

    /// Whether what became of the call is still to be settled.
    pub fn is_open(self) -> bool {
        match self {
            Self::Planned | Self::Started | Self::Accepted | Self::Refused | Self::Unknown => true,
            Self::Verified | Self::NotDone | Self::Skipped | Self::Contradicted => false,
        }
    }

    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Verified => "verified",
            Self::NotDone => "not_done",
            Self::Skipped => "skipped",
            Self::Contradicted => "contradicted",
        }
    }

    /// The state that a word in the journal stands for.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [
            Self::Planned,
            Self::Started,
            Self::Accepted,
            Self::Refused,
            Self::Unknown,
            Self::Verified,
            Self::NotDone,
            Self::Skipped,
            Self::Contradicted,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event that cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be followed by {to}", from.map_or("nothing", State::as_str))]
pub struct IllegalEvent {
    /// Where the call stood.
    pub from: Option<State>,
    /// Where the event would have led.
    pub to: State,
}
