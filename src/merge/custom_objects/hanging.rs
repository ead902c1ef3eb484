//! On which leads rows hang that are linked by the lead's id: the cheap question about leads that
//! are gone, most of which have none.
//!
//! Never: asks what the rows are; whoever finds some looks at them as before a merge.

use std::collections::BTreeSet;

use serde_json::Value;

use super::asked::as_text;
use super::classify::Link;
use super::{Known, Relations, read_rows};
use crate::lead::LeadId;
use crate::marketo::{self, CustomObjectType, ReadCustomObjects};

/// What was found of leads.
#[derive(Debug, Default, PartialEq)]
pub(in crate::merge) struct Hanging {
    /// Those that rows hang on, or may.
    pub(in crate::merge) on: BTreeSet<LeadId>,
    /// Objects whose rows cannot be read, each with the reason, in words.
    pub(in crate::merge) unreadable: BTreeSet<String>,
}

impl Relations {
    /// On which of these leads rows hang that are linked by the lead's id; none where there is no
    /// such object. A call an object for at most 300 leads, and more only where rows are found.
    pub(in crate::merge) async fn hanging_on(
        &mut self,
        marketo: &impl ReadCustomObjects,
        leads: &[LeadId],
    ) -> Result<Option<Hanging>, marketo::Error> {
        let mut found = Hanging::default();
        if leads.is_empty() {
            return Ok(None);
        }
        let objects: Vec<CustomObjectType> = match self.known(marketo).await? {
            Known::NotShown(why) => {
                found.unreadable.insert(why.clone());
                return Ok(Some(found));
            }
            Known::These(relations) => relations
                .iter()
                .filter(|(_, link)| *link == Link::Id)
                .map(|(object, _)| object.clone())
                .collect(),
        };
        if objects.is_empty() {
            return Ok(None);
        }
        let ids: Vec<String> = leads.iter().map(ToString::to_string).collect();
        for object in &objects {
            let read = match read_rows(marketo, object, &ids, &[]).await? {
                Ok(read) => read,
                Err(why) => {
                    found.unreadable.insert(why);
                    continue;
                }
            };
            let may_be = |text: &String| text.parse::<LeadId>().ok();
            found.on.extend(read.too_much.iter().filter_map(may_be));
            for (row, chunk) in &read.rows {
                match row.get(&object.link_field).and_then(lead_of) {
                    Some(lead) => drop(found.on.insert(lead)),
                    // It hangs on any of the leads that were asked for with it.
                    None => found.on.extend(chunk.iter().filter_map(may_be)),
                }
            }
        }
        found.on.retain(|lead| leads.contains(lead));
        Ok(Some(found))
    }
}

fn lead_of(value: &Value) -> Option<LeadId> {
    as_text(value)?.parse().ok()
}
