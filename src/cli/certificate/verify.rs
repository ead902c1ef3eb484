//! Whether a file is what the ledger certified.
//!
//! For: the seal covers what a run did, and the ledger's own looks cover what was seen of it
//! afterwards. A file that was written before a look is whole, and is told what came later. Never:
//! asks Marketo; believes a hash of the file that the ledger does not bear out.

use std::path::Path;

use serde::Serialize;

use crate::cli::{Context, Exit, Failure, ledgers, runs};
use crate::ledger::{Ledger, sha256_of_bytes};
use crate::repair::certificate::{
    About, Certificate, Later, SCHEMA, certificate_of, chain, csv, kept_and_later, page,
};
use crate::repair::history_of;
use crate::terminal::counted_of;

/// So many groups are named at most in a sentence.
const NAMED: usize = 5;

#[derive(Debug, Serialize)]
struct VerifyDocument<'a> {
    schema: &'static str,
    run: Option<u64>,
    valid: bool,
    reason: Option<&'a str>,
    later: Option<&'a Later>,
}

/// The run that a file is of, and what later looks show, or why it is not what was certified.
struct Checked {
    run: Option<u64>,
    is: Result<Later, String>,
}

pub(super) fn verify(
    context: &mut Context,
    file: &Path,
    json: bool,
    about: &About,
) -> Result<Exit, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::Usage {
        what: format!("{} cannot be read: {error}", file.display()),
        hint: None,
    })?;
    let ledger = ledgers::open_existing(context)?;
    let Checked { run, is } = check(&ledger, &bytes, about)?;
    let file = file.display();
    if json {
        let schema = "mkto-audit/certificate-verify/1";
        let reason = is.as_ref().err().map(String::as_str);
        let (valid, later) = (is.is_ok(), is.as_ref().ok());
        context.ui.json(&VerifyDocument { schema, run, valid, reason, later })?;
    } else {
        context.ui.print(&match &is {
            Err(reason) => format!("{file} is NOT what this ledger certified: {reason}\n"),
            Ok(later) => {
                let run = run.map(|run| format!(" of run {run}")).unwrap_or_default();
                format!("{file} is the certificate{run}, to the byte\n{}", later_in_words(later))
            }
        })?;
    }
    Ok(match is {
        Err(_) => Exit::Failed,
        Ok(later) if !later.contradicts.is_empty() => Exit::Partial,
        Ok(_) => Exit::Done,
    })
}

/// What the ledger has that the file does not.
fn later_in_words(later: &Later) -> String {
    let Some(at) = &later.last_at else { return String::new() };
    let (looks, is) = match later.looks {
        1 => ("1 later look at its merges".to_owned(), "is"),
        all => (format!("{all} later looks at its merges"), "are"),
    };
    let mut lines =
        format!("{looks} {is} in the ledger and not in this file, the last one of {at}\n");
    for (groups, what) in [
        (&later.contradicts, "Marketo's own record CONTRADICTS the account of"),
        (&later.missing, "a list, a program or a success was missing on the survivor of"),
    ] {
        if !groups.is_empty() {
            let named: Vec<&str> = groups.iter().take(NAMED).map(String::as_str).collect();
            let more = groups.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let all = counted_of(groups.len(), "group");
            lines.extend(["by them ", what, " ", &all, ": ", &named.join(", "), &more, "\n"]);
        }
    }
    lines
}

fn check(ledger: &Ledger, bytes: &[u8], about: &About) -> Result<Checked, Failure> {
    // The ledger has the hash of each file that it handed out, whatever was erased from it since.
    if let Some(handed_out) = ledger.certificate_file(&sha256_of_bytes(bytes))? {
        let run = handed_out.run;
        let known = ledger.run(run)?;
        let now = known.map(|run| certificate_of(ledger, &run, about)).transpose()?;
        let later = now.map(|now| now.later_than(handed_out.looks)).unwrap_or_default();
        return Ok(Checked { run: Some(run.number()), is: Ok(later) });
    }
    let text = String::from_utf8_lossy(bytes);
    let of_page = page::read(&text);
    let is_page = of_page.is_some();
    let Some(certificate) = of_page.or_else(|| serde_json::from_str::<Certificate>(&text).ok())
    else {
        return check_csv(ledger, bytes, about);
    };
    let is = check_whole(ledger, bytes, &certificate, is_page)?;
    Ok(Checked { run: Some(certificate.run), is })
}

fn check_whole(
    ledger: &Ledger,
    bytes: &[u8],
    certificate: &Certificate,
    is_page: bool,
) -> Result<Result<Later, String>, Failure> {
    if certificate.schema != SCHEMA {
        return Ok(Err(format!("it is a {}, not a {SCHEMA}", certificate.schema)));
    }
    if let Err(broken) = chain::check(certificate) {
        return Ok(Err(broken.to_string()));
    }
    let mut again = Vec::new();
    let written = if is_page {
        page::write(certificate, &mut again)
    } else {
        write_json(certificate, &mut again)
    };
    if written.is_err() || again != bytes {
        return Ok(Err("something that its hashes do not cover was changed".to_owned()));
    }
    let number = u32::try_from(certificate.run).unwrap_or_default();
    let known = ledger.runs()?.into_iter().find(|run| run.id == number.into());
    let of_run = known.as_ref().map(|run| run.id);
    let seals = of_run.map(|run| ledger.seals_of(run)).transpose()?.unwrap_or_default();
    if !seals.contains(&certificate.chain.seal) {
        let why = "the ledger never gave out this seal: everything in it may have been made up";
        return Ok(Err(why.to_owned()));
    }
    let kept = of_run.map(|run| ledger.witness_of(run)).transpose()?.unwrap_or_default();
    Ok(kept_and_later(certificate, kept).map_err(|why| why.to_string()))
}

/// A CSV holds no certificate by which it could be made again: it is compared with the ledger's.
fn check_csv(ledger: &Ledger, bytes: &[u8], about: &About) -> Result<Checked, Failure> {
    let mut rows = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let is_ours = rows.headers().is_ok_and(|head| head.get(0) == Some("run"));
    let first = rows.records().next().and_then(Result::ok);
    let number = first.and_then(|row| row.get(0)?.parse::<u32>().ok()).filter(|_| is_ours);
    let Some(number) = number else {
        let why = "it is no page, JSON or CSV of a certificate, or it was cut off";
        return Ok(Checked { run: None, is: Err(why.to_owned()) });
    };
    let run = runs::find(ledger, number)?;
    let now = certificate_of(ledger, &run, about)?;
    // What was seen since the file was written is not in it.
    let looks = (0..=now.witness.len()).rev().find(|looks| {
        let mut again = Vec::new();
        csv::write(&now.up_to(*looks), &mut again).is_ok() && again == bytes
    });
    let is = looks.map(|looks| now.later_than(looks));
    let erased = || {
        let groups = history_of(ledger, &run, None)?;
        let is_erased = groups.iter().flat_map(|group| &group.before).any(|lead| lead.erased);
        Ok::<_, Failure>(is_erased)
    };
    let is = match is {
        Some(later) => Ok(later),
        None if erased()? => Err(
            "this is not a file that the ledger handed out, and people's data of this run was erased since; \
             whether the file was changed cannot be checked any more"
                .to_owned(),
        ),
        None => Err("a byte of it was changed: a row of it is not what the ledger holds".to_owned()),
    };
    Ok(Checked { run: Some(number.into()), is })
}

pub(super) fn write_json(
    certificate: &Certificate,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, certificate)?;
    out.write_all(b"\n")
}
