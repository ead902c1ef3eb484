//! `plan export`: a plan as a file for people to decide in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Context, Exit, Failure};
use crate::dedupe::Risk;
use crate::ledger::Ledger;
use crate::report::write_beside;
use crate::review::card::Card;
use crate::review::page::write_page;
use crate::review::sheet::{CsvWriter, PlanFacts, Survey};
use crate::review::workbook::{self, WorkbookWriter};
use crate::review::{CardFilter, Head, ListedPlan, PlanReview, listed};
use crate::terminal::counted;

/// So many cards are in memory at once.
const PAGE: usize = 500;

/// Write a plan as a file for people to decide in: a workbook (.xlsx), CSV (.csv) or page (.html)
///
/// The file holds people's data, and is readable by you alone. It is taken back with `plan import`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkto-audit plan export november.xlsx             the plan of this name, for Excel or LibreOffice\n  \
    mkto-audit plan export november.html             the same as a page for a browser\n  \
    mkto-audit plan export decide.csv --plan november")]
pub(super) struct ExportArgs {
    /// The file to write; its name ends with .xlsx, .csv or .html
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The plan, by id or name; without it the one that the file is named after, or the only one
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Only groups of this risk, as they were planned: green, amber or red. A page has this filter
    /// itself
    #[arg(long, value_name = "RISK")]
    risk: Option<Risk>,
}

/// What kind of file it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Workbook,
    Csv,
    Page,
}

pub(super) fn run(context: &mut Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let form = form_of(&args.file)?;
    // What is signed in a page is the plan as a whole.
    if form == Form::Page && args.risk.is_some() {
        return Err(Failure::Usage {
            what: "a page shows the whole plan, since the whole plan is signed off in it"
                .to_owned(),
            hint: Some("leave --risk out, and choose the risk in the page".to_owned()),
        });
    }
    let filter = CardFilter { risk: args.risk, ..CardFilter::default() };
    let plan = match &args.plan {
        Some(plan) => plan.clone(),
        None => meant(context, &args.file)?,
    };
    let review = super::open(context, &plan)?;
    let head = review.head()?;
    let mut survey = Survey::default();
    each(&review, &filter, |card| {
        survey.add(card);
        Ok(())
    })?;
    let facts = PlanFacts::from(&head);
    let mut failed = None;
    let written = write_beside(&args.file, |out| {
        let written = match form {
            Form::Workbook => workbook((&review, &filter), &facts, &survey, out),
            Form::Csv => csv((&review, &filter), &facts, &survey, out),
            Form::Page => Ok(write_page(&review, &stem(&args.file), out)?),
        };
        written.map_err(|failure| {
            failed = Some(failure);
            io::Error::other("the plan cannot be written on")
        })
    });
    if let Some(failure) = failed {
        return Err(failure);
    }
    written.map_err(|source| Failure::File { path: args.file.clone(), source })?;
    unchanged(&review, &head, &args.file)?;
    context.ui.print(&told(&head, &survey, form, args))?;
    Ok(Exit::Done)
}

fn form_of(file: &Path) -> Result<Form, Failure> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("xlsx") => Ok(Form::Workbook),
        Some("csv") => Ok(Form::Csv),
        Some("html" | "htm") => Ok(Form::Page),
        _ => Err(Failure::Usage {
            what: format!("{}: what it is to become is not known", file.display()),
            hint: Some(
                "end its name with .xlsx for a workbook, with .csv, or with .html for a page"
                    .to_owned(),
            ),
        }),
    }
}

/// The file's name without its end.
fn stem(file: &Path) -> String {
    file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The plan that the file is named after, else the only one.
fn meant(context: &mut Context, file: &Path) -> Result<String, Failure> {
    context.config.addresses()?;
    let (ledger, instance) = (context.config.ledger_file()?, context.config.instance_name());
    let name = stem(file);
    if !ledger.exists() {
        return Err(super::none_kept(&name, &ledger));
    }
    let plans: Vec<ListedPlan> = listed(&Ledger::open(&ledger, &instance)?, &instance)?
        .into_iter()
        .filter(|plan| plan.digest.is_some())
        .collect();
    if plans.iter().any(|plan| plan.plan == name || plan.name.as_deref() == Some(&name)) {
        return Ok(name);
    }
    match plans.as_slice() {
        [] => Err(super::none_kept(&name, &ledger)),
        [only] => Ok(only.plan.clone()),
        several => {
            let names =
                several.iter().map(|plan| plan.name.as_ref().unwrap_or(&plan.plan).as_str());
            Err(Failure::Usage {
                what: format!("there are several plans, and none of them is named {name}"),
                hint: Some(format!(
                    "name one with --plan: {}",
                    names.collect::<Vec<_>>().join(", ")
                )),
            })
        }
    }
}

/// Every card of a plan that passes a filter, in its order.
pub(super) fn each(
    review: &PlanReview,
    filter: &CardFilter,
    mut take: impl FnMut(&Card) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = review.cards(filter, after, PAGE)?;
        let Some(last) = page.cards.last() else { return Ok(()) };
        after = Some(last.place);
        page.cards.iter().try_for_each(&mut take)?;
    }
}

fn workbook(
    (review, filter): (&PlanReview, &CardFilter),
    facts: &PlanFacts,
    survey: &Survey,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut writer = WorkbookWriter::new(facts, survey).map_err(of_workbook)?;
    each(review, filter, |card| writer.add(card).map_err(of_workbook))?;
    writer.save(out).map_err(of_workbook)
}

fn csv(
    (review, filter): (&PlanReview, &CardFilter),
    facts: &PlanFacts,
    survey: &Survey,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut writer = CsvWriter::new(out, facts, survey)?;
    each(review, filter, |card| Ok(writer.add(card)?))?;
    Ok(writer.finish()?)
}

fn of_workbook(error: workbook::Error) -> Failure {
    match error {
        workbook::Error::Io(error) => error.into(),
        too_large @ workbook::Error::TooLarge { .. } => {
            Failure::Usage { what: too_large.to_string(), hint: None }
        }
        other @ workbook::Error::Workbook(_) => Failure::Output(io::Error::other(other)),
    }
}

/// A file with the digest of one moment and the decisions of another would be taken back wrongly.
fn unchanged(review: &PlanReview, head: &Head, file: &Path) -> Result<(), Failure> {
    if review.head()?.digest == head.digest {
        return Ok(());
    }
    Err(Failure::Usage {
        what: format!(
            "somebody decided about plan {} while {} was written, so that it is out of date",
            head.plan,
            file.display()
        ),
        hint: Some("run the same command again".to_owned()),
    })
}

fn told(head: &Head, survey: &Survey, form: Form, args: &ExportArgs) -> String {
    let file = &args.file;
    let of_all =
        args.risk.map(|risk| format!(" ({risk}; the plan has {})", counted(head.groups, "group")));
    let name = head.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let blocked = match head.blocked {
        0 => String::new(),
        number => format!(
            "{} cannot be decided, and are not in the file; mkto-audit plan show {} lists them\n",
            counted(number, "group"),
            head.plan
        ),
    };
    let back = match form {
        Form::Workbook | Form::Csv => file.display().to_string(),
        Form::Page => "the file that the page saves".to_owned(),
    };
    format!(
        "{}: plan {}{name}, {} with {}{}\n{blocked}digest {}\n\
         it holds people's data; when it is filled in: mkto-audit plan import {back} --by NAME",
        file.display(),
        head.plan,
        counted(survey.groups, "group"),
        counted(survey.records, "record"),
        of_all.unwrap_or_default(),
        head.digest,
    )
}
