//! What a person decided about one group of a plan. Pure.
//!
//! For: one shape for the workbook, the page and the command line, in the ledger and in files. The
//! decisions of a group are one value: whoever changes a part of them writes them anew as a whole.
//! Never: says whether Marketo would take a typed value, or what the merge then does; that is the
//! plan's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lead::LeadId;

/// What is to become of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Merge it, also where its risk is red.
    Merge,
    /// Leave it alone in this plan.
    Skip,
    /// Leave it alone, in later plans too, until somebody has looked into it.
    Hold,
    /// Its records are not one person: leave them alone in every plan, until the key or the name of
    /// one of them changes.
    NotSame,
}

impl Choice {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Merge, Self::Skip, Self::Hold, Self::NotSame];

    /// The word of JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Skip => "skip",
            Self::Hold => "hold",
            Self::NotSame => "not_same",
        }
    }

    /// The words that a person picks.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Merge => "Merge",
            Self::Skip => "Skip",
            Self::Hold => "Hold",
            Self::NotSame => "Not the same",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads the word of JSON and CSV and the words that a person picks, in any case.
impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let asked = text.trim().to_lowercase().replace([' ', '-'], "_");
        let named = |choice: &Self| asked == choice.as_str() || asked == of_words(*choice);
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|choice| choice.in_words()).collect();
            format!("\"{text}\" is none of {}", known.join(", "))
        })
    }
}

fn of_words(choice: Choice) -> String {
    choice.in_words().to_lowercase().replace(' ', "_")
}

/// Where a person took a field's value from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenValue {
    /// The value that this lead of the group holds, its blank too.
    From(LeadId),
    /// A value that they typed; null empties the field.
    Typed(Value),
}

/// All that was decided about one group. What is left out is as the plan has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decisions {
    /// What is to become of it.
    #[serde(rename = "decision", skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// The lead that stays.
    #[serde(rename = "keep", skip_serializing_if = "Option::is_none")]
    pub winner: Option<LeadId>,
    /// Leads that take no part: they stay as they are, beside the survivor, in later plans too.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<LeadId>,
    /// The values that fields get, by REST API name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, ChosenValue>,
    /// Why, in their words. It changes nothing about the merge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Decisions {
    /// Whether nothing was decided; a note alone decides nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self { note: self.note.clone(), ..Self::default() }
    }

    /// Whether the group is not to be merged.
    pub fn is_left_alone(&self) -> bool {
        matches!(self.choice, Some(Choice::Skip | Choice::Hold | Choice::NotSame))
    }

    /// Why the records that take no part cannot be these: the one to keep is among them. `planned`:
    /// the record that the plan keeps.
    pub fn leaves_out_the_kept(&self, planned: LeadId) -> Option<String> {
        let kept = self.winner.unwrap_or(planned);
        self.left_out.contains(&kept).then(|| {
            format!(
                "record {kept} is the one to keep and cannot be left out; choose another record to keep first"
            )
        })
    }

    /// Whether the merge would do something else than the plan does.
    pub fn changes_the_merge(&self) -> bool {
        self.winner.is_some() || !self.left_out.is_empty() || !self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_from_its_word_and_from_what_a_person_picks() {
        for (text, choice) in [
            ("merge", Choice::Merge),
            (" Merge ", Choice::Merge),
            ("Not the same", Choice::NotSame),
            ("not_same", Choice::NotSame),
            ("NOT-SAME", Choice::NotSame),
            ("hold", Choice::Hold),
        ] {
            assert_eq!(text.parse(), Ok(choice), "{text}");
        }
        let why = "Mrge".parse::<Choice>().unwrap_err();
        assert_eq!(why, "\"Mrge\" is none of Merge, Skip, Hold, Not the same");
    }

    #[test]
    fn decisions_are_written_as_short_as_they_are() {
        let json = |decisions: &Decisions| serde_json::to_string(decisions).unwrap();
        assert_eq!(json(&Decisions::default()), "{}");
        let decided = Decisions {
            choice: Some(Choice::Merge),
            winner: Some(7),
            left_out: BTreeSet::from([9]),
            values: BTreeMap::from([
                ("city".to_owned(), ChosenValue::From(8)),
                ("title".to_owned(), ChosenValue::Typed(Value::Null)),
            ]),
            note: None,
        };
        let text = json(&decided);
        assert_eq!(
            text,
            r#"{"decision":"merge","keep":7,"left_out":[9],"values":{"city":{"from":8},"title":{"typed":null}}}"#
        );
        assert_eq!(serde_json::from_str::<Decisions>(&text).unwrap(), decided);
        assert!(serde_json::from_str::<Decisions>(r#"{"kepp":7}"#).is_err(), "a slip is told");
    }

    #[test]
    fn the_record_to_keep_cannot_be_left_out_unless_another_one_is_chosen() {
        for (winner, left_out, refused) in [
            (None, &[1][..], true),
            (None, &[2], false),
            (Some(2), &[1], false),
            (Some(2), &[2], true),
            (Some(2), &[1, 2], true),
            (None, &[], false),
        ] {
            let left_out = left_out.iter().copied().collect();
            let decided = Decisions { winner, left_out, ..Decisions::default() };
            let why = decided.leaves_out_the_kept(1);
            assert_eq!(why.is_some(), refused, "{decided:?}");
            assert!(why.is_none_or(|why| why.contains("choose another record to keep first")));
        }
    }

    #[test]
    fn a_note_alone_decides_nothing() {
        let noted = Decisions { note: Some("ask Bo".to_owned()), ..Decisions::default() };
        assert!(noted.is_empty() && !noted.is_left_alone() && !noted.changes_the_merge());
    }
}
