//! What somebody may do to leads past the API, and what was done, in the words of a test.
//!
//! The instance that it is done to is known as [`Actions`] alone: it keeps what was ordered, and so
//! cannot be named here.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::options::Fault;

/// What somebody does to leads, past the API.
pub enum Meanwhile {
    /// Changes values.
    Change {
        /// Whose.
        lead: u64,
        /// By REST name.
        fields: Value,
    },
    /// Unsubscribes.
    OptOut {
        /// Who.
        lead: u64,
    },
    /// Deletes.
    Delete {
        /// Whom.
        lead: u64,
    },
    /// Merges.
    Merge {
        /// Who is asked to survive.
        winner: u64,
        /// Who is not.
        losers: Vec<u64>,
    },
    /// Anything.
    Run(Box<dyn FnOnce(&Screens<'_>) + Send>),
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change { lead, fields } => {
                write!(f, "Change {{ lead: {lead}, fields: {fields} }}")
            }
            Self::OptOut { lead } => write!(f, "OptOut {{ lead: {lead} }}"),
            Self::Delete { lead } => write!(f, "Delete {{ lead: {lead} }}"),
            Self::Merge { winner, losers } => {
                write!(f, "Merge {{ winner: {winner}, losers: {losers:?} }}")
            }
            Self::Run(_) => f.write_str("Run(…)"),
        }
    }
}

/// The moment of a call at which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before it is looked at.
    Before,
    /// When it has been accepted, and before its work is done. What a read shows has been read by
    /// then.
    During,
    /// When its work is done, and before it is answered.
    After,
}

/// What was done to leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Values were changed.
    Change,
    /// An opt-out was set.
    OptOut,
    /// The lead was deleted.
    Delete,
    /// The lead took in others.
    Merge,
}

/// One thing that was done to leads while a call ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Meddled {
    /// The call, by `METHOD /path/{id}`.
    pub at_call: String,
    /// The call's request id.
    pub request_id: String,
    /// What was done.
    pub what: Deed,
    /// To whom; of a merge who was asked to survive.
    pub lead: u64,
    /// Whom a merge took away.
    pub losers: Vec<u64>,
    /// The new values.
    pub fields: Map<String, Value>,
    /// The lead's values before that, as the API showed them, nulls left out.
    pub before: Map<String, Value>,
}

/// What is to happen while a call runs.
#[derive(Debug, Default)]
pub(crate) struct Meddling {
    /// `METHOD /path/{id}`
    pub(crate) endpoint: String,
    pub(crate) ordered: Vec<Meanwhile>,
    pub(crate) drawn: Vec<Fault>,
}

/// What an instance lets somebody on its screens do.
pub(crate) trait Actions: fmt::Debug {
    /// Changes a lead's values; whether it lives.
    fn set(&self, lead: u64, fields: &Value, deed: Deed) -> bool;
    /// Deletes a lead; whether it lived.
    fn delete(&self, lead: u64) -> bool;
    /// Merges leads; whether all of them lived.
    fn merge(&self, winner: u64, losers: &[u64]) -> bool;
    /// Puts a lead in, and gives its id.
    fn put(&self, fields: &Value) -> u64;
    /// Gives a custom object a row, and the row's GUID.
    fn put_row(&self, object: &str, row: &Value) -> String;
    /// The next call of this endpoint goes wrong in this way.
    fn fail_next(&self, endpoint: &str, fault: Fault);
    /// A living lead's values, as the API shows them, nulls left out.
    fn fields(&self, lead: u64) -> Option<Map<String, Value>>;
}

/// Marketo's screens, in the hands of somebody who does not know of the call that runs.
#[derive(Debug)]
pub struct Screens<'a> {
    actions: &'a dyn Actions,
}

impl<'a> Screens<'a> {
    pub(crate) fn of(actions: &'a dyn Actions) -> Self {
        Self { actions }
    }

    /// Changes a lead's values; whether it lives.
    pub fn change(&self, lead: u64, fields: &Value) -> bool {
        self.actions.set(lead, fields, Deed::Change)
    }

    /// Unsubscribes a lead, and no other one; whether it lives.
    pub fn opt_out(&self, lead: u64) -> bool {
        self.actions.set(lead, &json!({"unsubscribed": true}), Deed::OptOut)
    }

    /// Deletes a lead; whether it lived.
    pub fn delete(&self, lead: u64) -> bool {
        self.actions.delete(lead)
    }

    /// Merges leads; whether all of them lived.
    pub fn merge(&self, winner: u64, losers: &[u64]) -> bool {
        self.actions.merge(winner, losers)
    }

    /// Puts a lead in, and gives its id.
    pub fn put(&self, fields: &Value) -> u64 {
        self.actions.put(fields)
    }

    /// Gives a custom object a row, and the row's GUID.
    pub fn put_row(&self, object: &str, row: &Value) -> String {
        self.actions.put_row(object, row)
    }

    /// The next call of this endpoint goes wrong in this way, as `Sandbox::fail_next` orders it.
    pub fn fail_next(&self, endpoint: &str, fault: Fault) {
        self.actions.fail_next(endpoint, fault);
    }

    /// A living lead's values, as the API shows them, nulls left out.
    pub fn fields(&self, lead: u64) -> Option<Map<String, Value>> {
        self.actions.fields(lead)
    }

    pub(crate) fn perform(&self, meanwhile: Meanwhile) {
        match meanwhile {
            Meanwhile::Change { lead, fields } => drop(self.change(lead, &fields)),
            Meanwhile::OptOut { lead } => drop(self.opt_out(lead)),
            Meanwhile::Delete { lead } => drop(self.delete(lead)),
            Meanwhile::Merge { winner, losers } => drop(self.merge(winner, &losers)),
            Meanwhile::Run(run) => run(self),
        }
    }
}
