//! A decided plan on its way to a run: what merges, whether it may, and who allowed it.
//!
//! Never: lets a red group through that nobody decided about, or an approval count twice.

use std::ops::ControlFlow;

use super::approval::{deciders, folded, same_digest};
use super::effect::effective;
use super::error::Error;
use super::index::Made;
use super::loaded::{Kept, Loaded};
use crate::dedupe::{
    Choice, Decisions, LeftOut, Named, PlannedGroup, ReviewPolicy, Risk, by_and_when,
};
use crate::lead::LeadId;
use crate::ledger::{ApprovalRow, Ledger};
use crate::merge::kept_plan::{left_out_of, unusable};
use crate::merge::lasting::{LastingWords, taken_over_in_words};
use crate::merge::{GroupReport, Outcome, PastRuns, PlanPast, Tally};

/// `review.*`: who has to say yes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    pub(crate) policy: ReviewPolicy,
    pub(crate) two_people: bool,
}

/// What becomes of a group as things stand.
pub(crate) enum Standing {
    /// It merges, as it was decided.
    Merges(Box<PlannedGroup>),
    /// It is left alone.
    Left(LeftOut),
}

/// Refuses a plan whose rows are not what they were when it was kept.
pub(crate) fn refuse_changed(ledger: &Ledger, loaded: &Loaded) -> Result<(), Error> {
    if ledger.is_intact(&loaded.head)? {
        return Ok(());
    }
    Err(unusable(&loaded.head.plan, "its content was changed since it was made").into())
}

/// Hands over what becomes of every group that can be decided about, in the plan's order: each is
/// read, and gone, before the next one, until the closure says to stop.
pub(crate) fn each_standing<E: From<Error>>(
    ledger: &Ledger,
    loaded: &Loaded,
    mut each: impl FnMut(Standing) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let words = LastingWords::of(ledger).map_err(Error::from)?;
    loaded.each(ledger, |_place, kept| each(standing(loaded, &words, &kept)))
}

/// What becomes of a group as it was decided.
fn standing(loaded: &Loaded, words: &LastingWords, kept: &Kept) -> Standing {
    let key = kept.planned.key.clone();
    let made = loaded.index.made(key.as_str());
    let nothing = Decisions::default();
    let decisions = made.map_or(&nothing, |made| &made.decisions);
    let group = effective(kept, &loaded.header, decisions);
    // Somebody may have said so in another plan.
    let (named, plan) = (Named::of(&kept.leads), &loaded.head.plan);
    let merging = group.as_ref().map(|group| group.leads().collect()).unwrap_or_default();
    let against = words.against(plan, key.as_str(), &named, &merging);
    let reason = match (group, made, against) {
        (_, Some(made), _) if decisions.is_left_alone() => left_by(made),
        (_, _, Some(why)) | (Err(why), None, _) => why,
        (Err(why), Some(made), _) => {
            format!("{} decided otherwise, which cannot be carried out: {why}", made.by)
        }
        (Ok(group), _, None) if group.merges() => return Standing::Merges(Box::new(group)),
        (Ok(group), _, None) => {
            let why = group.warnings.into_iter().next().unwrap_or_default();
            format!("nobody has decided about it yet: {why}")
        }
    };
    let mut leads: Vec<LeadId> = kept.leads.iter().map(|lead| lead.id).collect();
    leads.sort_unstable();
    Standing::Left(LeftOut { key, leads, reason })
}

/// A decided plan, as earlier runs of it left it: its sums, and what it leaves alone.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) runs: PastRuns,
    pub(crate) past: PlanPast,
    /// By key.
    pub(crate) left_out: Vec<LeftOut>,
}

impl Stand {
    /// Reads every group once.
    pub(crate) fn of(ledger: &Ledger, loaded: &Loaded) -> Result<Self, Error> {
        let runs = PastRuns::of(ledger, &loaded.head.plan)?;
        let (mut tally, mut left_out) = (Tally::default(), left_out_of(ledger, &loaded.head)?);
        each_standing(ledger, loaded, |standing| {
            match standing {
                Standing::Merges(group) => tally.add(&runs.report(&group)),
                Standing::Left(left) => left_out.push(left),
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        left_out.sort_by(|a, b| (&a.key, &a.leads).cmp(&(&b.key, &b.leads)));
        for left in &left_out {
            tally.add(&GroupReport::left_out(left));
        }
        Ok(Self { past: runs.past(tally), runs, left_out })
    }
}

/// All of it at once, for a test.
#[cfg(test)]
pub(crate) fn decided_plan(ledger: &Ledger, loaded: &Loaded) -> Result<crate::dedupe::Plan, Error> {
    refuse_changed(ledger, loaded)?;
    let Stand { left_out, .. } = Stand::of(ledger, loaded)?;
    let mut groups = Vec::new();
    each_standing(ledger, loaded, |standing| {
        if let Standing::Merges(group) = standing {
            groups.push(*group);
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    let crate::dedupe::PlanHeader { instance, made_at, policy, .. } = loaded.header.clone();
    let id = loaded.head.plan.clone();
    Ok(crate::dedupe::Plan { id, instance, made_at, policy, groups, left_out })
}

fn left_by(made: &Made) -> String {
    let Made { decisions, by, at, .. } = made;
    if let Some(word) = &made.taken_over {
        let who = by_and_when(&word.by, &word.at, &word.plan);
        let note = decisions.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        return format!("{}{note}", taken_over_in_words(decisions, &who));
    }
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
    if row.is_void || row.digest != loaded.digest() {
        return Err(refuse(format!(
            ", since it was decided about after {by} approved it on {day}"
        )));
    }
    if rules.two_people && deciders(ledger, loaded)?.contains(&folded(by)) {
        return Err(Error::SamePerson { plan: loaded.head.plan.clone(), by: by.clone() });
    }
    let only_untouched = row.used_at.is_some();
    if only_untouched && past.tally.unfinished == 0 {
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
        ledger: &Ledger,
        loaded: &Loaded,
        stand: &Stand,
        most: usize,
    ) -> Result<(Vec<PlannedGroup>, usize), Error> {
        let mut groups = Vec::new();
        each_standing(ledger, loaded, |standing| {
            if groups.len() >= most {
                return Ok(ControlFlow::Break(()));
            }
            if let Standing::Merges(group) = standing
                && self.may_merge(&stand.runs.report(&group))
            {
                groups.push(*group);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        let PlanPast { tally, .. } = &stand.past;
        let allowed = if self.only_untouched {
            tally.unfinished
        } else {
            tally.planned - tally.count(Outcome::Merged)
        };
        let left = allowed.saturating_sub(groups.len());
        Ok((groups, left))
    }

    fn may_merge(&self, before: &GroupReport) -> bool {
        before.outcome != Outcome::Merged && (!self.only_untouched || before.is_unfinished())
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
