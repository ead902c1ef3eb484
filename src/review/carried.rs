//! What runs of a plan did with its groups: told beside what is decided about them.
//!
//! For: a group that was merged cannot be decided about any more, and a plan that was carried out
//! says so wherever it is shown. Told from the ledger alone, and read anew only when something was
//! written there since. Never: asks Marketo; decides about the other groups, which a later run may
//! still merge.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::dedupe::Key;
use crate::ledger::{Error, Ledger, PastMerge, PastRun, PlanRuns};
use crate::merge::{self, Outcome, planned_groups};
use crate::terminal::moment;

/// What became of a group in a run of its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardPast {
    /// `merged`, `skipped`, `prepared`, `failed` or `unknown`.
    pub outcome: &'static str,
    /// When, RFC 3339; none where nobody kept it.
    pub at: Option<String>,
    /// The same in words, with the reason.
    pub words: String,
    /// Whether nobody can decide about it any more: records of it are gone, or may be.
    pub is_fixed: bool,
}

/// What became of the groups of a plan, by the key as a person reads it.
#[derive(Debug, Default)]
pub(super) struct Carried {
    groups: BTreeMap<String, CardPast>,
    /// When a run last worked on it, RFC 3339.
    pub(super) last_at: Option<String>,
    /// Whether its last run came to every group that it took up.
    complete: bool,
    /// The last thing that the ledger had when this was read.
    stamp: Option<[i64; 3]>,
}

/// How far a plan was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CarriedState {
    /// No run of it was begun.
    New,
    /// A run of it was begun, and did not come to every group.
    Begun,
    /// Its last run came to every group, or every group that has a record to keep is merged.
    CarriedOut,
}

/// How many groups of a plan ended so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CarriedCounts {
    pub(super) merged: u64,
    pub(super) left_alone: u64,
    pub(super) prepared: u64,
    pub(super) failed: u64,
}

impl Carried {
    /// Reads it anew where the ledger has something that was not there the last time.
    pub(super) fn refresh(&mut self, ledger: &Ledger, plan: &str) -> Result<(), merge::Error> {
        let stamp = Some(ledger.stamp_of_runs()?);
        if self.stamp == stamp {
            return Ok(());
        }
        *self = Self { stamp, ..Self::read(ledger, plan)? };
        Ok(())
    }

    pub(super) fn read(ledger: &Ledger, plan: &str) -> Result<Self, merge::Error> {
        let runs = ledger.runs_of(plan)?;
        let Some(last_at) = runs.last_at else { return Ok(Self::default()) };
        let mut groups = left_alone(ledger, plan)?;
        add_ends(&mut groups, ledger, plan, &runs)?;
        add_merges(&mut groups, &runs.merges);
        for key in &runs.open {
            let words =
                "a merge was sent, and nobody knows yet what came of it; the next run looks first";
            let past = CardPast {
                outcome: Outcome::Unknown.as_str(),
                at: None,
                words: words.to_owned(),
                is_fixed: true,
            };
            groups.insert(shown(key), past);
        }
        Ok(Self {
            groups,
            last_at: Some(last_at.to_rfc3339()),
            complete: runs.complete,
            stamp: None,
        })
    }

    /// What became of the group with this key, as stored.
    pub(super) fn of(&self, stored: &str) -> Option<&CardPast> {
        if self.groups.is_empty() { None } else { self.groups.get(&shown(stored)) }
    }

    /// Whether nobody can decide about the group with this key, as stored.
    pub(super) fn is_fixed(&self, stored: &str) -> bool {
        self.of(stored).is_some_and(|past| past.is_fixed)
    }

    pub(super) fn counts(&self) -> CarriedCounts {
        let count = |wanted: &[Outcome]| {
            let is_it = |past: &&CardPast| wanted.iter().any(|one| one.as_str() == past.outcome);
            self.groups.values().filter(is_it).count() as u64
        };
        CarriedCounts {
            merged: count(&[Outcome::Merged]),
            left_alone: count(&[Outcome::Skipped]),
            prepared: count(&[Outcome::Prepared]),
            failed: count(&[Outcome::Failed, Outcome::Unknown]),
        }
    }

    /// How far a plan was carried out that has so many groups with a record to keep, and so many
    /// that cannot be planned: to its end once a run came to all of them, or once all that have a
    /// record to keep are merged.
    pub(super) fn state(&self, planned: u64, blocked: u64) -> CarriedState {
        if self.last_at.is_none() {
            return CarriedState::New;
        }
        let came_to_all = self.complete && self.groups.len() as u64 >= planned + blocked;
        if came_to_all || self.counts().merged >= planned {
            CarriedState::CarriedOut
        } else {
            CarriedState::Begun
        }
    }
}

/// A key as a person reads it.
fn shown(stored: &str) -> String {
    Key::stored(stored.to_owned()).map_or_else(|| stored.to_owned(), |key| key.to_string())
}

/// The groups that the runs of a plan left alone; the last one counts.
fn left_alone(ledger: &Ledger, plan: &str) -> Result<BTreeMap<String, CardPast>, Error> {
    let of_plan = |run: &PastRun| run.plan.as_deref() == Some(plan);
    let mut runs: Vec<PastRun> = ledger.runs()?.into_iter().filter(of_plan).collect();
    runs.sort_by_key(|run| run.id);
    let mut groups = BTreeMap::new();
    for run in runs {
        for left in ledger.left_alone_of(run.id)?.unwrap_or_default() {
            let why = left.group.reason.unwrap_or_else(|| "the reason was erased".to_owned());
            let past = CardPast {
                outcome: Outcome::Skipped.as_str(),
                at: Some(left.at.to_rfc3339()),
                words: format!("left alone by run {} on {}: {why}", run.id, moment(left.at)),
                is_fixed: false,
            };
            groups.insert(shown(&left.group.key), past);
        }
    }
    Ok(groups)
}

/// Those that failed, were only prepared, or of which nobody knows.
fn add_ends(
    groups: &mut BTreeMap<String, CardPast>,
    ledger: &Ledger,
    plan: &str,
    runs: &PlanRuns,
) -> Result<(), merge::Error> {
    let told = [Outcome::Prepared, Outcome::Failed, Outcome::Unknown];
    let outcome_of = |word: &str| told.into_iter().find(|outcome| outcome.as_str() == word);
    let ends: Vec<_> =
        runs.ends.values().filter_map(|end| Some((end, outcome_of(&end.outcome)?))).collect();
    let winners: Vec<u64> = ends.iter().map(|(end, _)| end.winner).collect();
    let planned =
        if winners.is_empty() { Vec::new() } else { planned_groups(ledger, plan, &winners)? };
    for (end, outcome) in ends {
        let Some(group) = planned.iter().find(|group| group.winner == end.winner) else { continue };
        let what = match outcome {
            Outcome::Prepared => "its record to keep was written to, and it was not merged",
            Outcome::Unknown => "nobody knows what became of it",
            _ => "it was not merged",
        };
        let why = end.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let past = CardPast {
            outcome: outcome.as_str(),
            at: None,
            words: format!("{what}{why}"),
            is_fixed: false,
        };
        groups.insert(group.key.to_string(), past);
    }
    Ok(())
}

fn add_merges(groups: &mut BTreeMap<String, CardPast>, merges: &[PastMerge]) {
    let mut by_key: BTreeMap<&str, Vec<&PastMerge>> = BTreeMap::new();
    for merge in merges {
        by_key.entry(&merge.key).or_default().push(merge);
    }
    for (key, merges) in by_key {
        let Some(last) = merges.last() else { continue };
        let gone: Vec<String> =
            merges.iter().flat_map(|merge| &merge.merged).map(ToString::to_string).collect();
        let before =
            groups.get(&shown(key)).filter(|past| past.outcome == Outcome::Failed.as_str());
        let rest = before.map(|past| format!("; {}", past.words)).unwrap_or_default();
        let past = CardPast {
            outcome: if before.is_some() { Outcome::Failed } else { Outcome::Merged }.as_str(),
            at: Some(last.at.to_rfc3339()),
            words: format!(
                "merged on {}: {} went into {}{rest}",
                moment(last.at),
                gone.join(", "),
                last.survivor
            ),
            is_fixed: true,
        };
        groups.insert(shown(key), past);
    }
}
