//! Where a field stands that was written to for a merge which was not made, what is to be written
//! so that its winner is as it was, and what is said of it. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dedupe::{FieldChange, FieldFacts, PlannedGroup};
use crate::lead::LeadId;
use crate::ledger::{Finding, FindingKind};
use crate::merge::look::Look;
use crate::merge::report::{Difference, shown};
use crate::merge::write::record::Record;

/// What became of a winner.
#[derive(Debug)]
pub(in crate::merge) struct GivenBack {
    /// In words.
    pub(in crate::merge) words: String,
    /// The fields that do not hold what they held before the run, by its doing or by what it set
    /// off.
    pub(in crate::merge) left: Vec<Difference>,
    /// The fields that keep what was written to them, whyever: an opt-out with its reason, a value
    /// whose giver is gone, one that could not be set back.
    pub(in crate::merge) stays: Vec<String>,
    /// Whether it got any former value back.
    pub(super) any: bool,
    /// Whether it has all of them.
    pub(super) all: bool,
}

/// Where a field of a winner stands that was written to for a merge which was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds what it held before.
    AsBefore,
    /// It holds something else, where a look has shown the written value: somebody changed it
    /// since.
    Changed,
    /// It holds something else, and no look has shown the written value: the instance made it of
    /// the write, or somebody typed it.
    Unexplained,
    /// What was written may be a person's no, or the reason of one.
    No,
    /// This lead gave what was written, and is gone.
    GiverGone(LeadId),
    /// A person has acknowledged that it holds this.
    Acknowledged,
    /// It holds what was written, or what Marketo left of that, and is to be set back.
    Ours,
}

/// A written field of a winner, and what it holds now.
pub(super) struct Field<'p> {
    pub(super) change: &'p FieldChange,
    pub(super) standing: Standing,
    pub(super) held: Value,
}

impl Field<'_> {
    /// Whether it does not hold what it held before, by this program's doing or by what it set off.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.standing, Standing::Ours | Standing::Unexplained)
    }
}

/// The written fields of winners, in the order of the groups; none of a winner that is gone.
pub(super) type Fields<'p> = Vec<(&'p PlannedGroup, Option<Vec<Field<'p>>>)>;

/// The fields that were asked to be set back, by winner.
pub(super) type Asked = BTreeSet<(LeadId, String)>;

/// Whether no field of a winner shows that this program wrote to it, or that it set it back.
pub(super) fn shows_nothing_of_the_write(
    winner: LeadId,
    fields: &[Field<'_>],
    asked: &Asked,
) -> bool {
    fields.iter().all(|field| {
        matches!(field.standing, Standing::AsBefore | Standing::Unexplained)
            && !asked.contains(&(winner, field.change.name.clone()))
    })
}

/// That a field could not be set back.
pub(super) fn finding(group: &PlannedGroup, field: &Field<'_>) -> Finding {
    Finding {
        key: group.key.as_str().to_owned(),
        lead: group.winner,
        field: field.change.name.clone(),
        kind: FindingKind::NotSetBack,
        wanted: field.change.before.clone(),
        found: field.held.clone(),
    }
}

/// Whether a winner keeps a sum that counts a loser which still lives. Merged later, the loser
/// would count twice if the ledger did not know of the sum any more.
pub(super) fn may_be_added_again(
    (group, fields): &(&PlannedGroup, Option<Vec<Field<'_>>>),
    look: &Look,
) -> bool {
    let keeps_sum = |field: &Field<'_>| {
        matches!(field.standing, Standing::GiverGone(_))
            && field.change.from.is_none()
            && field.held.is_number()
    };
    fields.iter().flatten().any(keeps_sum)
        && group.losers.iter().any(|loser| look.leads.contains_key(loser))
}

/// What is to be written so that a winner is as it was; none where that is nothing, or where it is
/// gone.
pub(super) fn to_give_back(
    (group, fields): &(&PlannedGroup, Option<Vec<Field<'_>>>),
) -> Option<Record> {
    let ours = fields.iter().flatten().filter(|field| field.standing == Standing::Ours);
    let changes: Vec<FieldChange> = ours
        .map(|field| FieldChange {
            name: field.change.name.clone(),
            before: field.held.clone(),
            after: field.change.before.clone(),
            from: None,
        })
        .collect();
    (!changes.is_empty()).then_some(Record { lead: group.winner, changes })
}

/// Whether a written value is not given back because it may be a person's no, or says why and when
/// that came.
pub(in crate::merge) fn stays_as_a_no(
    group: &PlannedGroup,
    change: &FieldChange,
    facts: &FieldFacts,
) -> bool {
    let may_be_a_no =
        |change: &FieldChange| facts.takes_back_a_no(&change.name, &change.after, &change.before);
    let flag = facts.flag_explained_by(&change.name);
    let of_flag = flag.and_then(|flag| group.changes.iter().find(|change| change.name == flag));
    may_be_a_no(change) || of_flag.is_some_and(may_be_a_no)
}

/// What is said of a winner, by where its fields stand, and of whether the look that shows them may
/// lag behind the write.
pub(super) fn became_of(
    group: &PlannedGroup,
    fields: Option<&[Field<'_>]>,
    asked: &Asked,
    lags: bool,
    facts: &FieldFacts,
) -> GivenBack {
    let Some(fields) = fields else {
        let words =
            "the record to keep is gone, and could not be given its former values back".to_owned();
        return GivenBack { words, left: Vec::new(), stays: Vec::new(), any: false, all: false };
    };
    let others: Vec<String> = fields.iter().filter_map(|field| in_words(field, facts)).collect();
    let words = if others.is_empty() && lags {
        "the record to keep shows its former values, but Marketo may show them for a while after a write: the next run looks again".to_owned()
    } else if others.is_empty() {
        "the record to keep has its former values".to_owned()
    } else {
        format!("the record to keep has its former values but for these: {}", others.join("; "))
    };
    let left = fields.iter().filter(|field| field.is_wrong()).map(|field| Difference {
        lead: group.winner,
        name: field.change.name.clone(),
        wanted: field.change.before.clone(),
        found: field.held.clone(),
    });
    let is_back = |field: &Field<'_>| {
        field.standing == Standing::AsBefore
            && asked.contains(&(group.winner, field.change.name.clone()))
    };
    GivenBack {
        words,
        left: left.collect(),
        stays: fields
            .iter()
            .filter(|field| !matches!(field.standing, Standing::AsBefore | Standing::Changed))
            .map(|field| field.change.name.clone())
            .collect(),
        any: fields.iter().any(is_back),
        all: others.is_empty() && !lags,
    }
}

/// Why a field does not hold what it held before; none where it does.
fn in_words(field: &Field<'_>, facts: &FieldFacts) -> Option<String> {
    let name = &field.change.name;
    let (before, now) = (shown(&field.change.before), shown(&field.held));
    Some(match field.standing {
        Standing::AsBefore => return None,
        Standing::Changed => {
            format!("`{name}` was changed by somebody else meanwhile, and stays {now}")
        }
        Standing::Unexplained => format!(
            "`{name}` was {before} before this program wrote to it, and is {now}, which this program did not write: a campaign or a person did; set it in Marketo"
        ),
        Standing::No if facts.is_opt_out(name) => {
            format!("`{name}` keeps the opt-out, which is never taken back")
        }
        Standing::No => {
            format!("`{name}` stays {now}, since it may be a person's no or the reason of one")
        }
        Standing::GiverGone(giver) => {
            format!("`{name}` stays {now}, since lead {giver}, which had that value, is gone")
        }
        Standing::Acknowledged => {
            format!("`{name}` was {before}, and stays {now}, as was acknowledged")
        }
        Standing::Ours => {
            format!("`{name}` was {before}, is {now}, and could not be set back: set it in Marketo")
        }
    })
}
