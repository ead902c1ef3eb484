//! Which lead stays where the instance was seen to block updates of a field: the one that needs no
//! blocked write.
//!
//! For: a blocked value cannot be written to the winner, so the lead that holds it must be the
//! winner. Never: passes over the CRM's precedence; a Salesforce contact or lead stays whatever is
//! asked (documented by Adobe).

use std::collections::BTreeSet;

use super::changes::{Draft, field_changes};
use super::chosen::Wishes;
use super::mailable::keep_mailable;
use super::objection::is_in_crm;
use crate::dedupe::consent::companion_of;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::policy::Policy;
use crate::dedupe::value::completeness;
use crate::lead::{Lead, LeadId};

/// The group with one lead as its winner.
pub(super) struct Merging<'l> {
    /// The winner, then the losers in order.
    pub(super) in_order: Vec<&'l Lead>,
    pub(super) draft: Draft<'l>,
    /// Why this lead wins, in words.
    pub(super) reason: String,
}

/// Chooses the winner by the order, and prefers another lead of the same rank in the CRM where the
/// chosen one would need a blocked field written: consent fields first, then as few fields as
/// possible.
pub(super) fn choose<'l>(
    members: &'l [Lead],
    policy: &'l Policy,
    facts: &'l FieldFacts,
    wishes: Wishes<'l>,
) -> Result<Merging<'l>, String> {
    let Some(first) = policy.winner.winner(members) else {
        return Err("it has no leads".to_owned());
    };
    let merging = |winner| merging(winner, members, policy, facts, wishes);
    if let Some(id) = wishes.decided.winner {
        let chosen = chosen_winner(id, first, members)?;
        let mut merging = merging(chosen)?;
        if chosen.id != first.id {
            merging.reason = format!(
                "a person chose it; by the rules lead {} would stay, since {}",
                first.id,
                policy.winner.why(first, members)
            );
        }
        return Ok(told(merging));
    }
    let best = merging(first)?;
    let wrong = blocked(&best.draft, facts);
    if wrong.is_none() {
        return Ok(best);
    }
    // Nor is the lead passed over that an external system of record names.
    let named = policy.winner.named_among(members);
    let of_its_rank = |lead: &&Lead| {
        lead.crm() == first.crm() && named.contains(&lead.id) == named.contains(&first.id)
    };
    let mut rivals: Vec<&Lead> =
        members.iter().filter(|lead| lead.id != first.id).filter(of_its_rank).collect();
    rivals.sort_by(|a, b| policy.winner.compare(a, b));
    let able = rivals.into_iter().filter_map(|lead| merging(lead).ok());
    let other = able.min_by_key(|rival| blocked(&rival.draft, facts));
    let Some(other) = other.filter(|rival| blocked(&rival.draft, facts) < wrong) else {
        return Ok(told(best));
    };
    let needed = all_blocked(&best.draft);
    let left = all_blocked(&other.draft);
    let saved: Vec<String> = needed.difference(&left).map(|field| format!("`{field}`")).collect();
    let reason = format!(
        "it already holds what is to stay in {}, and updates of that are blocked on this instance; otherwise lead {} \
         would stay, since {}",
        saved.join(" and "),
        first.id,
        best.reason
    );
    Ok(told(Merging { reason, ..other }))
}

/// The lead that a person wants to stay, or why Marketo or the CRM would let another one stay.
fn chosen_winner<'l>(id: LeadId, first: &Lead, members: &'l [Lead]) -> Result<&'l Lead, String> {
    let Some(chosen) = members.iter().find(|lead| lead.id == id) else {
        return Err(format!("lead {id} is not one of this group"));
    };
    if chosen.id != first.id && is_in_crm(members) {
        return Err(format!(
            "lead {id} cannot be kept: several of the records are in the CRM, which decides which of them stays"
        ));
    }
    if chosen.crm() < first.crm() {
        return Err(format!(
            "lead {id} cannot be kept: lead {} is the CRM's {}, which survives any merge",
            first.id,
            first.crm().label()
        ));
    }
    Ok(chosen)
}

fn merging<'l>(
    winner: &'l Lead,
    members: &'l [Lead],
    policy: &'l Policy,
    facts: &'l FieldFacts,
    wishes: Wishes<'l>,
) -> Result<Merging<'l>, String> {
    let losers = losers_in_order(members, winner.id);
    let in_order: Vec<&Lead> = std::iter::once(winner).chain(losers).collect();
    let mut draft = field_changes(&in_order, policy, facts, wishes)?;
    let spelling = keep_mailable(&in_order, facts, &mut draft.changes, &mut draft.expected)?;
    let why = policy.winner.why(winner, members);
    let reason = spelling.map_or(why.clone(), |words| format!("{why}; {words}"));
    Ok(Merging { in_order, draft, reason })
}

/// Most complete first.
fn losers_in_order(members: &[Lead], winner: LeadId) -> Vec<&Lead> {
    let mut losers: Vec<&Lead> = members.iter().filter(|lead| lead.id != winner).collect();
    losers.sort_by_key(|lead| (std::cmp::Reverse(completeness(lead)), lead.id));
    losers
}

/// How much of the draft rests on blocked fields: how many of consent, then how many at all; none
/// where nothing does.
fn blocked(draft: &Draft<'_>, facts: &FieldFacts) -> Option<(usize, usize)> {
    let all = all_blocked(draft);
    let of_consent =
        |field: &&&String| facts.is_opt_out(field) || companion_of(field, facts).is_some();
    let consent = all.iter().filter(of_consent).count();
    (!all.is_empty()).then_some((consent, all.len()))
}

fn all_blocked<'d>(draft: &'d Draft<'_>) -> BTreeSet<&'d String> {
    draft.refused.union(&draft.kept).collect()
}

/// Says what the plan cannot get round.
fn told(mut merging: Merging<'_>) -> Merging<'_> {
    let named = |fields: &BTreeSet<String>| {
        fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
    };
    let Draft { refused, kept, .. } = &merging.draft;
    if !refused.is_empty() {
        merging.reason = format!(
            "{}; updates of {} were seen to be blocked on this instance, so that the merge may be left alone again \
             (not_written)",
            merging.reason,
            named(refused)
        );
    }
    if !kept.is_empty() {
        merging.reason = format!(
            "{}; {} stays as it is on this lead, since updates of it were seen to be blocked",
            merging.reason,
            named(kept)
        );
    }
    merging
}
