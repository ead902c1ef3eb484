//! Everything that the protocol depends on at one moment: the state of the store, what each guard
//! does, and the calls.
//!
//! Moments are told apart by what can still come of them, so that there is an end to them: the
//! present is always zero, a time that is over is forgotten, and numbers are replaced by their
//! ranks.

use std::time::Duration;

use super::rules::Rules;
use crate::leases::api::Grant;
use crate::leases::backend::Ticket;
use crate::leases::state::State;
use crate::leases::{LeaseKey, MARGIN};

/// The step of the clock. Every span of the protocol is a whole number of them.
pub(super) const TICK: Duration = MARGIN;

/// The present.
pub(super) const NOW: Duration = Duration::ZERO;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) store: State,
    pub(super) guards: Vec<Guard>,
    /// In order, so that it does not matter which left first.
    pub(super) calls: Vec<Call>,
    /// A grant had a lower number than one before it.
    pub(super) generations_went_back: bool,
}

/// What a guard does, with one write. In all of these it may sleep, or be killed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Guard {
    #[default]
    Idle,
    /// It was heard of so long ago, and since it is heard of so many grants of its keys went to
    /// others.
    Waits { ticket: Ticket, silent: Duration, overtaken: usize },
    /// It looks up, or waits for its turn among the limits.
    Granted(Vec<Grant>),
    /// It has asked for the renewal, so long ago.
    Asking(Vec<Grant>, Duration),
    /// The renewal is granted, and the call has not left.
    Leaving(Vec<Grant>, Duration),
    /// The call left so long ago.
    Sent(Vec<Grant>, Duration),
}

/// A call to Marketo. It knows nothing of its guard, which may be gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Call {
    pub(super) at: Whereabouts,
    pub(super) since: Duration,
    pub(super) grants: Vec<Grant>,
    /// Which guard waits for the answer, if one still does.
    pub(super) guard: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Whereabouts {
    OnItsWay,
    /// It has looked up, and inserts at its end.
    Running,
}

impl World {
    /// Time passes: what ends with it ends.
    pub(super) fn pass(&mut self, rules: &Rules) {
        self.pass_in_store(TICK);
        for guard in &mut self.guards {
            match guard {
                // What is longer ago than the rules ask about is all the same.
                Guard::Asking(_, since) | Guard::Leaving(_, since) => {
                    *since = (*since + TICK).min(rules.leaves_within.saturating_add(TICK));
                }
                Guard::Sent(_, since) => *since = (*since + TICK).min(rules.settled_after),
                Guard::Waits { silent, overtaken, .. } => {
                    *silent = (*silent + TICK).min(rules.terms.place);
                    // One that is silent for too long is passed over.
                    *overtaken = if *silent < rules.terms.place { *overtaken } else { 0 };
                }
                Guard::Idle | Guard::Granted(_) => {}
            }
        }
        for call in &mut self.calls {
            call.since += TICK;
        }
        self.calls.retain(|call| call.at == Whereabouts::OnItsWay || call.since < rules.limit);
    }

    pub(super) fn pass_in_store(&mut self, span: Duration) {
        self.store.quiet_until = self.store.quiet_until.saturating_sub(span);
        for row in self.store.rows.values_mut() {
            row.ends_at = row.ends_at.saturating_sub(span);
            for waiting in &mut row.waiting {
                waiting.until = waiting.until.saturating_sub(span);
            }
        }
    }

    /// Calls of the key that have looked up and not inserted yet.
    pub(super) fn running(&self, key: LeaseKey) -> usize {
        let of_key = |call: &&Call| call.grants.iter().any(|grant| grant.key == key);
        self.calls.iter().filter(|call| call.at == Whereabouts::Running).filter(of_key).count()
    }

    /// Whether the leases that a call was sent with are still its own.
    pub(super) fn is_covered(&self, grants: &[Grant]) -> bool {
        grants.iter().all(|grant| {
            let row = self.store.rows.get(&grant.key);
            row.is_some_and(|row| row.generation == grant.generation && row.ends_at > NOW)
        })
    }

    /// Forgets what nobody can tell any more.
    pub(super) fn settled(mut self) -> Self {
        for row in self.store.rows.values_mut() {
            row.waiting.retain(|waiting| waiting.until > NOW);
            if row.ends_at <= NOW {
                row.generation = 0;
            }
        }
        self.store.prune(NOW);
        self.rank_numbers();
        self.calls.sort_unstable();
        self
    }

    /// The same world with the guards in order, where it makes no difference which is which.
    pub(super) fn in_order(mut self) -> Self {
        let mut order: Vec<usize> = (0..self.guards.len()).collect();
        order.sort_by(|one, other| self.guards[*one].cmp(&self.guards[*other]));
        let place = |guard: usize| order.iter().position(|old| *old == guard).unwrap_or(guard);
        let name = |owner: i64| {
            usize::try_from(owner).map_or(owner, |guard| super::steps::owner(place(guard)))
        };
        for call in &mut self.calls {
            call.guard = call.guard.map(place);
        }
        for waiting in self.store.rows.values_mut().flat_map(|row| &mut row.waiting) {
            waiting.guard = name(waiting.guard);
        }
        self.guards.sort_unstable();
        self.calls.sort_unstable();
        self
    }

    /// Only the order of numbers counts, so that each may be replaced by its rank.
    fn rank_numbers(&mut self) {
        let mut numbers: Vec<u64> = self.numbers().collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.store.last = numbers.len() as u64;
        if numbers.last().is_none_or(|last| *last == self.store.last) {
            return;
        }
        let rank = |number: &mut u64| {
            *number = numbers.partition_point(|lower| lower <= number) as u64;
        };
        for row in self.store.rows.values_mut() {
            row.waiting.iter_mut().for_each(|waiting| rank(&mut waiting.ticket.0));
            if row.ends_at > NOW {
                rank(&mut row.generation);
            }
        }
        for guard in &mut self.guards {
            if let Guard::Waits { ticket, .. } = guard {
                rank(&mut ticket.0);
            }
            guard.grants_mut().iter_mut().for_each(|grant| rank(&mut grant.generation));
        }
        let of_calls = self.calls.iter_mut().flat_map(|call| &mut call.grants);
        of_calls.for_each(|grant| rank(&mut grant.generation));
    }

    /// The numbers of all grants and waiting callers that somebody knows of.
    fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let tickets = self.guards.iter().filter_map(|guard| match guard {
            Guard::Waits { ticket, .. } => Some(ticket),
            _ => None,
        });
        let noted = self.store.rows.values().flat_map(|row| &row.waiting);
        let tickets = noted.map(|waiting| &waiting.ticket).chain(tickets).map(|ticket| ticket.0);
        self.generations().chain(tickets)
    }

    /// The numbers of all grants that somebody knows of.
    pub(super) fn generations(&self) -> impl Iterator<Item = u64> + '_ {
        let of_guards = self.guards.iter().flat_map(Guard::grants);
        let of_calls = self.calls.iter().flat_map(|call| &call.grants);
        let held = self.store.rows.values().filter(|row| row.ends_at > NOW);
        let held = held.map(|row| row.generation);
        of_guards.chain(of_calls).map(|grant| grant.generation).chain(held)
    }
}

impl Guard {
    pub(super) fn grants(&self) -> &[Grant] {
        match self {
            Self::Idle | Self::Waits { .. } => &[],
            Self::Granted(grants)
            | Self::Asking(grants, _)
            | Self::Leaving(grants, _)
            | Self::Sent(grants, _) => grants,
        }
    }

    fn grants_mut(&mut self) -> &mut [Grant] {
        match self {
            Self::Idle | Self::Waits { .. } => &mut [],
            Self::Granted(grants)
            | Self::Asking(grants, _)
            | Self::Leaving(grants, _)
            | Self::Sent(grants, _) => grants,
        }
    }
}
