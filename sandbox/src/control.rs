//! What tests order for the calls to come, and what they ask about the past.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::meddle::screens::{Meanwhile, Meddled, Moment};
use super::sandbox::Sandbox;
use super::view::{LeadView, view_of};
use super::world::objects::{self, CustomObject, Relation};
use super::world::past::Held;

/// A custom object to be made; see [`Sandbox::put_object`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Its API name.
    pub name: String,
    /// Its own field that holds the link, by which its rows can be looked up.
    pub link_field: String,
    /// What `customobjects.json` and `describe.json` tell of its links.
    pub relations: Vec<Relation>,
    /// By which fields its rows are told apart.
    pub dedupe_fields: Vec<String>,
    /// Whether the CRM manages its rows, so that no caller may write them.
    pub crm_managed: bool,
    /// The fields that no caller may change once a row is there.
    pub fixed: Vec<String>,
    /// Code and words with which every call for it is refused (`603`, `1020`, …); the list of
    /// objects shows it all the same.
    pub refused: Option<(String, String)>,
}

impl ObjectSpec {
    /// An object that anybody may read, whose field links to a field of leads; that one in any
    /// spelling.
    pub fn linked(name: &str, link_field: &str, lead_field: &str) -> Self {
        let relation = Relation {
            field: link_field.to_owned(),
            object: "Lead".to_owned(),
            related_field: lead_field.to_owned(),
        };
        Self {
            name: name.to_owned(),
            link_field: link_field.to_owned(),
            relations: vec![relation],
            dedupe_fields: vec!["rowId".to_owned()],
            crm_managed: false,
            fixed: Vec::new(),
            refused: None,
        }
    }

    /// The same, its rows told apart by these fields.
    #[must_use]
    pub fn keyed_by(self, fields: &[&str]) -> Self {
        Self { dedupe_fields: fields.iter().map(|field| (*field).to_owned()).collect(), ..self }
    }

    /// The same as a bridge: each of its rows links a lead to a row of another object, too.
    #[must_use]
    pub fn bridge_to(mut self, object: &str, link_field: &str, related_field: &str) -> Self {
        self.relations.push(Relation {
            field: link_field.to_owned(),
            object: object.to_owned(),
            related_field: related_field.to_owned(),
        });
        self
    }

    /// The same, managed by the CRM.
    #[must_use]
    pub fn crm_managed(self) -> Self {
        Self { crm_managed: true, ..self }
    }

    /// The same with a field that no caller may change.
    #[must_use]
    pub fn fixed(mut self, field: &str) -> Self {
        self.fixed.push(field.to_owned());
        self
    }

    /// The same, refused to whoever asks for it.
    #[must_use]
    pub fn refused(self, code: &str, message: &str) -> Self {
        Self { refused: Some((code.to_owned(), message.to_owned())), ..self }
    }
}

impl Sandbox {
    /// Makes a custom object; one with the same name is replaced, and its rows stay.
    pub fn put_object(&self, spec: &ObjectSpec) {
        let object = CustomObject {
            name: spec.name.clone(),
            display_name: spec.name.clone(),
            link_field: spec.link_field.clone(),
            relations: spec.relations.clone(),
            dedupe_fields: spec.dedupe_fields.clone(),
            crm_managed: spec.crm_managed,
            fixed: spec.fixed.clone(),
            refused: spec.refused.clone(),
            ..CustomObject::default()
        };
        objects::put_object(&mut self.shared.world().objects, object);
    }

    /// Gives a custom object a row with these values, its link among them, and gives the row's
    /// GUID.
    pub fn put_object_row(&self, name: &str, row: &Value) -> String {
        let row = row.as_object().cloned().unwrap_or_default();
        objects::put_object_row(&mut self.shared.world(), name, row)
    }

    /// The rows of a custom object, each with its GUID, in the order in which they came.
    pub fn object_rows(&self, name: &str) -> Vec<Value> {
        let world = self.shared.world();
        let object = world.objects.iter().find(|object| object.name == name);
        object
            .into_iter()
            .flat_map(|object| object.rows.values().cloned().map(Value::Object))
            .collect()
    }

    /// An integration links a row to a lead, whether or not that lead lives.
    pub fn relink_row(&self, name: &str, guid: &str, lead: u64) {
        let mut world = self.shared.world();
        let object = world.objects.iter_mut().find(|object| object.name == name);
        if let Some(object) = object {
            objects::relink(object, guid, lead);
        }
    }

    /// Somebody changes values of a row at this time.
    pub fn change_row(&self, name: &str, guid: &str, values: &Value, at: DateTime<Utc>) {
        let mut world = self.shared.world();
        let object = world.objects.iter_mut().find(|object| object.name == name);
        let Some(object) = object else { return };
        if let Some(row) = object.rows.get_mut(guid) {
            row.extend(values.as_object().cloned().unwrap_or_default());
            objects::touch(object, guid, at);
        }
    }

    /// Somebody deletes the rows of a lead that have this text in a field.
    pub fn delete_row(&self, name: &str, lead: u64, field: &str, text: &str) {
        let mut world = self.shared.world();
        if let Some(object) = world.objects.iter_mut().find(|object| object.name == name) {
            let link = object.link_field.clone();
            object.rows.retain(|_, row| {
                let is_of =
                    row.get(&link).is_some_and(|held| objects::text(held) == lead.to_string());
                let has = row.get(field).is_some_and(|held| objects::text(held) == text);
                !(is_of && has)
            });
        }
    }

    /// From now on every write of this row is skipped with this code and these words.
    pub fn refuse_row(&self, name: &str, guid: &str, code: &str, message: &str) {
        let mut world = self.shared.world();
        if let Some(object) = world.objects.iter_mut().find(|object| object.name == name) {
            object.refused_rows.insert(guid.to_owned(), (code.to_owned(), message.to_owned()));
        }
    }

    /// From now on writes of this row are taken again.
    pub fn take_row(&self, name: &str, guid: &str) {
        let mut world = self.shared.world();
        if let Some(object) = world.objects.iter_mut().find(|object| object.name == name) {
            object.refused_rows.remove(guid);
        }
    }

    /// While the nth such call from now runs (1 is the next), somebody does this: when the call has
    /// been accepted, and before its work is done. A write has looked up by then; a read has read.
    ///
    /// A call is such if its endpoint (`POST /rest/v1/leads/{id}/merge.json`) or its path as it was
    /// sent (`POST /rest/v1/leads/12/merge.json`) contains the text; `/leads.json` is none of
    /// `/leads/12/merge.json`. Calls that the limits or a fault turns away do not count.
    pub fn at_call(&self, endpoint_contains: &str, nth: usize, meanwhile: Meanwhile) {
        self.at_moment(endpoint_contains, nth, Moment::During, meanwhile);
    }

    /// The same before the call is looked at.
    pub fn before_call(&self, endpoint_contains: &str, nth: usize, meanwhile: Meanwhile) {
        self.at_moment(endpoint_contains, nth, Moment::Before, meanwhile);
    }

    /// The same when the call's work is done, and before it is answered.
    pub fn after_call(&self, endpoint_contains: &str, nth: usize, meanwhile: Meanwhile) {
        self.at_moment(endpoint_contains, nth, Moment::After, meanwhile);
    }

    /// The same at any moment of the call.
    pub fn at_moment(
        &self,
        endpoint_contains: &str,
        nth: usize,
        moment: Moment,
        meanwhile: Meanwhile,
    ) {
        self.shared.script().order(endpoint_contains, nth, moment, meanwhile);
    }

    /// Everything that was done to leads while calls ran, ordered or drawn, in its order.
    pub fn meddled(&self) -> Vec<Meddled> {
        self.shared.script().meddled().to_vec()
    }

    /// From now on every merge that touches this lead is refused with this code and these words.
    pub fn refuse_merge(&self, lead: u64, code: &str, message: &str) {
        self.shared.refusals().order(lead, code, message);
    }

    /// Every change of a lead's values, oldest first; of a lead that is gone, too. A value that
    /// never changed is where the lead is, or where it was at its end.
    pub fn history(&self, lead: u64) -> Vec<Held> {
        self.shared.world().past.history(lead).to_vec()
    }

    /// A lead that was merged away or deleted, as it was at its very end.
    pub fn lead_at_death(&self, lead: u64) -> Option<LeadView> {
        let world = self.shared.world();
        let dead = world.past.dead(lead)?;
        Some(view_of(&dead.record, dead.lists.clone(), dead.programs.clone()))
    }
}
