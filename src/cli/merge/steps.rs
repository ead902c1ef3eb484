//! The steps of `merge`, once everything is open: settle what earlier runs left open, make the plan
//! or go on with a kept one, carry it out, and say what came of it.
//!
//! Never: reads a flag; what was asked for is in [`Asked`].

use std::ops::ControlFlow;

use chrono::SecondsFormat;

use super::chosen::candidates;
use super::ending::{Open, tell_ended};
use super::first::First;
use super::follow::Follow;
use super::kept::{Groups, Kept};
use super::{findings, kept, resumed, show, sources};
use crate::cli::confirm::{self, Vanishing};
use crate::cli::filter::tell_missing;
use crate::cli::{Context, Exit, Failure, certificate, now};
use crate::config::ReviewSettings;
use crate::dedupe::{Plan, Policy, Risk};
use crate::marketo::Client;
use crate::merge::{
    Confirmed, GroupReport, LateRows, Merge, PlanState, Report, Stopped, Tally, Unwatched,
};
use crate::report::Filter;
use crate::review::{Rules, Stand, permit, take_up};
use crate::terminal::counted_of;

/// What the flags ask for.
pub(super) struct Asked {
    /// Whether anything is to be merged.
    pub(super) carries_out: bool,
    /// Whether a person is asked how many records will vanish.
    pub(super) asks: bool,
    pub(super) filter: Filter,
    /// Of this risk alone.
    pub(super) risk: Option<Risk>,
    pub(super) most_groups: usize,
    /// The digest that the plan must have.
    pub(super) digest: Option<String>,
    pub(super) json: bool,
}

/// A run of the command, with everything open that it needs.
pub(super) struct Steps<'a> {
    pub(super) context: &'a mut Context,
    pub(super) asked: Asked,
    pub(super) client: &'a Client,
    pub(super) merge: Merge<'a, Client>,
    pub(super) follow: Follow<'a>,
    /// The digest under which a kept plan is carried out.
    pub(super) digest: Option<String>,
    /// Whether nothing is to be merged, and only what earlier runs did is looked after.
    pub(super) looks_after: bool,
    /// Whether opt-outs that came late to merges of earlier runs could not all be seen to.
    pub(super) is_put_off: bool,
    /// Rows of custom objects that came to records which earlier runs merged.
    pub(super) late_rows: LateRows,
}

impl Steps<'_> {
    /// Goes through all of them, with the plan that is kept where there is one.
    pub(super) async fn run(mut self, kept: Option<Kept>, policy: Policy) -> Result<Exit, Failure> {
        let open_before = match self.settle_open().await? {
            ControlFlow::Continue(open) => open,
            ControlFlow::Break(exit) => return Ok(exit),
        };
        if self.looks_after {
            return self.looked_after(&open_before);
        }
        // Before a person is asked, and before planning costs calls.
        if self.asked.carries_out
            && let Some(brake) = self.merge.brake().await?
        {
            self.context.ui.note(&format!("nothing was merged: {brake}"));
            return Ok(Exit::Stopped);
        }
        let plan = match kept {
            None => self.plan(policy).await?,
            Some(kept) => match self.go_on_with(kept)? {
                ControlFlow::Continue(plan) => plan,
                ControlFlow::Break(exit) => return Ok(exit),
            },
        };
        if self.asked.asks && !self.agrees(&plan) {
            return Ok(Exit::Stopped);
        }
        let id = Some(plan.id.clone()).filter(|id| !id.is_empty());
        if self.asked.carries_out {
            sources::keep(self.follow.cache, self.merge.ledger(), &plan)?;
        }
        let report = self.carry_out(plan).await;
        self.end(id.as_deref(), report, &open_before)
    }

    /// Settles what earlier runs left open, where something is to be merged. Gives the findings
    /// that are open before this run.
    async fn settle_open(&mut self) -> Result<ControlFlow<Exit, Vec<Open>>, Failure> {
        if !self.asked.carries_out {
            let open = self.merge.still_open()?;
            findings::tell(&mut self.context.ui, &open);
            return Ok(ControlFlow::Continue(open));
        }
        let resumed = self.merge.settle_open(&mut self.follow).await?;
        certificate::seal_earlier(self.context, self.merge.ledger());
        let (said, exit) = resumed::in_words(&resumed);
        for words in said {
            self.context.ui.note(&words);
        }
        self.is_put_off = matches!(resumed.unwatched, Some(Unwatched::PutOff(_)));
        self.late_rows = resumed.late_rows;
        Ok(match exit {
            Some(exit) => ControlFlow::Break(exit),
            None => ControlFlow::Continue(resumed.findings),
        })
    }

    /// Ends a run that merges nothing.
    fn looked_after(mut self, open: &[Open]) -> Result<Exit, Failure> {
        let report = Report { late_rows: std::mem::take(&mut self.late_rows), ..Report::default() };
        let ui = &mut self.context.ui;
        if self.asked.json {
            let shown = show::Shown {
                plan: None,
                dry_run: false,
                kept: None,
                filtered: false,
                groups: &report,
                tally: &Tally::default(),
                is_stopped: false,
                run: None,
                late_rows: Some(&report.late_rows),
                open,
                calls: self.client.calls_made(),
                width: None,
            };
            shown.print(ui, true)?;
        } else {
            ui.print("nothing was merged; the merges of earlier runs were checked")?;
        }
        let is_left_behind = report.late_rows.left().next().is_some();
        let lacks_some = !open.is_empty() || self.is_put_off || is_left_behind;
        Ok(if lacks_some { Exit::Partial } else { Exit::Done })
    }

    /// Plans the groups of the cache that were asked for.
    async fn plan(&mut self, mut policy: Policy) -> Result<Plan, Failure> {
        let Self { context, asked, merge, follow, .. } = self;
        let chosen = candidates(follow.cache, &asked.filter, &policy, &context.interrupt)?;
        tell_missing(&mut context.ui, &asked.filter, &chosen.found, follow.cache.summary()?.leads);
        chosen.tell_named(&mut context.ui, &mut policy);
        let instance = context.config.instance_name();
        let risks = asked.risk.map_or_else(|| Risk::ALL.to_vec(), |risk| vec![risk]);
        let most = asked.most_groups;
        let (plan, passed_over) =
            merge.plan_of_risks(&chosen.candidates, policy, instance, most, risks).await?;
        if passed_over > 0 {
            let groups = counted_of(passed_over, "group");
            context.ui.note(&format!("{groups} of another risk passed over"));
        }
        Ok(plan)
    }

    /// Says how far a kept plan was carried out before, and takes up what may be merged of it now;
    /// an exit code where nothing is left of it.
    fn go_on_with(&mut self, kept: Kept) -> Result<ControlFlow<Exit, Plan>, Failure> {
        let Kept { loaded, policy: of_plan } = kept;
        let stand = Stand::of(self.merge.ledger(), &loaded)?;
        let past = &stand.past;
        if past.is_all_merged() && past.state != PlanState::New {
            self.context.ui.note("nothing is left to do of this plan");
            let open = self.merge.still_open()?;
            let groups = Groups::Kept(&loaded);
            kept::print(
                &mut self.context.ui,
                self.merge.ledger(),
                groups,
                &stand,
                &open,
                self.asked.json,
            )?;
            let exit = if open.is_empty() { Exit::Done } else { Exit::Partial };
            return Ok(ControlFlow::Break(exit));
        }
        let ui = &mut self.context.ui;
        let ReviewSettings { policy, two_people } = self.context.config.review;
        let digest = self.asked.digest.as_deref();
        let rules = Rules { policy, two_people };
        let permitted = permit(self.merge.ledger(), &loaded, rules, digest, past)?;
        kept::tell_begun(ui, past);
        if let Some(by) = permitted.by() {
            ui.note(&format!("approved by {by}"));
        }
        let most = self.asked.most_groups;
        let (groups, later) = permitted.groups(self.merge.ledger(), &loaded, &stand, most)?;
        if later > 0 {
            ui.note(&format!(
                "left to the next run, since `merge.max_groups` allows no more: {} of the plan; the same command goes on",
                counted_of(later, "group")
            ));
        }
        let at = now().to_rfc3339_opts(SecondsFormat::Millis, true);
        take_up(self.merge.ledger(), &loaded, &permitted, &groups, &at)?;
        self.digest = Some(loaded.digest());
        let (id, instance) = (loaded.head.plan, loaded.header.instance);
        let (made_at, left_out) = (loaded.header.made_at, stand.left_out);
        let plan = Plan { id, instance, made_at, policy: of_plan, groups, left_out };
        Ok(ControlFlow::Continue(plan))
    }

    fn agrees(&mut self, plan: &Plan) -> bool {
        let in_words = self.context.config.instance_in_words();
        let ui = &mut self.context.ui;
        self.follow.progress.aside(|| confirm::agrees(ui, Vanishing::of(plan, &in_words)))
    }

    async fn carry_out(&mut self, plan: Plan) -> Report {
        if self.asked.carries_out {
            self.follow.planned = plan.groups.len();
            self.follow.first = First::on_a_terminal(self.context);
            return self
                .merge
                .carry_out(Confirmed::new(plan).under(self.digest.take()), &mut self.follow)
                .await;
        }
        let interrupted = self.context.interrupt.is_cancelled();
        Report { stopped: interrupted.then_some(Stopped::Interrupted), ..dry_run(&plan) }
    }

    /// Prints what came of it.
    fn end(self, plan: Option<&str>, report: Report, before: &[Open]) -> Result<Exit, Failure> {
        let Self { context, asked, client, mut merge, follow, .. } = self;
        let ui = &mut context.ui;
        if follow.unrecorded {
            ui.note(
                "the cache could not take over what was merged; run `mkto-audit scan` before the next report",
            );
        }
        drop(follow);
        if let Some(run) = report.run {
            certificate::seal_at_the_end(context, merge.ledger(), run);
        }
        let ui = &mut context.ui;
        let open = merge.still_open()?;
        let shown = show::Shown {
            plan,
            dry_run: !asked.carries_out,
            kept: None,
            filtered: !asked.filter.is_of_everything() || asked.risk.is_some(),
            groups: &report,
            tally: &Tally::of(&report.groups),
            is_stopped: report.stopped.is_some(),
            run: report.run,
            late_rows: Some(&report.late_rows),
            open: &open,
            calls: client.calls_made(),
            width: ui.terminal_width(),
        };
        shown.print(ui, asked.json)?;
        Ok(tell_ended(ui, report, &open, before, asked.carries_out))
    }
}

/// A plan as a report of what it would do.
fn dry_run(plan: &Plan) -> Report {
    let mut groups: Vec<GroupReport> = plan.groups.iter().map(GroupReport::planned).collect();
    groups.extend(plan.left_out.iter().map(GroupReport::left_out));
    let size = |group: &GroupReport| group.losers.len() + usize::from(group.winner.is_some());
    groups.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.key.cmp(&b.key)));
    Report { groups, ..Report::default() }
}
