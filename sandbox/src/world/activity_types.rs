//! The activity types of an instance, with the attributes that `types.json` names and how long
//! Marketo keeps each.

use chrono::Duration;
use serde_json::{Value, json};

/// One activity type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
    description: &'static str,
    /// The name of the attribute whose value identifies what the activity is about.
    primary: Option<&'static str>,
    /// The other attributes, each with its data type.
    attributes: &'static [(&'static str, &'static str)],
    /// How long an activity can be read; none means for ever. By Marketo's retention policy, as
    /// reported by users.
    pub(crate) kept: Option<Duration>,
}

const WEEKS_2: Option<Duration> = Some(Duration::days(14));
const DAYS_90: Option<Duration> = Some(Duration::days(90));
const MONTHS_25: Option<Duration> = Some(Duration::days(25 * 365 / 12));

pub(crate) const NEW_LEAD: Type = Type {
    id: 12,
    name: "New Lead",
    description: "New person/record is added to the lead database",
    primary: None,
    attributes: &[
        ("Created Date", "date"),
        ("Form Name", "string"),
        ("Lead Source", "string"),
        ("List Name", "string"),
        ("SFDC Type", "string"),
        ("Source Type", "string"),
        ("API Method Name", "string"),
        ("Modifying User", "string"),
        ("Request Id", "string"),
    ],
    kept: None,
};
pub(crate) const CHANGE_DATA_VALUE: Type = Type {
    id: 13,
    name: "Change Data Value",
    description: "Changed attribute value for a person/record",
    primary: Some("Attribute Name"),
    attributes: &[
        ("New Value", "string"),
        ("Old Value", "string"),
        ("Reason", "string"),
        ("Source", "string"),
        ("API Method Name", "string"),
        ("Modifying User", "string"),
        ("Request Id", "string"),
    ],
    kept: DAYS_90,
};
pub(crate) const MERGE_LEADS: Type = Type {
    id: 32,
    name: "Merge Leads",
    description: "Merge two or more leads/records into a single record",
    primary: Some("Lead ID"),
    attributes: &[
        ("Merge IDs", "string"),
        ("Master Updated", "boolean"),
        ("Merged in Sales", "boolean"),
        ("Merge Source", "string"),
        ("API Method Name", "string"),
        ("Modifying User", "string"),
        ("Request Id", "string"),
    ],
    kept: MONTHS_25,
};
pub(crate) const DELETE_LEAD: Type = Type {
    id: 37,
    name: "Delete Lead",
    description: "Delete record from Marketo",
    primary: Some("Lead ID"),
    attributes: &[("Campaign", "string")],
    kept: WEEKS_2,
};
pub(crate) const DELETE_FROM_SFDC: Type = Type {
    id: 29,
    name: "Delete Lead from SFDC",
    description: "Delete lead from SFDC",
    primary: Some("Lead ID"),
    attributes: &[],
    kept: MONTHS_25,
};
pub(crate) const CHANGE_PARTITION: Type = Type {
    id: 100,
    name: "Change Lead Partition",
    description: "Lead partition is changed",
    primary: Some("New Partition ID"),
    attributes: &[("Old Partition ID", "integer"), ("Reason", "string")],
    kept: MONTHS_25,
};
pub(crate) const ADD_TO_LIST: Type = Type {
    id: 24,
    name: "Add to List",
    description: "Add a person/record to a list",
    primary: Some("List ID"),
    attributes: &[("Source", "string")],
    kept: DAYS_90,
};
pub(crate) const REMOVE_FROM_LIST: Type = Type {
    id: 25,
    name: "Remove from List",
    description: "Remove this person/record from a list",
    primary: Some("List ID"),
    attributes: &[("Source", "string")],
    kept: MONTHS_25,
};
pub(crate) const FILL_OUT_FORM: Type = Type {
    id: 2,
    name: "Fill Out Form",
    description: "User fills out and submits a form on web page",
    primary: Some("Webform ID"),
    attributes: &[("Form Fields", "string"), ("Query Parameters", "string")],
    kept: MONTHS_25,
};
pub(crate) const VISIT_WEB_PAGE: Type = Type {
    id: 1,
    name: "Visit Webpage",
    description: "User visits a web page",
    primary: Some("Webpage ID"),
    attributes: &[("Webpage URL", "string"), ("Query Parameters", "string")],
    kept: DAYS_90,
};
pub(crate) const CHANGE_SCORE: Type = Type {
    id: 22,
    name: "Change Score",
    description: "Modify the value of a score field",
    primary: Some("Score Name"),
    attributes: &[
        ("Change Value", "string"),
        ("New Value", "integer"),
        ("Old Value", "integer"),
        ("Reason", "string"),
    ],
    kept: DAYS_90,
};
pub(crate) const CHANGE_STATUS: Type = Type {
    id: 104,
    name: "Change Status in Progression",
    description: "Change a person's status in a program",
    primary: Some("Program ID"),
    attributes: &[("New Status", "string"), ("Reason", "string")],
    kept: MONTHS_25,
};

/// Every type, by id.
pub(crate) const ALL: [&Type; 12] = [
    &VISIT_WEB_PAGE,
    &FILL_OUT_FORM,
    &NEW_LEAD,
    &CHANGE_DATA_VALUE,
    &CHANGE_SCORE,
    &ADD_TO_LIST,
    &REMOVE_FROM_LIST,
    &DELETE_FROM_SFDC,
    &MERGE_LEADS,
    &DELETE_LEAD,
    &CHANGE_PARTITION,
    &CHANGE_STATUS,
];

impl Type {
    /// The type as `types.json` shows it.
    pub(crate) fn describe(&self) -> Value {
        let attribute =
            |(name, data_type): &(&str, &str)| json!({"name": name, "dataType": data_type});
        let mut described = json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes.iter().map(attribute).collect::<Vec<_>>(),
        });
        if let (Some(primary), Some(members)) = (self.primary, described.as_object_mut()) {
            members.insert(
                "primaryAttribute".to_owned(),
                json!({"name": primary, "dataType": "integer"}),
            );
        }
        described
    }
}
