//! What cells decide that both doors have: the decision, the note, who takes part; and whether all
//! that a file says of a group can go together.

use super::bad::BadCells;
use super::cell::{Cell, Place};
use super::words::{kept, read_yes_no};
use crate::dedupe::{Choice, Decisions};
use crate::lead::LeadId;
use crate::review::card::Card;

/// The choice of a cell that was changed; an emptied one takes the choice back.
pub(in crate::review) fn choice(cell: Cell<'_>, bad: &mut BadCells) -> Option<Choice> {
    if cell.is_blank() {
        return None;
    }
    let read = cell.text.parse::<Choice>();
    if read.is_err() {
        let known: Vec<&str> = Choice::ALL.iter().map(|choice| choice.in_words()).collect();
        let told = format!(
            "{} is none of {}; an empty cell leaves the group as the plan has it",
            cell.quoted(),
            known.join(", ")
        );
        bad.add(cell.place, told);
    }
    read.ok()
}

/// The note of a cell.
pub(in crate::review) fn note(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a lead takes part, by its cell; blank is yes.
pub(in crate::review) fn include(
    decisions: &mut Decisions,
    id: LeadId,
    cell: Cell<'_>,
    bad: &mut BadCells,
) {
    match read_yes_no(cell.text) {
        Some(false) => {
            decisions.left_out.insert(id);
        }
        Some(true) => {
            decisions.left_out.remove(&id);
        }
        None if cell.is_blank() => {
            decisions.left_out.remove(&id);
        }
        None => bad.add(cell.place, format!("{} is neither yes nor no", cell.quoted())),
    }
}

/// Refuses what cannot go together, where something was changed.
pub(in crate::review) fn check(card: &Card, decisions: &Decisions, at: Place, bad: &mut BadCells) {
    if *decisions == card.decisions {
        return;
    }
    // Where the file goes back to the plan's record, the plan says which that is.
    let planned = kept(card).filter(|_| card.decisions.winner.is_none());
    let keeps = decisions.winner.or(planned);
    if let Some(why) = keeps.and_then(|kept| decisions.leaves_out_the_kept(kept)) {
        bad.add(at, why);
    }
    let part = card.leads.iter().filter(|lead| !decisions.left_out.contains(&lead.id)).count();
    if part < 2 && !decisions.left_out.is_empty() && !decisions.is_left_alone() {
        bad.add(
            at,
            "with so many records left out there are no two to merge; include one more, or decide Skip",
        );
    }
}
