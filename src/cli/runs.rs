//! `mkto-audit history`: the runs that were begun, and what each did with its groups.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, ledgers};
use crate::ledger::{Error, PastRun, RunId, RunKind};
use crate::repair::{GroupHistory, history_of};
use crate::terminal::{counted, moment, one_line};

mod show;

pub(super) use show::shown;

/// List the runs: what each did, when, and who ran it
///
/// Told from the ledger alone: Marketo is not asked.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  mkto-audit history                              every run, the newest first\n  \
    mkto-audit history show 3                       what run 3 did, group by group\n  \
    mkto-audit history show 3 --email a@example.com one person's group in it"
)]
pub(super) struct HistoryArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(ShowArgs),
}

/// Show what a run did: each group before, as planned, and what was dropped
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit history show 3 --email ada@example.com")]
struct ShowArgs {
    /// The run's number
    #[arg(value_name = "RUN", value_parser = clap::value_parser!(u32).range(1..))]
    run: u32,
    /// Only the groups in which a record had this address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A run, as the contract has it.
#[derive(Debug, Serialize)]
struct RunDocument<'a> {
    run: u64,
    kind: &'static str,
    plan: Option<&'a str>,
    digest: Option<&'a str>,
    by: Option<&'a str>,
    begun_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    merged: u64,
    removed: u64,
    restored: u64,
    skipped: u64,
    prepared: u64,
    failed: u64,
    complete: bool,
}

impl<'a> RunDocument<'a> {
    fn of(run: &'a PastRun) -> Self {
        Self {
            run: run.id.number(),
            kind: run.kind.as_str(),
            plan: run.plan.as_deref(),
            digest: run.digest.as_deref(),
            by: run.by.as_deref(),
            begun_at: run.begun_at,
            ended_at: run.ended_at,
            merged: run.merged,
            removed: run.removed,
            restored: run.restored,
            skipped: run.skipped,
            prepared: run.prepared,
            failed: run.failed,
            complete: run.complete,
        }
    }
}

#[derive(Debug, Serialize)]
struct HistoryDocument<'a> {
    schema: &'static str,
    run: Vec<RunDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct ShowDocument<'a> {
    schema: &'static str,
    run: RunDocument<'a>,
    group: &'a [GroupHistory],
    restored: Vec<RestoredDocument>,
}

/// A lead that a run made anew.
#[derive(Debug, Serialize)]
struct RestoredDocument {
    lost_id: u64,
    new_id: Option<u64>,
    complete: bool,
}

pub(super) fn run(context: &mut Context, args: &HistoryArgs) -> Result<Exit, Failure> {
    if let Some(What::Show(show)) = &args.what {
        return show_run(context, show);
    }
    let ledger = ledgers::open_existing(context)?;
    let runs = ledger.runs()?;
    if args.json {
        let run = runs.iter().map(RunDocument::of).collect();
        context.ui.json(&HistoryDocument { schema: "mkto-audit/history/1", run })?;
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        context.ui.print("no run was begun yet; `mkto-audit merge --confirm` begins one\n")?;
        return Ok(Exit::Done);
    }
    let lines: Vec<String> = runs.iter().map(run_line).collect();
    context.ui.print(&format!("{}\n", lines.join("\n")))?;
    context.ui.note("what one of them did: mkto-audit history show RUN");
    Ok(Exit::Done)
}

fn show_run(context: &mut Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let run = find(&ledger, args.run)?;
    let groups = history_of(&ledger, &run, args.email.as_deref())?;
    let restored = restored_in(&ledger, run.id)?;
    if let (Some(email), true) = (&args.email, groups.is_empty() && run.kind == RunKind::Merge) {
        context.ui.note(&format!(
            "run {} came to no group in which a record had {}; `mkto-audit history` lists the others",
            run.id,
            one_line(email)
        ));
    }
    if args.json {
        let document = ShowDocument {
            schema: "mkto-audit/history-show/1",
            run: RunDocument::of(&run),
            group: &groups,
            restored,
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![run_line(&run)];
    lines.extend(groups.iter().flat_map(show::lines));
    lines.extend(restored.iter().map(|one| match one.new_id {
        Some(new) => format!("lead {} was made anew as lead {new}", one.lost_id),
        None => format!("lead {} was not made anew", one.lost_id),
    }));
    context.ui.print(&format!("{}\n", lines.join("\n")))?;
    Ok(Exit::Done)
}

fn restored_in(ledger: &crate::ledger::Ledger, run: RunId) -> Result<Vec<RestoredDocument>, Error> {
    let restored = ledger.restored_in(run)?.into_iter();
    let document = |one: crate::ledger::RestoredLead| RestoredDocument {
        lost_id: one.lost,
        new_id: one.new,
        complete: one.complete,
    };
    Ok(restored.map(document).collect())
}

/// A run by its number; where there is none, the failure names those that there are.
pub(super) fn find(ledger: &crate::ledger::Ledger, number: u32) -> Result<PastRun, Failure> {
    const TOLD: usize = 10;
    let runs = ledger.runs()?;
    let told: Vec<String> = runs.iter().take(TOLD).map(run_line).collect();
    let wanted = RunId::from(number);
    runs.into_iter().find(|run| run.id == wanted).ok_or_else(|| Failure::Usage {
        what: format!("the ledger {} has no run {number}", ledger.path().display()),
        hint: Some(if told.is_empty() {
            "no run was begun yet".to_owned()
        } else {
            format!("runs, the newest first:\n    {}", told.join("\n    "))
        }),
    })
}

fn run_line(run: &PastRun) -> String {
    let by =
        run.by.as_deref().map_or_else(|| "somebody".to_owned(), |by| one_line(by).into_owned());
    let of = run.plan.as_ref().map(|plan| format!(" of plan {plan}")).unwrap_or_default();
    let mut done = match run.kind {
        RunKind::Merge => {
            vec![
                format!("{} merged", counted(run.merged, "group")),
                format!("{} removed", counted(run.removed, "record")),
            ]
        }
        RunKind::Restore => vec![format!("{} restored", counted(run.restored, "record"))],
    };
    for (number, what) in [
        (run.skipped, "left alone"),
        (run.prepared, "written to and not merged"),
        (run.failed, "failed"),
    ] {
        if number > 0 {
            done.push(format!("{number} {what}"));
        }
    }
    let end = match (run.ended_at, run.complete) {
        (Some(_), true) => "",
        (Some(_), false) => "; it stopped early",
        (None, _) => "; it has no end: it was killed",
    };
    format!(
        "run {}  {}  {}{of} by {by}: {}{end}",
        run.id,
        moment(run.begun_at),
        run.kind.as_str(),
        done.join(", ")
    )
}
