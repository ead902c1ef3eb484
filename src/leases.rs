//! Leases: who may write a key, one owner at a time, and longer than its owner lives.
//!
//! Marketo's upsert looks up and then inserts, so two of them with one key that overlap both
//! insert. The owner of a key's lease may have one call with it in flight; everybody else waits. A
//! lock that dies with its process would not do: the call of a dead process may still run at
//! Marketo. So a lease ends in one of two ways, and in no third one:
//!
//! 1. Its owner releases it, because the outcome of the call is known, or nothing was sent.
//! 2. Its time is over. A lease that was only granted lasts [`Terms::unsent`]. Just before a call
//!    leaves, its owner renews it for the longest that Marketo lets that call run, and a margin.
//!    The time counts by the clock of the store and not of the owner.
//!
//! # Fencing
//!
//! Marketo checks no token, so the number of a grant, its [`Lease::generation`], fences nothing
//! there. It tells the store one grant of a key from the next: an owner whose lease went to another
//! can neither renew nor release the other's. The send-by deadline keeps a late call from Marketo.
//! An owner that slept through its time (a suspended machine) learns of it from
//! [`SharedLeases::renew`], which says [`LeaseError::Lost`]: nothing may be sent. A call that has
//! not left by [`LeaveBy`] after its renewal does not leave. A second margin ([`MARGIN`]) is for
//! its way through the network.
//!
//! # Order
//!
//! Callers are served first come, first served, for each key. Among processes the moment counts at
//! which the store took note of a caller. A process keeps its places as long as it gives signs of
//! life ([`Terms::place`]); one that does not is passed over, and has its places back with the next
//! sign. A caller of several keys takes all of them at one moment, and holds none while it waits.
//! Nobody overtakes a waiting caller, so nobody starves. [`SharedLeases::try_acquire`] never takes
//! a key that somebody waits for.
//!
//! # Stores
//!
//! The rules stand once, in `state`: rows in, rows out. A store (`memory` for one process, `sqlite`
//! for those of one machine, `postgres` for those of several) loads and saves rows in one
//! transaction (`backend`). The `actor` speaks with it for all callers of the process, who wait in
//! its `queue`. The guards of a store also share the limits of their instance there (`rate_share`).
//!
//! A store that lost its latest changes (a file that was replaced, a backup put back, a failover to
//! a replica that lagged) grants nothing until every call that left before is over. A generation is
//! at least the time in milliseconds, so that no number is given twice.
//!
//! Never: a key's own value in a store, a log or an error, only its hash; a write without a lease
//! because the store cannot be reached ([`LeaseError::Unavailable`]).

mod actor;
mod api;
mod backend;
mod changes;
mod key;
mod leaving;
mod memory;
mod postgres;
mod queue;
mod rate_share;
mod sqlite;
mod state;

pub use crate::marketo::{LeaveBy, MARGIN, to_send, until_over};
pub use actor::SharedLeases;
pub use api::{Lease, LeaseError, Terms};
pub use key::LeaseKey;
pub(crate) use leaving::Leaving;
pub use postgres::{AddressError, PostgresAddress};
pub(crate) use rate_share::{RateShare, Shared, Timing};
pub use sqlite::FileError;

#[cfg(test)]
pub(crate) mod tests;
