//! How long a key is protected for a call: in one place, for those who send and for the check of the protocol.
//!
//! Between the renewal of a lease and the end of its call at Marketo lie three spans. The call leaves, within [`MARGIN`]
//! of the moment at which the renewal was asked for, or not at all. It arrives, within another. And it runs, no longer than Marketo's limit of such
//! calls. All spans are Marketo's time.

use std::time::Duration;

/// The longest that a call may take from the asking for its renewal until it leaves, and from there until it arrives.
pub const MARGIN: Duration = Duration::from_secs(10);

/// What a lease is renewed for just before a call with this limit leaves.
pub const fn to_send(limit: Duration) -> Duration {
    limit.saturating_add(MARGIN).saturating_add(MARGIN)
}

/// After how long since it left a call with this limit is over, whatever its sender heard of it.
pub const fn until_over(limit: Duration) -> Duration {
    limit.saturating_add(MARGIN)
}
