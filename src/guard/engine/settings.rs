//! The settings of an engine.

use std::sync::Arc;

use super::events::{Observer, Unobserved};
use crate::dedupe::WinnerOrder;
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

#[derive(Debug)]
pub(crate) struct EngineSettings {
    /// Whether a record is looked up before it is written, and then written by `createOnly`, or by
    /// `updateOnly` with the id.
    pub(crate) look_first: bool,
    /// What is done with a write to a key that several leads have.
    pub(crate) on_duplicates: OnDuplicates,
    /// Which of them a merge would keep.
    pub(crate) winner: WinnerOrder,
    /// How many calls' worth of records are looked up together. Creates and updates leave apart, so
    /// that more together fill their calls better.
    pub(crate) calls_in_a_batch: usize,
    /// How fast Marketo's time passes.
    pub(crate) clock: Clock,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            look_first: true,
            on_duplicates: OnDuplicates::default(),
            winner: WinnerOrder(Vec::new()),
            calls_in_a_batch: 1,
            clock: Clock::real(),
            observer: Arc::new(Unobserved),
        }
    }
}
