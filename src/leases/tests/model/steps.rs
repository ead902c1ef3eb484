//! What can happen next. A guard that does nothing while others act and time passes is one that
//! sleeps; so everything here may also not happen, but for the passing of time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rules::{CountsFrom, Named, Rules};
use super::world::{Call, Guard, NOW, Whereabouts, World};
use crate::leases::LeaseKey;
use crate::leases::api::Grant;
use crate::leases::backend::{Batch, BatchResult};
use crate::leases::state::Time;

/// How many dead processes may be noted as waiting at one time: without a bound there would be no
/// end to worlds in which a guard begins to wait and is killed, over and over, with no time
/// passing.
const DEAD_WAITING: usize = 1;

/// Guards by their number, calls by their place among the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    TimePasses,
    /// It takes the keys if all of them are free.
    Take(usize),
    Wait(usize),
    /// It gives its sign of life, and learns whether it is its turn.
    Look(usize),
    StopWaiting(usize),
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
    /// An older state of the store is back, without a row of now.
    StoreLosesRows,
}

/// Which guard writes which keys, by which rules.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) rules: Rules,
    pub(super) wants: Vec<BTreeSet<LeaseKey>>,
    /// Whether all want the same, so that it makes no difference which is which.
    pub(super) alike: bool,
    /// Whether the store may lose its rows.
    pub(super) loses_rows: bool,
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
        if self.loses_rows && world.store.quiet_until <= NOW {
            steps.push(Step::StoreLosesRows);
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
                steps.extend([Step::Take(number), Step::Wait(number)]);
                return;
            }
            Guard::Waits { .. } => {
                steps.extend([Step::Look(number), Step::StopWaiting(number)]);
                if self.dead_waiting(world) >= DEAD_WAITING {
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
            Step::Wait(number) => self.wait(&mut next, number),
            Step::Look(number) => self.look(&mut next, number),
            Step::StopWaiting(number) => self.stop_waiting(&mut next, number),
            Step::Keep(number) => {
                let renew = vec![(grants(&next, number), self.rules.terms.unsent)];
                // What was not kept is found lost when it is to be sent.
                self.batch(&mut next, number, &Batch { renew, ..Batch::default() });
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
            Step::StoreLosesRows => {
                next.store.rows.clear();
                next.store.quiet_until = self.rules.quiet;
            }
        }
        let next = next.settled();
        if self.alike { next.in_order() } else { next }
    }

    fn take(&self, world: &mut World, number: usize) {
        let wanted = &self.wants[number];
        let noted = world.store.clone();
        if !self.rules.tries_stand_back {
            world.store.rows.values_mut().for_each(|row| row.waiting.clear());
        }
        let results =
            self.batch(world, number, &Batch { take: vec![wanted.clone()], ..Batch::default() });
        if !self.rules.tries_stand_back {
            for (key, row) in noted.rows {
                world.store.rows.entry(key).or_default().waiting = row.waiting;
            }
        }
        let taken = results.taken.concat();
        if taken.len() == wanted.len() {
            world.guards[number] = Guard::Granted(taken);
        } else {
            self.batch(world, number, &Batch { release: taken, ..Batch::default() });
        }
    }

    fn wait(&self, world: &mut World, number: usize) {
        let arrive = vec![self.wants[number].clone()];
        let results = self.batch(world, number, &Batch { arrive, ..Batch::default() });
        world.guards[number] = match results.granted.first() {
            Some((_, grants)) => Guard::Granted(grants.clone()),
            None => {
                Guard::Waits { ticket: results.arrived[0], silent: Duration::ZERO, overtaken: 0 }
            }
        };
    }

    pub(super) fn look(&self, world: &mut World, number: usize) {
        let Guard::Waits { ticket, silent, .. } = &mut world.guards[number] else { return };
        *silent = Duration::ZERO;
        let (wanted, waiting) = (&self.wants[number], (*ticket, self.wants[number].clone()));
        let batch = Batch { waiting: vec![waiting], complete: wanted.clone(), ..Batch::default() };
        let results = self.batch(world, number, &batch);
        if let Some((_, grants)) = results.granted.first() {
            world.guards[number] = Guard::Granted(grants.clone());
        }
    }

    fn stop_waiting(&self, world: &mut World, number: usize) {
        world.guards[number] = Guard::Idle;
        let complete = self.wants[number].clone();
        self.batch(world, number, &Batch { complete, ..Batch::default() });
    }

    fn renew(&self, world: &mut World, number: usize) {
        let Guard::Asking(grants, since) = world.guards[number].clone() else { return };
        let span = match self.rules.counts_from {
            CountsFrom::Renewal => self.rules.renewed_for,
            CountsFrom::OwnersAsking => self.rules.renewed_for.saturating_sub(since),
            CountsFrom::Grant => {
                let left = |grant: &Grant| world.store.rows.get(&grant.key).map(|row| row.ends_at);
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
        let results = self.batch(world, number, &Batch { renew, ..Batch::default() });
        if results.renewed.iter().any(Result::is_err) {
            // The others of the call are given back, and the write begins to wait anew.
            return self.release(world, number);
        }
        let sleeps_unnoticed = self.rules.counts_from == CountsFrom::OwnersAsking;
        let since = if sleeps_unnoticed { Duration::ZERO } else { since };
        world.guards[number] = Guard::Leaving(grants, since);
    }

    pub(super) fn release(&self, world: &mut World, number: usize) {
        let release = named(world, &grants(world, number), self.rules.release_names);
        self.batch(world, number, &Batch { release, ..Batch::default() });
        forget(world, number);
    }

    /// What it left in the store stays: its lease, and that it waits, under the name of a process
    /// that is no more.
    fn kill(&self, world: &mut World, number: usize) {
        if !self.rules.outlives_its_owner {
            let release = grants(world, number);
            self.batch(world, number, &Batch { release, ..Batch::default() });
        }
        let waiting = |world: &World, name: i64| {
            let mut noted = world.store.rows.values().flat_map(|row| &row.waiting);
            noted.any(|waiting| waiting.guard == name)
        };
        let mut names = (owner(self.wants.len())..).take(DEAD_WAITING + 1);
        if let Some(dead) = names.find(|name| !waiting(world, *name)) {
            let noted = world.store.rows.values_mut().flat_map(|row| &mut row.waiting);
            for waiting in noted.filter(|waiting| waiting.guard == owner(number)) {
                waiting.guard = dead;
            }
        }
        forget(world, number);
    }

    fn batch(&self, world: &mut World, number: usize, batch: &Batch) -> BatchResult {
        let highest = world.generations().max();
        let time = Time { now: NOW, clock: 0 };
        let results = world.store.apply(owner(number), time, batch, self.rules.terms);
        if !self.rules.notes_who_waits {
            world.store.rows.values_mut().for_each(|row| row.waiting.clear());
        }
        let granted = results.granted.iter().flat_map(|(_, grants)| grants);
        let new: Vec<Grant> = granted.chain(results.taken.iter().flatten()).copied().collect();
        world.generations_went_back |=
            new.iter().any(|grant| highest.is_some_and(|highest| grant.generation <= highest));
        for (other, guard) in world.guards.iter_mut().enumerate() {
            if let Guard::Waits { silent, overtaken, .. } = guard
                && other != number
                && *silent < self.rules.terms.place
                && new.iter().any(|grant| self.wants[other].contains(&grant.key))
            {
                *overtaken = (*overtaken + 1).min(self.wants.len());
            }
        }
        results
    }

    fn dead_waiting(&self, world: &World) -> usize {
        let living = 0..owner(self.wants.len());
        let noted = world.store.rows.values().flat_map(|row| &row.waiting);
        let dead: BTreeSet<i64> = noted.map(|waiting| waiting.guard).collect();
        dead.iter().filter(|name| !living.contains(name)).count()
    }
}

/// Whatever a guard did, it does it no more.
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
        let row = world.store.rows.get(&grant.key).filter(|row| row.ends_at > NOW)?;
        Some(Grant { key: grant.key, generation: row.generation })
    };
    match by {
        Named::Grant => grants.to_vec(),
        Named::Key => grants.iter().filter_map(held).collect(),
    }
}
