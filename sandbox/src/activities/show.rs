//! Activities as the API writes them.
//!
//! Three of New Lead's attributes come in lower case in the activities themselves, though the types
//! name them otherwise; attributes without a value are left out; the date of creation is in the
//! subscription's zone while the activity's is UTC. All of this was seen in recorded answers.

use chrono_tz::America::Chicago;
use serde_json::{Map, Value, json};

use crate::world::log::{Activity, Call, Directory, Source, What};

/// An activity as `activities.json` and `deletedleads.json` show it.
pub(super) fn activity(
    number: usize,
    lead: u64,
    entry: &Activity,
    directory: &impl Directory,
) -> Value {
    let (primary_id, primary_value) = primary(entry, directory);
    json!({
        "id": number,
        "marketoGUID": number.to_string(),
        "leadId": lead,
        "activityDate": entry.at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "activityTypeId": entry.what.activity_type().id,
        "campaignId": null,
        "primaryAttributeValueId": primary_id,
        "primaryAttributeValue": primary_value,
        "attributes": Value::Array(attributes(entry)),
    })
}

/// An activity as `leadchanges.json` shows it: with the changed fields, without a primary
/// attribute.
pub(super) fn lead_change(
    number: usize,
    lead: u64,
    entry: &Activity,
    directory: &impl Directory,
) -> Value {
    let mut shown = activity(number, lead, entry, directory);
    let Some(members) = shown.as_object_mut() else { return shown };
    members.remove("primaryAttributeValueId");
    members.remove("primaryAttributeValue");
    let mut fields = Vec::new();
    if let What::ChangeDataValue { field, old, new, .. } = &entry.what {
        let (id, _) = directory.field(field);
        fields.push(
            json!({"id": id, "name": &**field, "newValue": new.as_deref(), "oldValue": old.as_deref()}),
        );
        let attributes =
            [("Reason", reason(entry)), ("Source", source(entry)), ("Lead ID", json!(lead))];
        members.insert("attributes".to_owned(), list(attributes));
    }
    members.insert("fields".to_owned(), Value::Array(fields));
    shown
}

/// What the activity is about. For a birth and a merge that is the lead's id at the time, which
/// stays when the lead is merged away later.
fn primary(entry: &Activity, directory: &impl Directory) -> (Option<u64>, Option<String>) {
    match &entry.what {
        What::NewLead(_)
        | What::MergeLeads { .. }
        | What::JoinVisitor { .. }
        | What::DeleteLead
        | What::DeleteLeadFromSfdc => (Some(entry.lead), None),
        What::ChangePartition { new, .. } => (Some(*new), None),
        What::ChangeDataValue { field, .. } => {
            let (id, display_name) = directory.field(field);
            (Some(id), Some(display_name))
        }
        What::ChangeScore { .. } => {
            let (id, display_name) = directory.field("leadScore");
            (Some(id), Some(display_name))
        }
        What::AddToList { list } | What::RemoveFromList { list } => {
            (Some(*list), directory.list_name(*list))
        }
        What::ChangeStatus { program, .. } => (Some(*program), directory.program_name(*program)),
        What::FillOutForm { form } => (None, Some(form.to_string())),
        What::VisitWebPage { page } => (None, Some(page.to_string())),
    }
}

fn attributes(entry: &Activity) -> Vec<Value> {
    let mut written = Attributes::default();
    match &entry.what {
        What::NewLead(source) => {
            let date = entry.at.with_timezone(&Chicago).format("%Y-%m-%d").to_string();
            written.add("Created Date", date);
            birth(source, &mut written);
        }
        What::ChangeDataValue { old, new, by, .. } => {
            written.add_some("New Value", new.as_deref());
            written.add_some("Old Value", old.as_deref());
            written.add("Reason", reason(entry));
            written.add("Source", source(entry));
            if let Some(call) = by {
                written.call(["API Method Name", "Modifying User", "Request Id"], call);
            }
        }
        What::MergeLeads { losers, in_sales, by } => {
            written.add("Merge IDs", json!(losers).to_string());
            written.add("Master Updated", true);
            written.add("Merged in Sales", *in_sales);
            written.add("Merge Source", "leaddb");
            if let Some(call) = by {
                written.call(["api method name", "modifying user", "request id"], call);
            }
        }
        // Of these nothing but the visitor's id has been seen.
        What::JoinVisitor { visitor } => written.add("Merge IDs", json!([visitor]).to_string()),
        What::ChangePartition { old, .. } => written.add("Old Partition ID", *old),
        What::ChangeScore { old, new } => {
            written.add("Change Value", format!("{:+}", new - old));
            written.add("New Value", *new);
            written.add("Old Value", *old);
        }
        What::ChangeStatus { new, .. } => written.add("New Status", &**new),
        What::FillOutForm { .. } => written.add("Query Parameters", ""),
        What::VisitWebPage { page } => written.add("Webpage URL", &**page),
        What::AddToList { .. }
        | What::RemoveFromList { .. }
        | What::DeleteLead
        | What::DeleteLeadFromSfdc => {}
    }
    written.0
}

fn birth(source: &Source, written: &mut Attributes) {
    match source {
        Source::Api(call) => {
            written.add("Source Type", "Web service API");
            if let Some(call) = call {
                written.call(["api method name", "modifying user", "request id"], call);
            }
        }
        Source::Form(form) => {
            written.add("Source Type", "Web form fillout");
            written.add("Form Name", &**form);
        }
        Source::ListImport(list) => {
            written.add("Source Type", "List import");
            written.add("List Name", &**list);
        }
        Source::Salesforce(kind) => {
            written.add("Source Type", "Salesforce.com");
            written.add("SFDC Type", *kind);
        }
        Source::ByHand => written.add("Source Type", "New person"),
        Source::WebPageVisit => written.add("Source Type", "Web page visit"),
    }
}

fn reason(entry: &Activity) -> Value {
    match &entry.what {
        What::ChangeDataValue { by: Some(call), .. } => {
            format!("{}: {}", call.method, call.user).into()
        }
        _ => "Changed by a user of the screens".into(),
    }
}

fn source(entry: &Activity) -> Value {
    match &entry.what {
        What::ChangeDataValue { by: Some(_), .. } => "Web service API".into(),
        _ => "Marketo".into(),
    }
}

fn list<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    attributes.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Attributes in the making; those without a value never get in.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if value != "" {
            let mut attribute = Map::new();
            attribute.insert("name".to_owned(), name.into());
            attribute.insert("value".to_owned(), value);
            self.0.push(attribute.into());
        }
    }

    fn add_some(&mut self, name: &str, value: Option<&str>) {
        self.add(name, value.unwrap_or_default());
    }

    fn call(&mut self, [method, user, request_id]: [&str; 3], call: &Call) {
        self.add(method, call.method);
        self.add(user, &*call.user);
        self.add(request_id, &*call.request_id);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    struct Nothing;

    impl Directory for Nothing {
        fn survivor(&self, lead: u64) -> Option<u64> {
            Some(lead)
        }
        fn field(&self, _: &str) -> (u64, String) {
            (31, "Email Address".to_owned())
        }
        fn list_name(&self, _: u64) -> Option<String> {
            None
        }
        fn program_name(&self, _: u64) -> Option<String> {
            None
        }
    }

    fn at() -> DateTime<Utc> {
        "2019-08-23T02:20:08Z".parse().unwrap()
    }

    fn entry(what: What) -> Activity {
        Activity { lead: 4, at: at(), visible_from: at(), what }
    }

    #[test]
    fn a_birth_by_the_api_names_the_call_in_lower_case_and_its_date_in_the_subscriptions_zone() {
        let call = Call {
            method: "syncLead",
            user: "shop@api.example.com".into(),
            request_id: "16b#16cba8ea16a".into(),
        };
        let shown = activity(9, 3, &entry(What::NewLead(Source::Api(Some(call)))), &Nothing);
        assert_eq!(
            shown,
            json!({
                "id": 9, "marketoGUID": "9", "leadId": 3, "activityDate": "2019-08-23T02:20:08Z", "activityTypeId": 12,
                "campaignId": null, "primaryAttributeValueId": 4, "primaryAttributeValue": null,
                "attributes": [
                    {"name": "Created Date", "value": "2019-08-22"},
                    {"name": "Source Type", "value": "Web service API"},
                    {"name": "api method name", "value": "syncLead"},
                    {"name": "modifying user", "value": "shop@api.example.com"},
                    {"name": "request id", "value": "16b#16cba8ea16a"},
                ],
            })
        );
    }

    #[test]
    fn a_merge_names_its_losers_as_text_and_the_winner_of_the_time() {
        let shown = activity(
            1,
            3,
            &entry(What::MergeLeads { losers: [7, 8].into(), in_sales: false, by: None }),
            &Nothing,
        );
        assert_eq!(shown["primaryAttributeValueId"], 4);
        assert_eq!(shown["attributes"][0], json!({"name": "Merge IDs", "value": "[7,8]"}));
    }

    #[test]
    fn a_changed_address_shows_old_and_new_and_leaves_out_what_is_empty() {
        let what = What::ChangeDataValue {
            field: "email".into(),
            old: None,
            new: Some("a@example.com".into()),
            by: None,
        };
        let shown = activity(1, 4, &entry(what.clone()), &Nothing);
        let names: Vec<&Value> = shown["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attribute| &attribute["name"])
            .collect();
        assert_eq!(names, ["New Value", "Reason", "Source"]);
        assert_eq!(shown["primaryAttributeValue"], "Email Address");
        let changed = lead_change(1, 4, &entry(what), &Nothing);
        let field =
            json!({"id": 31, "name": "email", "newValue": "a@example.com", "oldValue": null});
        assert_eq!(changed["fields"], json!([field]));
        assert!(changed.get("primaryAttributeValueId").is_none());
    }

    #[test]
    fn a_birth_among_the_lead_changes_has_no_fields() {
        let shown = lead_change(1, 4, &entry(What::NewLead(Source::ByHand)), &Nothing);
        assert_eq!(shown["fields"], json!([]));
    }
}
