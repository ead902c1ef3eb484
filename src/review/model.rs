//! What a plan that is decided about tells of itself, and what is asked of it: the words that the
//! ledger, the workbook, the page and the server share. Pure.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::card::Card;
use super::carried::CarriedState;
use crate::dedupe::{Cause, Decisions, ProfileName, Risk};
use crate::lead::LeadId;

/// A plan as it stands with what is decided so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its id.
    pub plan: String,
    /// The name that somebody gave it.
    pub name: Option<String>,
    /// The instance that it is for.
    pub instance: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// What an approval binds: the plan and everything that is decided.
    pub digest: String,
    /// How many groups can be decided about.
    pub groups: u64,
    /// How many records would disappear.
    pub records: u64,
    /// Undecided groups that are merged unless somebody says otherwise.
    pub safe: u64,
    /// Groups that are merged only if somebody says so, and those with a decision that cannot be
    /// carried out.
    pub decide: u64,
    /// Groups that cannot be planned.
    pub blocked: u64,
    /// Groups that are decided.
    pub done: u64,
    /// How many values would be dropped.
    pub dropped_values: u64,
    /// How many opt-outs would be lost. None may be; it is counted all the same.
    pub opt_outs_lost: u64,
    /// The approval that is in force.
    pub approval: Option<Approval>,
    /// How far it was carried out.
    pub state: CarriedState,
    /// When a run last worked on it, RFC 3339.
    pub last_run_at: Option<String>,
    /// How many groups runs of it merged.
    pub merged: u64,
    /// How many its last run left alone, those that cannot be planned too.
    pub left_alone: u64,
    /// Of how many the record to keep was written to, and the merge not made.
    pub prepared: u64,
    /// How many failed, or are not known.
    pub failed: u64,
    /// What was measured of the instance, by which its predictions go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
}

/// That somebody approved a plan as it was decided then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// The digest that they approved.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// What they wrote.
    pub note: Option<String>,
}

/// The lists that a page sorts groups into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tab {
    /// Undecided, and merged unless somebody says otherwise.
    Safe,
    /// Merged only if somebody says so; or decided in a way that cannot be carried out.
    Decide,
    /// Not to be planned at all.
    Blocked,
    /// Decided.
    Done,
}

impl Tab {
    /// Every tab, in the order in which they stand.
    pub const ALL: [Self; 4] = [Self::Safe, Self::Decide, Self::Blocked, Self::Done];

    /// The word of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Decide => "decide",
            Self::Blocked => "blocked",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tab {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|tab| tab.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is none of safe, decide, blocked, done"))
    }
}

/// Which cards are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// Of this list alone.
    pub tab: Option<Tab>,
    /// Of this risk alone.
    pub risk: Option<Risk>,
    /// Of this cause alone.
    pub cause: Option<Cause>,
    /// With an address of this domain.
    pub domain: Option<String>,
    /// With this in the key or in a name, in any case.
    pub search: Option<String>,
}

/// Some cards of a list, in the order of the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    /// The cards.
    pub cards: Vec<Card>,
    /// How many there are in the list, before and after these too.
    pub total: u64,
}

/// A group that cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// What its leads have in common, for a person.
    pub key: String,
    /// The leads, by id.
    pub leads: Vec<LeadId>,
    /// Why, in words.
    pub reason: String,
}

/// What came of decisions that were taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// How many groups had other decisions before.
    pub changed: usize,
    /// The digest from now on.
    pub digest: String,
    /// The number of the last decision about each of the groups, by key as stored.
    pub numbers: BTreeMap<String, i64>,
}

/// How things stood for whoever decides. What others decided since is not overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The plan as a whole, as it was under this digest.
    Plan(String),
    /// Each group by itself, by its key as stored: the number of the decision that its card showed.
    /// A group without one was looked at when nothing was decided about it.
    Groups(BTreeMap<String, i64>),
}

impl Seen {
    /// What these cards show.
    pub fn of<'c>(cards: impl IntoIterator<Item = &'c Card>) -> Self {
        let seen = |card: &Card| (card.stored_key.clone(), card.decision_number);
        Self::Groups(cards.into_iter().map(seen).collect())
    }
}

/// Where a decision came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A workbook that was read back.
    Workbook,
    /// A CSV file that was read back.
    Csv,
    /// Decisions that a page in a file saved.
    Page,
    /// The live page.
    Review,
    /// A command.
    Cli,
    /// Any other file.
    File,
    /// An earlier plan, from which what outlives it is taken over.
    Earlier,
}

impl Door {
    /// Every door.
    pub const ALL: [Self; 7] =
        [Self::Workbook, Self::Csv, Self::Page, Self::Review, Self::Cli, Self::File, Self::Earlier];

    /// The word that the ledger keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workbook => "workbook",
            Self::Csv => "csv",
            Self::Page => "page",
            Self::Review => "review",
            Self::Cli => "cli",
            Self::File => "file",
            Self::Earlier => "earlier",
        }
    }
}

/// Why a plan could not be read or decided about: an error that says it in words.
pub type Failed = Box<dyn Error + Send + Sync>;

/// A plan that a person decides about: the ledger's, or one that a test has made up.
pub trait Reviewed: fmt::Debug + Send + Sync {
    /// The plan as it stands.
    fn head(&self) -> Result<Head, Failed>;

    /// The first `count` cards of a list that come after this place.
    fn cards(&self, filter: &CardFilter, after: Option<u64>, count: usize) -> Result<Page, Failed>;

    /// The card of a group, by its key as stored.
    fn card_by_key(&self, key: &str) -> Result<Option<Card>, Failed>;

    /// The groups that cannot be planned, `count` of them from this one on.
    fn blocked(&self, after: u64, count: usize) -> Result<Vec<Blocked>, Failed>;

    /// Takes decisions in, all or none of them, by keys as stored; none where somebody decided
    /// about what was seen.
    fn decide(
        &self,
        decided: &[(String, Decisions)],
        seen: &Seen,
        by: &str,
        door: Door,
    ) -> Result<Decided, Failed>;

    /// Approves the plan as this digest has it.
    fn approve(&self, digest: &str, by: &str, note: Option<&str>) -> Result<Approval, Failed>;
}
