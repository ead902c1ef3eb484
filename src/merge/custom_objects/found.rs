//! What rows that are linked by id mean for a group: which move, which collide. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::asked::as_text;
use super::words::{cannot_move, collides};
use crate::dedupe::{LeadRows, PlannedGroup};
use crate::lead::LeadId;
use crate::marketo::CustomObjectType;

/// The lead that stays, or stayed, and those that go into it, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::merge) struct Family<'g> {
    pub(in crate::merge) winner: LeadId,
    pub(in crate::merge) losers: &'g [LeadId],
}

impl<'g> Family<'g> {
    pub(super) fn of(group: &'g PlannedGroup) -> Self {
        Self { winner: group.winner, losers: &group.losers }
    }

    /// Their ids, the winner first.
    pub(super) fn members(&self) -> impl Iterator<Item = LeadId> + use<'g> {
        std::iter::once(self.winner).chain(self.losers.iter().copied())
    }
}

/// A row that is to be linked to the record that stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::merge) struct RowMove {
    /// The object's API name.
    pub(in crate::merge) object: String,
    /// The field that holds the link.
    pub(in crate::merge) field: String,
    /// Marketo's own id of the row.
    pub(in crate::merge) guid: String,
    /// The lead that it hangs on.
    pub(in crate::merge) from: LeadId,
}

/// The rows on the leads of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::merge) struct GroupRows {
    /// Told by object and lead.
    pub(in crate::merge) rows: Vec<LeadRows>,
    /// Those of losers that can move.
    pub(in crate::merge) moves: Vec<RowMove>,
    /// Those that hang on the winner.
    pub(in crate::merge) on_winner: BTreeSet<(String, String)>,
}

impl GroupRows {
    pub(in crate::merge) fn join(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.moves.extend(other.moves);
        self.on_winner.extend(other.on_winner);
    }
}

/// A row as far as it matters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    guid: Option<String>,
    /// What tells it apart beside its link, as it compares.
    key: Vec<String>,
}

impl Row {
    /// A row as it was read, and the lead that it hangs on; none where it does not say.
    pub(super) fn of(
        row: &Map<String, Value>,
        link: &str,
        key: &[String],
    ) -> Option<(LeadId, Self)> {
        let held = |name: &str| {
            row.get(name).or_else(|| {
                row.iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()))
                    .map(|(_, value)| value)
            })
        };
        let lead = held(link).and_then(as_text)?.parse().ok()?;
        let text = |name: &String| {
            held(name).and_then(as_text).map(|text| text.to_lowercase()).unwrap_or_default()
        };
        let guid = held("marketoGUID").and_then(as_text);
        Some((lead, Self { guid, key: key.iter().map(text).collect() }))
    }
}

/// The rows of one object on the leads of a group. `fixed`: why none of them can be linked to
/// another lead.
pub(super) fn of_group(
    object: &CustomObjectType,
    group: Family<'_>,
    by_lead: &BTreeMap<LeadId, Vec<Row>>,
    fixed: Option<&str>,
) -> GroupRows {
    let mut found = GroupRows::default();
    let of = |lead: LeadId| by_lead.get(&lead).map(Vec::as_slice).unwrap_or_default();
    let has_link_in_key = object.dedupe_fields.contains(&object.link_field);
    let mut times: BTreeMap<&[String], BTreeSet<LeadId>> = BTreeMap::new();
    for lead in group.members().filter(|_| has_link_in_key) {
        for row in of(lead) {
            times.entry(row.key.as_slice()).or_default().insert(lead);
        }
    }
    let is_twice = |row: &Row| times.get(row.key.as_slice()).is_some_and(|leads| leads.len() > 1);
    for lead in group.members() {
        let rows = of(lead);
        let told = |count: usize, stays: Option<String>| LeadRows {
            object: object.name.clone(),
            lead: Some(lead),
            count,
            stays,
        };
        let nameless = rows.iter().any(|row| row.guid.is_none());
        let fixed = fixed.or_else(|| nameless.then_some("Marketo does not name them"));
        if lead == group.winner {
            let guids = rows.iter().filter_map(|row| row.guid.clone());
            found.on_winner.extend(guids.map(|guid| (object.name.clone(), guid)));
        }
        if rows.is_empty() {
            continue;
        }
        if let Some(why) = fixed {
            let why = cannot_move(object, lead, rows.len(), why);
            found.rows.push(told(rows.len(), Some(why)));
            continue;
        }
        let (stuck, free): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| is_twice(row));
        if !stuck.is_empty() {
            let why = collides(object, lead, stuck.len());
            found.rows.push(told(stuck.len(), Some(why)));
        }
        if !free.is_empty() {
            found.rows.push(told(free.len(), None));
        }
        if lead != group.winner {
            found.moves.extend(free.iter().filter_map(|row| {
                Some(RowMove {
                    object: object.name.clone(),
                    field: object.link_field.clone(),
                    guid: row.guid.clone()?,
                    from: lead,
                })
            }));
        }
    }
    found
}
