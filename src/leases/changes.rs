//! What a batch changes of what a store in SQL loaded for it, and how rows are written there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::Terms;
use super::backend::{Batch, BatchResult, Ticket};
use super::key::LeaseKey;
use super::rate_share::ClaimRow;
use super::state::{Row, State, Time, Waiting};

/// What is to be saved.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) rows: Vec<(LeaseKey, Row)>,
    pub(super) rows_gone: Vec<LeaseKey>,
    pub(super) claims: Vec<((LeaseKey, i64), ClaimRow)>,
    pub(super) claims_gone: Vec<(LeaseKey, i64)>,
    /// The state's single values.
    pub(super) last: u64,
    pub(super) saves: u64,
    pub(super) quiet_until: Duration,
}

/// Applies the rules to what was loaded. Where nothing changes, nothing is to be saved.
pub(super) fn carry_out(
    mut state: State,
    guard: i64,
    time: Time,
    batch: &Batch,
    terms: Terms,
) -> (BatchResult, Option<Changes>) {
    let before = state.clone();
    let mut result = state.apply(guard, time, batch, terms);
    if state == before {
        return (result, None);
    }
    result.saves = state.saves + 1;
    let (rows, rows_gone) = changed(&before.rows, state.rows);
    let (claims, claims_gone) = changed(&before.claims, state.claims);
    let (last, saves, quiet_until) = (state.last, result.saves, state.quiet_until);
    (result, Some(Changes { rows, rows_gone, claims, claims_gone, last, saves, quiet_until }))
}

fn changed<K: Ord + Copy, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: BTreeMap<K, V>,
) -> (Vec<(K, V)>, Vec<K>) {
    let gone = before.keys().filter(|key| !after.contains_key(key)).copied().collect();
    let changed = after.into_iter().filter(|(key, value)| before.get(key) != Some(value));
    (changed.collect(), gone)
}

/// Those who wait, for a column: for each its ticket, its guard, and until when it counts.
pub(super) fn to_bytes(waiting: &[Waiting]) -> Vec<u8> {
    let numbers = waiting
        .iter()
        .flat_map(|waiting| [number(waiting.ticket.0), waiting.guard, millis(waiting.until)]);
    numbers.flat_map(i64::to_be_bytes).collect()
}

/// Those who wait, of a column; what is no whole number of them is nothing that was written there.
pub(super) fn from_bytes(bytes: &[u8]) -> Vec<Waiting> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let numbers: Vec<i64> = numbers.iter().map(|number| i64::from_be_bytes(*number)).collect();
    let (waiting, _) = numbers.as_chunks::<3>();
    let waiting = waiting.iter().map(|[ticket, guard, until]| Waiting {
        ticket: Ticket(ticket.unsigned_abs()),
        guard: *guard,
        until: span(*until),
    });
    waiting.collect()
}

/// A span or a moment in milliseconds, for a column.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

/// A span or a moment, of a column.
pub(super) fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A number that counts milliseconds since 1970 at the least, for a column.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
