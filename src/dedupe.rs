//! Pure decisions about duplicates: leads in, groups and decisions out.
//!
//! All that is worth arguing about is decided here and tested here without a server: which leads
//! are the same ([`KeySpec`]), how they came about ([`explain`]), which of them stays
//! ([`WinnerOrder`]), which values it keeps ([`FieldRules`]), and what exactly is to be done
//! ([`Plan`]). Never: I/O, a clock, an order that depends on arrival.

mod address;
mod bundle;
mod by_nature;
mod cause;
mod consent;
mod decision;
mod did_you_mean;
mod facts;
mod field_fact;
mod field_rule;
mod group;
mod key;
mod key_spec;
mod lasting;
mod listed;
mod match_key;
mod measured;
mod person;
mod plan;
mod policy;
mod risk;
mod skip_rule;
mod value;
mod visible;
mod winner;
mod words;

pub(crate) use address::can_be_mailed;
pub use bundle::{Bundles, NoBundle};
pub use by_nature::differs_by_nature;
pub(crate) use cause::span;
pub use cause::{Cause, Confidence, Explanation, LateLead, advice, explain};
pub use consent::sense::Sense;
pub use consent::{custom_companions, custom_consent, sense_of};
pub use decision::{Choice, ChosenValue, Decisions};
pub(crate) use did_you_mean::nearest_of;
pub use facts::FieldFacts;
pub use facts::holds::WhyNot;
pub use field_fact::FieldFact;
pub use field_rule::{FieldRule, FieldRules, OPT_OUTS};
pub use group::Group;
pub(crate) use key::key_of_plain_address;
pub use key::{Key, normalise};
pub use key_spec::KeySpec;
pub use lasting::{LastingWord, Named, Standing, by_and_when, lasting_part, records};
pub use listed::{Holds, Listed, ReadFile, SharedList};
pub use match_key::{KeyKind, widest, widest_text};
pub use measured::{
    Answer, Blanks, FREE, InstanceProfile, Measured, ProfileName, Question, Scores, UNTESTED,
};
pub use person::Skip;
pub use plan::{
    Danger, DangerousFill, Deviation, Dropped, Expected, FieldChange, Known, LeadRows, LeftOut,
    Objection, Plan, PlanHeader, PlannedGroup, Prediction, Reason, Seen, UnknownField,
    dangerous_fills, digest_of, may_be_chosen, plan_candidate, plan_decided, plan_group,
    rest_as_seen, rows_in_words, rows_that_move, still_as_seen, why_rows_stay,
};
pub use policy::{CauseRules, Policy, ReviewPolicy};
pub use risk::Risk;
pub use skip_rule::{Condition, EmailPattern, NoCondition, NoPattern, SkipRules, Unfit};
pub use winner::{NamedIds, WinnerOrder, WinnerRule};

#[cfg(test)]
mod tests;
