//! What rows of custom objects mean for a planned group: those that move are told, those that stay
//! speak against its merge. Pure.

use std::collections::BTreeMap;

use super::model::PlannedGroup;
use super::objection::{Objection, Reason};
use super::rows::{LeadRows, rows_in_words, rows_that_move, why_rows_stay};
use crate::dedupe::risk::Risk;

impl PlannedGroup {
    /// Takes in which rows of custom objects hang on its leads. What cannot move speaks against the
    /// merge; what moves is a warning.
    pub fn take_rows(&mut self, rows: Vec<LeadRows>) {
        self.rows = rows;
        if let Some(why) = why_rows_stay(&self.rows, &self.losers) {
            self.object(Objection::custom_objects(&why));
        }
        let moving = self.rows_moving();
        if !moving.is_empty() {
            let one = moving.values().sum::<usize>() == 1;
            let verb = if one { "moves" } else { "move" };
            self.warnings.push(format!(
                "{} {verb} to record {} before the merge",
                rows_in_words(&moving),
                self.winner
            ));
            self.risk = self.risk.max(Risk::Amber);
        }
    }

    /// How many rows of each custom object move to the record that stays.
    pub fn rows_moving(&self) -> BTreeMap<String, usize> {
        rows_that_move(&self.rows, &self.losers)
    }

    /// Whether rows of custom objects speak against its merge.
    pub fn keeps_rows(&self) -> bool {
        self.objections.iter().any(|objection| objection.reason == Reason::CustomObjects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::{FieldFacts, Key, Policy, plan_group};
    use crate::lead::Lead;
    use crate::lead::LeadId;

    fn group() -> PlannedGroup {
        let lead = |id: u64| Lead::new(id).with("email", "ada@example.com");
        let leads = [lead(1), lead(2), lead(3)];
        let facts = FieldFacts::of_writeable(["email"]);
        plan_group(&Key::of("ada@example.com").unwrap(), &leads, &Policy::default(), &facts)
            .unwrap()
    }

    fn rows(lead: Option<LeadId>, count: usize, stays: Option<&str>) -> LeadRows {
        LeadRows { object: "car_c".into(), lead, count, stays: stays.map(str::to_owned) }
    }

    #[test]
    fn rows_of_losers_that_move_are_a_warning_and_those_that_stay_an_objection() {
        for (found, risk, moving) in [
            (vec![], Risk::Green, 0),
            // What the winner has stays with it.
            (vec![rows(Some(1), 4, None)], Risk::Green, 0),
            (vec![rows(Some(1), 4, Some("no"))], Risk::Green, 0),
            (vec![rows(Some(2), 2, None), rows(Some(3), 1, None)], Risk::Amber, 3),
            (vec![rows(Some(2), 2, None), rows(Some(3), 1, Some("no"))], Risk::Red, 2),
            (vec![rows(None, 1, Some("nobody knows"))], Risk::Red, 0),
        ] {
            let mut group = group();
            assert_eq!((group.winner, group.risk), (1, Risk::Green));
            group.take_rows(found.clone());
            assert_eq!(group.risk, risk, "{found:?}");
            assert_eq!(group.rows_moving().values().sum::<usize>(), moving, "{found:?}");
            assert_eq!(group.keeps_rows(), risk == Risk::Red, "{found:?}");
            let is_told = group.warnings.iter().any(|told| told.contains("to record 1"));
            assert_eq!(is_told, moving > 0, "{:?}", group.warnings);
        }
    }
}
