//! `mkto-audit certificate`: what a run did, for people and programs, and whether a file says it
//! still.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, ledgers, now, runs};
use crate::ledger::{Ledger, PastRun, RunKind, WitnessLook};
use crate::repair::certificate::{
    About, Certificate, Look, SCHEMA, certificate_of, chain, csv, page,
};
use crate::report::write_beside;
use crate::terminal::{counted, moment};

mod look;

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
    /// Look again, at Marketo, for what was not seen of its merges yet: Marketo's own record of
    /// them, lists and programs
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
    /// The seals that were given, the last one last; none where it was never shown.
    seals: Vec<String>,
}

#[derive(Debug, Serialize)]
struct VerifyDocument {
    schema: &'static str,
    run: Option<u64>,
    valid: bool,
    reason: Option<String>,
}

pub(super) async fn run(context: &mut Context, args: &CertificateArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::List(args) => list(context, args),
        What::Show(args) => show(context, args).await,
        What::Verify(args) => verify(context, args),
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
        let seal = one.seals.last().map_or("never shown", |seal| seal.get(..16).unwrap_or(seal));
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
    let certificate = certificate_of(&ledger, &run, &about(context))?;
    // Before anybody has it: what was handed out can always be checked.
    ledger.seal(run.id, &certificate.chain.seal, &now().to_rfc3339())?;
    if let Some(file) = &args.html {
        write(context, file, |out| page::write(&certificate, out))?;
    } else if let Some(file) = &args.json {
        write(context, file, |out| write_json(&certificate, out))?;
    } else if let Some(file) = &args.csv {
        write(context, file, |out| csv::write(&certificate, out))?;
    } else {
        context.ui.print(&in_words(&certificate))?;
    }
    let contradicts = certificate.afterwards.marketo.get("contradicts").is_some_and(|all| *all > 0);
    Ok(if certificate.settled && !contradicts { Exit::Done } else { Exit::Partial })
}

fn about(context: &Context) -> About {
    let instance = context.config.instance_name();
    About { scans_of: instance.clone(), instance, price: context.config.price.clone() }
}

fn write_json(certificate: &Certificate, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, certificate)?;
    out.write_all(b"\n")
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
    let approved = certificate.approved.as_ref().map(|by| format!("approved by {}\n", by.by));
    let marketo: Vec<String> = certificate
        .afterwards
        .marketo
        .iter()
        .map(|(word, groups)| format!("{groups} {}", word.replace('_', " ")))
        .collect();
    let at = certificate.afterwards.marketo_at.as_deref();
    let at = at.map(|at| format!(" (last looked for at {at})")).unwrap_or_default();
    let seen = format!("Marketo's own record: {}{at}", marketo.join(", "));
    format!(
        "run {} of {}: {} merged, {} removed, {} left alone, {} failed\n{}fields: {}\n{opt_outs}\n{seen}\nseal {}\n",
        certificate.run,
        certificate.instance,
        counted(totals.merged, "group"),
        counted(totals.removed, "record"),
        totals.skipped,
        totals.failed,
        approved.unwrap_or_default(),
        verdicts.join(", "),
        certificate.chain.seal
    )
}

fn verify(context: &mut Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::Usage {
        what: format!("{} cannot be read: {error}", args.file.display()),
        hint: None,
    })?;
    let ledger = ledgers::open_existing(context)?;
    let (run, checked) = check(context, &ledger, &bytes)?;
    let (valid, reason) = (checked.is_none(), checked);
    let file = args.file.display();
    if args.json {
        let document =
            VerifyDocument { schema: "mkto-audit/certificate-verify/1", run, valid, reason };
        context.ui.json(&document)?;
    } else if let Some(reason) = &reason {
        context.ui.print(&format!("{file} is NOT what this ledger certified: {reason}\n"))?;
    } else {
        let run = run.map(|run| format!(" of run {run}")).unwrap_or_default();
        context.ui.print(&format!("{file} is the certificate{run}, to the byte\n"))?;
    }
    Ok(if valid { Exit::Done } else { Exit::Failed })
}

/// The run that a file is of, and why it is not what was certified.
fn check(
    context: &Context,
    ledger: &Ledger,
    bytes: &[u8],
) -> Result<(Option<u64>, Option<String>), Failure> {
    let text = String::from_utf8_lossy(bytes);
    let of_page = page::read(&text);
    let is_page = of_page.is_some();
    let Some(certificate) = of_page.or_else(|| serde_json::from_str::<Certificate>(&text).ok())
    else {
        return check_csv(context, ledger, bytes);
    };
    let run = Some(certificate.run);
    if certificate.schema != SCHEMA {
        return Ok((run, Some(format!("it is a {}, not a {SCHEMA}", certificate.schema))));
    }
    if let Err(broken) = chain::check(&certificate) {
        return Ok((run, Some(broken.to_string())));
    }
    let mut again = Vec::new();
    let written = if is_page {
        page::write(&certificate, &mut again)
    } else {
        write_json(&certificate, &mut again)
    };
    if written.is_err() || again != bytes {
        return Ok((run, Some("something that its hashes do not cover was changed".to_owned())));
    }
    let number = u32::try_from(certificate.run).unwrap_or_default();
    let known = ledger.runs()?.into_iter().find(|run| run.id == number.into());
    let of_run = known.as_ref().map(|run| run.id);
    let seals = of_run.map(|run| ledger.seals_of(run)).transpose()?.unwrap_or_default();
    if !seals.contains(&certificate.chain.seal) {
        let why = "the ledger never gave out this seal: everything in it may have been made up";
        return Ok((run, Some(why.to_owned())));
    }
    let kept = of_run.map(|run| ledger.witness_of(run)).transpose()?.unwrap_or_default();
    if !are_kept(&certificate.witness, &kept) {
        let why = "the ledger has not kept what it says was seen of its merges afterwards";
        return Ok((run, Some(why.to_owned())));
    }
    Ok((run, None))
}

/// Whether these looks are the first ones that the ledger has. Later ones came after the file.
fn are_kept(looks: &[Look], kept: &[WitnessLook]) -> bool {
    let is_it = |(look, kept): (&Look, &WitnessLook)| {
        let calls = look.calls.iter().map(|seen| (seen.call, &seen.verdict, &seen.sha256));
        let seen = kept.seen.iter().map(|seen| (seen.call, &seen.verdict, &seen.sha256));
        (&look.kind, &look.at) == (&kept.kind, &kept.at) && calls.eq(seen)
    };
    looks.len() <= kept.len() && looks.iter().zip(kept).all(is_it)
}

/// A CSV holds no certificate by which it could be made again: it is compared with the ledger's.
fn check_csv(
    context: &Context,
    ledger: &Ledger,
    bytes: &[u8],
) -> Result<(Option<u64>, Option<String>), Failure> {
    let mut rows = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let is_ours = rows.headers().is_ok_and(|head| head.get(0) == Some("run"));
    let first = rows.records().next().and_then(Result::ok);
    let number = first.and_then(|row| row.get(0)?.parse::<u32>().ok()).filter(|_| is_ours);
    let Some(number) = number else {
        let why = "it is no page, JSON or CSV of a certificate, or it was cut off";
        return Ok((None, Some(why.to_owned())));
    };
    let run = runs::find(ledger, number)?;
    let now = certificate_of(ledger, &run, &about(context))?;
    // What was seen since the file was written is not in it.
    let is_it = (0..=now.witness.len()).rev().any(|looks| {
        let mut again = Vec::new();
        csv::write(&now.up_to(looks), &mut again).is_ok() && again == bytes
    });
    let why = (!is_it).then(|| "a row of it is not what the ledger holds".to_owned());
    Ok((Some(number.into()), why))
}
