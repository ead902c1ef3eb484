//! Reading: leads by filter, the schema, activities, memberships, usage. All of it may be asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::client::Call;
use super::{
    Activity, ActivityPage, ActivityType, BATCH, Client, CustomObjectType, Error, Field, Program,
    ProgramMember, ReadLeads, Result, Schema, StaticList, Usage,
};
use crate::lead::{Lead, LeadId, parse_time};

/// Marketo's own time limit for Get Leads by Filter and by List.
const FILTER_LIMIT: Duration = Duration::from_secs(60);

/// And for a paging token.
const PAGING_TOKEN_LIMIT: Duration = Duration::from_secs(300);

/// Programs come by offset, at most so many at once.
const PROGRAM_PAGE: usize = 200;

impl ReadLeads for Client {
    async fn leads_by(&self, field: &str, values: &[String], fields: &[String]) -> Result<Vec<Lead>> {
        if values.iter().any(|value| value.contains(',')) {
            return Err(Error::CannotAsk { field: field.to_owned() });
        }
        let mut leads = BTreeMap::new();
        // A stack of the values still to be asked for; a chunk that finds too much is asked for in halves.
        let mut chunks: Vec<&[String]> = values.chunks(BATCH).rev().collect();
        while let Some(chunk) = chunks.pop() {
            let call = Call::get("/rest/v1/leads.json")
                .with("filterType", field)
                .with("filterValues", chunk.join(","))
                .with("fields", fields.join(","))
                .with("batchSize", BATCH.to_string())
                .within(FILTER_LIMIT);
            match self.pages(call).await {
                Ok(rows) => leads.extend(rows.into_iter().filter_map(lead).map(|lead| (lead.id, lead))),
                Err(error) if found_too_much(&error) && chunk.len() > 1 => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([second, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(leads.into_values().collect())
    }

    async fn describe(&self) -> Result<Schema> {
        let call = Call::get("/rest/v1/leads/describe2.json");
        let name = call.name();
        let envelope = self.call(call).await?;
        let request_id = envelope.request_id.clone();
        let row = envelope.rows().into_iter().next().ok_or_else(|| Error::Answer {
            call: name,
            what: "it describes no fields".to_owned(),
            request_id,
        })?;
        Ok(schema(&row))
    }

    async fn activity_types(&self) -> Result<Vec<ActivityType>> {
        let rows = self.call(Call::get("/rest/v1/activities/types.json")).await?.rows();
        Ok(rows
            .iter()
            .filter_map(|row| {
                let id = u32::try_from(number(row.get("id")?)?).ok()?;
                Some(ActivityType { id, name: text(row, "name") })
            })
            .collect())
    }

    async fn paging_token(&self, since: DateTime<Utc>) -> Result<String> {
        let call = Call::get("/rest/v1/activities/pagingtoken.json")
            .with("sinceDatetime", since.to_rfc3339_opts(SecondsFormat::Secs, true))
            .within(PAGING_TOKEN_LIMIT);
        let name = call.name();
        let envelope = self.call(call).await?;
        envelope.next().ok_or_else(|| no_token(name, envelope.request_id))
    }

    async fn activities(&self, token: &str, types: &[u32], leads: &[LeadId]) -> Result<ActivityPage> {
        let mut call = Call::get("/rest/v1/activities.json")
            .with("nextPageToken", token)
            .with("activityTypeIds", joined(types))
            .with("batchSize", BATCH.to_string());
        if !leads.is_empty() {
            call = call.with("leadIds", joined(leads));
        }
        let name = call.name();
        let envelope = self.call(call).await?;
        let more = envelope.more_result;
        let next = envelope.next().ok_or_else(|| no_token(name, envelope.request_id.clone()))?;
        Ok(ActivityPage { activities: envelope.rows().iter().filter_map(activity).collect(), next, more })
    }

    async fn static_lists(&self) -> Result<Vec<StaticList>> {
        let rows = self.pages(Call::get("/rest/v1/lists.json").with("batchSize", BATCH.to_string())).await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some(StaticList { id: number(row.get("id")?)?, name: text(row, "name") }))
            .collect())
    }

    async fn list_members(&self, list: u64, token: Option<&str>) -> Result<(Vec<LeadId>, Option<String>)> {
        let mut call = Call::get(format!("/rest/v1/lists/{list}/leads.json"))
            .with("fields", "id")
            .with("batchSize", BATCH.to_string())
            .within(FILTER_LIMIT);
        if let Some(token) = token {
            call = call.with("nextPageToken", token);
        }
        let envelope = self.call(call).await?;
        let next = envelope.next();
        Ok((envelope.rows().iter().filter_map(|row| number(row.get("id")?)).collect(), next))
    }

    async fn list_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.objects(Call::get(format!("/rest/v1/leads/{lead}/listMembership.json"))).await
    }

    async fn program_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.objects(Call::get(format!("/rest/v1/leads/{lead}/programMembership.json"))).await
    }

    async fn programs(&self) -> Result<Vec<Program>> {
        let mut programs = Vec::new();
        loop {
            let call = Call::get("/rest/asset/v1/programs.json")
                .with("maxReturn", PROGRAM_PAGE.to_string())
                .with("offset", programs.len().to_string());
            let rows = self.call(call).await?.rows();
            let page = rows.len();
            programs
                .extend(rows.iter().filter_map(|row| {
                    Some(Program { id: number(row.get("id")?)?, name: text(row, "name") })
                }));
            if page < PROGRAM_PAGE {
                return Ok(programs);
            }
        }
    }

    async fn program_members(
        &self,
        program: u64,
        token: Option<&str>,
    ) -> Result<(Vec<ProgramMember>, Option<String>)> {
        let mut call = Call::get(format!("/rest/v1/leads/programs/{program}.json"))
            .with("fields", "id")
            .with("batchSize", BATCH.to_string())
            .within(FILTER_LIMIT);
        if let Some(token) = token {
            call = call.with("nextPageToken", token);
        }
        let envelope = self.call(call).await?;
        let next = envelope.next();
        let members = envelope
            .rows()
            .iter()
            .filter_map(|row| {
                let membership =
                    row.get("membership").and_then(Value::as_object).cloned().unwrap_or_default();
                Some(ProgramMember { lead: number(row.get("id")?)?, membership })
            })
            .collect();
        Ok((members, next))
    }

    async fn lead_custom_objects(&self) -> Result<Vec<CustomObjectType>> {
        let rows = self.pages(Call::get("/rest/v1/customobjects.json")).await?;
        Ok(rows.iter().flat_map(links_to_leads).collect())
    }

    async fn custom_objects(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<Vec<Map<String, Value>>> {
        if values.iter().any(|value| value.contains(',')) {
            return Err(Error::CannotAsk { field: field.to_owned() });
        }
        let mut found = Vec::new();
        for chunk in values.chunks(BATCH) {
            let call = Call::get(format!("/rest/v1/customobjects/{object}.json"))
                .with("filterType", field)
                .with("filterValues", chunk.join(","))
                .with("fields", field)
                .with("batchSize", BATCH.to_string());
            found.extend(self.objects(call).await?);
        }
        Ok(found)
    }

    async fn usage_today(&self) -> Result<Usage> {
        let rows = self.call(Call::get("/rest/v1/stats/usage.json")).await?.rows();
        let Some(row) = rows.first() else { return Ok(Usage::default()) };
        let by_user = row
            .get("users")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|user| Some((text(user, "userId"), number(user.get("count")?)?)))
            .collect();
        Ok(Usage { total: row.get("total").and_then(number).unwrap_or_default(), by_user })
    }
}

impl Client {
    /// All pages of an answer: while there is a token there is more, whatever `moreResult` says.
    async fn pages(&self, call: Call) -> Result<Vec<Value>> {
        let Call { kind, method, path, query, limit, .. } = call;
        let (mut rows, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut page = Call::get(path.clone()).within(limit);
            page.query.clone_from(&query);
            debug_assert!(page.kind == kind && page.method == method, "only reads have pages");
            if let Some(token) = &token {
                page = page.with("nextPageToken", token);
            }
            let envelope = self.call(page).await?;
            let next = envelope.next();
            rows.extend(envelope.rows());
            // A token that repeats itself would page for ever.
            if next.is_none() || next == token {
                return Ok(rows);
            }
            token = next;
        }
    }

    async fn objects(&self, call: Call) -> Result<Vec<Map<String, Value>>> {
        let rows = self.pages(call).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row {
                Value::Object(object) => Some(object),
                _ => None,
            })
            .collect())
    }
}

/// 1003 stands for several things; only its text tells that a filter found over 1,000 leads.
fn found_too_much(error: &Error) -> bool {
    matches!(error, Error::Refused { code, message, .. } if code == "1003" && message.to_lowercase().contains("too many results"))
}

fn no_token(call: String, request_id: Option<String>) -> Error {
    Error::Answer { call, what: "it carries no paging token".to_owned(), request_id }
}

fn lead(row: Value) -> Option<Lead> {
    let Value::Object(fields) = row else { return None };
    let mut lead = Lead::new(number(fields.get("id")?)?);
    for (field, value) in fields {
        if field != "id" {
            lead.set(&field, value);
        }
    }
    Some(lead)
}

fn schema(row: &Value) -> Schema {
    let searchable = row
        .get("searchableFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        // A combination of several fields cannot be used as a filter.
        .filter_map(|fields| match fields.as_array().map(Vec::as_slice) {
            Some([Value::String(field)]) => Some(field.clone()),
            _ => None,
        })
        .collect();
    let fields = row
        .get("fields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|field| {
            let flag = |name: &str| field.get(name).and_then(Value::as_bool).unwrap_or(false);
            let facts = Field {
                display_name: text(field, "displayName"),
                data_type: text(field, "dataType"),
                updateable: flag("updateable"),
                crm_managed: flag("crmManaged"),
            };
            (text(field, "name"), facts)
        })
        .collect();
    Schema { fields, searchable }
}

fn activity(row: &Value) -> Option<Activity> {
    let attributes = row
        .get("attributes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|attribute| {
            Some((text(attribute, "name").to_lowercase(), attribute.get("value")?.clone()))
        })
        .collect();
    Some(Activity {
        guid: text(row, "marketoGUID"),
        lead: number(row.get("leadId")?)?,
        at: row.get("activityDate").and_then(Value::as_str).and_then(parse_time),
        kind: u32::try_from(number(row.get("activityTypeId")?)?).ok()?,
        primary: row.get("primaryAttributeValueId").and_then(number),
        attributes,
    })
}

fn links_to_leads(row: &Value) -> Vec<CustomObjectType> {
    let name = text(row, "name");
    row.get("relationships")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|relation| {
            relation
                .pointer("/relatedTo/name")
                .and_then(Value::as_str)
                .is_some_and(|to| to.eq_ignore_ascii_case("lead"))
        })
        .map(|relation| CustomObjectType {
            name: name.clone(),
            link_field: text(relation, "field"),
            lead_field: lead_field(
                relation.pointer("/relatedTo/field").and_then(Value::as_str).unwrap_or("id"),
            ),
        })
        .collect()
}

/// Relationships name the lead's field as the screens do: `Id`, `Email Address`.
fn lead_field(name: &str) -> String {
    match name {
        "Id" | "ID" => "id".to_owned(),
        "Email" | "Email Address" => "email".to_owned(),
        other => other.to_owned(),
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// An id, as a number or as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text(row: &Value, member: &str) -> String {
    row.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}
