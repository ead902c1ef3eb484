//! What leads were: every value that a field had, the state before the last change, and the last
//! state of those gone.
//!
//! For: tests that ask what was lost, and reads that lag behind. It changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::Membership;
use super::record::Record;

/// One change of a field's value.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The field's REST name.
    pub field: String,
    /// What it had until then; null where it was empty.
    pub old: Value,
    /// What it had from then on.
    pub new: Value,
    /// When.
    pub at: DateTime<Utc>,
    /// `METHOD /path/{id}` and request id of the call; otherwise somebody on Marketo's screens.
    pub by: Option<Arc<str>>,
}

/// A lead as it was at its very end.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) record: Record,
    pub(crate) lists: Vec<u64>,
    pub(crate) programs: BTreeMap<u64, Membership>,
}

/// A state that a read which lags may still show.
#[derive(Debug)]
struct Former {
    record: Record,
    until: DateTime<Utc>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Past {
    held: HashMap<u64, Vec<Held>>,
    former: HashMap<u64, Former>,
    dead: BTreeMap<u64, Dead>,
}

impl Past {
    /// Notes what a change did.
    pub(super) fn changed(
        &mut self,
        before: Record,
        after: &Record,
        at: DateTime<Utc>,
        by: Option<&Arc<str>>,
    ) {
        let differences = after.differences(&before);
        if differences.is_empty() {
            return;
        }
        let held = self.held.entry(before.id).or_default();
        held.extend(differences.into_iter().filter_map(|(number, old, new)| {
            let field = crate::schema::by_number(number)?.name.to_owned();
            Some(Held { field, old, new, at, by: by.cloned() })
        }));
        self.former.insert(before.id, Former { record: before, until: at });
    }

    /// Notes a lead's end, unless it is known.
    pub(super) fn died(&mut self, dead: Dead, at: DateTime<Utc>, merged: bool) {
        let id = dead.record.id;
        if self.dead.contains_key(&id) {
            return;
        }
        self.former.remove(&id);
        if merged {
            self.former.insert(id, Former { record: dead.record.clone(), until: at });
        }
        self.dead.insert(id, dead);
    }

    /// Every change of a lead's values, oldest first.
    pub(crate) fn history(&self, lead: u64) -> &[Held] {
        self.held.get(&lead).map(Vec::as_slice).unwrap_or_default()
    }

    /// A lead that is gone, as it was at its end.
    pub(crate) fn dead(&self, lead: u64) -> Option<&Dead> {
        self.dead.get(&lead)
    }

    /// The states that ended less than `within` ago and were not shown since.
    pub(crate) fn stale(
        &self,
        now: DateTime<Utc>,
        within: Duration,
    ) -> impl Iterator<Item = &Record> {
        self.former
            .values()
            .filter(move |former| now - former.until <= within)
            .map(|former| &former.record)
    }

    /// A state that was shown is not shown again.
    pub(crate) fn take_stale(&mut self, lead: u64) -> Option<Record> {
        self.former.remove(&lead).map(|former| former.record)
    }
}
