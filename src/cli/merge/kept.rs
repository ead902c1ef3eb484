//! `merge --plan ID`: a plan that is kept, as it was shown when it was made, or what became of it.
//!
//! Never: asks Marketo. All that is shown is in the ledger.

use std::ops::ControlFlow;
use std::path::Path;

use super::show::{EachGroup, Shown};
use super::{Context, Exit, Failure, Ui, findings};
use crate::dedupe::{Plan, Policy};
use crate::ledger::{Finding, FindingId, Ledger};
use crate::merge::{self, GroupReport, Outcome, PastRuns, PlanPast, PlanState, Tally};
use crate::review::{self, Loaded, Stand, Standing, each_standing, refuse_changed};
use crate::terminal::{counted_of, moment};

/// How many kept plans are named where one is not found.
const TOLD: usize = 20;

/// Shows a kept plan.
pub(super) fn show(context: &mut Context, id: &str, json: bool) -> Result<Exit, Failure> {
    // Whose ledger it is must be known; credentials are not needed.
    context.config.addresses()?;
    let instance = context.config.instance_name();
    let file = context.config.ledger_file()?;
    if !file.exists() {
        return Err(unknown(id, &[], &file));
    }
    let ledger = Ledger::open(&file, &instance)?;
    let (plan, kept);
    let (groups, stand) = if let Some(found) = older(&ledger, id)? {
        context.ui.note(&format!(
            "an older version of this program made plan {id}: what was done of it is shown; it cannot be carried out"
        ));
        plan = found;
        (Groups::Older(&plan), stand_of_older(&ledger, &plan)?)
    } else {
        kept = load(&ledger, id, &instance)?;
        (Groups::Kept(&kept.loaded), Stand::of(&ledger, &kept.loaded)?)
    };
    let open: Vec<_> =
        ledger.open_findings()?.into_iter().map(|(id, _, finding)| (id, finding)).collect();
    findings::tell(&mut context.ui, &open);
    print(&mut context.ui, &ledger, groups, &stand, &open, json)?;
    // As everywhere: nothing ends well while something that a merge lost is open.
    Ok(if open.is_empty() { Exit::Done } else { Exit::Partial })
}

/// Where the groups of a plan are.
#[derive(Clone, Copy)]
pub(super) enum Groups<'a> {
    /// In the one text of a plan of an older version.
    Older(&'a Plan),
    /// In rows, which are read one by one.
    Kept(&'a Loaded),
}

/// The groups of a plan with what became of each, in its order, those that it leaves alone last.
struct ToldGroups<'a> {
    ledger: &'a Ledger,
    groups: Groups<'a>,
    stand: &'a Stand,
}

impl EachGroup for ToldGroups<'_> {
    fn each(&self, take: &mut dyn FnMut(&GroupReport) -> ControlFlow<()>) -> Result<(), Failure> {
        let Self { ledger, groups, stand } = self;
        let mut how = ControlFlow::Continue(());
        match groups {
            Groups::Older(plan) => {
                how = plan.groups.iter().try_for_each(|group| take(&stand.runs.report(group)));
            }
            Groups::Kept(loaded) => each_standing(ledger, loaded, |standing| {
                if let Standing::Merges(group) = standing {
                    how = take(&stand.runs.report(&group));
                }
                Ok::<_, review::Error>(how)
            })?,
        }
        if how.is_continue() {
            let mut left_out = stand.left_out.iter().map(GroupReport::left_out);
            let _how = left_out.try_for_each(|left| take(&left));
        }
        Ok(())
    }
}

/// Prints what became of a plan, without having done anything.
pub(super) fn print(
    ui: &mut Ui,
    ledger: &Ledger,
    groups: Groups<'_>,
    stand: &Stand,
    open: &[(FindingId, Finding)],
    json: bool,
) -> Result<(), Failure> {
    let plan = match groups {
        Groups::Older(plan) => &plan.id,
        Groups::Kept(loaded) => &loaded.head.plan,
    };
    let shown = Shown {
        plan: Some(plan),
        dry_run: true,
        kept: Some(stand.past.state),
        filtered: false,
        groups: &ToldGroups { ledger, groups, stand },
        tally: &stand.past.tally,
        is_stopped: false,
        run: None,
        late_rows: None,
        open,
        calls: 0,
        width: ui.terminal_width(),
    };
    shown.print(ui, json)
}

/// A kept plan, which is what it was when it was kept.
pub(super) struct Kept {
    pub(super) loaded: Loaded,
    /// By what a run of it goes.
    pub(super) policy: Policy,
}

/// A kept plan; where there is none of this id or name, the failure names those that there are.
pub(super) fn load(ledger: &Ledger, id: &str, instance: &str) -> Result<Kept, Failure> {
    match read(ledger, id, instance) {
        Err(review::Error::Plan(merge::Error::NoSuchPlan { .. })) => {
            Err(unknown(id, &listed(ledger, instance)?, ledger.path()))
        }
        kept => Ok(kept?),
    }
}

/// A plan of an older version of which a run was begun, as far as it can be read.
fn older(ledger: &Ledger, id: &str) -> Result<Option<Plan>, Failure> {
    let is_begun = ledger.runs_of(id)?.last_at.is_some();
    if !is_begun || ledger.plan_head(id)?.is_some() {
        return Ok(None);
    }
    Ok(ledger.plan(id)?.and_then(|body| serde_json::from_str(&body).ok()))
}

fn read(ledger: &Ledger, id: &str, instance: &str) -> Result<Kept, review::Error> {
    let loaded = Loaded::of(ledger, instance, id)?;
    refuse_changed(ledger, &loaded)?;
    let policy = loaded.header.policy.clone();
    Ok(Kept { loaded, policy })
}

/// What became of a plan of an older version.
fn stand_of_older(ledger: &Ledger, plan: &Plan) -> Result<Stand, Failure> {
    let (runs, left_out) = (PastRuns::of(ledger, &plan.id)?, plan.left_out.clone());
    let mut tally = Tally::default();
    plan.groups.iter().for_each(|group| tally.add(&runs.report(group)));
    for left in &left_out {
        tally.add(&GroupReport::left_out(left));
    }
    Ok(Stand { past: runs.past(tally), runs, left_out })
}

/// Says of a plan that is about to be carried out that it was before, and how far.
pub(super) fn tell_begun(ui: &mut Ui, past: &PlanPast) {
    let merged = past.count(Outcome::Merged);
    let others = counted_of(past.tally.planned - merged, "group");
    let merged = counted_of(merged, "group");
    match past.state {
        PlanState::New => {}
        PlanState::Begun(at) => ui.note(&format!(
            "this plan was begun before and last worked on {}: {merged} merged; going on with the rest",
            moment(at)
        )),
        PlanState::CarriedOut(at) => ui.note(&format!(
            "this plan was carried out {}: {merged} merged; what is left is looked at again: {others}",
            moment(at)
        )),
    }
}

/// The kept plans in a line each, the newest first.
fn listed(ledger: &Ledger, instance: &str) -> Result<Vec<String>, Failure> {
    let kept = ledger.kept_plans()?;
    let mut lines = Vec::new();
    for plan in kept.iter().take(TOLD) {
        // A plan of an older version is there, and cannot be carried out.
        let state = match read(ledger, &plan.id, instance) {
            Ok(Kept { loaded, .. }) => in_short(&Stand::of(ledger, &loaded)?.past),
            Err(_) => "made by another version; make it anew".to_owned(),
        };
        lines.push(format!("{}  made {}  {state}", plan.id, moment(plan.made_at)));
    }
    let more = kept.len().saturating_sub(TOLD);
    if more > 0 {
        lines.push(format!("and {more} older"));
    }
    Ok(lines)
}

fn in_short(past: &PlanPast) -> String {
    let groups = counted_of(past.tally.planned, "group");
    let merged = past.count(Outcome::Merged);
    match past.state {
        PlanState::New => format!("{groups}, not carried out"),
        PlanState::Begun(at) => format!("{groups}, {merged} merged so far, last {}", moment(at)),
        PlanState::CarriedOut(at) => {
            format!("{groups}, carried out {}, {merged} merged", moment(at))
        }
    }
}

fn unknown(id: &str, kept: &[String], ledger: &Path) -> Failure {
    let hint = if kept.is_empty() {
        "no plan is kept yet; `mkto-audit merge` makes one and prints its id".to_owned()
    } else {
        format!("kept plans, the newest first:\n    {}", kept.join("\n    "))
    };
    Failure::Usage {
        what: format!("the ledger {} has no plan {id}", ledger.display()),
        hint: Some(hint),
    }
}
