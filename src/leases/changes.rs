//! The changes of a batch, for stores in SQL, and the columns of their rows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::Terms;
use super::backend::{Batch, BatchResult, Ticket};
use super::key::LeaseKey;
use super::rate_share::ClaimRow;
use super::state::{Row, State, Time, Waiting};
use crate::marketo::Share;

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

impl Row {
    /// Its columns after the key: the generation, when it ends, who waits, when it is over.
    pub(super) fn columns(&self) -> (i64, i64, Vec<u8>, i64) {
        let waiting = self
            .waiting
            .iter()
            .flat_map(|waiting| [number(waiting.ticket.0), waiting.guard, millis(waiting.until)])
            .flat_map(i64::to_be_bytes);
        (number(self.generation), millis(self.ends_at), waiting.collect(), millis(self.over_at()))
    }

    /// The row with these columns. What is no whole number of those who wait was not written there.
    pub(super) fn of_columns(generation: i64, ends_at: i64, waiting: &[u8]) -> Self {
        let (numbers, _) = waiting.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().map(|number| i64::from_be_bytes(*number)).collect();
        let (waiting, _) = numbers.as_chunks::<3>();
        let waiting = waiting.iter().map(|[ticket, guard, until]| Waiting {
            ticket: Ticket(ticket.unsigned_abs()),
            guard: *guard,
            until: span(*until),
        });
        Self {
            generation: generation.unsigned_abs(),
            ends_at: span(ends_at),
            waiting: waiting.collect(),
        }
    }
}

impl ClaimRow {
    /// Its columns after the owner: the share, what is wanted, when it ends.
    pub(super) fn columns(&self) -> [i64; 5] {
        let Self { share, wants, ends_at } = self;
        let [calls, at_once, wants_calls, wants_at_once] =
            [share.calls, share.at_once, wants.calls, wants.at_once]
                .map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        [calls, at_once, wants_calls, wants_at_once, millis(*ends_at)]
    }

    pub(super) fn of_columns(columns: [i64; 5]) -> Self {
        let [calls, at_once, wants_calls, wants_at_once, ends_at] = columns;
        let share = |calls, at_once| {
            let [calls, at_once] = [calls, at_once].map(|n| usize::try_from(n).unwrap_or_default());
            Share { calls, at_once }
        };
        let (share, wants) = (share(calls, at_once), share(wants_calls, wants_at_once));
        Self { share, wants, ends_at: span(ends_at) }
    }
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
