//! `mkto-audit probe`: what measuring would make, call and remove, and with `--confirm` the doing.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{Context, Exit, Failure, ledgers};
use crate::dedupe::{InstanceProfile, ProfileName};
use crate::ledger::Ledger;
use crate::marketo::Client;
use crate::merge::instance_profile;
use crate::probe::{Asked, ConfirmedProbe, Domain, Probe, ProbeReport, ProbeSettings, TestProgram};
use crate::terminal::{counted_of, one_line};

mod show;

/// Measure what Adobe leaves open, on test people; without --confirm only say how
///
/// It makes some records with made-up addresses that mail cannot reach, merges them, looks at what
/// came of it, and deletes them. No other record is touched. The answers are this instance's
/// profile: plans, merges and certificates name it, and predictions become exact where it says how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:\n  \
    mkto-audit probe                    what it would make, call and remove\n  \
    mkto-audit probe --confirm          measure, keep the profile, remove the test people\n  \
    mkto-audit probe --confirm --list 1234 --program 1057:Invited,Attended\n  \
    mkto-audit probe --show             the profile that is kept\n  \
    mkto-audit probe --clean-up         remove what a run that was cut short left behind\n\n\
    Campaigns that listen for new people, changed values or scores fire for test people too: name a \
    program and a list that were made for tests, and exclude the domain from campaigns that reach other systems.")]
pub(super) struct ProbeArgs {
    /// Measure. Without it nothing at Marketo is changed
    #[arg(long, conflicts_with_all = ["clean_up", "show"])]
    confirm: bool,
    /// Change nothing at Marketo; the same as leaving --confirm out
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Remove the test people that a run left behind which was cut short
    #[arg(long, conflicts_with = "show")]
    clean_up: bool,
    /// Show the profile that is kept; nothing is called
    #[arg(long)]
    show: bool,
    /// The domain of the test people's addresses: one that is reserved for tests [default:
    /// mkto-audit-probe.invalid]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// A program made for tests, with an early and a later status: whose status stays is measured
    #[arg(long, value_name = "ID:LOWER,HIGHER", value_parser = a_program)]
    program: Option<TestProgram>,
    /// A static list made for tests: whether lists are carried over is measured
    #[arg(long, value_name = "ID")]
    list: Option<u64>,
    /// A field to be tested for blocked updates, beside those with a rule (repeatable)
    #[arg(long, value_name = "FIELD")]
    field: Vec<String>,
    /// How long to wait for a merge to show in Marketo's activity log
    #[arg(long, value_name = "TIME", default_value = "10m")]
    #[arg(value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Who runs it, for the ledger [env: `MKTO_AUDIT_BY`] [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn a_program(text: &str) -> Result<TestProgram, String> {
    const FORM: &str =
        "takes the id of a program and two of its statuses, such as 1057:Invited,Attended";
    let (id, statuses) = text.split_once(':').ok_or(FORM)?;
    let (lower, higher) = statuses.split_once(',').ok_or(FORM)?;
    let (lower, higher) = (lower.trim().to_owned(), higher.trim().to_owned());
    let id = u64::from_str(id.trim()).map_err(|_no_number| FORM)?;
    if lower.is_empty() || higher.is_empty() || lower == higher {
        return Err(FORM.to_owned());
    }
    Ok(TestProgram { id, lower, higher })
}

pub(super) async fn run(context: &mut Context, args: &ProbeArgs) -> Result<Exit, Failure> {
    if args.show {
        let ledger = ledgers::open_existing(context)?;
        return show::kept(context, args.json, instance_profile(&ledger)?);
    }
    context.say_instance();
    let asked = asked(context, args)?;
    if !args.confirm && !args.clean_up {
        let file = context.config.ledger_file()?;
        let open = what_is_open(context, &file)?;
        return show::dry_run(context, args.json, &asked, open);
    }
    let client = context.client()?;
    let mut ledger = Ledger::open(&context.config.ledger_file()?, &context.config.instance_name())?;
    let settings = ProbeSettings {
        clock: client.clock(),
        now: super::now,
        stop: context.interrupt.clone(),
        instance: context.config.instance_name(),
        by: context.config.by(args.by.as_deref()),
    };
    let probe = context.or_stop(Probe::new(&client, &mut ledger, settings)).await??;
    let progress = context.ui.progress("measuring on test people", None).paced_by(&client);
    let report = if args.clean_up {
        probe.clean_up(&ConfirmedProbe::new()).await
    } else {
        probe.carry_out(&ConfirmedProbe::new(), &asked).await
    };
    drop(progress);
    end(context, args, &client, report)
}

fn asked(context: &Context, args: &ProbeArgs) -> Result<Asked, Failure> {
    let policy = context.config.policy(super::now())?;
    let mut fields = policy.ruled_fields();
    fields.extend(args.field.iter().cloned());
    Ok(Asked {
        domain: args.domain.clone().unwrap_or_default(),
        program: args.program.clone(),
        list: args.list,
        fields,
        wait: args.wait,
        at_once: context.config.limits.concurrency,
    })
}

/// How many test people an earlier run left behind. A ledger is not made for that.
fn what_is_open(context: &Context, file: &Path) -> Result<usize, Failure> {
    if !file.exists() {
        return Ok(0);
    }
    Ok(Ledger::open(file, &context.config.instance_name())?.open_people()?.len())
}

fn end(
    context: &mut Context,
    args: &ProbeArgs,
    client: &Client,
    report: ProbeReport,
) -> Result<Exit, Failure> {
    show::report(context, args.json, args.clean_up, client.calls_made(), &report)?;
    for left in &report.left {
        context.ui.note(&format!("lead {} was left alone: {}", left.lead, left.why));
    }
    let people = |number: usize| match number {
        1 => "1 test person".to_owned(),
        number => format!("{number} test people"),
    };
    if report.cleaned > 0 {
        let (left, was) = (people(report.cleaned), if report.cleaned == 1 { "is" } else { "are" });
        context.ui.note(&format!("{left} of an earlier run {was} gone now"));
    }
    if !args.clean_up {
        let merges = counted_of(report.merges, "merge");
        context.ui.note(&format!(
            "made {} and sent {merges}; {} removed",
            people(report.made),
            people(report.removed)
        ));
    } else if report.cleaned == 0 && report.open == 0 {
        context.ui.note("no test people are left");
    }
    if let Some(why) = &report.not_removed {
        context.ui.note(&format!("the test people could not all be removed: {}", one_line(why)));
    }
    if report.open > 0 {
        context.ui.note(&format!(
            "{} may still be there; to remove them: mkto-audit probe --clean-up",
            people(report.open)
        ));
    }
    if report.interrupted {
        context.ui.note("stopped as asked: no profile was kept");
    }
    match report.failed {
        Some(error) => Err(error.into()),
        None if report.interrupted || report.open > 0 || report.not_removed.is_some() => {
            Ok(Exit::Stopped)
        }
        None if report.failed_questions > 0 || !report.left.is_empty() => Ok(Exit::Partial),
        None => Ok(Exit::Done),
    }
}

/// An instance changes with each release, and with each administrator.
const MAX_AGE: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Says by which profile predictions go, and that an old one may not fit any more.
pub(super) fn tell_profile(context: &mut Context, ledger: &Ledger) -> Result<(), Failure> {
    let Some((name, _)) = instance_profile(ledger)? else { return Ok(()) };
    let days = (super::now() - name.measured_at).num_days();
    let most = context.config.probe_max_age.unwrap_or(MAX_AGE);
    let is_old =
        chrono::TimeDelta::from_std(most).is_ok_and(|most| super::now() - name.measured_at > most);
    if is_old {
        let most = humantime::format_duration(most).to_string();
        context.ui.note(&format!(
            "predictions go by {name}, which is {days} days old; `probe.max_age` is {most}: \
             measure again with mkto-audit probe --confirm"
        ));
    }
    Ok(())
}

/// The profile that is in force, with its name.
type Kept = Option<(ProfileName, InstanceProfile)>;
