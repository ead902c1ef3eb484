//! Custom objects: rows that belong to leads by the value of a lead's field.
//!
//! A row that is linked by id belongs to the lead of that id. One that is linked by any other value
//! hangs on a single lead all the same: of those with the value, the one that was updated last when
//! the row was written. The API never tells on which.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::World;
use crate::clock::now;
use crate::options::Knobs;
use crate::schema;

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

/// What of a lead the value of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeadLink {
    Id,
    Field(u16),
}

impl Relation {
    /// What of a lead it links to; none where it links to something else, or nobody knows.
    fn lead_link(&self) -> Option<LeadLink> {
        if !self.object.eq_ignore_ascii_case("lead") {
            return None;
        }
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let wanted = plain(&self.related_field);
        if matches!(wanted.as_str(), "id" | "leadid") {
            return Some(LeadLink::Id);
        }
        let is_wanted = |field: &schema::Field| {
            plain(field.name) == wanted || plain(field.display_name) == wanted
        };
        let found = schema::FIELDS.iter().zip(0..).find(|(field, _)| is_wanted(field));
        found.map(|(_, number)| LeadLink::Field(number))
    }

    /// Whether it links to leads by their ids.
    pub(crate) fn is_by_id(&self) -> bool {
        self.lead_link() == Some(LeadLink::Id)
    }
}

/// A custom object whose rows belong to leads.
#[derive(Debug, Clone, Default)]
pub(crate) struct CustomObject {
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// The object's field that holds the link.
    pub(crate) link_field: String,
    /// What describe tells of the links.
    pub(crate) relations: Vec<Relation>,
    /// By which fields its rows are told apart.
    pub(crate) dedupe_fields: Vec<String>,
    /// Whether the CRM manages its rows, so that no caller may write them.
    pub(crate) crm_managed: bool,
    /// The fields that no caller may change once a row is there.
    pub(crate) fixed: Vec<String>,
    /// Code and words with which every call for it is refused.
    pub(crate) refused: Option<(String, String)>,
    /// By Marketo's GUID of the row.
    pub(crate) rows: BTreeMap<String, Map<String, Value>>,
    /// The lead on which a row hangs that is linked by another value than the id.
    pub(crate) owners: BTreeMap<String, u64>,
    /// When each row was made, and when it was changed last.
    pub(crate) times: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>,
    /// Code and words with which writing a row is skipped.
    pub(crate) refused_rows: BTreeMap<String, (String, String)>,
    /// The highest number that a GUID was made of.
    pub(crate) last: u32,
}

/// Makes a custom object, in the place of one with the same name, whose rows it takes over.
pub(crate) fn put_object(objects: &mut Vec<CustomObject>, mut object: CustomObject) {
    match objects.iter_mut().find(|known| known.name == object.name) {
        Some(known) => {
            object.rows = std::mem::take(&mut known.rows);
            object.owners = std::mem::take(&mut known.owners);
            object.times = std::mem::take(&mut known.times);
            object.last = known.last;
            *known = object;
        }
        None => objects.push(object),
    }
}

/// Gives a custom object a row, and the row's GUID; the object, which then links to leads by id, is
/// made where there is none.
pub(crate) fn put_object_row(world: &mut World, name: &str, row: Map<String, Value>) -> String {
    if !world.objects.iter().any(|object| object.name == name) {
        world.objects.push(CustomObject {
            name: name.to_owned(),
            display_name: name.to_owned(),
            link_field: "leadId".to_owned(),
            relations: vec![Relation {
                field: "leadId".to_owned(),
                object: "Lead".to_owned(),
                related_field: "Id".to_owned(),
            }],
            dedupe_fields: vec!["rowId".to_owned()],
            ..CustomObject::default()
        });
    }
    let Some(place) = world.objects.iter().position(|object| object.name == name) else {
        return String::new();
    };
    let guid = world.objects.get_mut(place).map(|object| add_row(object, row)).unwrap_or_default();
    attach(world, place, &guid);
    guid
}

/// The row of an object that links to leads by id.
pub(crate) fn row_of(lead: u64) -> Map<String, Value> {
    Map::from_iter([("leadId".to_owned(), Value::from(lead))])
}

/// Adds a row under a GUID of its own.
pub(crate) fn add_row(object: &mut CustomObject, mut row: Map<String, Value>) -> String {
    object.last += 1;
    let guid = format!("{:08x}-0000-4000-8000-{:012x}", object.last, object.name.len());
    row.insert(GUID.to_owned(), json!(guid));
    object.rows.insert(guid.clone(), row);
    touch(object, &guid, now());
    guid
}

/// A row was made or changed.
pub(crate) fn touch(object: &mut CustomObject, guid: &str, at: DateTime<Utc>) {
    object.times.entry(guid.to_owned()).or_insert((at, at)).1 = at;
}

/// Links a row to a lead, which need not live.
pub(crate) fn relink(object: &mut CustomObject, guid: &str, lead: u64) {
    let link = object.link_field.clone();
    if let Some(row) = object.rows.get_mut(guid) {
        row.insert(link, json!(lead));
        touch(object, guid, now());
    }
}

/// Hangs a row that was written on a lead, where it is linked by another value than the id.
pub(crate) fn attach(world: &mut World, place: usize, guid: &str) {
    let Some(object) = world.objects.get(place) else { return };
    let Some(row) = object.rows.get(guid) else { return };
    let by_value = object.relations.iter().find_map(|relation| match relation.lead_link()? {
        LeadLink::Field(number) => Some((number, text(row.get(&relation.field)?))),
        LeadLink::Id => None,
    });
    let Some((number, value)) = by_value else { return };
    let found = world.find(number, &value);
    let newest = found
        .iter()
        .filter_map(|id| world.lead(*id))
        .max_by_key(|record| (record.updated_at, record.id))
        .map(|record| record.id);
    if let (Some(object), Some(owner)) = (world.objects.get_mut(place), newest) {
        object.owners.insert(guid.to_owned(), owner);
    }
}

/// What becomes of the rows of a lead that was merged away: a merge carries none of them over.
pub(crate) fn left_behind(world: &mut World, knobs: &Knobs, loser: u64, survivor: u64) {
    let by_id = knobs.is("loser_rows", "vanish");
    let by_value = knobs.text("value_rows").to_owned();
    for object in &mut world.objects {
        let links: Vec<&str> = object
            .relations
            .iter()
            .filter(|relation| relation.is_by_id())
            .map(|relation| relation.field.as_str())
            .collect();
        if by_id {
            let hangs = |row: &Map<String, Value>| {
                let is_his = |held: &Value| text(held) == loser.to_string();
                links.iter().any(|field| row.get(*field).is_some_and(is_his))
            };
            object.rows.retain(|_, row| !hangs(row));
        }
        let owned: Vec<String> = object
            .owners
            .iter()
            .filter(|(_, owner)| **owner == loser)
            .map(|(guid, _)| guid.clone())
            .collect();
        for guid in owned {
            match by_value.as_str() {
                "follow" => drop(object.owners.insert(guid, survivor)),
                "stay_by_value" => {}
                _ => {
                    object.rows.remove(&guid);
                    object.owners.remove(&guid);
                }
            }
        }
    }
}

/// A value of a row as text, as filters compare it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
