//! A decided plan on its way to a run: what merges, whether it may, and who allowed it.
//!
//! Never: lets a red group through that nobody decided about, or an approval count twice.

use std::collections::BTreeMap;

use super::approval::{deciders, folded, same_digest};
use super::effect::effective;
use super::error::Error;
use super::loaded::Loaded;
use crate::dedupe::{
    Choice, Decisions, LeftOut, Plan, PlanHeader, PlannedGroup, ReviewPolicy, Risk,
};
use crate::lead::LeadId;
use crate::ledger::{ApprovalRow, Ledger};
use crate::merge::kept_plan::{left_out_of, unusable};
use crate::merge::not_same::{Named, NotSameRows};
use crate::merge::{GroupReport, Outcome, PlanPast};

/// `review.*`: who has to say yes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    pub(crate) policy: ReviewPolicy,
    pub(crate) two_people: bool,
}

/// The plan as it would be carried out now: the groups that merge, as they were decided; the others
/// with the reason.
pub(crate) fn decided_plan(ledger: &Ledger, loaded: &Loaded) -> Result<Plan, Error> {
    if !ledger.is_intact(&loaded.head)? {
        return Err(unusable(&loaded.head.plan, "its content was changed since it was made").into());
    }
    let words = NotSameRows::of(ledger)?;
    let (mut groups, mut left_out) = (Vec::new(), left_out_of(ledger, &loaded.head)?);
    for place in 0..loaded.index.len() {
        let kept = loaded.kept(ledger, place)?;
        let key = kept.planned.key.clone();
        let made = loaded.index.made(key.as_str());
        let nothing = Decisions::default();
        let decisions = made.map_or(&nothing, |made| &made.decisions);
        let group = effective(&kept, &loaded.header, decisions);
        // Somebody may have said so in another plan.
        let named = Named::of(&kept.leads);
        let not_same = words.why_named(key.as_str(), &named);
        let reason = match (&group, made, not_same) {
            (_, Some(made), _) if decisions.is_left_alone() => {
                left_by(decisions, &made.by, &made.at)
            }
            (_, _, Some(why)) => why,
            (Err(why), Some(made), _) => {
                format!("{} decided otherwise, which cannot be carried out: {why}", made.by)
            }
            (Err(why), None, _) => why.clone(),
            (Ok(group), _, None) if !group.merges() => {
                let why = group.warnings.first().cloned().unwrap_or_default();
                format!("nobody has decided about it yet: {why}")
            }
            (Ok(_), _, None) => {
                groups.extend(group.ok());
                continue;
            }
        };
        let mut leads: Vec<LeadId> = kept.leads.iter().map(|lead| lead.id).collect();
        leads.sort_unstable();
        left_out.push(LeftOut { key, leads, reason });
    }
    left_out.sort_by(|a, b| (&a.key, &a.leads).cmp(&(&b.key, &b.leads)));
    let PlanHeader { instance, made_at, policy, .. } = loaded.header.clone();
    Ok(Plan { id: loaded.head.plan.clone(), instance, made_at, policy, groups, left_out })
}

fn left_by(decisions: &Decisions, by: &str, at: &str) -> String {
    let what = match decisions.choice {
        Some(Choice::Hold) => "holds it",
        Some(Choice::NotSame) => "said that its records are not one person",
        _ => "skipped it",
    };
    let note = decisions.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{by} {what} on {}{note}", at.get(..10).unwrap_or(at))
}

/// Whether the plan may be carried out now; the approval that allows it, where it needs one. `past`
/// is what earlier runs of it came to.
pub(crate) fn permit(
    ledger: &Ledger,
    loaded: &Loaded,
    rules: Rules,
    digest: Option<&str>,
    past: &PlanPast,
) -> Result<Permitted, Error> {
    if let Some(asked) = digest {
        same_digest(ledger, loaded, asked)?;
    }
    let sums = loaded.index.sums();
    let needs = match rules.policy {
        ReviewPolicy::Always => Some("`review.policy` is `always`"),
        ReviewPolicy::Risky if sums.is_risky => Some(
            "somebody decided about groups of it, or red ones merge, and `review.policy` is `risky`",
        ),
        ReviewPolicy::Never | ReviewPolicy::Risky => None,
    };
    let Some(needs) = needs else { return Ok(Permitted::default()) };
    let refuse = |why: String| Error::NotApproved {
        plan: loaded.head.plan.clone(),
        why,
        needs: needs.to_owned(),
    };
    let Some(row) = ledger.approval_of(&loaded.head.plan)? else {
        return Err(refuse(String::new()));
    };
    let ApprovalRow { by, at, .. } = &row;
    let day = at.get(..10).unwrap_or(at);
    if row.digest != loaded.digest() {
        return Err(refuse(format!(
            ", since it was decided about after {by} approved it on {day}"
        )));
    }
    if rules.two_people && deciders(loaded).contains(&folded(by)) {
        return Err(Error::SamePerson { plan: loaded.head.plan.clone(), by: by.clone() });
    }
    let only_untouched = row.used_at.is_some();
    let untouched = || past.groups.iter().any(GroupReport::is_unfinished);
    if only_untouched && !untouched() {
        return Err(refuse(format!(", since a run has used up the approval of {by} from {day}")));
    }
    Ok(Permitted { approval: Some((row.seq, by.clone())), only_untouched })
}

/// That a plan may be carried out.
#[derive(Debug, Default)]
pub(crate) struct Permitted {
    /// The number of the approval, and who gave it.
    approval: Option<(i64, String)>,
    /// Whether an earlier run has used it: it then counts for what that run did not come to.
    only_untouched: bool,
}

impl Permitted {
    /// Who approved it.
    pub(crate) fn by(&self) -> Option<&str> {
        self.approval.as_ref().map(|(_, by)| by.as_str())
    }

    /// The groups that a run may take up, of which it takes the first ones; and how many it leaves
    /// to the next run.
    pub(crate) fn groups(
        &self,
        groups: Vec<PlannedGroup>,
        past: &PlanPast,
        most: usize,
    ) -> (Vec<PlannedGroup>, usize) {
        let before: BTreeMap<&str, &GroupReport> =
            past.groups.iter().map(|group| (group.key.as_str(), group)).collect();
        let may = |group: &PlannedGroup| match before.get(group.key.to_string().as_str()) {
            Some(before) if before.outcome == Outcome::Merged => false,
            Some(before) if self.only_untouched => before.is_unfinished(),
            _ => true,
        };
        let mut groups: Vec<PlannedGroup> = groups.into_iter().filter(may).collect();
        let left = groups.len().saturating_sub(most);
        groups.truncate(most);
        (groups, left)
    }
}

/// A run begins: the approval is used, and the groups are kept as the run takes them up.
pub(crate) fn take_up(
    ledger: &mut Ledger,
    loaded: &Loaded,
    permitted: &Permitted,
    groups: &[PlannedGroup],
    at: &str,
) -> Result<(), Error> {
    let mut carried = Vec::new();
    for group in groups.iter().filter(|group| loaded.index.made(group.key.as_str()).is_some()) {
        debug_assert!(group.risk != Risk::Red || group.decided.choice == Some(Choice::Merge));
        let body = serde_json::to_string(group).unwrap_or_default();
        carried.push((group.key.as_str().to_owned(), group.winner, body));
    }
    ledger.carry(&loaded.head.plan, &carried)?;
    if let Some((approval, _)) = &permitted.approval {
        ledger.use_approval(*approval, at)?;
    }
    Ok(())
}
