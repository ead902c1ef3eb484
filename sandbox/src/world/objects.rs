//! Custom objects: rows that belong to leads by the value of a lead's field.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The field that every row has.
pub(crate) const GUID: &str = "marketoGUID";

/// A link of a custom object, as describe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The object's field that holds the link.
    pub field: String,
    /// What it links to: `Lead`, or another object.
    pub object: String,
    /// That one's field, in the spelling in which describe shows it: `Id`, `Email Address`,
    /// `email`, …
    pub related_field: String,
}

/// A custom object whose rows belong to leads.
#[derive(Debug, Clone)]
pub(crate) struct CustomObject {
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// The object's field that holds the link.
    pub(crate) link_field: String,
    /// What describe tells of the links.
    pub(crate) relations: Vec<Relation>,
    /// Code and words with which every call for it is refused.
    pub(crate) refused: Option<(String, String)>,
    /// By Marketo's GUID of the row.
    pub(crate) rows: BTreeMap<String, Map<String, Value>>,
}

/// Makes a custom object, in the place of one with the same name, whose rows it takes over.
pub(crate) fn put_object(objects: &mut Vec<CustomObject>, mut object: CustomObject) {
    match objects.iter_mut().find(|known| known.name == object.name) {
        Some(known) => {
            object.rows = std::mem::take(&mut known.rows);
            *known = object;
        }
        None => objects.push(object),
    }
}

/// Gives a custom object a row, and the row's GUID; the object, which then links to leads by id, is
/// made where there is none.
pub(crate) fn put_object_row(
    objects: &mut Vec<CustomObject>,
    name: &str,
    row: Map<String, Value>,
) -> String {
    if !objects.iter().any(|object| object.name == name) {
        objects.push(CustomObject {
            name: name.to_owned(),
            display_name: name.to_owned(),
            link_field: "leadId".to_owned(),
            relations: vec![Relation {
                field: "leadId".to_owned(),
                object: "Lead".to_owned(),
                related_field: "Id".to_owned(),
            }],
            refused: None,
            rows: BTreeMap::new(),
        });
    }
    let object = objects.iter_mut().find(|object| object.name == name);
    object.map(|object| add_row(object, row)).unwrap_or_default()
}

/// The row of an object that links to leads by id.
pub(crate) fn row_of(lead: u64) -> Map<String, Value> {
    Map::from_iter([("leadId".to_owned(), Value::from(lead))])
}

/// Adds a row under a GUID of its own.
pub(crate) fn add_row(object: &mut CustomObject, mut row: Map<String, Value>) -> String {
    // One above the last, since a number that was deleted is not given again while a higher one
    // lives.
    let last = object
        .rows
        .keys()
        .next_back()
        .and_then(|guid| u32::from_str_radix(guid.get(..8)?, 16).ok());
    let guid = format!("{:08x}-0000-4000-8000-{:012x}", last.unwrap_or(0) + 1, object.name.len());
    row.insert(GUID.to_owned(), json!(guid));
    object.rows.insert(guid.clone(), row);
    guid
}
