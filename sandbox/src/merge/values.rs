//! Whose values and memberships the survivor of a merge has.

use serde_json::Value;

use crate::options::Knobs;
use crate::schema::{FIELDS, Kind, Owner};
use crate::world::World;
use crate::world::record::Record;

/// What the survivor gets of a loser's values.
pub(super) fn take_values(record: &mut Record, loser: &Record, knobs: &Knobs, decides: bool) {
    for (field, number) in FIELDS.iter().zip(0..) {
        // What callers may not write the survivor keeps, even where it is empty; reported by users.
        if field.owner == Owner::Marketo {
            continue;
        }
        if knobs.is("merge_obeys_block", "true") && knobs.names("blocked_fields", field.name) {
            continue;
        }
        let (held, others) = (record.get(number).cloned(), loser.get(number).cloned());
        let taken = match field.kind {
            Kind::Boolean if knobs.is("bool_rule", "legacy_true_wins") => {
                (others == Some(Value::Bool(true))).then_some(Value::Bool(true))
            }
            // Standard booleans are never null, so that the survivor's always stays.
            Kind::Boolean => {
                let is_unset = field.custom && held.is_none();
                others.filter(|_| decides && is_unset && knobs.is("merge_unset", "filled"))
            }
            Kind::Score if knobs.is("merge_score", "sum") => others.map(|others| {
                let number = |value: &Value| value.as_i64().unwrap_or(0);
                Value::from(held.as_ref().map_or(0, number) + number(&others))
            }),
            _ => others.filter(|_| decides && held.as_ref().is_none_or(is_blank)),
        };
        if let Some(taken) = taken {
            record.set(number, taken);
        }
    }
}

/// Lists and programs go over; of two statuses in one program the survivor's stays, whatever
/// success the other brought.
pub(super) fn take_memberships(world: &mut World, knobs: &Knobs, survivor: u64, loser: u64) {
    for list in world.lists.values_mut() {
        if list.members.remove(&loser) && knobs.is("merge_lists", "union") {
            list.members.insert(survivor);
        }
    }
    for program in world.programs.values_mut() {
        let Some(taken) = program.members.remove(&loser) else { continue };
        let statuses = &program.statuses;
        let step = |status: &str| statuses.iter().position(|known| known == status);
        let held = program.members.get(&survivor);
        let higher = held.is_some_and(|held| step(&taken.status) > step(&held.status));
        let later = held.is_some_and(|held| taken.changed > held.changed);
        let goes_over = match knobs.text("merge_status") {
            "higher" => higher,
            "latest" => later,
            _ => false,
        };
        if held.is_none() || goes_over {
            program.members.insert(survivor, taken);
        }
    }
}

/// Fields that this instance's merges leave empty.
pub(super) fn empty_fields(record: &mut Record, knobs: &Knobs) {
    for field in knobs.fields("merge_empties") {
        record.set_named(field, Value::Null);
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
