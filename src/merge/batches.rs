//! Takes the next batch from a plan. Pure.

use std::collections::VecDeque;

use crate::dedupe::PlannedGroup;
use crate::marketo::BATCH;

/// Most leads of a batch: what is read of them beforehand (memberships, custom objects) must not be
/// old when their merges leave.
const LEADS: usize = 600;

/// The groups that come next. The look that takes them in asks for `asked` leads anyhow, and has
/// room for others beside them: in one call, which costs nothing more, or in two where that saves
/// more than the second call costs, since each batch costs a write. More calls would be too old for
/// that write.
pub(super) fn next_batch<'p>(
    rest: &mut VecDeque<&'p PlannedGroup>,
    asked: usize,
) -> Vec<&'p PlannedGroup> {
    let beside = |calls: usize| fitting(rest, (calls * BATCH).saturating_sub(asked));
    let (one, two) = (beside(1), beside(2));
    let size = if two > 2 * one { two } else { one };
    rest.drain(..size).collect()
}

/// How many of the next groups a look has room for, one at least. A group whose winner gets nothing
/// needs none: it is looked at just before its merge.
fn fitting(rest: &VecDeque<&PlannedGroup>, room: usize) -> usize {
    let (mut leads, mut looked_at) = (0, 0);
    let mut fits = |group: &&&PlannedGroup| {
        let size = group.losers.len() + 1;
        leads += size;
        looked_at += if group.changes.is_empty() { 0 } else { size };
        leads <= LEADS && looked_at <= room
    };
    rest.iter().take_while(&mut fits).count().max(1).min(rest.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::next_batch;
    use crate::dedupe::PlannedGroup;

    /// Groups of five, each with or without a value that is written to its winner.
    fn groups(count: u64, written_to: bool) -> Vec<PlannedGroup> {
        let change = json!({"name": "phone", "before": null, "after": "+44 1", "from": null});
        let changes = if written_to { vec![change] } else { Vec::new() };
        let group = |first: u64| {
            json!({"key": format!("p{first}@example.com"), "winner": first, "losers": [first + 1, first + 2, first + 3, first + 4],
                "changes": changes, "expected": {}, "seen": [], "reason": "", "in_crm": false})
        };
        (0..count).map(|place| serde_json::from_value(group(place * 5 + 1)).unwrap()).collect()
    }

    #[test]
    fn a_batch_fills_the_look_that_takes_it_in_and_a_second_call_where_that_saves_writes() {
        for (written_to, asked, size) in
            [(true, 0, 60), (true, 150, 90), (true, 299, 60), (true, 700, 1), (false, 150, 120)]
        {
            let groups = groups(200, written_to);
            let mut rest = groups.iter().collect();
            let batch = next_batch(&mut rest, asked);
            assert_eq!((batch.len(), rest.len()), (size, 200 - size), "{written_to} {asked}");
        }
        assert!(next_batch(&mut std::collections::VecDeque::new(), 0).is_empty());
    }
}
