//! Custom objects: which of their rows hang on the leads of a group, and which of them can be
//! linked to the record that stays.
//!
//! A merge carries a loser's activities, lists and programs over, but not its rows of custom
//! objects. Each row is classed:
//!
//! - linked by the lead's id: it belongs to that lead, and can be linked to another one, unless
//!   Marketo says that its link is fixed or that the CRM manages it, or a row with the rest of its
//!   key hangs on another lead of the group (`found`). A bridge between leads and another object is
//!   moved the same way, and the rows at its other end need nothing;
//! - linked by anything else: it hangs on one of the leads with that value, and the API does not
//!   tell on which. A group is *unknown* where any row has a value that one of its leads holds;
//! - of a relation that is not understood, or an object that cannot be read: it may concern every
//!   group.
//!
//! Used for planning and again for the last check. Never: takes what it could not read for nothing,
//! ends a run because of one group's value, or changes a row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::dedupe::{LeadRows, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::marketo::{self, BATCH, CustomObjectType, ReadCustomObjects, Schema};

mod asked;
mod classify;
mod found;
mod hanging;
mod words;

use asked::Asked;
use classify::{Link, classify};
pub(super) use found::{Family, GroupRows, RowMove};
use found::{Row, of_group};
pub(super) use hanging::Hanging;
pub(super) use words::{after_the_merge, fixed_by, mend, said};
use words::{cannot_be_asked, cannot_be_read, has_rows, not_said};

/// For how long the list of custom objects stands: somebody may approve another one during a long
/// run.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// What is known of the rows of groups, by their winners.
type Found = BTreeMap<LeadId, GroupRows>;

/// The custom objects of leads, as far as they are known.
#[derive(Debug)]
pub(super) struct Relations {
    schema: Schema,
    known: Option<(Instant, Known)>,
    /// By object and link, why no row of it can be linked to another lead; none where rows can.
    fixed: BTreeMap<(String, String), Option<String>>,
}

#[derive(Debug, Clone)]
enum Known {
    These(Vec<(CustomObjectType, Link)>),
    /// Marketo does not show which there are, for this reason.
    NotShown(String),
}

impl Relations {
    /// For leads that have these fields.
    pub(super) fn new(schema: Schema) -> Self {
        Self { schema, known: None, fixed: BTreeMap::new() }
    }

    /// The rows on the leads of each group, by its winner. `live` are the groups' leads as they are
    /// now.
    pub(super) async fn find(
        &mut self,
        marketo: &impl ReadCustomObjects,
        groups: &[&PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Found, marketo::Error> {
        self.find_of(marketo, groups, live, |_| true).await
    }

    /// The same of rows of these objects alone.
    pub(super) async fn find_of(
        &mut self,
        marketo: &impl ReadCustomObjects,
        groups: &[&PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
        is_asked: impl Fn(&str) -> bool,
    ) -> Result<Found, marketo::Error> {
        let families: Vec<Family<'_>> = groups.iter().map(|group| Family::of(group)).collect();
        self.find_in(marketo, &families, live, is_asked).await
    }

    /// The same of leads that belong together, by the one that stays.
    pub(super) async fn find_in(
        &mut self,
        marketo: &impl ReadCustomObjects,
        groups: &[Family<'_>],
        live: &BTreeMap<LeadId, Lead>,
        is_asked: impl Fn(&str) -> bool,
    ) -> Result<Found, marketo::Error> {
        let mut found = Found::new();
        if groups.is_empty() {
            return Ok(found);
        }
        let relations = match self.known(marketo).await?.clone() {
            Known::NotShown(why) => {
                stay_everywhere("", &why, groups, &mut found);
                return Ok(found);
            }
            Known::These(relations) => relations,
        };
        for (object, link) in relations.iter().filter(|(object, _)| is_asked(&object.name)) {
            match link {
                Link::Id => self.by_id(marketo, object, groups, &mut found).await?,
                Link::Field(field) => {
                    let asked = Asked::by_field(field, groups, live);
                    by_value(marketo, object, field, groups, asked, &mut found).await?;
                }
                Link::Unknown(why) => stay_everywhere(&object.name, why, groups, &mut found),
            }
        }
        Ok(found)
    }

    /// Whether finding rows takes the values of leads: an object is linked by another field than
    /// the id.
    pub(super) async fn asks_by_values(
        &mut self,
        marketo: &impl ReadCustomObjects,
    ) -> Result<bool, marketo::Error> {
        Ok(match self.known(marketo).await? {
            Known::NotShown(_) => false,
            Known::These(relations) => {
                relations.iter().any(|(_, link)| matches!(link, Link::Field(_)))
            }
        })
    }

    /// Every object that is linked by the lead's id, with the field that holds the link.
    pub(super) async fn linked_by_id(
        &mut self,
        marketo: &impl ReadCustomObjects,
    ) -> Result<Vec<(String, String)>, marketo::Error> {
        Ok(match self.known(marketo).await? {
            Known::NotShown(_) => Vec::new(),
            Known::These(relations) => relations
                .iter()
                .filter(|(_, link)| *link == Link::Id)
                .map(|(object, _)| (object.name.clone(), object.link_field.clone()))
                .collect(),
        })
    }

    async fn known(&mut self, marketo: &impl ReadCustomObjects) -> Result<&Known, marketo::Error> {
        let stale = self.known.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH);
        if stale {
            self.known = None;
            self.fixed.clear();
        }
        let known = match self.known.take() {
            Some(known) => known,
            None => (Instant::now(), self.read(marketo).await?),
        };
        Ok(&self.known.insert(known).1)
    }

    async fn read(&self, marketo: &impl ReadCustomObjects) -> Result<Known, marketo::Error> {
        match marketo.lead_custom_objects().await {
            Ok(types) => {
                let classified = types.into_iter().map(|object| {
                    let link = classify(&object, &self.schema);
                    (object, link)
                });
                Ok(Known::These(classified.collect()))
            }
            Err(error) if is_about_the_object(&error) => {
                let (code, request_id) = (error.code(), error.request_id());
                tracing::warn!(code, request_id, "any group may lose rows of custom objects");
                Ok(Known::NotShown(words::not_shown(&error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Rows that are linked by the ids of leads: each lead of the groups is asked for, since a row
    /// of one may have the key of another's.
    async fn by_id(
        &mut self,
        marketo: &impl ReadCustomObjects,
        object: &CustomObjectType,
        groups: &[Family<'_>],
        found: &mut Found,
    ) -> Result<(), marketo::Error> {
        let link = object.link_field.as_str();
        let key: Vec<String> =
            object.dedupe_fields.iter().filter(|field| *field != link).cloned().collect();
        let ids: BTreeSet<LeadId> = groups.iter().flat_map(Family::members).collect();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let read = match read_rows(marketo, object, &ids, &key).await? {
            Ok(read) => read,
            Err(why) => {
                stay_everywhere(&object.name, &why, groups, found);
                return Ok(());
            }
        };
        let mut by_lead: BTreeMap<LeadId, Vec<Row>> = BTreeMap::new();
        for (row, chunk) in &read.rows {
            if let Some((lead, row)) = Row::of(row, link, &key) {
                by_lead.entry(lead).or_default().push(row);
                continue;
            }
            // It hangs on any of the leads that were asked for with it.
            let may_be =
                |group: &&Family<'_>| group.members().any(|id| chunk.contains(&id.to_string()));
            for group in groups.iter().filter(may_be) {
                stay(&object.name, None, 1, &not_said(object), group.winner, found);
            }
        }
        let has_rows = |id: &LeadId| by_lead.contains_key(id);
        let moves = groups.iter().any(|group| group.losers.iter().any(has_rows));
        let fixed = if moves { self.why_fixed(marketo, object).await? } else { None };
        for group in groups {
            let of_group = of_group(object, *group, &by_lead, fixed.as_deref());
            found.entry(group.winner).or_default().join(of_group);
            let too_many = group.losers.iter().filter(|id| read.too_much.contains(&id.to_string()));
            for lead in too_many {
                let why = words::too_many(object, *lead);
                stay(&object.name, Some(*lead), 1, &why, group.winner, found);
            }
        }
        Ok(())
    }

    /// Why no row of an object can be linked to another lead; none where rows can.
    async fn why_fixed(
        &mut self,
        marketo: &impl ReadCustomObjects,
        object: &CustomObjectType,
    ) -> Result<Option<String>, marketo::Error> {
        let of = (object.name.clone(), object.link_field.clone());
        if let Some(known) = self.fixed.get(&of) {
            return Ok(known.clone());
        }
        let why = match marketo.object_fields(&object.name).await {
            Ok(fields) => fixed_by(object, fields.get(&object.link_field).copied()),
            Err(error) if is_about_the_object(&error) => {
                Some(format!("what Marketo says of it cannot be read ({})", said(&error)))
            }
            Err(error) => return Err(error),
        };
        self.fixed.insert(of, why.clone());
        Ok(why)
    }
}

/// Rows that hang on a lead, or on one that nobody can tell, and cannot be linked to another one.
fn stay(
    object: &str,
    lead: Option<LeadId>,
    count: usize,
    why: &str,
    winner: LeadId,
    found: &mut Found,
) {
    let rows = LeadRows { object: object.to_owned(), lead, count, stays: Some(why.to_owned()) };
    found.entry(winner).or_default().rows.push(rows);
}

/// Something that may concern every group.
fn stay_everywhere(object: &str, why: &str, groups: &[Family<'_>], found: &mut Found) {
    for group in groups {
        stay(object, None, 0, why, group.winner, found);
    }
}

/// Rows that are linked by a value that leads hold: whose they are, nobody can tell.
async fn by_value(
    marketo: &impl ReadCustomObjects,
    object: &CustomObjectType,
    field: &str,
    groups: &[Family<'_>],
    mut asked: Asked,
    found: &mut Found,
) -> Result<(), marketo::Error> {
    for winner in std::mem::take(&mut asked.unaskable) {
        stay(&object.name, None, 0, &cannot_be_asked(object, field), winner, found);
    }
    let values: Vec<String> = asked.spellings.iter().cloned().collect();
    let read = match read_rows(marketo, object, &values, &[]).await? {
        Ok(read) => read,
        Err(why) => {
            stay_everywhere(&object.name, &why, groups, found);
            return Ok(());
        }
    };
    let mut counts: BTreeMap<LeadId, usize> = BTreeMap::new();
    for (row, chunk) in &read.rows {
        for winner in asked.concerned(row, &object.link_field, chunk) {
            *counts.entry(winner).or_default() += 1;
        }
    }
    let too_much: Vec<String> = read.too_much.into_iter().collect();
    for winner in asked.all_of(&too_much) {
        *counts.entry(winner).or_default() += 1;
    }
    for (winner, count) in counts {
        stay(&object.name, None, count, &has_rows(object, field, count), winner, found);
    }
    Ok(())
}

/// Rows that were read, each with the values that were asked for with it.
#[derive(Default)]
struct Read {
    rows: Vec<(Map<String, Value>, Vec<String>)>,
    /// Values that have more rows than Marketo gives.
    too_much: BTreeSet<String>,
}

/// The rows whose link has one of the values; or why they cannot be read.
async fn read_rows(
    marketo: &impl ReadCustomObjects,
    object: &CustomObjectType,
    values: &[String],
    fields: &[String],
) -> Result<Result<Read, String>, marketo::Error> {
    let mut read = Read::default();
    // A stack of the values still to be asked for; a chunk that finds too much is asked for in
    // halves.
    let mut chunks: Vec<&[String]> = values.chunks(BATCH).rev().collect();
    while let Some(chunk) = chunks.pop() {
        match marketo.custom_objects(&object.name, &object.link_field, chunk, fields).await {
            Ok(rows) => read.rows.extend(rows.into_iter().map(|row| (row, chunk.to_vec()))),
            Err(error) if found_too_much(&error) && chunk.len() > 1 => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                chunks.extend([second, first]);
            }
            Err(error) if found_too_much(&error) => read.too_much.extend(chunk.iter().cloned()),
            // What is refused for one chunk would be for the next; its rows may be of any group.
            Err(error) if is_about_the_object(&error) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    object = object.name,
                    "rows of a custom object cannot be read"
                );
                return Ok(Err(cannot_be_read(object, &error)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(read))
}

/// Whether Marketo said no to this object, or gave an answer that cannot be read; everything else
/// would befall any call.
fn is_about_the_object(error: &marketo::Error) -> bool {
    use marketo::Error as E;
    matches!(
        error,
        E::Permission { .. } | E::Refused { .. } | E::Answer { .. } | E::CannotAsk { .. }
    )
}

/// 1003 stands for several things; only its text tells that a filter found too many rows.
fn found_too_much(error: &marketo::Error) -> bool {
    error.code() == Some("1003")
        && error
            .message()
            .is_some_and(|message| message.to_lowercase().contains("too many results"))
}

#[cfg(test)]
mod tests;
