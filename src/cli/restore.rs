//! `mkto-audit restore`: what making lost records good would do, and with `--confirm` the doing.

use clap::Args;
use serde::Serialize;

use super::runs::shown;
use super::{Context, Exit, Failure, ledgers};
use crate::lead::LeadId;
use crate::ledger::RunId;
use crate::merge::Hold;
use crate::merge::restore::{
    ConfirmedRestore, Loss, ROWS_SET_OFF, Restore, RestoreReport, RestoreSettings, RestoredReport,
    SETS_OFF, Status, Which, losses,
};
use crate::terminal::{counted_of, one_line};

/// Make a merged record anew from its backup; without --confirm only show it
///
/// It is no undoing. The record gets a new id, and its activities stay where they are; what else
/// does not come back is listed before and after. A record that was made is never made twice: where
/// a run was cut short, the same command goes on.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    group = clap::ArgGroup::new("which").required(true),
    after_help = "Examples:\n  mkto-audit restore --email ada@example.com            what would come back, and what would not\n  \
    mkto-audit restore --email ada@example.com --confirm  do it\n  \
    mkto-audit restore --run 3 --confirm                  all records that run 3 merged away"
)]
pub(super) struct RestoreArgs {
    /// The records that this run merged away
    #[arg(long, value_name = "RUN", group = "which", value_parser = clap::value_parser!(u32).range(1..))]
    run: Option<u32>,
    /// The records of the groups in which one had this address
    #[arg(long, value_name = "ADDRESS", group = "which")]
    email: Option<String>,
    /// The record that had this id
    #[arg(long, value_name = "LOSER", group = "which")]
    id: Option<LeadId>,
    /// Also take the record that stayed out of programs, or back to its former status there: its
    /// dates, its success and its place in a stream are lost
    #[arg(long)]
    lower_status: bool,
    /// Do it. Without it nothing at Marketo is changed
    #[arg(long)]
    confirm: bool,
    /// Change nothing at Marketo; the same as leaving --confirm out
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Who runs it, for the ledger [env: `MKTO_AUDIT_BY`] [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    dry_run: bool,
    run: Option<u64>,
    complete: bool,
    restored: &'a [RestoredReport],
}

pub(super) async fn run(context: &mut Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    context.say_instance();
    let client = context.client()?;
    let mut ledger = ledgers::open_existing(context)?;
    let asked = asked(&ledger, args)?;
    let hold = if args.confirm {
        Hold::new(super::leases::open_shared(context)?, context.config.instance_name())
    } else {
        Hold::none()
    };
    let settings = RestoreSettings {
        clock: client.clock(),
        now: super::now,
        stop: context.interrupt.clone(),
        hold,
        by: context.config.by(args.by.as_deref()),
        lower_status: args.lower_status,
    };
    let mut restore = context.or_stop(Restore::new(&client, &mut ledger, settings)).await??;
    let report = if args.confirm {
        restore.carry_out(&ConfirmedRestore::new(), &asked).await
    } else {
        restore.dry_run(&asked).await?
    };
    show(context, args, &report)?;
    end(context, args, report)
}

/// The lost records that are asked for; none at all is wrong usage, with what can be asked for.
fn asked(ledger: &crate::ledger::Ledger, args: &RestoreArgs) -> Result<Vec<Loss>, Failure> {
    let (which, words) = match (args.run, &args.email, args.id) {
        (Some(run), _, _) => {
            super::runs::find(ledger, run)?;
            (Which::Run(RunId::from(run)), format!("run {run} merged no record away"))
        }
        (_, Some(email), _) => {
            let words = format!("no merge of a record with {} is known", one_line(email));
            (Which::Email(email.clone()), words)
        }
        (_, _, Some(id)) => (Which::Lead(id), format!("no merge of record {id} is known")),
        // One of them is required.
        (None, None, None) => return Ok(Vec::new()),
    };
    let found = losses(ledger, &which)?;
    if found.is_empty() {
        return Err(Failure::Usage {
            what: format!("{words}; only merges of this program can be made good"),
            hint: Some(
                "`mkto-audit map` lists the merged records, `mkto-audit history` the runs"
                    .to_owned(),
            ),
        });
    }
    Ok(found)
}

fn show(context: &mut Context, args: &RestoreArgs, report: &RestoreReport) -> Result<(), Failure> {
    if args.json {
        return context.ui.json(&Document {
            schema: "mkto-audit/restore/1",
            dry_run: !args.confirm,
            run: report.run.map(RunId::number),
            complete: report.failed.is_none() && !report.interrupted,
            restored: &report.restored,
        });
    }
    let lines: Vec<String> = report.restored.iter().flat_map(lines).collect();
    if lines.is_empty() { Ok(()) } else { context.ui.print(&format!("{}\n", lines.join("\n"))) }
}

fn lines(one: &RestoredReport) -> Vec<String> {
    let key = one_line(&one.key);
    let lost = one.lost_id;
    let new = one.new_id.map(|id| format!(" as record {id}")).unwrap_or_default();
    let mut lines = vec![match one.status {
        Status::WouldRestore if one.new_id.is_some() => {
            format!("{key}: record {lost} was made anew{new}; what is missing would be added")
        }
        Status::WouldRestore => format!("{key}: record {lost} would be made anew"),
        Status::Restored => format!("{key}: record {lost} is there again{new}"),
        Status::Partial => format!("{key}: record {lost} is there again{new}, NOT WHOLLY"),
        Status::Skipped => format!("{key}: record {lost} is left alone"),
        Status::Failed => format!("{key}: record {lost} was NOT MADE"),
        Status::Unknown => format!("{key}: it is NOT KNOWN whether record {lost} was made"),
    }];
    lines.extend(one.reason.iter().map(|reason| format!("    {reason}")));
    if matches!(one.status, Status::Skipped | Status::Failed | Status::Unknown) {
        return lines;
    }
    for value in &one.fields {
        lines.push(format!("    {}: {}", value.name, shown(&value.value)));
    }
    for list in &one.lists {
        lines.push(format!("    on list {} ({})", one_line(&list.name), list.id));
    }
    for program in &one.programs {
        let status = program.status.as_deref().unwrap_or("a member");
        lines.push(format!(
            "    in program {} ({}): {}",
            one_line(&program.name),
            program.id,
            one_line(status)
        ));
        for (name, value) in &program.member_fields {
            lines.push(format!("        {}: {}", one_line(name), shown(value)));
        }
    }
    for (object, count) in &one.rows {
        lines.push(format!("    {} of {}", counted_of(*count, "row"), one_line(object)));
    }
    if let Some(winner) = &one.winner {
        let id = winner.id;
        lines.push(format!("  record {id}, which took it:"));
        for value in &winner.fields {
            let (before, after) = (shown(&value.before), shown(&value.after));
            lines.push(format!("    {}: {before} → {after}", value.name));
        }
        for list in &winner.lists_left {
            lines.push(format!("    off list {} ({})", one_line(&list.name), list.id));
        }
        for program in &winner.programs_left {
            let to = program.status.as_deref().map_or_else(
                || "out of it".to_owned(),
                |status| format!("back to {}", one_line(status)),
            );
            lines.push(format!("    program {} ({}): {to}", one_line(&program.name), program.id));
        }
        for member in &winner.member_fields {
            lines.push(format!("    in program {} ({}):", one_line(&member.name), member.id));
            for value in &member.fields {
                let (before, after) = (shown(&value.before), shown(&value.after));
                lines.push(format!("        {}: {before} → {after}", one_line(&value.name)));
            }
        }
    }
    lines.push("  does not come back:".to_owned());
    let missing = |missing: &crate::merge::restore::Missing| {
        format!("    {}: {}", one_line(&missing.what), one_line(&missing.why))
    };
    lines.extend(one.not_restored.iter().map(missing));
    lines
}

fn end(context: &mut Context, args: &RestoreArgs, report: RestoreReport) -> Result<Exit, Failure> {
    let count = |status| report.count(status);
    let record = |number: usize| counted_of(number, "record");
    if report.settled > 0 {
        context.ui.note(&format!(
            "of an earlier run {} of lost answers became known",
            counted_of(report.settled, "call")
        ));
    }
    if args.confirm {
        let whole = count(Status::Restored);
        let failed = count(Status::Failed) + count(Status::Unknown);
        context.ui.note(&format!(
            "{} restored, {} in part, {} left alone, {failed} not made",
            record(whole),
            count(Status::Partial),
            count(Status::Skipped)
        ));
        if whole + count(Status::Partial) > 0 {
            context.ui.note(
                "they have one key with the record that took them, as before: the next plan proposes to merge them again unless somebody decides otherwise",
            );
        }
    } else {
        context.ui.note(&format!("making a record anew sets off {SETS_OFF}"));
        if report.restored.iter().any(|one| !one.rows.is_empty()) {
            context.ui.note(ROWS_SET_OFF);
        }
        context.ui.note(&format!(
            "{} would be made good, {} left alone; nothing was changed: add --confirm to do it",
            record(count(Status::WouldRestore)),
            count(Status::Skipped)
        ));
    }
    if let Some(error) = report.failed {
        return Err(error.into());
    }
    if report.interrupted || count(Status::Unknown) > 0 {
        return Ok(Exit::Stopped);
    }
    let all = report.restored.iter().all(|one| {
        matches!(one.status, Status::WouldRestore | Status::Restored)
            || (one.status == Status::Skipped && one.new_id.is_some())
    });
    Ok(if all { Exit::Done } else { Exit::Partial })
}
