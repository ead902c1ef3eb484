//! Merges that are over: who was merged into whom, when, and by which plan, as far as it is known.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::table::wrapped;
use crate::lead::LeadId;
use crate::terminal::{counted, moment, one_line};

/// Leads that are gone, and the one that they went into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// When this program sent the merge; none where somebody else merged, of which the time is not
    /// known here.
    pub at: Option<DateTime<Utc>>,
    /// The plan of this program by which it was done; none where somebody else merged.
    pub plan: Option<String>,
    /// The lead that stayed.
    pub survivor: LeadId,
    /// The leads that are gone.
    pub merged: Vec<LeadId>,
}

/// The merges of an address in lines of at most `width` columns. `among`: how many people there
/// are; none where there are duplicates of the address still.
pub fn render_merged(email: &str, merges: &[Merged], among: Option<u64>, width: usize) -> String {
    let email = one_line(email);
    let head = match among {
        Some(people) => {
            format!("{email}: no duplicates among {}; merged before:", counted(people, "person"))
        }
        None => format!("{email}: merged before:"),
    };
    let lines = merges.iter().map(|merge| {
        let line = line(merge);
        format!("  {}", wrapped(&line, width.saturating_sub(4).max(20)).replace('\n', "\n    "))
    });
    let parts: Vec<String> = std::iter::once(wrapped(&head, width)).chain(lines).collect();
    let plans = merges.iter().rev().find_map(|merge| merge.plan.as_ref()).map(|plan| {
        let next = format!(
            "`mkto-audit merge --plan {plan}` shows what that plan kept and dropped; the records as they were before are in \
             the ledger"
        );
        format!("\n\n{}", wrapped(&next, width))
    });
    parts.join("\n") + &plans.unwrap_or_default() + "\n"
}

fn line(merge: &Merged) -> String {
    let Merged { at, plan, survivor, merged } = merge;
    let ids: Vec<String> = merged.iter().map(ToString::to_string).collect();
    let (records, were) = if merged.len() == 1 { ("record", "was") } else { ("records", "were") };
    let ids = match ids.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => ids.concat(),
    };
    match (at, plan) {
        (Some(at), Some(plan)) => {
            format!(
                "{}: {records} {ids} {were} merged into {survivor}, by plan {plan}",
                moment(*at)
            )
        }
        _ => format!(
            "{records} {ids} {were} merged into {survivor}, not by this program; when is not known"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_merged_is_told_when_from_which_and_by_which_plan() {
        let ours = Merged {
            at: Some("2026-11-29T01:11:00Z".parse().unwrap()),
            plan: Some("e937".into()),
            survivor: 3514,
            merged: vec![3515, 3517],
        };
        let theirs = Merged { at: None, plan: None, survivor: 3514, merged: vec![3300] };
        let told = render_merged("ada@example.com", &[theirs, ours], Some(4_973), 80);
        assert_eq!(
            told,
            "ada@example.com: no duplicates among 4,973 people; merged before:\n  \
             record 3300 was merged into 3514, not by this program; when is not known\n  \
             29 Nov 2026, 01:11 UTC: records 3515 and 3517 were merged into 3514, by plan\n    e937\n\n\
             `mkto-audit merge --plan e937` shows what that plan kept and dropped; the\n\
             records as they were before are in the ledger\n"
        );
        assert!(told.lines().all(|line| line.chars().count() <= 80));
    }
}
