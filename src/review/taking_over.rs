//! A plan that was just made takes over what people said about its groups in earlier ones: what they
//! hold, and the records that they left out. The person can decide otherwise in it.
//!
//! Never: takes anything over into a group about which somebody decided in the plan.

use super::deciding::row_of;
use super::effect::winner_without;
use super::error::Error;
use super::loaded::{Kept, Loaded};
use super::model::Door;
use crate::dedupe::{Decisions, PlanHeader};
use crate::lead::Lead;
use crate::ledger::{Ledger, NewDecision};
use crate::merge::lasting::LastingWords;

/// Takes it over into the plan of this id.
pub(crate) fn take_over(ledger: &mut Ledger, instance: &str, plan: &str) -> Result<(), Error> {
    let loaded = Loaded::of(ledger, instance, plan)?;
    let words = LastingWords::of(ledger)?;
    let mut rows = Vec::new();
    for key in words.keys() {
        let Some(place) = loaded.index.place_of(key).filter(|_| loaded.index.made(key).is_none())
        else {
            continue;
        };
        let kept = loaded.kept(ledger, place)?;
        let leads: Vec<&Lead> = kept.leads.iter().collect();
        let Some((decided, word)) = words.said(&kept.planned.key, &leads).taken_over else {
            continue;
        };
        let decided = with_another_to_keep(&kept, &loaded.header, decided);
        let row = row_of(&kept, &loaded.header, &decided, &word.by, Door::Earlier, &word.at);
        let (word, ends) = (Some(word.number), Vec::new());
        rows.push(NewDecision { row, word, says: None, ends, is_change: true });
    }
    if rows.is_empty() {
        return Ok(());
    }
    Ok(ledger.decide(&loaded.head.plan, &rows)?)
}

/// Where the record that the plan keeps was left out, the decisions keep the next one.
fn with_another_to_keep(kept: &Kept, header: &PlanHeader, decided: Decisions) -> Decisions {
    if decided.leaves_out_the_kept(kept.planned.winner).is_none() {
        return decided;
    }
    let mut others = kept.leads.iter().map(|lead| lead.id);
    let any_other = others.find(|id| !decided.left_out.contains(id));
    let winner = winner_without(kept, header, &decided.left_out).or(any_other);
    Decisions { winner, ..decided }
}
