//! Leases: who may write a key, one owner at a time, and longer than its owner lives.
//!
//! Marketo's upsert looks up and then inserts, so two of them with one key that overlap both
//! insert. Whoever holds the lease of a key may have one call with it in flight; everybody else
//! waits. A lock that dies with its process would not do: the process is gone, and its call may be
//! running at Marketo for a while yet. So a lease ends in one of two ways, and in no third one:
//!
//! 1. its owner releases it, since it knows what came of the call, or knows that nothing was sent;
//! 2. its time is over. A lease that was only granted lasts [`Terms::unsent`]. Just before a call
//!    leaves, its owner renews it for the longest that Marketo lets that call run, and a margin; so
//!    the time counts from the last moment at which the call may have left, by the clock of the
//!    store and not of the owner.
//!
//! # What fences
//!
//! Marketo checks no token, so the number of a grant, its [`Lease::generation`], fences nothing
//! there. It only tells the store one grant of a key from the next: an owner whose lease went to
//! another can neither renew nor release the other's. What keeps a late call from Marketo is the
//! send-by deadline. An owner that slept through its time (a suspended machine) learns of it from
//! [`Leases::renew`], which then says [`LeaseError::Lost`]: nothing may be sent. A call that has
//! not left by [`LeaveBy`] after its renewal does not leave, and the network is trusted with a
//! second margin ([`MARGIN`]).
//!
//! # What callers may expect about order
//!
//! Callers of one process are served first come, first served, for each key. So are callers of
//! several processes, by the moment at which their store took note of them, as long as each process
//! gives signs of life ([`Terms::place`]); one that does not is passed over, and has its place back
//! when it is heard of again. A caller of several keys takes all of them at one moment, and holds
//! none while it waits. Nobody overtakes a waiting caller, so nobody starves.
//! [`Leases::try_acquire`] never takes a key that somebody waits for.
//!
//! # Stores
//!
//! The rules stand once, in `state`: rows in, rows out. A store (`memory` for one process, `sqlite`
//! for those of one machine, `postgres` for those of several) loads and saves rows in one
//! transaction (`backend`). The `actor` speaks with it for all callers of the process, who wait in
//! its `queue`. The guards of a store also share the limits of their instance there (`rate_share`).
//!
//! A store that lost its latest changes (a file that was replaced, a backup put back, a failover to
//! a replica that lagged) grants nothing until every call that left before is over. Generations are
//! at least the time in milliseconds, so that none is given twice.
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

pub(crate) use crate::marketo::in_words as in_full;
pub use crate::marketo::{LeaveBy, MARGIN, to_send, until_over};
pub use actor::SharedLeases;
pub use api::{Lease, LeaseError, Leases, Terms};
pub use key::LeaseKey;
pub use leaving::Leaving;
pub use postgres::{AddressError, PostgresAddress};
pub use rate_share::{Claim, RateShare, Shared, Timing};
pub use sqlite::FileError;

#[cfg(test)]
mod tests;
