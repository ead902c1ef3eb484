//! Reading: leads by filter, the schema, activities, memberships, usage. All of it may be asked
//! again.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::call::Call;
use super::{
    Activity, ActivityPage, ActivityType, BATCH, Client, LeadPartition, Moment, Program,
    ProgramMember, ReadActivities, ReadLeads, ReadMemberships, ReadUsage, Result, Schema,
    StaticList, Usage,
};
use crate::lead::{Lead, LeadId, parse_time};

/// Marketo's own time limit for Get Leads by Filter and by List.
pub(super) const FILTER_LIMIT: Duration = Duration::from_secs(60);

/// And for a paging token.
const PAGING_TOKEN_LIMIT: Duration = Duration::from_secs(300);

/// Programs come by offset, at most so many at once.
const PROGRAM_PAGE: usize = 200;

impl ReadLeads for Client {
    async fn leads_by(
        &self,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> Result<Vec<Lead>> {
        Ok(self.leads_since(field, values, fields).await?.1)
    }

    async fn look(&self, ids: &[LeadId], fields: &[String]) -> Result<(Moment, Vec<Lead>)> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        self.leads_since("id", &ids, fields).await
    }

    async fn describe(&self) -> Result<Schema> {
        let described = self.own().describe().await;
        described
            .map_err(|failure| self.error("GET /rest/v1/leads/describe2.json".to_owned(), failure))
    }
}

impl ReadActivities for Client {
    async fn activity_types(&self) -> Result<Vec<ActivityType>> {
        self.call(Call::get("/rest/v1/activities/types.json")).await?.read(|row| {
            let id = u32::try_from(number(row.get("id")?)?).ok()?;
            Some(ActivityType { id, name: text(row, "name") })
        })
    }

    async fn paging_token(&self, since: DateTime<Utc>) -> Result<String> {
        let call = Call::get("/rest/v1/activities/pagingtoken.json")
            .with("sinceDatetime", since.to_rfc3339_opts(SecondsFormat::Secs, true))
            .within(PAGING_TOKEN_LIMIT);
        let answer = self.call(call).await?;
        answer.next().ok_or_else(|| answer.senseless("it carries no paging token"))
    }

    async fn activities(
        &self,
        token: &str,
        types: &[u32],
        leads: &[LeadId],
    ) -> Result<ActivityPage> {
        let mut call = Call::get("/rest/v1/activities.json")
            .with("nextPageToken", token)
            .with("activityTypeIds", joined(types))
            .with("batchSize", BATCH.to_string());
        if !leads.is_empty() {
            call = call.with("leadIds", joined(leads));
        }
        self.activity_page(call).await
    }

    async fn lead_changes(&self, token: &str, fields: &[String]) -> Result<ActivityPage> {
        let call = Call::get("/rest/v1/activities/leadchanges.json")
            .with("nextPageToken", token)
            .with("fields", fields.join(","))
            .with("batchSize", BATCH.to_string());
        self.activity_page(call).await
    }

    async fn deleted_leads(&self, token: &str) -> Result<ActivityPage> {
        let call = Call::get("/rest/v1/activities/deletedleads.json")
            .with("nextPageToken", token)
            .with("batchSize", BATCH.to_string());
        self.activity_page(call).await
    }
}

impl ReadMemberships for Client {
    async fn lead_partitions(&self) -> Result<Vec<LeadPartition>> {
        let call = Call::get("/rest/v1/leads/partitions.json").needing_result();
        let mut answer = self.call(call).await?;
        answer.read(|row| {
            Some(LeadPartition { id: number(row.get("id")?)?, name: text(row, "name") })
        })
    }

    async fn static_lists(&self) -> Result<Vec<StaticList>> {
        let call =
            Call::get("/rest/v1/lists.json").with("batchSize", BATCH.to_string()).needing_result();
        self.pages(call, |row| {
            Some(StaticList { id: number(row.get("id")?)?, name: text(row, "name") })
        })
        .await
    }

    async fn list_members(
        &self,
        list: u64,
        token: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>)> {
        let mut call = Call::get(format!("/rest/v1/lists/{list}/leads.json"))
            .with("fields", "id")
            .with("batchSize", BATCH.to_string())
            .within(FILTER_LIMIT)
            .needing_result();
        if let Some(token) = token {
            call = call.with("nextPageToken", token);
        }
        let mut answer = self.call(call).await?;
        Ok((answer.read(|row| number(row.get("id")?))?, answer.next()))
    }

    async fn list_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.pages(
            Call::get(format!("/rest/v1/leads/{lead}/listMembership.json")).needing_result(),
            members,
        )
        .await
    }

    async fn program_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.pages(
            Call::get(format!("/rest/v1/leads/{lead}/programMembership.json")).needing_result(),
            members,
        )
        .await
    }

    async fn programs(&self) -> Result<Vec<Program>> {
        let mut programs = Vec::new();
        let mut asked_again = false;
        loop {
            let call = Call::get("/rest/asset/v1/programs.json")
                .with("maxReturn", PROGRAM_PAGE.to_string())
                .with("offset", programs.len().to_string());
            let mut answer = self.call(call).await?;
            // Past the last program Marketo leaves the result out; so does, once in a while, an
            // answer that should have one.
            if !answer.has_result() && !asked_again {
                asked_again = true;
                continue;
            }
            asked_again = false;
            let page = answer.read(|row| {
                Some(Program { id: number(row.get("id")?)?, name: text(row, "name") })
            })?;
            let found = page.len();
            programs.extend(page);
            if found < PROGRAM_PAGE {
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
            .within(FILTER_LIMIT)
            .needing_result();
        if let Some(token) = token {
            call = call.with("nextPageToken", token);
        }
        let mut answer = self.call(call).await?;
        let members = answer.read(|row| {
            let membership =
                row.get("membership").and_then(Value::as_object).cloned().unwrap_or_default();
            Some(ProgramMember { lead: number(row.get("id")?)?, membership })
        })?;
        Ok((members, answer.next()))
    }
}

impl ReadUsage for Client {
    async fn usage_today(&self) -> Result<Usage> {
        let rows = self.call(Call::get("/rest/v1/stats/usage.json")).await?.rows()?;
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
    /// Leads by filter, and the moment at which the first call for them left.
    async fn leads_since(
        &self,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> Result<(Moment, Vec<Lead>)> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let found = self.own().look_up(field, &values, &fields).await;
        let found =
            found.map_err(|failure| self.error("GET /rest/v1/leads.json".to_owned(), failure))?;
        Ok((found.since, found.leads))
    }

    /// One page of activities: while `moreResult` is true there is more, however few came.
    async fn activity_page(&self, call: Call) -> Result<ActivityPage> {
        let asked = call
            .query
            .iter()
            .find(|(name, _)| *name == "nextPageToken")
            .map(|(_, token)| token.clone());
        let mut answer = self.call(call).await?;
        let next = answer.next().ok_or_else(|| answer.senseless("it carries no paging token"))?;
        // A token that repeats itself would page for ever.
        if answer.more && asked.as_ref() == Some(&next) {
            return Err(answer.senseless("its paging token leads nowhere"));
        }
        Ok(ActivityPage { activities: answer.read(activity)?, next, more: answer.more })
    }

    /// All pages of an answer, read.
    pub(super) async fn pages<T>(
        &self,
        call: Call,
        row: impl Fn(&Value) -> Option<T> + Copy,
    ) -> Result<Vec<T>> {
        let name = call.name();
        let pages = self.own().pages(call, row).await;
        Ok(pages.map_err(|failure| self.error(name, failure))?.rows)
    }
}

pub(super) fn lead(row: &Value) -> Option<Lead> {
    let fields = row.as_object()?;
    let mut lead = Lead::new(number(fields.get("id")?)?);
    for (field, value) in fields.iter().filter(|(field, _)| *field != "id") {
        lead.set(field, value.clone());
    }
    Some(lead)
}

pub(super) fn members(row: &Value) -> Option<Map<String, Value>> {
    row.as_object().cloned()
}

pub(super) fn activity(row: &Value) -> Option<Activity> {
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
        // `id` is what `marketoGUID` is replacing.
        guid: Some(text(row, "marketoGUID"))
            .filter(|guid| !guid.is_empty())
            .unwrap_or_else(|| text(row, "id")),
        lead: number(row.get("leadId")?)?,
        at: row.get("activityDate").and_then(Value::as_str).and_then(parse_time),
        kind: u32::try_from(number(row.get("activityTypeId")?)?).ok()?,
        primary: row.get("primaryAttributeValueId").and_then(number),
        attributes,
    })
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

pub(super) fn text(row: &Value, member: &str) -> String {
    row.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}
