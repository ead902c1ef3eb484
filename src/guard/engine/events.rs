//! Events of the engine, for an observer that counts and shows them. Nothing depends on them.

use std::fmt;
use std::time::Duration;

use super::request::ApiUser;
use crate::leases::LeaseKey;
use crate::marketo::Kind;

#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Event<'a> {
    /// So many records wait because another write of their key is under way.
    Waiting(usize),
    /// Records wait because another guard, or another run, has their key.
    HeldElsewhere,
    /// A batch of so many records goes to Marketo.
    Batch(usize),
    /// Marketo's row of this status stands for so many records.
    Written {
        status: &'a str,
        records: usize,
    },
    /// So many records were refused.
    Refused(usize),
    /// The outcome of so many records stays open.
    Open(usize),
    /// So many records are in doubt.
    InDoubt(usize),
    /// A fault of this program broke off the writing of a record.
    BrokenOff,
    /// Marketo turned a call away for being one too many.
    TooMany,
    Answered {
        kind: Kind,
        took: Duration,
    },
    /// Marketo refused the writer's token.
    TokenRefused {
        user: &'a ApiUser,
        code: &'a str,
    },
    /// The writer may not read leads.
    ReadingDenied {
        user: &'a ApiUser,
    },
    /// Several leads have this key, and nothing was written.
    SeveralLeads {
        user: &'a ApiUser,
        key: LeaseKey,
    },
}

pub(crate) trait Observer: Send + Sync + fmt::Debug + 'static {
    fn event(&self, event: &Event<'_>);
}

#[derive(Debug)]
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn event(&self, _event: &Event<'_>) {}
}
