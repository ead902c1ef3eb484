//! One group as a person decides about it: the same for the workbook, the page and the terminal.
//!
//! Never: I/O, or a decision of its own. A card shows what a plan and the decisions so far would
//! do.

use serde::Serialize;
use serde_json::Value;

use super::carried::CardPast;
use crate::dedupe::{Cause, Decisions, Risk};
use crate::lead::LeadId;

/// A group of a plan, as it would be merged with what is decided so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// Its place in the plan, from 0.
    pub place: u64,
    /// What its leads have in common, for a person.
    pub key: String,
    /// The same as it is stored and compared, for decisions that come back.
    pub stored_key: String,
    /// How much there is to decide.
    pub risk: Risk,
    /// Why the risk is not green, a sentence each.
    pub warnings: Vec<String>,
    /// Why it is not merged unless a person decides so; `None` where nothing speaks against it.
    pub objection: Option<String>,
    /// How the group came about.
    pub cause: Option<Cause>,
    /// The cause in a sentence.
    pub cause_in_words: String,
    /// The consent of its leads in a sentence, where they differ or somebody opted out.
    pub consent: Option<String>,
    /// Every lead of the group, the winner first, then the losers in order, then who is left out.
    pub leads: Vec<CardLead>,
    /// The fields whose values differ between the leads, or that the merge changes: in the order in
    /// which a person reads them.
    pub fields: Vec<CardField>,
    /// How many fields have one value on all leads that have any.
    pub equal: usize,
    /// How many values the merge would drop.
    pub dropped: usize,
    /// Why the lead that stays was chosen.
    pub why: String,
    /// What is decided so far.
    pub decisions: Decisions,
    /// Whose word from an earlier plan that is, in words; none where it was decided in this plan.
    pub said_before: Option<String>,
    /// The number of the last decision about it, 0 where there was none: who decides sends it back,
    /// so that a later decision of somebody else is not overwritten.
    pub decision_number: i64,
    /// Why what is decided cannot be carried out; it then has no effect until it is changed.
    pub refused: Option<String>,
    /// Whether the plan would merge it as things stand.
    pub merges: bool,
    /// What became of it in a run of the plan; none where no run came to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<CardPast>,
}

/// A lead of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardLead {
    /// Its id.
    pub id: LeadId,
    /// Its part in the merge as things stand.
    pub role: CardRole,
    /// The lead's page in Marketo's screens, where the instance's address tells it.
    pub link: Option<String>,
    /// The email address, as it is written.
    pub email: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// When it was created, RFC 3339.
    pub created_at: Option<String>,
}

/// The part of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CardRole {
    /// It stays.
    Winner,
    /// It is folded into the winner.
    Loser,
    /// It takes no part.
    LeftOut,
}

/// A field of a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardField {
    /// The REST API name.
    pub name: String,
    /// The name that Marketo's screens show.
    pub label: String,
    /// Marketo's data type.
    pub data_type: String,
    /// The value of each lead, in the order of the card's leads; null for none.
    pub values: Vec<Value>,
    /// What the survivor holds after the merge, as predicted.
    pub after: Value,
    /// What decided it: a rule's name, `decided`.
    pub rule: String,
    /// Whether two leads that take part hold different values, of which one is dropped.
    pub conflict: bool,
    /// Whether a person may choose or type another value.
    pub may_choose: bool,
}
