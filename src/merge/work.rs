//! One group on its way through a run, and how far a run may go without looking. Pure.
//!
//! `Ready => Verified => Sent => Settled`, step by step: a group of more losers than a call takes
//! goes through it once for each call. Never: I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::consent::Step;
use super::custom_objects::RowMove;
use super::memberships::Rows;
use super::settle::Settled;
use crate::dedupe::PlannedGroup;
use crate::lead::{Lead, LeadId};
use crate::ledger::CallId;

/// A planned group that is being carried out.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the group by itself")]
pub(super) struct Work<'p> {
    pub(super) group: &'p PlannedGroup,
    /// The calls that are still to be made.
    pub(super) steps: VecDeque<Step<'p>>,
    /// The call that is under way.
    pub(super) under_way: Option<CallId>,
    /// What its calls came to.
    pub(super) settled: Vec<Settled<'p>>,
    /// Whether values of this plan were written to the winner.
    pub(super) written: bool,
    /// Whether they have been read back.
    pub(super) read_back: bool,
    /// How often they were looked for in vain.
    pub(super) not_there: u32,
    /// How often its look became too old before its call could leave.
    pub(super) too_old: u32,
    /// The leads as the latest look showed them, and as the ledger has them.
    pub(super) live: BTreeMap<LeadId, Lead>,
    /// Whether its keys are held in this round.
    pub(super) held: bool,
    /// Whether that look allows the next call.
    pub(super) verified: bool,
    pub(super) memberships: BTreeMap<LeadId, (Rows, Rows)>,
    /// The rows of custom objects that are to be linked to the winner next.
    pub(super) rows: Vec<RowMove>,
    /// Those that were before.
    pub(super) moved_rows: Vec<RowMove>,
    /// The rows that the winner had before: each by its object and GUID.
    pub(super) rows_of_winner: BTreeSet<(String, String)>,
    /// Whether a call left, or may have left, that links rows to the winner.
    pub(super) has_moved_rows: bool,
    /// Whether they were seen there.
    pub(super) rows_read_back: bool,
    /// Whether its rows were looked for in this round, and nothing is to be done about them.
    pub(super) rows_seen: bool,
    /// Of its leads as they were before anything was written.
    pub(super) digest: String,
    /// Why the rest is left, where some of it is done.
    pub(super) cut_short: Option<String>,
}

impl<'p> Work<'p> {
    pub(super) fn new(group: &'p PlannedGroup, steps: Vec<Step<'p>>) -> Self {
        Self {
            group,
            steps: steps.into(),
            under_way: None,
            settled: Vec::new(),
            written: false,
            read_back: false,
            not_there: 0,
            too_old: 0,
            live: BTreeMap::new(),
            held: false,
            verified: false,
            memberships: BTreeMap::new(),
            rows: Vec::new(),
            moved_rows: Vec::new(),
            rows_of_winner: BTreeSet::new(),
            has_moved_rows: false,
            rows_read_back: false,
            rows_seen: false,
            digest: String::new(),
            cut_short: None,
        }
    }

    /// The losers that are still to be merged, and the winner before them.
    pub(super) fn leads_left(&self) -> impl Iterator<Item = LeadId> {
        std::iter::once(self.group.winner).chain(self.losers_left())
    }

    pub(super) fn losers_left(&self) -> impl Iterator<Item = LeadId> {
        self.steps.iter().flat_map(|step| step.losers()).copied()
    }

    /// Whether a call of it was sent.
    pub(super) fn is_begun(&self) -> bool {
        self.under_way.is_some() || !self.settled.is_empty()
    }

    /// Whether some of its losers are gone by its calls.
    pub(super) fn has_merged(&self) -> bool {
        self.settled.iter().any(|settled| !settled.finding.gone().is_empty())
    }

    /// Whether its next call waits for nothing but a look.
    pub(super) fn waits_for_a_look(&self) -> bool {
        self.under_way.is_none() && !self.steps.is_empty()
    }
}

/// How many merges may leave on one look: one at first, then twice as many each time, up to ten;
/// and one again after a call that Marketo did not accept, or whose survivor is not as predicted.
/// What this instance does otherwise than is known then shows on few groups.
#[derive(Debug)]
pub(super) struct Ramp(usize);

impl Ramp {
    const MOST: usize = 10;

    pub(super) fn new() -> Self {
        Self(1)
    }

    pub(super) fn size(&self) -> usize {
        self.0
    }

    pub(super) fn went_well(&mut self) {
        self.0 = (self.0 * 2).min(Self::MOST);
    }

    pub(super) fn met_trouble(&mut self) {
        self.0 = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Ramp;

    #[test]
    fn looks_come_after_one_two_four_eight_and_then_ten_merges() {
        let mut ramp = Ramp::new();
        let mut sizes = Vec::new();
        for _ in 0..6 {
            sizes.push(ramp.size());
            ramp.went_well();
        }
        assert_eq!(sizes, [1, 2, 4, 8, 10, 10]);
        ramp.met_trouble();
        assert_eq!(ramp.size(), 1);
    }
}
