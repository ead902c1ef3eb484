//! Custom objects: what there is, their rows, and linking rows to other leads.
//!
//! Reading may be asked again. A call that links rows leaves once; twice would be the same as once,
//! but nobody else's link may be in between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Body, Call};
use super::envelope::{RawReason, null_as_default};
use super::read::{members, text};
use super::{
    BATCH, Client, CustomObjectType, Error, LinkRows, ObjectField, ROWS_LIMIT, ReadCustomObjects,
    Reason, Result, RowLink, RowResult, SendGate,
};

/// The field that every row has.
const GUID: &str = "marketoGUID";

impl ReadCustomObjects for Client {
    async fn lead_custom_objects(&self) -> Result<Vec<CustomObjectType>> {
        let links = self
            .pages(Call::get("/rest/v1/customobjects.json").needing_result(), links_to_leads)
            .await?;
        Ok(links.concat())
    }

    async fn object_fields(&self, object: &str) -> Result<BTreeMap<String, ObjectField>> {
        let path = format!("/rest/v1/customobjects/{object}/describe.json");
        let described = self.pages(Call::get(path).needing_result(), fields_of).await?;
        Ok(described.into_iter().flatten().collect())
    }

    async fn custom_objects(
        &self,
        object: &str,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> Result<Vec<Map<String, Value>>> {
        if values.iter().any(|value| value.contains(',')) {
            return Err(Error::CannotAsk { field: field.to_owned() });
        }
        let mut asked = vec![GUID];
        for name in std::iter::once(field).chain(fields.iter().map(String::as_str)) {
            if !asked.contains(&name) {
                asked.push(name);
            }
        }
        let mut found = Vec::new();
        for chunk in values.chunks(BATCH) {
            let call = Call::get(format!("/rest/v1/customobjects/{object}.json"))
                .with("filterType", field)
                .with("filterValues", chunk.join(","))
                .with("fields", asked.join(","))
                .with("batchSize", BATCH.to_string())
                .needing_result();
            found.extend(self.pages(call, members).await?);
        }
        Ok(found)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkBody {
    action: &'static str,
    dedupe_by: &'static str,
    input: Vec<Value>,
}

#[derive(Deserialize)]
struct LinkedRow {
    status: String,
    #[serde(rename = "marketoGUID")]
    guid: Option<String>,
    #[serde(default, alias = "reason", deserialize_with = "null_as_default")]
    reasons: Vec<RawReason>,
}

impl LinkRows for Client {
    async fn link_rows_with(
        &self,
        gate: &impl SendGate,
        object: &str,
        field: &str,
        rows: &[RowLink],
    ) -> Result<Vec<RowResult>> {
        let body = LinkBody {
            action: "updateOnly",
            dedupe_by: "idField",
            input: rows.iter().map(|row| json!({GUID: row.guid, field: row.lead})).collect(),
        };
        let body = serde_json::to_vec(&body).map_err(|error| Error::Setup {
            what: format!("the rows cannot be written as JSON: {error}"),
        })?;
        let path = format!("/rest/v1/customobjects/{object}.json");
        let mut answer =
            self.call_with(gate, Call::post(path, Body::Json(body), ROWS_LIMIT)).await?;
        let said = answer.read(linked_row).unwrap_or_default();
        // Results come in the order of the input; one that names another row there tells nothing of
        // either.
        let matches = |(asked, said): (&RowLink, &LinkedRow)| {
            said.guid.as_ref().is_none_or(|guid| guid.eq_ignore_ascii_case(&asked.guid))
        };
        if said.len() != rows.len() || !rows.iter().zip(&said).all(matches) {
            let what =
                format!("the answer does not say what became of each of the {} rows", rows.len());
            return Err(answer.unclear(what));
        }
        let result = |(row, said): (&RowLink, LinkedRow)| RowResult {
            guid: row.guid.clone(),
            linked: said.status == "updated",
            reasons: said.reasons.iter().map(Reason::from).collect(),
        };
        Ok(rows.iter().zip(said).map(result).collect())
    }
}

fn linked_row(row: &Value) -> Option<LinkedRow> {
    let row = LinkedRow::deserialize(row).ok()?;
    matches!(row.status.as_str(), "updated" | "skipped").then_some(row)
}

/// What describe tells of the fields; one that does not say whether it may be changed may not.
fn fields_of(row: &Value) -> Option<Vec<(String, ObjectField)>> {
    let is = |field: &Value, name: &str| field.get(name).and_then(Value::as_bool).unwrap_or(false);
    let fields = row.get("fields")?.as_array()?;
    let read = fields.iter().map(|field| {
        let read = ObjectField {
            updateable: is(field, "updateable"),
            crm_managed: is(field, "crmManaged"),
        };
        (text(field, "name"), read)
    });
    Some(read.collect())
}

fn links_to_leads(row: &Value) -> Option<Vec<CustomObjectType>> {
    // Answers name an object `name`, Adobe's definitions `apiName`.
    let name =
        [text(row, "name"), text(row, "apiName")].into_iter().find(|name| !name.is_empty())?;
    let relations = match row.get("relationships") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(relations) => relations.as_array()?,
    };
    let dedupe_fields: Vec<String> = row
        .get("dedupeFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|field| field.as_str().map(str::to_owned))
        .collect();
    let (to_leads, to_others): (Vec<&Value>, Vec<&Value>) =
        relations.iter().partition(|relation| is_to_leads(relation));
    let bridges: Vec<String> = to_others.into_iter().map(related_object).collect();
    let links = to_leads.into_iter().map(|relation| CustomObjectType {
        name: name.clone(),
        link_field: text(relation, "field"),
        lead_field: lead_field(related(relation, "field")),
        dedupe_fields: dedupe_fields.clone(),
        bridges: bridges.clone(),
    });
    Some(links.collect())
}

/// What a relation says of the other side. Adobe's describe has it as `object`, its list as
/// `relatedTo`.
fn related<'r>(relation: &'r Value, member: &str) -> &'r str {
    ["relatedTo", "object"]
        .into_iter()
        .find_map(|side| relation.get(side)?.get(member)?.as_str())
        .unwrap_or_default()
        .trim()
}

fn related_object(relation: &Value) -> String {
    related(relation, "name").to_owned()
}

/// Whether a relation is to the lead; one that does not say to what it is may be.
fn is_to_leads(relation: &Value) -> bool {
    let to = related(relation, "name");
    to.is_empty()
        || ["lead", "leads", "person", "people"].iter().any(|name| to.eq_ignore_ascii_case(name))
}

/// Relationships name the lead's field as the screens do: `Id`, `Email Address`. Other names are
/// told as they come.
fn lead_field(name: &str) -> String {
    match name {
        "Id" | "ID" => "id".to_owned(),
        "Email" | "Email Address" => "email".to_owned(),
        other => other.to_owned(),
    }
}
