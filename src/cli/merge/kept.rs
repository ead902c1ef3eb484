//! `merge --plan ID`: a plan that is kept, as it was shown when it was made, or what became of it.
//!
//! Never: asks Marketo. All that is shown is in the ledger.

use std::path::Path;

use super::show::Shown;
use super::{Context, Exit, Failure, Ui, findings};
use crate::dedupe::Plan;
use crate::ledger::{Finding, FindingId, Ledger};
use crate::merge::{self, Outcome, PlanPast, PlanState, Report};
use crate::review::{self, Loaded, decided_plan};
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
    let plan = match older(&ledger, id)? {
        Some(plan) => {
            context.ui.note(&format!(
                "an older version of this program made plan {id}: what was done of it is shown; it cannot be carried out"
            ));
            plan
        }
        None => load(&ledger, id, &instance)?.plan,
    };
    let past = PlanPast::of(&ledger, &plan)?;
    let open: Vec<_> =
        ledger.open_findings()?.into_iter().map(|(id, _, finding)| (id, finding)).collect();
    findings::tell(&mut context.ui, &open);
    print(&mut context.ui, &plan, past, &open, json)?;
    // As everywhere: nothing ends well while something that a merge lost is open.
    Ok(if open.is_empty() { Exit::Done } else { Exit::Partial })
}

/// Prints what became of a plan, without having done anything.
pub(super) fn print(
    ui: &mut Ui,
    plan: &Plan,
    past: PlanPast,
    open: &[(FindingId, Finding)],
    json: bool,
) -> Result<(), Failure> {
    let state = past.state;
    let report = Report { groups: past.groups, ..Report::default() };
    let shown = Shown {
        plan: Some(&plan.id),
        dry_run: true,
        kept: Some(state),
        filtered: false,
        report: &report,
        open,
        calls: 0,
        width: ui.terminal_width(),
    };
    shown.print(ui, json)
}

/// A kept plan, and what would be carried out of it as it is decided.
pub(super) struct Kept {
    pub(super) loaded: Loaded,
    pub(super) plan: Plan,
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
    let plan = decided_plan(ledger, &loaded)?;
    Ok(Kept { loaded, plan })
}

/// Says of a plan that is about to be carried out that it was before, and how far.
pub(super) fn tell_begun(ui: &mut Ui, past: &PlanPast) {
    let others = past
        .groups
        .iter()
        .filter(|group| group.outcome != Outcome::Merged && group.winner.is_some());
    let merged = counted_of(past.count(Outcome::Merged), "group");
    let others = counted_of(others.count(), "group");
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
            Ok(Kept { plan, .. }) => in_short(&plan, &PlanPast::of(ledger, &plan)?),
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

fn in_short(plan: &Plan, past: &PlanPast) -> String {
    let groups = counted_of(plan.groups.len(), "group");
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
