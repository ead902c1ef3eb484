//! Rows about which a call is open, whose outcome nobody knows yet (law 4).
//!
//! Never: waits for such a call, or asks what became of it; the next run does.

use std::collections::BTreeSet;

use crate::ledger::Ledger;
use crate::merge::custom_objects::RowMove;
use crate::merge::error::Error;

/// The rows about which no call is open, and how many others there were: nothing is sent again
/// while the first call may run.
pub(super) fn without_open_calls(
    ledger: &Ledger,
    mut moves: Vec<RowMove>,
) -> Result<(Vec<RowMove>, usize), Error> {
    let mut open: BTreeSet<(String, String)> = BTreeSet::new();
    for call in ledger.open_calls()? {
        if let Some(rows) = ledger.rows_of(call.id)? {
            let id = |guid: &str| (rows.object.clone(), guid.to_lowercase());
            open.extend(rows.rows.iter().map(|row| id(&row.guid)));
        }
    }
    let all = moves.len();
    moves.retain(|row| !open.contains(&(row.object.clone(), row.guid.to_lowercase())));
    let in_doubt = all - moves.len();
    Ok((moves, in_doubt))
}
