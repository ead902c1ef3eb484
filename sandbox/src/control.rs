//! What tests order for the calls to come, and what they ask about the past.

use std::collections::BTreeMap;

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
            refused: None,
        }
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
            refused: spec.refused.clone(),
            rows: BTreeMap::new(),
        };
        objects::put_object(&mut self.shared.world().objects, object);
    }

    /// Gives a custom object a row with these values, its link among them, and gives the row's
    /// GUID.
    pub fn put_object_row(&self, name: &str, row: &Value) -> String {
        let row = row.as_object().cloned().unwrap_or_default();
        objects::put_object_row(&mut self.shared.world().objects, name, row)
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
