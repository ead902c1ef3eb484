//! Everything that the protocol depends on at one moment: the book of the store, what each guard is
//! at, and the calls.
//!
//! Moments are told apart by what can still come of them, so that there is an end to them: the
//! present is always zero, a time that is over is forgotten, and numbers are replaced by their
//! ranks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rules::Rules;
use crate::guard::lease::book::{Book, Entries};
use crate::guard::lease::table::{Grant, Ticket};
use crate::guard::lease::{LeaseKey, MARGIN};

/// The step of the clock. Every span of the protocol is a whole number of them.
pub(super) const TICK: Duration = MARGIN;

/// The present.
pub(super) const NOW: Duration = Duration::ZERO;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) book: Entries,
    pub(super) guards: Vec<Guard>,
    /// In order, so that it does not matter which left first.
    pub(super) calls: Vec<Call>,
    /// A grant had a lower number than one before it.
    pub(super) fences_went_back: bool,
}

/// What a guard is at, with one write. In all of these it may sleep, or be killed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Guard {
    #[default]
    Idle,
    InLine(Ticket),
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
                Guard::Idle | Guard::InLine(_) | Guard::Granted(_) => {}
            }
        }
        for call in &mut self.calls {
            call.since += TICK;
        }
        self.calls.retain(|call| call.at == Whereabouts::OnItsWay || call.since < rules.limit);
    }

    pub(super) fn pass_in_store(&mut self, span: Duration) {
        for held in self.book.leases.values_mut() {
            held.ends_at = held.ends_at.saturating_sub(span);
        }
        for alive_until in self.book.owners.values_mut() {
            *alive_until = alive_until.saturating_sub(span);
        }
    }

    /// Calls of the key that have looked up and not inserted yet.
    pub(super) fn running(&self, key: LeaseKey) -> usize {
        let of_key = |call: &&Call| call.grants.iter().any(|grant| grant.key == key);
        self.calls.iter().filter(|call| call.at == Whereabouts::Running).filter(of_key).count()
    }

    /// Whether the right that a call was sent with is still its own.
    pub(super) fn is_covered(&self, grants: &[Grant]) -> bool {
        grants.iter().all(|grant| {
            let held = self.book.leases.get(&grant.key);
            held.is_some_and(|held| held.fence == grant.fence && held.ends_at > NOW)
        })
    }

    /// Does something with the book that these are the entries of.
    pub(super) fn with_book<T>(&mut self, act: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = Book::from(std::mem::take(&mut self.book));
        let done = act(&mut book);
        self.book = book.into_entries();
        done
    }

    /// Forgets what nobody can tell any more.
    pub(super) fn settled(mut self) -> Self {
        // The next round begins with it, whoever makes it.
        self.with_book(|book| book.remove_what_is_over(NOW));
        let waited_at: BTreeSet<i64> = self.book.places.values().map(|place| place.owner).collect();
        self.book.owners.retain(|owner, _| waited_at.contains(owner));
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
        for at in self.book.places.values_mut() {
            at.owner = name(at.owner);
        }
        self.book.owners =
            self.book.owners.iter().map(|(owner, alive)| (name(*owner), *alive)).collect();
        self.guards.sort_unstable();
        self.calls.sort_unstable();
        self
    }

    /// Only the order of numbers counts, so that each may be replaced by its rank.
    fn rank_numbers(&mut self) {
        let mut numbers: Vec<u64> = self.numbers().collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.book.last = numbers.len() as u64;
        if numbers.last().is_none_or(|last| *last == self.book.last) {
            return;
        }
        let rank = |number: &mut u64| {
            *number = numbers.partition_point(|lower| lower <= number) as u64;
        };
        let rank_ticket = |ticket: Ticket| {
            let mut number = ticket.0.unsigned_abs();
            rank(&mut number);
            Ticket(number.cast_signed())
        };
        let places = std::mem::take(&mut self.book.places);
        self.book.places =
            places.into_iter().map(|(ticket, place)| (rank_ticket(ticket), place)).collect();
        self.book.leases.values_mut().for_each(|held| rank(&mut held.fence));
        for guard in &mut self.guards {
            if let Guard::InLine(ticket) = guard {
                *ticket = rank_ticket(*ticket);
            }
            guard.grants_mut().iter_mut().for_each(|grant| rank(&mut grant.fence));
        }
        let of_calls = self.calls.iter_mut().flat_map(|call| &mut call.grants);
        of_calls.for_each(|grant| rank(&mut grant.fence));
    }

    /// The numbers of all grants and places that somebody knows of.
    fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let tickets = self.guards.iter().filter_map(|guard| match guard {
            Guard::InLine(ticket) => Some(ticket),
            _ => None,
        });
        let tickets = self.book.places.keys().chain(tickets).map(|ticket| ticket.0.unsigned_abs());
        self.fences().chain(tickets)
    }

    /// The numbers of all grants that somebody knows of.
    pub(super) fn fences(&self) -> impl Iterator<Item = u64> + '_ {
        let of_guards = self.guards.iter().flat_map(Guard::grants);
        let of_calls = self.calls.iter().flat_map(|call| &call.grants);
        let held = self.book.leases.values().map(|held| held.fence);
        of_guards.chain(of_calls).map(|grant| grant.fence).chain(held)
    }
}

impl Guard {
    pub(super) fn grants(&self) -> &[Grant] {
        match self {
            Self::Idle | Self::InLine(_) => &[],
            Self::Granted(grants)
            | Self::Asking(grants, _)
            | Self::Leaving(grants, _)
            | Self::Sent(grants, _) => grants,
        }
    }

    fn grants_mut(&mut self) -> &mut [Grant] {
        match self {
            Self::Idle | Self::InLine(_) => &mut [],
            Self::Granted(grants)
            | Self::Asking(grants, _)
            | Self::Leaving(grants, _)
            | Self::Sent(grants, _) => grants,
        }
    }
}
