//! `plan import`: decisions that people wrote into a file, all of them or none.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::export::each;
use crate::cli::{Context, Exit, Failure};
use crate::dedupe::Decisions;
use crate::review::card::Card;
use crate::review::import::{self, Changed, Counts, Import};
use crate::review::page::DecisionsFile;
use crate::review::sheet::BadCell;
use crate::review::{CardFilter, Decided, Door, Error, PlanReview, Seen};
use crate::table::{Encoding, Options};
use crate::terminal::{counted, counted_of};

/// So many groups are looked at once.
const AT_ONCE: usize = 500;

/// So many bad cells are printed for a person; JSON has all.
const MOST_SHOWN: usize = 50;

/// Take back a file that people decided in: a workbook, a CSV, or what the page saved
///
/// Nothing is taken where a cell cannot be understood, or where somebody decided since the export.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    mkto-audit plan import november.xlsx --by \"Ada Lovelace\"")]
pub(super) struct ImportArgs {
    /// The file; it names its plan itself
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who decided; without it whom a file of the page names
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// The encoding of a CSV, where it is not Unicode, such as windows-1252
    #[arg(long, value_name = "ENCODING", value_parser = crate::cli::scan::file::encoding)]
    encoding: Option<Encoding>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: &'a str,
    digest: &'a str,
    changed: usize,
    merge: usize,
    skip: usize,
    hold: usize,
    not_same: usize,
    values: usize,
    errors: &'a [BadCell],
}

pub(super) fn run(context: &mut Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let unread = |error: io::Error| Failure::Usage {
        what: format!("{} cannot be read: {error}", args.file.display()),
        hint: None,
    };
    if args.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        return from_page(context, args, &fs::read(&args.file).map_err(unread)?);
    }
    let file = opened(&args.file).map_err(unread)?;
    let by = named(args.by.as_deref())?;
    let options = Options { encoding: args.encoding, ..Options::default() };
    let mut import = import::read_file(&file, &options).map_err(|error| refused(args, &error))?;
    let review = super::open(context, &import.stamp().plan)?;
    let head = review.head()?;
    let since = review.decided_since(&import.stamp().digest)?;
    import.check(&head.plan, since).map_err(|error| refused(args, &error))?;
    each(&review, &CardFilter::default(), |card| {
        import.add(card);
        Ok(())
    })?;
    let changed = import.finish();
    for note in import.notes() {
        context.ui.note(&format!("{}: {note}", args.file.display()));
    }
    let changed = match changed {
        Ok(changed) => changed,
        Err(errors) => return nothing_taken(context, args, (&head.plan, &head.digest), &errors),
    };
    let errors = not_possible(&review, &import, &changed)?;
    if !errors.is_empty() {
        return nothing_taken(context, args, (&head.plan, &head.digest), &errors);
    }
    let counts = Counts::of(&changed);
    let decided: Vec<_> = changed.into_iter().map(|one| (one.stored_key, one.decisions)).collect();
    let seen = Seen::Plan(import.stamp().digest.clone());
    let made = review.decide(&decided, &seen, by, import.door())?;
    taken(context, args, &head.plan, &made, counts)?;
    Ok(Exit::Done)
}

/// The file; what can be read only once, such as a pipe, is copied.
fn opened(path: &Path) -> io::Result<File> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

/// Takes what the page of `plan export FILE.html` saved, all decisions or none of them. Where the
/// file approves the plan, approves it.
fn from_page(context: &mut Context, args: &ImportArgs, bytes: &[u8]) -> Result<Exit, Failure> {
    let refused = |what: String| Failure::Usage {
        what: format!("{}: {what}", args.file.display()),
        hint: Some("nothing was taken".to_owned()),
    };
    let file = DecisionsFile::read(bytes).map_err(|error| refused(error.to_string()))?;
    let by = named(args.by.as_deref().or(file.by.as_deref()))?;
    let review = super::open(context, &file.plan)?;
    let head = review.head()?;
    if let Some(who) = review.decided_since(&file.digest)? {
        return Err(refused(import::Error::Outdated { plan: head.plan, who }.to_string()));
    }
    let mut changed = Vec::new();
    for some in file.group.chunks(AT_ONCE) {
        changed.extend(changed_by(&review, some, &head.plan)?.map_err(&refused)?);
    }
    let made = review.decide(&file.group, &Seen::Plan(file.digest.clone()), by, Door::Page)?;
    taken(context, args, &head.plan, &made, Counts::of(&changed))?;
    if file.approve {
        match review.approve(&made.digest, by, file.note.as_deref()) {
            Ok(approval) => context.ui.note(&format!("approved by {}", approval.by)),
            // What was decided stands; another person looks at it and approves.
            Err(error @ Error::SamePerson { .. }) => {
                context.ui.note(&format!("the decisions are taken, and not approved: {error}"));
                return Ok(Exit::Partial);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Exit::Done)
}

/// What some decisions change; or why they cannot be taken.
fn changed_by(
    review: &PlanReview,
    decided: &[(String, Decisions)],
    plan: &str,
) -> Result<Result<Vec<Changed>, String>, Failure> {
    let keys: Vec<&str> = decided.iter().map(|(key, _)| key.as_str()).collect();
    let cards = review.cards_by_key(&keys)?;
    // As far as the plan has the groups.
    let known: Vec<(&Card, &Decisions)> =
        cards.iter().map_while(Option::as_ref).zip(decided.iter().map(|(_, made)| made)).collect();
    let asked: Vec<_> = known.iter().map(|(card, made)| (card.place, *made)).collect();
    for ((card, _), why) in known.iter().zip(review.refusals(&asked)?) {
        if let Some(why) = why {
            return Ok(Err(format!("{}: {why}", card.key)));
        }
    }
    if let Some((missing, _)) = decided.get(known.len()) {
        return Ok(Err(format!("plan {plan} has no group `{missing}`")));
    }
    let changes = known.into_iter().filter(|(card, made)| **made != card.decisions);
    Ok(Ok(changes.map(|(card, made)| Changed::of(card, made.clone())).collect()))
}

/// Who decided.
fn named(by: Option<&str>) -> Result<&str, Failure> {
    by.filter(|by| !by.trim().is_empty()).ok_or_else(|| Failure::Usage {
        what: "who decided has to be named; nothing was taken".to_owned(),
        hint: Some("add --by NAME".to_owned()),
    })
}

fn refused(args: &ImportArgs, error: &import::Error) -> Failure {
    Failure::Usage {
        what: format!("{} {error}", args.file.display()),
        hint: Some("nothing was taken".to_owned()),
    }
}

/// What a cell says may be understood, and not be possible.
fn not_possible(
    review: &PlanReview,
    import: &Import,
    changed: &[Changed],
) -> Result<Vec<BadCell>, Failure> {
    let mut errors = Vec::new();
    for some in changed.chunks(AT_ONCE) {
        let some: Vec<&Changed> = some.iter().filter(|one| !one.decisions.is_empty()).collect();
        let asked: Vec<_> = some.iter().map(|one| (one.place, &one.decisions)).collect();
        for (one, why) in some.iter().zip(review.refusals(&asked)?) {
            errors.extend(why.map(|why| import.refused(one, &why)));
        }
    }
    Ok(errors)
}

fn nothing_taken(
    context: &mut Context,
    args: &ImportArgs,
    (plan, digest): (&str, &str),
    errors: &[BadCell],
) -> Result<Exit, Failure> {
    if args.json {
        document(context, plan, digest, Counts::default(), errors)?;
        return Ok(Exit::Partial);
    }
    let mut lines: Vec<String> =
        errors.iter().take(MOST_SHOWN).map(|error| format!("  {error}")).collect();
    if errors.len() > MOST_SHOWN {
        lines.push(format!("  and {} more; --json lists all", errors.len() - MOST_SHOWN));
    }
    lines.insert(
        0,
        format!(
            "{}: nothing was taken, since {} cannot be:",
            args.file.display(),
            counted_of(errors.len(), "cell")
        ),
    );
    lines.push("correct the file, and import it again".to_owned());
    context.ui.print(&lines.join("\n"))?;
    Ok(Exit::Partial)
}

fn taken(
    context: &mut Context,
    args: &ImportArgs,
    plan: &str,
    made: &Decided,
    counts: Counts,
) -> Result<(), Failure> {
    if args.json {
        return document(context, plan, &made.digest, counts, &[]);
    }
    let parts = [
        (counts.merge, "merge"),
        (counts.skip, "skip"),
        (counts.hold, "hold"),
        (counts.not_same, "not the same"),
    ];
    let mut parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if counts.values > 0 {
        parts.push(format!("{} changed", counted(counts.values as u64, "value")));
    }
    let what = if counts.changed == 0 {
        "the file decides nothing that was not decided before".to_owned()
    } else {
        let parts =
            if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        format!("decisions about {} taken{parts}", counted_of(counts.changed, "group"))
    };
    context.ui.print(&format!(
        "plan {plan}: {what}\ndigest {}\nnext: mkto-audit plan show {plan}, then mkto-audit plan approve {plan} --by NAME",
        made.digest
    ))
}

fn document(
    context: &mut Context,
    plan: &str,
    digest: &str,
    counts: Counts,
    errors: &[BadCell],
) -> Result<(), Failure> {
    let Counts { changed, merge, skip, hold, not_same, values } = counts;
    let schema = "mkto-audit/plan-import/1";
    let document =
        Document { schema, plan, digest, changed, merge, skip, hold, not_same, values, errors };
    context.ui.json(&document)
}
