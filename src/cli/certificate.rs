//! `mkto-audit certificate`: what a run did, for people and programs, and whether a file says it
//! still.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, ledgers, now, runs};
use crate::ledger::{CertificateFile, Ledger, PastRun, RunId, RunKind, sha256_of_bytes};
use crate::repair::certificate::{About, Certificate, csv, page, seal_those_without, sealed};
use crate::report::write_beside;
use crate::terminal::{counted, moment};

mod look;
mod verify;

/// Show what a run did, field by field, and check a certificate against the ledger
///
/// Told from the ledger alone: Marketo is asked with --look alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mkto-audit certificate list\n  \
    mkto-audit certificate show 3 --html run3.html   one page for people\n  \
    mkto-audit certificate show 3 --json run3.json   for a program\n  \
    mkto-audit certificate show 3 --look             look for Marketo's own record of its merges again\n  \
    mkto-audit certificate verify run3.html          whether a byte of it was changed")]
pub(super) struct CertificateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    Show(ShowArgs),
    Verify(VerifyArgs),
}

/// List the runs that a certificate can be made of
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit certificate list")]
struct ListArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Show or write the certificate of a run
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit certificate show 3 --html run3.html")]
struct ShowArgs {
    /// The run's number
    #[arg(value_name = "RUN", value_parser = clap::value_parser!(u32).range(1..))]
    run: u32,
    /// Write one page for people
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with_all = ["json", "csv"])]
    html: Option<PathBuf>,
    /// Write one JSON document
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "csv")]
    json: Option<PathBuf>,
    /// Write a row a field
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    csv: Option<PathBuf>,
    /// Look at Marketo again: its own record of the merges, lists and programs, and rows of custom
    /// objects that came late
    #[arg(long)]
    look: bool,
}

/// Check a certificate against the ledger: a byte that was changed is noticed
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit certificate verify run3.html")]
struct VerifyArgs {
    /// The page, the JSON or the CSV that `certificate show` wrote
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct ListDocument<'a> {
    schema: &'static str,
    certificate: Vec<Listed<'a>>,
}

/// A run of which there is a certificate.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    run: u64,
    plan: Option<&'a str>,
    by: Option<&'a str>,
    begun_at: chrono::DateTime<chrono::Utc>,
    merged: u64,
    removed: u64,
    /// The seals that were made, the last one last; none of a run that was killed, until the next
    /// run, or somebody looks at it.
    seals: Vec<String>,
}

pub(super) async fn run(context: &mut Context, args: &CertificateArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::List(args) => list(context, args),
        What::Show(args) => show(context, args).await,
        What::Verify(args) => {
            let about = about(context);
            verify::verify(context, &args.file, args.json, &about)
        }
    }
}

fn list(context: &mut Context, args: &ListArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let runs: Vec<PastRun> =
        ledger.runs()?.into_iter().filter(|run| run.kind == RunKind::Merge).collect();
    let mut certificate = Vec::new();
    for run in &runs {
        certificate.push(Listed {
            run: run.id.number(),
            plan: run.plan.as_deref(),
            by: run.by.as_deref(),
            begun_at: run.begun_at,
            merged: run.merged,
            removed: run.removed,
            seals: ledger.seals_of(run.id)?,
        });
    }
    if args.json {
        context.ui.json(&ListDocument { schema: "mkto-audit/certificate-list/1", certificate })?;
        return Ok(Exit::Done);
    }
    let line = |one: &Listed<'_>| {
        let seal = one.seals.last().map_or("not made yet", |seal| seal.get(..16).unwrap_or(seal));
        format!(
            "run {}  {}  {} merged, {} removed  seal {seal}\n",
            one.run,
            moment(one.begun_at),
            counted(one.merged, "group"),
            counted(one.removed, "record")
        )
    };
    let lines: String = certificate.iter().map(line).collect();
    context.ui.print(if lines.is_empty() { "no run has merged anything yet\n" } else { &lines })?;
    Ok(Exit::Done)
}

async fn show(context: &mut Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let mut ledger = ledgers::open_existing(context)?;
    let run = runs::find(&ledger, args.run)?;
    if run.kind != RunKind::Merge {
        return Err(Failure::Usage {
            what: format!("run {} merged nothing, and has no certificate", run.id),
            hint: Some("mkto-audit certificate list".to_owned()),
        });
    }
    if args.look {
        look::again(context, &mut ledger, &run).await?;
    }
    // Sealed where its run was killed, or something of it was settled since.
    let certificate = sealed(&mut ledger, &run, &about(context), &now().to_rfc3339())?;
    if let Some(file) = &args.html {
        hand_out(context, &mut ledger, &certificate, (file, "html", page::write))?;
    } else if let Some(file) = &args.json {
        hand_out(context, &mut ledger, &certificate, (file, "json", verify::write_json))?;
    } else if let Some(file) = &args.csv {
        hand_out(context, &mut ledger, &certificate, (file, "csv", csv::write))?;
    } else {
        context.ui.print(&in_words(&certificate))?;
    }
    let contradicts = certificate.afterwards.marketo.get("contradicts").is_some_and(|all| *all > 0);
    Ok(if certificate.settled && !contradicts { Exit::Done } else { Exit::Partial })
}

/// Seals the certificate of a run that ends, with what is set now. A run is not undone by a seal
/// that cannot be made: the next one, or the first look at the certificate, makes it.
pub(super) fn seal_at_the_end(context: &mut Context, ledger: &mut Ledger, run: RunId) {
    let at = now().to_rfc3339();
    let of_run = ledger.run(run).map_err(Failure::from);
    let done = of_run.and_then(|run| match run {
        Some(run) => sealed(ledger, &run, &about(context), &at).map(drop).map_err(Failure::from),
        None => Ok(()),
    });
    tell_unsealed(context, done);
}

/// Seals the certificates of runs that were killed, after what they left open was settled.
pub(super) fn seal_earlier(context: &mut Context, ledger: &mut Ledger) {
    let done = seal_those_without(ledger, &about(context), &now().to_rfc3339());
    tell_unsealed(context, done.map(drop).map_err(Failure::from));
}

fn tell_unsealed(context: &mut Context, done: Result<(), Failure>) {
    if let Err(failure) = done {
        context.ui.note(&format!(
            "note: a certificate could not be sealed: {failure}; `mkto-audit certificate show RUN` seals it"
        ));
    }
}

fn about(context: &Context) -> About {
    let instance = context.config.instance_name();
    About { scans_of: instance.clone(), instance, price: context.config.price.clone() }
}

/// How a certificate is written.
type Write = fn(&Certificate, &mut dyn std::io::Write) -> std::io::Result<()>;

/// Writes a certificate to a file whose hash the ledger has before anybody has the file: it can
/// always be checked.
fn hand_out(
    context: &mut Context,
    ledger: &mut Ledger,
    certificate: &Certificate,
    (file, kind, write_as): (&Path, &str, Write),
) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    write_as(certificate, &mut bytes).map_err(Failure::Output)?;
    let run = RunId::from(u32::try_from(certificate.run).unwrap_or_default());
    let handed_out = CertificateFile { run, looks: certificate.witness.len() };
    ledger.keep_certificate_file(
        handed_out,
        kind,
        &sha256_of_bytes(&bytes),
        &now().to_rfc3339(),
    )?;
    write(context, file, |out| out.write_all(&bytes))
}

fn write(
    context: &mut Context,
    file: &Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    if file.as_os_str() == "-" {
        return context.ui.write(write);
    }
    write_beside(file, write).map_err(|source| Failure::File { path: file.to_owned(), source })?;
    context.ui.note(&format!("written to {}; it holds people's data", file.display()));
    Ok(())
}

fn in_words(certificate: &Certificate) -> String {
    let totals = &certificate.totals;
    let verdicts: Vec<String> =
        totals.verdicts.iter().map(|(verdict, fields)| format!("{fields} {verdict}")).collect();
    let opt_outs = match (totals.opt_outs, totals.opt_outs_lost) {
        (0, _) => "no opt-outs".to_owned(),
        (all, lost) => format!("{}, {lost} lost", counted(all, "opt-out")),
    };
    let planned = certificate.planned_by.as_ref().map(|by| format!("planned by {by}\n"));
    let approved = certificate.approved.as_ref().map(|by| format!("approved by {}\n", by.by));
    let approved = [planned, approved].into_iter().flatten().collect::<String>();
    let prepared = match totals.prepared {
        0 => String::new(),
        all => format!(", {} written to and not merged", counted(all, "group")),
    };
    let marketo: Vec<String> = certificate
        .afterwards
        .marketo
        .iter()
        .map(|(word, groups)| format!("{groups} {}", word.replace('_', " ")))
        .collect();
    let at = certificate.afterwards.marketo_at.as_deref();
    let at = at.map(|at| format!(" (last looked for at {at})")).unwrap_or_default();
    let seen = format!("Marketo's own record: {}{at}", marketo.join(", "));
    let late = certificate.afterwards.late_rows.as_ref();
    let late = late.filter(|late| late.moved + late.left > 0).map(|late| {
        format!(
            "{} of custom objects came to merged records late: {} linked to the survivors, {} left behind\n",
            counted(late.moved + late.left, "row"),
            late.moved,
            late.left
        )
    });
    let unknown = if certificate.left_alone_known {
        ""
    } else {
        "which groups it left alone is not known: a version before this one carried it out\n"
    };
    format!(
        "run {} of {}: {} merged, {} removed, {} left alone{prepared}, {} failed\n{unknown}{approved}fields: {}\n{opt_outs}\n{seen}\n{}seal {}\n",
        certificate.run,
        certificate.instance,
        counted(totals.merged, "group"),
        counted(totals.removed, "record"),
        totals.skipped,
        totals.failed,
        verdicts.join(", "),
        late.unwrap_or_default(),
        certificate.chain.seal
    )
}
