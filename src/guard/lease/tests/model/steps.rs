//! What can happen next. A guard that does nothing while others act and time passes is one that
//! sleeps; so everything here may also not happen, but for the passing of time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rules::{CountsFrom, Named, Rules};
use super::world::{Call, Guard, NOW, Whereabouts, World};
use crate::guard::lease::LeaseKey;
use crate::guard::lease::table::{Grant, Results, Round};

/// How many dead processes may have places in the lines at one time: without a bound there would be
/// no end to worlds in which a guard gets in line and is killed, over and over, with no time
/// passing.
const DEAD_IN_LINE: usize = 1;

/// Guards by their number, calls by their place among the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    TimePasses,
    /// It takes the keys if all of them are free.
    Take(usize),
    GetInLine(usize),
    /// It gives its sign of life, and learns whether it is its turn.
    LookInLine(usize),
    LeaveLine(usize),
    /// Its look-up takes long.
    Keep(usize),
    /// It has nothing to send after all.
    GiveBack(usize),
    AskForRenewal(usize),
    Renew(usize),
    /// It could not connect, or not in time.
    PutOff(usize),
    Send(usize),
    /// The answer says what came of the call, or a look-up does.
    Answered(usize),
    /// The answer is that there were too many calls: it is sent again later.
    TurnedAway(usize),
    /// It takes the call to be over, having heard nothing.
    Settle(usize),
    /// It is killed, and started anew.
    Kill(usize),
    Arrive(usize),
    Insert(usize),
}

/// Which guard writes which keys, by which rules.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) rules: Rules,
    pub(super) wants: Vec<BTreeSet<LeaseKey>>,
    /// Whether all want the same, so that it makes no difference which is which.
    pub(super) alike: bool,
    /// Which promise alone is looked at.
    pub(super) only: Option<&'static str>,
}

impl Protocol {
    /// All that may happen now.
    pub(super) fn possible(&self, world: &World, steps: &mut Vec<Step>) {
        let overdue = |call: &Call| {
            call.at == Whereabouts::OnItsWay && call.since >= self.rules.arrives_within
        };
        if !world.calls.iter().any(overdue) {
            steps.push(Step::TimePasses);
        }
        for (number, call) in world.calls.iter().enumerate() {
            steps.push(match call.at {
                Whereabouts::OnItsWay => Step::Arrive(number),
                Whereabouts::Running => Step::Insert(number),
            });
        }
        for (number, guard) in world.guards.iter().enumerate() {
            self.possible_for(world, number, guard, steps);
        }
    }

    fn possible_for(&self, world: &World, number: usize, guard: &Guard, steps: &mut Vec<Step>) {
        match guard {
            Guard::Idle => {
                steps.extend([Step::Take(number), Step::GetInLine(number)]);
                return;
            }
            Guard::InLine(_) => {
                steps.extend([Step::LookInLine(number), Step::LeaveLine(number)]);
                if self.dead_places(world) >= DEAD_IN_LINE {
                    return;
                }
            }
            Guard::Granted(_) => {
                steps.extend([
                    Step::Keep(number),
                    Step::GiveBack(number),
                    Step::AskForRenewal(number),
                ]);
            }
            Guard::Asking(..) => steps.push(Step::Renew(number)),
            Guard::Leaving(_, since) => {
                steps.push(Step::PutOff(number));
                if *since <= self.rules.leaves_within {
                    steps.push(Step::Send(number));
                }
            }
            Guard::Sent(_, since) => {
                if !world.calls.iter().any(|call| call.guard == Some(number)) {
                    steps.extend([Step::Answered(number), Step::TurnedAway(number)]);
                }
                if *since >= self.rules.settled_after {
                    steps.push(Step::Settle(number));
                }
            }
        }
        steps.push(Step::Kill(number));
    }

    /// What a step leads to.
    pub(super) fn after(&self, world: &World, step: Step) -> World {
        let mut next = world.clone();
        match step {
            Step::TimePasses => next.pass(&self.rules),
            Step::Take(number) => self.take(&mut next, number),
            Step::GetInLine(number) => self.get_in_line(&mut next, number),
            Step::LookInLine(number) => self.look_in_line(&mut next, number),
            Step::LeaveLine(number) => self.leave_line(&mut next, number),
            Step::Keep(number) => {
                let renew = vec![(grants(&next, number), self.rules.terms.unsent)];
                // What was not kept is found lost when it is to be sent.
                self.round(&mut next, number, &Round { renew, ..Round::default() });
            }
            Step::GiveBack(number) | Step::Answered(number) | Step::Settle(number) => {
                self.release(&mut next, number);
            }
            Step::AskForRenewal(number) => {
                next.guards[number] = Guard::Asking(grants(&next, number), Duration::ZERO);
            }
            Step::Renew(number) => self.renew(&mut next, number),
            Step::PutOff(number) | Step::TurnedAway(number) => {
                next.guards[number] = Guard::Granted(grants(&next, number));
            }
            Step::Send(number) => {
                let grants = grants(&next, number);
                next.guards[number] = Guard::Sent(grants.clone(), Duration::ZERO);
                let at = Whereabouts::OnItsWay;
                next.calls.push(Call { at, since: Duration::ZERO, grants, guard: Some(number) });
            }
            Step::Kill(number) => self.kill(&mut next, number),
            Step::Arrive(number) => {
                next.calls[number].at = Whereabouts::Running;
                next.calls[number].since = Duration::ZERO;
            }
            Step::Insert(number) => drop(next.calls.remove(number)),
        }
        let next = next.settled();
        if self.alike { next.in_order() } else { next }
    }

    fn take(&self, world: &mut World, number: usize) {
        let wanted = &self.wants[number];
        let results =
            self.round(world, number, &Round { take: vec![wanted.clone()], ..Round::default() });
        let taken = results.taken.concat();
        if taken.len() == wanted.len() {
            world.guards[number] = Guard::Granted(taken);
        } else {
            self.round(world, number, &Round { release: taken, ..Round::default() });
        }
    }

    fn get_in_line(&self, world: &mut World, number: usize) {
        let enter = vec![self.wants[number].clone()];
        let results = self.round(world, number, &Round { enter, ..Round::default() });
        world.guards[number] = match results.granted.first() {
            Some((_, grants)) => Guard::Granted(grants.clone()),
            None => Guard::InLine(results.entered[0]),
        };
    }

    pub(super) fn look_in_line(&self, world: &mut World, number: usize) {
        let Guard::InLine(ticket) = world.guards[number] else { return };
        let waiting = BTreeSet::from([ticket]);
        let results = self.round(world, number, &Round { waiting, ..Round::default() });
        if let Some((_, grants)) = results.granted.first() {
            world.guards[number] = Guard::Granted(grants.clone());
        } else if results.gone.contains(&ticket) {
            world.guards[number] = Guard::Idle;
        }
    }

    fn leave_line(&self, world: &mut World, number: usize) {
        let Guard::InLine(ticket) = std::mem::take(&mut world.guards[number]) else { return };
        self.round(world, number, &Round { leave: vec![ticket], ..Round::default() });
    }

    fn renew(&self, world: &mut World, number: usize) {
        let Guard::Asking(grants, since) = world.guards[number].clone() else { return };
        let span = match self.rules.counts_from {
            CountsFrom::Renewal => self.rules.renewed_for,
            CountsFrom::OwnersAsking => self.rules.renewed_for.saturating_sub(since),
            CountsFrom::Grant => {
                let left =
                    |grant: &Grant| world.book.leases.get(&grant.key).map(|held| held.ends_at);
                let age = self
                    .rules
                    .terms
                    .unsent
                    .saturating_sub(grants.iter().filter_map(left).min().unwrap_or(NOW));
                self.rules.renewed_for.saturating_sub(age)
            }
        };
        let named = named(world, &grants, self.rules.renewal_names);
        let renew = if self.rules.renews { vec![(named, span)] } else { Vec::new() };
        let results = self.round(world, number, &Round { renew, ..Round::default() });
        if results.renewed.iter().any(Result::is_err) {
            // The others of the call are given back, and the write gets in line anew.
            return self.release(world, number);
        }
        let sleeps_unnoticed = self.rules.counts_from == CountsFrom::OwnersAsking;
        let since = if sleeps_unnoticed { Duration::ZERO } else { since };
        world.guards[number] = Guard::Leaving(grants, since);
    }

    pub(super) fn release(&self, world: &mut World, number: usize) {
        let release = named(world, &grants(world, number), self.rules.release_names);
        self.round(world, number, &Round { release, ..Round::default() });
        forget(world, number);
    }

    /// What it left in the store stays: its lease, and its place, under the name of a process that
    /// is no more.
    fn kill(&self, world: &mut World, number: usize) {
        if !self.rules.outlives_its_owner {
            let release = grants(world, number);
            self.round(world, number, &Round { release, ..Round::default() });
        }
        let name = owner(number);
        let of_the_dead = (owner(self.wants.len())..)
            .take(DEAD_IN_LINE + 1)
            .find(|name| !world.book.owners.contains_key(name));
        if let (Some(dead), Some(alive_until)) = (of_the_dead, world.book.owners.remove(&name)) {
            world.book.owners.insert(dead, alive_until);
            for place in world.book.places.values_mut().filter(|place| place.owner == name) {
                place.owner = dead;
            }
        }
        forget(world, number);
    }

    fn round(&self, world: &mut World, number: usize, round: &Round) -> Results {
        let highest = world.fences().max();
        let results =
            world.with_book(|book| book.round(owner(number), NOW, round, self.rules.terms));
        let granted = results.granted.iter().flat_map(|(_, grants)| grants);
        let mut new = granted.chain(results.taken.iter().flatten());
        world.fences_went_back |=
            new.any(|grant| highest.is_some_and(|highest| grant.fence <= highest));
        results
    }

    fn dead_places(&self, world: &World) -> usize {
        let living = 0..owner(self.wants.len());
        world.book.owners.keys().filter(|name| !living.contains(name)).count()
    }
}

/// Whatever a guard was at, it is at it no more.
fn forget(world: &mut World, number: usize) {
    world.guards[number] = Guard::Idle;
    for call in world.calls.iter_mut().filter(|call| call.guard == Some(number)) {
        call.guard = None;
    }
}

/// The name of a guard in the store.
pub(super) fn owner(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn grants(world: &World, number: usize) -> Vec<Grant> {
    world.guards[number].grants().to_vec()
}

/// These grants, or those of the same keys, whoever has them.
fn named(world: &World, grants: &[Grant], by: Named) -> Vec<Grant> {
    let held = |grant: &Grant| {
        let held = world.book.leases.get(&grant.key)?;
        Some(Grant { key: grant.key, fence: held.fence })
    };
    match by {
        Named::Grant => grants.to_vec(),
        Named::Key => grants.iter().filter_map(held).collect(),
    }
}
