//! What a person said about a group that outlives its plan: hold, not the same, left out. Pure.
//!
//! For: one place says what of a decision lasts, what still stands after records came, went or got
//! another name, and what a later decision ends. A word speaks of records, each with the name that
//! it had. *Not the same* stands between those of them that are still there as they were; *hold* and
//! *left out* stand by the records' ids, and a record that got another name has somebody look again.
//! A name in other letters, or with blanks around it, is no other name. Never: lets two records that
//! were said to be different people merge unless somebody decides about them anew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::decision::{Choice, Decisions};
use crate::lead::{Lead, LeadId};

/// A record that somebody looked at when they said so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: LeadId,
    /// First name.
    pub first: Option<String>,
    /// Last name.
    pub last: Option<String>,
}

impl Named {
    /// These leads, by id.
    pub fn of<'l>(leads: impl IntoIterator<Item = &'l Lead>) -> Vec<Self> {
        let named = |lead: &Lead| Self {
            id: lead.id,
            first: lead.first_name().map(str::to_owned),
            last: lead.last_name().map(str::to_owned),
        };
        let mut all: Vec<Self> = leads.into_iter().map(named).collect();
        all.sort();
        all
    }

    /// Whether this is the same record with the same name, in whichever letters.
    fn is_as(&self, other: &Self) -> bool {
        let folded =
            |name: &Option<String>| name.as_deref().unwrap_or_default().trim().to_lowercase();
        self.id == other.id
            && folded(&self.first) == folded(&other.first)
            && folded(&self.last) == folded(&other.last)
    }
}

/// A word that outlives its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastingWord {
    /// Its number in the ledger.
    pub number: i64,
    /// The plan in which it was said, by its id.
    pub plan: String,
    /// What people call that plan.
    pub plan_name: String,
    /// `Hold` or `NotSame`; none where records alone are left out.
    pub choice: Option<Choice>,
    /// The records that take no part.
    pub left_out: BTreeSet<LeadId>,
    /// Every record of the group as it was then.
    pub leads: Vec<Named>,
    /// Why, in their words.
    pub note: Option<String>,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

/// What a word says of a group as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing any more.
    Over,
    /// The records are not one person: the group is left alone.
    Alone(String),
    /// Somebody has to look again before it is merged: why.
    LookAgain(String),
    /// The group is as decided then, unless somebody decides otherwise.
    Decided(Decisions),
}

/// What of a decision outlives its plan: the choice, and the records that are left out.
pub fn lasting_part(decisions: &Decisions) -> Option<(Option<Choice>, BTreeSet<LeadId>)> {
    let choice = decisions.choice.filter(|choice| matches!(choice, Choice::Hold | Choice::NotSame));
    // Records that are not one person are all apart from one another.
    let is_apart = choice == Some(Choice::NotSame);
    let left_out = if is_apart { BTreeSet::new() } else { decisions.left_out.clone() };
    (choice.is_some() || !left_out.is_empty()).then_some((choice, left_out))
}

impl LastingWord {
    /// What it says of the records that the key has now.
    pub fn standing(&self, now: &[Named]) -> Standing {
        let as_they_were = self.as_they_were(now);
        let new: Vec<LeadId> =
            now.iter().map(|lead| lead.id).filter(|id| !self.spoke_of(*id)).collect();
        let is_whole = as_they_were.len() == self.leads.len();
        let left = match self.choice {
            Some(Choice::NotSame) => as_they_were.len(),
            _ => self.there(now).len(),
        };
        if left < 2 && self.choice.is_some() {
            return Standing::Over;
        }
        match self.choice {
            Some(Choice::NotSame) if is_whole && new.is_empty() => Standing::Alone(format!(
                "{} that its records are not one person{}; `mkto-audit decisions forget {} --by NAME` takes that back",
                self.said(),
                self.why(),
                self.number
            )),
            Some(Choice::NotSame) => Standing::LookAgain(format!(
                "{} that {} are not one person{}; {}",
                self.said(),
                records(&as_they_were),
                self.why(),
                self.since(&as_they_were, &new)
            )),
            Some(_hold) if !is_whole => Standing::LookAgain(format!(
                "it was held by {}{}; {}",
                self.by_and_when(),
                self.why(),
                self.since(&as_they_were, &new)
            )),
            _ => self.as_decided(&as_they_were, now),
        }
    }

    /// The decisions of the group as it is now.
    fn as_decided(&self, as_they_were: &BTreeSet<LeadId>, now: &[Named]) -> Standing {
        let left_out: BTreeSet<LeadId> = &self.left_out & &self.there(now);
        if self.choice.is_none() && left_out.is_empty() {
            return Standing::Over;
        }
        let renamed = &left_out - as_they_were;
        if !renamed.is_empty() {
            let (who, has) = (records(&left_out), if renamed.len() == 1 { "has" } else { "have" });
            return Standing::LookAgain(format!(
                "{who} left out by {}{}; {} {has} another name since",
                self.by_and_when(),
                self.why(),
                records(&renamed)
            ));
        }
        // With one record there is nothing to merge: the group is as somebody wanted it.
        let choice = self.choice.or((now.len() < left_out.len() + 2).then_some(Choice::Skip));
        Standing::Decided(Decisions {
            choice,
            left_out,
            note: self.note.clone(),
            ..Decisions::default()
        })
    }

    /// Why these records are not merged with one another, though a plan has them so.
    pub fn against(&self, now: &[Named], merging: &BTreeSet<LeadId>) -> Option<String> {
        let merged: BTreeSet<LeadId> = &self.as_they_were(now) & merging;
        let there = self.there(now);
        match self.choice {
            Some(Choice::NotSame) if merged.len() > 1 => Some(format!(
                "{} that {} are not one person{}; `mkto-audit decisions forget {} --by NAME` takes that back",
                self.said(),
                if merged.len() == now.len() { "its records".to_owned() } else { records(&merged) },
                self.why(),
                self.number
            )),
            Some(Choice::Hold) if there.len() > 1 => {
                Some(format!("held by {}{}", self.by_and_when(), self.why()))
            }
            _ => {
                let out: BTreeSet<LeadId> = &(&self.left_out & &there) & merging;
                let who = records(&out);
                (!out.is_empty())
                    .then(|| format!("{who} left out by {}{}", self.by_and_when(), self.why()))
            }
        }
    }

    /// Whether a later decision ends it. `part`: the records of the group that take part in it;
    /// `agrees`: it is what the word itself has decided there.
    pub fn is_ended_by(
        &self,
        decisions: &Decisions,
        part: &BTreeSet<LeadId>,
        agrees: bool,
    ) -> bool {
        match (self.choice, decisions.choice) {
            // Of records that the group does not have now, the earlier one says more.
            (Some(Choice::NotSame), Some(Choice::NotSame)) => {
                self.leads.iter().all(|lead| part.contains(&lead.id))
            }
            (Some(Choice::NotSame), Some(Choice::Merge)) => {
                self.leads.iter().filter(|lead| part.contains(&lead.id)).count() > 1
            }
            // Whoever leaves the group alone for now says nothing about who is who.
            (Some(Choice::NotSame), _) | (_, Some(Choice::Skip)) => false,
            _ => !agrees,
        }
    }

    /// Who said it, when, in which plan: `Bo on 2026-11-30 (plan november)`.
    pub fn by_and_when(&self) -> String {
        by_and_when(&self.by, &self.at, &self.plan_name)
    }

    fn said(&self) -> String {
        let (day, plan) = (day(&self.at), &self.plan_name);
        format!("{} said on {day} (plan {plan})", self.by)
    }

    fn why(&self) -> String {
        self.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default()
    }

    fn spoke_of(&self, id: LeadId) -> bool {
        self.leads.iter().any(|lead| lead.id == id)
    }

    /// The records of the word that are there, whatever their names are.
    fn there(&self, now: &[Named]) -> BTreeSet<LeadId> {
        now.iter().map(|lead| lead.id).filter(|id| self.spoke_of(*id)).collect()
    }

    /// Those with the name that they had.
    fn as_they_were(&self, now: &[Named]) -> BTreeSet<LeadId> {
        let is_as_it_was = |lead: &&Named| self.leads.iter().any(|then| then.is_as(lead));
        now.iter().filter(is_as_it_was).map(|lead| lead.id).collect()
    }

    /// What is otherwise than it was when it was said.
    fn since(&self, as_they_were: &BTreeSet<LeadId>, new: &[LeadId]) -> String {
        let other: BTreeSet<LeadId> = self.leads.iter().map(|lead| lead.id).collect();
        let other: BTreeSet<LeadId> = &other - as_they_were;
        let new: BTreeSet<LeadId> = new.iter().copied().collect();
        let mut told = Vec::new();
        if !new.is_empty() {
            let are = if new.len() == 1 { "is" } else { "are" };
            told.push(format!("{} {are} new since", records(&new)));
        }
        if !other.is_empty() {
            let (has, is) = if other.len() == 1 { ("has", "is") } else { ("have", "are") };
            told.push(format!("{} {has} another name since, or {is} gone", records(&other)));
        }
        told.join(", ")
    }
}

/// Who said something, when, in which plan.
pub fn by_and_when(by: &str, at: &str, plan: &str) -> String {
    format!("{by} on {} (plan {plan})", day(at))
}

fn day(at: &str) -> &str {
    at.get(..10).unwrap_or(at)
}

/// Records by their ids: `record 1`, `records 1 and 2`.
pub fn records(ids: &BTreeSet<LeadId>) -> String {
    let mut told: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match told.pop() {
        None => "no record".to_owned(),
        Some(only) if told.is_empty() => format!("record {only}"),
        Some(last) => format!("records {} and {last}", told.join(", ")),
    }
}

#[cfg(test)]
mod tests;
