//! Which leads the activity log names since a moment. It leans on names and ids alone: what
//! happened to them is read off the leads themselves.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::Error;
use crate::lead::LeadId;
use crate::marketo::{Activity, ActivityPage, ActivityType, ReadActivities, Schema};

/// The leads to look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedLeads {
    /// All of them. Ids of leads that were never in the cache, or of visitors that nobody can read,
    /// do no harm.
    pub(super) ids: BTreeSet<LeadId>,
    /// Those that a merge names as losers, each with the lead that stands for it today: to say of a
    /// lead that is gone how it went, and where its births are.
    pub(super) merged: BTreeMap<LeadId, LeadId>,
}

/// What an activity of a type says of ids beyond the lead that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Nothing: its primary attribute is a field, a partition, a program.
    Nothing,
    /// Its primary attribute is the id that the lead had then.
    FormerId,
    /// That, and the losers' ids.
    Losers,
}

/// The types that tell of rows of the cache, by name, since their numbers may differ from instance
/// to instance; at most ten in a call. Not every instance has the CRM's.
const TYPES: [(&str, Says); 7] = [
    (NEW_LEAD, Says::FormerId),
    ("Merge Leads", Says::Losers),
    ("SFDC Merge Leads", Says::Losers),
    ("Delete Lead from SFDC", Says::FormerId),
    ("Convert Lead", Says::Nothing),
    ("Sync Lead to SFDC", Says::Nothing),
    ("Change Lead Partition", Says::Nothing),
];

const NEW_LEAD: &str = "New Lead";

/// Of scores some instances log no change of a data value.
const CHANGE_SCORE: &str = "Change Score";

/// Fields whose changes no data value tells: identity, and times that Marketo keeps by itself.
const NEVER_LOGGED: [&str; 3] = ["id", "createdAt", "updatedAt"];

/// Reads the log three times from one moment: by type, by changed field, and the deletions, which
/// come by themselves.
pub(super) async fn changed_leads(
    marketo: &impl ReadActivities,
    schema: &Schema,
    fields: &[String],
    since: DateTime<Utc>,
) -> Result<ChangedLeads, Error> {
    let followed = followed(&marketo.activity_types().await?, has_score(schema, fields))?;
    let kinds: Vec<u32> = followed.iter().map(|(kind, _)| *kind).collect();
    let logged: Vec<String> =
        fields.iter().filter(|field| !NEVER_LOGGED.contains(&field.as_str())).cloned().collect();
    let mut changed = ChangedLeads::default();
    // One token begins all three: it is a place in time, whatever is read from there.
    let begin = marketo.paging_token(since).await?;

    let mut token = begin.clone();
    while let Some(next) =
        changed.take(marketo.activities(&token, &kinds, &[]).await?, |kind| says(&followed, kind))
    {
        token = next;
    }
    let mut token = begin.clone();
    while let Some(next) =
        changed.take(marketo.lead_changes(&token, &logged).await?, |_| Says::Nothing)
    {
        token = next;
    }
    let mut token = begin;
    while let Some(next) = changed.take(marketo.deleted_leads(&token).await?, |_| Says::FormerId) {
        token = next;
    }
    Ok(changed)
}

impl ChangedLeads {
    /// Notes whom a page names, and gives the token of the next while there is one.
    fn take(&mut self, page: ActivityPage, says: impl Fn(u32) -> Says) -> Option<String> {
        for activity in &page.activities {
            self.note(activity, says(activity.kind));
        }
        page.more.then_some(page.next)
    }

    fn note(&mut self, activity: &Activity, says: Says) {
        self.ids.insert(activity.lead);
        if says != Says::Nothing {
            self.ids.extend(activity.primary);
        }
        if says == Says::Losers {
            let losers = activity.attributes.get("merge ids").map(ids_in).unwrap_or_default();
            self.ids.extend(&losers);
            self.merged.extend(losers.into_iter().map(|loser| (loser, activity.lead)));
        }
    }
}

/// The numbers of the types to follow, with what each says.
fn followed(types: &[ActivityType], with_scores: bool) -> Result<Vec<(u32, Says)>, Error> {
    let number = |name: &str| {
        types.iter().find(|kind| kind.name.eq_ignore_ascii_case(name)).map(|kind| kind.id)
    };
    if number(NEW_LEAD).is_none() {
        return Err(Error::NoNewLeadType);
    }
    let score = with_scores.then_some((CHANGE_SCORE, Says::Nothing));
    Ok(TYPES
        .into_iter()
        .chain(score)
        .filter_map(|(name, says)| Some((number(name)?, says)))
        .collect())
}

fn says(followed: &[(u32, Says)], kind: u32) -> Says {
    followed.iter().find(|(known, _)| *known == kind).map_or(Says::Nothing, |(_, says)| *says)
}

fn has_score(schema: &Schema, fields: &[String]) -> bool {
    fields
        .iter()
        .filter_map(|field| schema.fields.get(field))
        .any(|field| field.data_type == "score")
}

/// The ids in an attribute `Merge IDs`: seen as text like `[1286861]`, and to be expected as a
/// list, a number or a text with commas too.
fn ids_in(value: &Value) -> Vec<LeadId> {
    match value {
        Value::Number(number) => number.as_u64().into_iter().collect(),
        Value::String(text) => text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect(),
        Value::Array(values) => values.iter().flat_map(ids_in).collect(),
        Value::Null | Value::Bool(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn losers_are_read_from_every_form_that_they_come_in() {
        for (written, ids) in [
            (json!("[1286861]"), vec![1_286_861]),
            (json!("[7, 8]"), vec![7, 8]),
            (json!("7,8"), vec![7, 8]),
            (json!([7, "8"]), vec![7, 8]),
            (json!(7), vec![7]),
            (json!(""), vec![]),
            (json!(null), vec![]),
        ] {
            assert_eq!(ids_in(&written), ids, "{written}");
        }
    }

    #[test]
    fn a_merge_names_the_survivor_of_today_the_winner_of_then_and_every_loser() {
        let mut changed = ChangedLeads::default();
        let activity = Activity {
            guid: "1".to_owned(),
            lead: 3,
            at: None,
            kind: 32,
            primary: Some(4),
            attributes: [("merge ids".to_owned(), json!("[5,6]"))].into(),
        };
        changed.note(&activity, Says::Losers);
        assert_eq!((changed.ids, changed.merged), ([3, 4, 5, 6].into(), [(5, 3), (6, 3)].into()));
    }

    #[test]
    fn types_are_found_by_name_and_scores_are_followed_where_one_is_cached() {
        let kind = |id, name: &str| ActivityType { id, name: name.to_owned() };
        let here = [kind(900, "new lead"), kind(32, "Merge Leads"), kind(22, "Change Score")];
        assert_eq!(followed(&here, false).unwrap(), [(900, Says::FormerId), (32, Says::Losers)]);
        assert_eq!(followed(&here, true).unwrap().len(), 3);
        assert!(matches!(followed(&here[1..], false), Err(Error::NoNewLeadType)));
    }
}
