//! Custom objects: what a merge would leave behind, or nobody can tell.
//!
//! A merge carries a loser's activities, lists and programs over, but not its rows of custom
//! objects. Rows that are linked by the lead's id can be found lead by lead. A row that is linked
//! by anything else hangs on one of the leads with that value, and the API does not tell on which:
//! such a group is *unknown*, and left alone where any row has a value that one of its leads holds.
//! A relation that is not understood, or an object that cannot be read, may concern every group.
//!
//! Used for planning and again for the last check. Never: takes what it could not read for nothing,
//! ends a run because of one group's value, or changes a row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::leads::members;
use crate::dedupe::PlannedGroup;
use crate::lead::{Lead, LeadId};
use crate::marketo::{self, BATCH, CustomObjectType, ReadCustomObjects, Schema};

/// For how long the list of custom objects stands: somebody may approve another one during a long
/// run.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// Why each group that must be left alone must be, by its winner.
type Reasons = BTreeMap<LeadId, String>;

/// By what the rows of a custom object belong to a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// By the lead's id: a row belongs to this lead and no other.
    Id,
    /// By this field of the lead, by its REST name: a row hangs on one of the leads that hold its
    /// value.
    Field(String),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// The custom objects of leads, as far as they are known.
#[derive(Debug)]
pub(super) struct Relations {
    schema: Schema,
    known: Option<(Instant, Known)>,
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
        Self { schema, known: None }
    }

    /// For each group that must be left alone because of rows of custom objects, by its winner, the
    /// reason. `live` are the groups' leads as they are now.
    pub(super) async fn in_the_way(
        &mut self,
        marketo: &impl ReadCustomObjects,
        groups: &[&PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Reasons, marketo::Error> {
        let mut reasons = Reasons::new();
        if groups.is_empty() {
            return Ok(reasons);
        }
        match self.known(marketo).await? {
            Known::NotShown(why) => {
                reasons.extend(groups.iter().map(|group| (group.winner, why.clone())));
            }
            Known::These(relations) => {
                for (object, link) in relations {
                    for (winner, reason) in of_relation(marketo, object, link, groups, live).await?
                    {
                        reasons.entry(winner).or_insert(reason);
                    }
                }
            }
        }
        Ok(reasons)
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

    async fn known(&mut self, marketo: &impl ReadCustomObjects) -> Result<&Known, marketo::Error> {
        let stale = self.known.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH);
        if stale {
            self.known = None;
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
                let why = format!(
                    "Marketo does not show this API user which custom objects there are ({}), so that nobody can tell \
                     whether a merge would leave rows behind; {}",
                    said(&error),
                    mend(&error)
                );
                let (code, request_id) = (error.code(), error.request_id());
                tracing::warn!(code, request_id, "any group may lose rows of custom objects");
                Ok(Known::NotShown(why))
            }
            Err(error) => Err(error),
        }
    }
}

/// By what the rows of this object belong to a lead. Relations name the lead's field by its REST
/// name or as the screens do, in any case.
pub(super) fn classify(relation: &CustomObjectType, schema: &Schema) -> Link {
    let (object, named) = (&relation.name, relation.lead_field.trim());
    let unknown = |what: &str| {
        Link::Unknown(format!(
            "the custom object `{object}` {what}, so that nobody can tell whether a merge would leave rows of it behind; \
             look into it at Marketo (Admin > Marketo Custom Objects), and merge this group there by hand"
        ))
    };
    if named.is_empty() || relation.link_field.trim().is_empty() {
        return unknown("does not say by which field it is linked to leads");
    }
    let letters: String =
        named.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let found = schema.field_named(named);
    match (letters.as_str(), found) {
        ("id" | "leadid" | "personid", None) | (_, Some("id")) => Link::Id,
        ("id" | "leadid" | "personid", Some(field)) => unknown(&format!(
            "is linked to leads by `{named}`, which can mean the lead's id and the field `{field}`"
        )),
        (_, Some(field)) => Link::Field(field.to_owned()),
        ("email" | "emailaddress", None) if schema.fields.contains_key("email") => {
            Link::Field("email".to_owned())
        }
        _ => unknown(&format!(
            "is linked to leads by `{named}`, which is not one field that this API user can read"
        )),
    }
}

async fn of_relation(
    marketo: &impl ReadCustomObjects,
    object: &CustomObjectType,
    link: &Link,
    groups: &[&PlannedGroup],
    live: &BTreeMap<LeadId, Lead>,
) -> Result<Reasons, marketo::Error> {
    let mut asked = match link {
        Link::Id => Asked::by_id(groups),
        Link::Field(field) => Asked::by_field(field, groups, live),
        Link::Unknown(why) => {
            return Ok(groups.iter().map(|group| (group.winner, why.clone())).collect());
        }
    };
    let mut reasons = Reasons::new();
    for winner in std::mem::take(&mut asked.unaskable) {
        reasons.insert(winner, cannot_be_asked(object, link));
    }
    let values: Vec<String> = asked.spellings.iter().cloned().collect();
    // A stack of the values still to be asked for; a chunk that finds too much is asked for in
    // halves.
    let mut chunks: Vec<&[String]> = values.chunks(BATCH).rev().collect();
    while let Some(chunk) = chunks.pop() {
        match marketo.custom_objects(&object.name, &object.link_field, chunk).await {
            Ok(rows) => {
                for winner in
                    rows.iter().flat_map(|row| asked.concerned(row, &object.link_field, chunk))
                {
                    reasons.entry(winner).or_insert_with(|| has_rows(object, link, winner));
                }
            }
            Err(error) if found_too_much(&error) && chunk.len() > 1 => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                chunks.extend([second, first]);
            }
            Err(error) if found_too_much(&error) => {
                for winner in asked.all_of(chunk) {
                    reasons.entry(winner).or_insert_with(|| has_rows(object, link, winner));
                }
            }
            // What is refused for one chunk would be for the next; its rows may be of any group.
            Err(error) if is_about_the_object(&error) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    object = object.name,
                    "rows of a custom object cannot be read"
                );
                let why = cannot_be_read(object, &error);
                return Ok(groups.iter().map(|group| (group.winner, why.clone())).collect());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(reasons)
}

/// The values that rows of a group would hold, and whose they are.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    /// As they are asked for.
    spellings: BTreeSet<String>,
    /// The winners of the groups that they concern, by the value as it compares.
    groups: BTreeMap<String, BTreeSet<LeadId>>,
    /// The winners of the groups that have a value that Marketo cannot be asked for.
    unaskable: BTreeSet<LeadId>,
}

impl Asked {
    /// The ids of the losers: what the winner has stays with it.
    fn by_id(groups: &[&PlannedGroup]) -> Self {
        let mut asked = Self::default();
        for group in groups {
            for loser in &group.losers {
                asked.add(&loser.to_string(), group.winner);
            }
        }
        asked
    }

    /// The field's value of every lead of the groups, the winners' too: a row with the winner's
    /// value may hang on a loser that holds it as well, or held it when the row was written.
    fn by_field(field: &str, groups: &[&PlannedGroup], live: &BTreeMap<LeadId, Lead>) -> Self {
        let mut asked = Self::default();
        for group in groups {
            let values = members(group).filter_map(|id| live.get(&id)?.value(field));
            for value in values.filter_map(as_text) {
                asked.add(&value, group.winner);
            }
        }
        asked
    }

    fn add(&mut self, value: &str, winner: LeadId) {
        if value.contains(',') {
            self.unaskable.insert(winner);
            return;
        }
        let compared = value.to_lowercase();
        // Marketo compares without regard to case; whether it does so for every kind of field is
        // not documented.
        self.spellings.extend([value.to_owned(), compared.clone()]);
        self.groups.entry(compared).or_default().insert(winner);
    }

    /// The winners of the groups that a row may be of; all that were asked for with it where the
    /// row does not say.
    fn concerned(
        &self,
        row: &Map<String, Value>,
        field: &str,
        chunk: &[String],
    ) -> BTreeSet<LeadId> {
        let held = row.get(field).or_else(|| {
            row.iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(field.trim()))
                .map(|(_, value)| value)
        });
        let groups = held
            .and_then(as_text)
            .and_then(|value| self.groups.get(&value.to_lowercase()).cloned());
        groups.unwrap_or_else(|| self.all_of(chunk))
    }

    fn all_of(&self, chunk: &[String]) -> BTreeSet<LeadId> {
        chunk
            .iter()
            .filter_map(|value| self.groups.get(&value.to_lowercase()))
            .flatten()
            .copied()
            .collect()
    }
}

/// A value as a filter takes it; none where it is empty, since nothing is linked by an empty value.
fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => match number.as_f64() {
            // A whole number in a field of decimals.
            Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
            _ => number.to_string(),
        },
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn has_rows(object: &CustomObjectType, link: &Link, winner: LeadId) -> String {
    let name = &object.name;
    match link {
        Link::Field(field) => format!(
            "the custom object `{name}` has rows with a value of `{field}` that leads of this group hold, and Marketo does \
             not tell on which of them they hang, so that a merge could leave them behind; look at the leads in Marketo, and \
             merge this group there by hand"
        ),
        Link::Id | Link::Unknown(_) => format!(
            "a loser has rows of the custom object `{name}`, which a merge would leave behind; link them to lead {winner} first"
        ),
    }
}

fn cannot_be_asked(object: &CustomObjectType, link: &Link) -> String {
    let field = match link {
        Link::Field(field) => field,
        Link::Id | Link::Unknown(_) => &object.lead_field,
    };
    format!(
        "the custom object `{}` is linked to leads by `{field}`, one of these leads has a comma in it, and Marketo cannot be \
         asked for such a value, so that nobody can tell whether a merge would leave rows behind; look at the leads in \
         Marketo, and merge this group there by hand",
        object.name
    )
}

fn cannot_be_read(object: &CustomObjectType, error: &marketo::Error) -> String {
    format!(
        "the rows of the custom object `{}` cannot be read ({}), so that nobody can tell whether a merge would leave some \
         behind; {}",
        object.name,
        said(error),
        mend(error)
    )
}

/// What Marketo said, with its code and the request.
pub(super) fn said(error: &marketo::Error) -> String {
    let request = error.request_id().map(|id| format!(", request {id}")).unwrap_or_default();
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => {
            format!("Marketo: {}{request}", format!("{code} {message}").trim())
        }
        _ => error.to_string(),
    }
}

/// What to do about it.
pub(super) fn mend(error: &marketo::Error) -> String {
    match error.permission() {
        Some(permission) => format!(
            "give its role the permission {permission} (Admin > Users & Roles > Roles), or merge the group in Marketo by hand"
        ),
        None => "run `mkto-audit doctor`, or merge the group in Marketo by hand".to_owned(),
    }
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
