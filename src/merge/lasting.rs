//! The words in force that outlive their plans, by key, and what they say of a group. Pure but for
//! the ledger; what a word means is [`crate::dedupe::LastingWord`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use crate::dedupe::{Choice, Decisions, Key, LastingWord, Named, Standing};
use crate::lead::{Lead, LeadId};
use crate::ledger::{self, LastingRow, Ledger};

/// Every word in force.
#[derive(Debug, Default)]
pub(crate) struct LastingWords(BTreeMap<String, Vec<LastingWord>>);

/// What the words say of a group as a plan is made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Why the group is left alone.
    pub(crate) alone: Option<String>,
    /// Why somebody has to look again before it is merged.
    pub(crate) look_again: Vec<String>,
    /// What is taken over into the plan, by the last word that says so.
    pub(crate) taken_over: Option<(Decisions, LastingWord)>,
}

impl Said {
    /// Whether the group is in the plan, but not to be merged as things stand.
    pub(crate) fn is_held(&self) -> bool {
        self.taken_over.as_ref().is_some_and(|(decided, _)| decided.is_left_alone())
    }

    /// Why the group is no part of a plan. One for people shows what is held or left out; one of
    /// safe groups alone, or of a merge at once, leaves it alone.
    pub(crate) fn why_left(&self, for_review: bool, has_red: bool) -> Option<String> {
        if let Some(why) = &self.alone {
            return Some(why.clone());
        }
        let (decided, word) = self.taken_over.as_ref()?;
        if for_review && (has_red || !self.is_held()) {
            return None;
        }
        let why = taken_over_in_words(decided, &word.by_and_when());
        Some(format!("{why}; `mkto-audit plan create` makes a plan in which a person decides"))
    }
}

/// `held by Bo on 2026-11-30 (plan november)`.
pub(crate) fn taken_over_in_words(decided: &Decisions, by_and_when: &str) -> String {
    let out = (!decided.left_out.is_empty())
        .then(|| format!("{} left out", crate::dedupe::records(&decided.left_out)));
    let held = (decided.choice == Some(Choice::Hold)).then(|| "held".to_owned());
    let what: Vec<String> = held.into_iter().chain(out).collect();
    format!("{} by {by_and_when}", what.join(", "))
}

impl LastingWords {
    pub(crate) fn of(ledger: &Ledger) -> Result<Self, Error> {
        let mut by_key: BTreeMap<String, Vec<LastingWord>> = BTreeMap::new();
        for row in ledger.lasting_words()? {
            by_key.entry(row.key.clone()).or_default().push(word_of(row)?);
        }
        Ok(Self(by_key))
    }

    /// The keys about which something was said.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What was said of these leads, which have this key.
    pub(crate) fn said(&self, key: &Key, leads: &[&Lead]) -> Said {
        let mut said = Said::default();
        let Some(words) = self.0.get(key.as_str()) else { return said };
        let now = Named::of(leads.iter().copied());
        for word in words {
            match word.standing(&now) {
                Standing::Over => {}
                Standing::Alone(why) => said.alone = Some(why),
                Standing::LookAgain(why) => said.look_again.push(why),
                Standing::Decided(decided) => said.taken_over = Some((decided, word.clone())),
            }
        }
        said
    }

    /// Why these records are not merged as this plan has them: by a word that was said in another
    /// plan. Those of the plan itself are its decisions.
    pub(crate) fn against(
        &self,
        plan: &str,
        key: &str,
        now: &[Named],
        merging: &BTreeSet<LeadId>,
    ) -> Option<String> {
        let mut words = self.0.get(key)?.iter().rev().filter(|word| word.plan != plan);
        words.find_map(|word| word.against(now, merging))
    }
}

/// A word as it is read from the ledger.
pub(crate) fn word_of(row: LastingRow) -> Result<LastingWord, Error> {
    let number = row.seq;
    let damaged =
        |error: String| ledger::Error::Damaged { what: format!("word {number}: {error}") };
    Ok(LastingWord {
        number,
        plan: row.plan,
        plan_name: row.plan_name,
        choice: row.choice.map(|choice| choice.parse()).transpose().map_err(damaged)?,
        left_out: serde_json::from_str(&row.left_out)
            .map_err(|error| damaged(error.to_string()))?,
        leads: serde_json::from_str(&row.leads).map_err(|error| damaged(error.to_string()))?,
        note: row.note,
        by: row.by,
        at: row.at,
    })
}
