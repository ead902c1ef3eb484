//! How an engine goes about it.

use std::sync::Arc;
use std::time::Duration;

use super::events::{Observer, Unobserved};
use crate::dedupe::WinnerOrder;
use crate::leases::Terms;
use crate::marketo::Clock;

/// What is done with a write to a key that several leads have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicates {
    /// The error that Marketo gives: 1007.
    #[default]
    Error,
    /// It goes to the lead that a merge would keep.
    Winner,
}

/// How an engine goes about it.
#[derive(Debug)]
pub(crate) struct EngineSettings {
    pub(super) look_first: bool,
    pub(super) on_duplicates: OnDuplicates,
    pub(super) winner: WinnerOrder,
    pub(super) calls_in_a_batch: usize,
    pub(super) unsent: Duration,
    pub(super) clock: Clock,
    pub(super) observer: Arc<dyn Observer>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            look_first: true,
            on_duplicates: OnDuplicates::default(),
            winner: WinnerOrder(Vec::new()),
            calls_in_a_batch: 1,
            unsent: Terms::default().unsent,
            clock: Clock::real(),
            observer: Arc::new(Unobserved),
        }
    }
}

impl EngineSettings {
    /// Whether a record is looked up before it is written, and then written by `createOnly`, or by
    /// `updateOnly` with the id; true where nothing is said.
    pub(crate) fn look_first(self, look_first: bool) -> Self {
        Self { look_first, ..self }
    }

    /// What is done with a write to a key that several leads have, and which of them a merge would
    /// keep; an error where nothing is said.
    pub(crate) fn on_duplicates(self, on_duplicates: OnDuplicates, winner: WinnerOrder) -> Self {
        Self { on_duplicates, winner, ..self }
    }

    /// How many calls' worth of records are looked up together; one where nothing is said. Creates
    /// and updates leave apart, so that more together fill their calls better.
    pub(crate) fn calls_in_a_batch(self, calls_in_a_batch: usize) -> Self {
        Self { calls_in_a_batch, ..self }
    }

    /// How long a lease lasts that was taken and not renewed, and how fast Marketo's time passes.
    pub(crate) fn times(self, unsent: Duration, clock: Clock) -> Self {
        Self { unsent, clock, ..self }
    }

    /// Who is told of events; nobody where nothing is said.
    pub(crate) fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }
}
