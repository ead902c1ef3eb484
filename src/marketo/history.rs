//! What Marketo's own log tells of merges and of changed values: the second witness beside our own
//! looks.
//!
//! For: a merge whose answer was lost, a lead that is gone and was not merged by us, an opt-out
//! that came while a call ran. Never: concludes anything from a row that is missing. Rows become
//! visible seconds to minutes late, so that absence proves nothing; a row that is there proves what
//! it says.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::Value;

use super::call::Call;
use super::envelope::Answer;
use super::read::{activity, text};
use super::{
    Activity, BATCH, Client, Error, LeadChange, MergeRecord, ReadActivities, ReadHistory,
    ReadLeads, Result, Schema, Since,
};
use crate::lead::LeadId;

/// Most leads that one call for activities takes.
const LEADS: usize = 30;

/// More pages than any log of a few hours has: beyond it the pages lead nowhere.
const PAGES: usize = 20_000;

/// What the type of a merge is called; its number is looked up, since only the name is documented
/// to be the same everywhere.
const MERGE_LEADS: &str = "Merge Leads";

/// What the types of changed values are called; a score has a type of its own, which lead changes
/// do not show.
const CHANGES: [&str; 2] = ["Change Data Value", "Change Score"];

impl Client {
    /// Every change of these fields of these leads, by REST name, in the order of the log. Rows of
    /// other leads are read, since Marketo cannot be asked for so many leads, and not kept.
    pub async fn consent_changes_of(
        &self,
        since: DateTime<Utc>,
        fields: &[String],
        leads: &BTreeSet<LeadId>,
    ) -> Result<Vec<LeadChange>> {
        if leads.is_empty() {
            return Ok(Vec::new());
        }
        let concerns = |lead| leads.contains(&lead);
        Ok(self.changes_of(Since::Time(since), fields, concerns).await?.0)
    }

    async fn changes_of(
        &self,
        since: Since,
        fields: &[String],
        concerns: impl Fn(LeadId) -> bool,
    ) -> Result<(Vec<LeadChange>, String)> {
        let mut token = match since {
            Since::Time(since) => self.paging_token(since).await?,
            Since::Token(token) => token,
        };
        let mut changes = Vec::new();
        let mut known: Option<Schema> = None;
        for _ in 0..PAGES {
            let mut answer = self.call(changes_call(&token, fields)).await?;
            let next =
                answer.next().ok_or_else(|| answer.senseless("it carries no paging token"))?;
            if answer.more && next == token {
                return Err(answer.senseless("its paging token leads nowhere"));
            }
            for row in changes_in(&mut answer)? {
                if !concerns(row.lead) {
                    continue;
                }
                if let Some(field) = as_asked(&row.field, fields) {
                    changes.push(LeadChange { field, ..row });
                    continue;
                }
                // Some instances name fields as their screens do; what they mean is learnt once a
                // walk.
                let schema = match known.take() {
                    Some(schema) => schema,
                    None => self.describe().await?,
                };
                changes.push(LeadChange { field: rest_name(&row.field, &schema), ..row });
                known = Some(schema);
            }
            token = next;
            if !answer.more {
                return Ok((changes, token));
            }
        }
        Err(endless("GET /rest/v1/activities/leadchanges.json"))
    }
}

impl ReadHistory for Client {
    async fn merges_since(
        &self,
        since: DateTime<Utc>,
        leads: &[LeadId],
    ) -> Result<Vec<MergeRecord>> {
        if leads.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: BTreeSet<LeadId> = leads.iter().copied().collect();
        // Marketo walks its log by time and filters afterwards: two walks for two lots of leads
        // cost more than one for all.
        let asked: Vec<LeadId> =
            if wanted.len() > LEADS { Vec::new() } else { wanted.iter().copied().collect() };
        let concerns = |row: &Activity, record: &MergeRecord| {
            wanted.contains(&record.winner)
                || row.primary.is_some_and(|then| wanted.contains(&then))
                || record.losers.iter().any(|loser| wanted.contains(loser))
        };
        self.merges(since, &asked, concerns).await
    }

    async fn consent_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> Result<(Vec<LeadChange>, String)> {
        self.changes_of(since, fields, |_| true).await
    }

    async fn value_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> Result<(Vec<LeadChange>, String)> {
        let types = self.activity_types().await?;
        let is_change =
            |name: &str| CHANGES.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        let kinds: Vec<u32> =
            types.iter().filter(|kind| is_change(&kind.name)).map(|kind| kind.id).collect();
        let schema = self.describe().await?;
        let mut token = match since {
            Since::Time(since) => self.paging_token(since).await?,
            Since::Token(token) => token,
        };
        let mut changes = Vec::new();
        for _ in 0..PAGES {
            let mut answer = self.call(activities_call(&token, &kinds)).await?;
            let next =
                answer.next().ok_or_else(|| answer.senseless("it carries no paging token"))?;
            if answer.more && next == token {
                return Err(answer.senseless("its paging token leads nowhere"));
            }
            let rows = changes_in(&mut answer)?;
            let named = rows
                .into_iter()
                .map(|row| LeadChange { field: rest_name(&row.field, &schema), ..row });
            changes.extend(named.filter(|change| fields.contains(&change.field)));
            token = next;
            if !answer.more {
                return Ok((changes, token));
            }
        }
        Err(endless("GET /rest/v1/activities.json"))
    }
}

impl Client {
    /// Every merge that Marketo recorded since then, whoever made it, by time. The joins of
    /// anonymous visitors with known people are among them.
    pub async fn all_merges_since(&self, since: DateTime<Utc>) -> Result<Vec<MergeRecord>> {
        self.merges(since, &[], |_, _| true).await
    }

    async fn merges(
        &self,
        since: DateTime<Utc>,
        asked: &[LeadId],
        concerns: impl Fn(&Activity, &MergeRecord) -> bool + Send,
    ) -> Result<Vec<MergeRecord>> {
        let kind = self.merge_type().await?;
        let mut token = self.paging_token(since).await?;
        let mut records = BTreeMap::new();
        for _ in 0..PAGES {
            let page = self.activities(&token, &[kind], asked).await?;
            for row in page.activities.iter().filter(|row| row.kind == kind) {
                let record = merge_record(row, self.user()).ok_or_else(|| unreadable(row))?;
                let is_recent = record.at.is_none_or(|at| at >= since.trunc_subsecs(0));
                if is_recent && concerns(row, &record) {
                    records.insert(row.guid.clone(), record);
                }
            }
            if !page.more {
                let mut records: Vec<MergeRecord> = records.into_values().collect();
                records
                    .sort_by(|a, b| (a.at, a.winner, &a.losers).cmp(&(b.at, b.winner, &b.losers)));
                return Ok(records);
            }
            token = page.next;
        }
        Err(endless("GET /rest/v1/activities.json"))
    }

    /// The number of the type Merge Leads here.
    async fn merge_type(&self) -> Result<u32> {
        let types = self.activity_types().await?;
        let found = types.iter().find(|kind| kind.name.trim().eq_ignore_ascii_case(MERGE_LEADS));
        found.map(|kind| kind.id).ok_or_else(|| Error::Answer {
            call: "GET /rest/v1/activities/types.json".to_owned(),
            what: format!("it names no activity type `{MERGE_LEADS}`, so that Marketo's own record of merges cannot be read"),
            request_id: None,
        })
    }
}

fn activities_call(token: &str, kinds: &[u32]) -> Call {
    let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    Call::get("/rest/v1/activities.json")
        .with("nextPageToken", token)
        .with("activityTypeIds", kinds.join(","))
        .with("batchSize", BATCH.to_string())
}

fn changes_call(token: &str, fields: &[String]) -> Call {
    Call::get("/rest/v1/activities/leadchanges.json")
        .with("nextPageToken", token)
        .with("fields", fields.join(","))
        .with("batchSize", BATCH.to_string())
}

fn merge_record(row: &Activity, us: Option<&str>) -> Option<MergeRecord> {
    let words = |name: &str| row.attributes.get(name).and_then(words);
    let user = words("modifying user");
    let is_another =
        |us: &str| user.as_ref().is_some_and(|user| !user.eq_ignore_ascii_case(us.trim()));
    Some(MergeRecord {
        winner: row.lead,
        then: row.primary,
        losers: match row.attributes.get("merge ids") {
            None | Some(Value::Null) => Vec::new(),
            Some(written) => ids_in(written)?,
        },
        at: row.at,
        request_id: words("request id"),
        by_another_user: us.is_some_and(is_another),
        user,
        method: words("api method name"),
        source: words("merge source"),
    })
}

/// The ids in an attribute `Merge IDs`: a list, a number, or a text such as `[5,6]`, `5,6` or `5;
/// 6`. None where it holds anything else: half of the losers would be worse than an error.
fn ids_in(value: &Value) -> Option<Vec<LeadId>> {
    match value {
        Value::Number(number) => Some(vec![number.as_u64()?]),
        Value::String(text) => text
            .split(|c: char| matches!(c, '[' | ']' | '"' | '\'' | ',' | ';') || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect(),
        Value::Array(values) => {
            values.iter().map(ids_in).collect::<Option<Vec<_>>>().map(|lists| lists.concat())
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

fn unreadable(row: &Activity) -> Error {
    Error::Answer {
        call: "GET /rest/v1/activities.json".to_owned(),
        what: format!(
            "the Merge Leads activity {} of lead {} does not name its losers as ids",
            row.guid, row.lead
        ),
        request_id: None,
    }
}

fn endless(call: &str) -> Error {
    Error::Answer {
        call: call.to_owned(),
        what: format!("it has more than {PAGES} pages and no end"),
        request_id: None,
    }
}

/// The changes that a page tells of, each with the field's name as it came; births tell of none.
fn changes_in(answer: &mut Answer) -> Result<Vec<LeadChange>> {
    let rows = answer.read(|row| {
        let of = activity(row)?;
        let fields = match row.get("fields") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(fields)) => {
                fields.iter().map(changed_field).collect::<Option<Vec<_>>>()?
            }
            Some(_) => return None,
        };
        let fields = if fields.is_empty() { from_attributes(row, &of) } else { fields };
        let words = |name: &str| of.attributes.get(name).and_then(words);
        let change = |(field, old, new)| LeadChange {
            lead: of.lead,
            field,
            old,
            new,
            at: of.at,
            source: words("source"),
            request_id: words("request id"),
        };
        Some(fields.into_iter().map(change).collect::<Vec<_>>())
    })?;
    Ok(rows.concat())
}

type Changed = (String, Value, Value);

fn changed_field(field: &Value) -> Option<Changed> {
    let name = Some(text(field, "name")).filter(|name| !name.is_empty())?;
    let value = |member: &str| field.get(member).cloned().unwrap_or_default();
    Some((name, value("oldValue"), value("newValue")))
}

/// The change as `activities.json` would tell it, where a row of lead changes comes that way.
fn from_attributes(row: &Value, of: &Activity) -> Vec<Changed> {
    let field = of.attributes.get("attribute name").and_then(words);
    let field =
        field.or_else(|| Some(text(row, "primaryAttributeValue")).filter(|name| !name.is_empty()));
    let value = |name: &str| of.attributes.get(name).cloned();
    match (field, value("old value"), value("new value")) {
        (Some(field), old, new) if old.is_some() || new.is_some() => {
            vec![(field, old.unwrap_or_default(), new.unwrap_or_default())]
        }
        _ => Vec::new(),
    }
}

/// The field that was asked for under this name, whatever its case.
fn as_asked(name: &str, fields: &[String]) -> Option<String> {
    fields.iter().find(|field| field.eq_ignore_ascii_case(name.trim())).cloned()
}

/// The field's REST name; a name that Describe does not know stays as it came, so that nothing is
/// dropped.
fn rest_name(name: &str, schema: &Schema) -> String {
    schema.field_named(name).map_or_else(|| name.to_owned(), str::to_owned)
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ids_in;

    #[test]
    fn losers_are_read_from_every_form_that_they_come_in_and_never_by_halves() {
        for (written, ids) in [
            (json!("[1286861]"), Some(vec![1_286_861])),
            (json!("[7, 8]"), Some(vec![7, 8])),
            (json!("7,8"), Some(vec![7, 8])),
            (json!("7;8"), Some(vec![7, 8])),
            (json!("[\"7\",\"8\"]"), Some(vec![7, 8])),
            (json!([7, "8"]), Some(vec![7, 8])),
            (json!(7), Some(vec![7])),
            (json!(""), Some(vec![])),
            (json!("7 and others"), None),
            (json!([7, null]), None),
            (json!({"id": 7}), None),
            (json!(true), None),
        ] {
            assert_eq!(ids_in(&written), ids, "{written}");
        }
    }
}
