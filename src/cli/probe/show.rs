//! What `probe` prints: what it would do, and what was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Kept;
use crate::cli::wrap::wrapped;
use crate::cli::{Context, Exit, Failure, now};
use crate::dedupe::{Answer, InstanceProfile, ProfileName, Question};
use crate::lead::LeadId;
use crate::probe::{Asked, ProbeReport, adobe_says, asked, follows};
use crate::terminal::one_line;

/// Lines are no longer than this, however wide the terminal is.
const WIDTH: usize = 100;

#[derive(Debug, Default, Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: String,
    dry_run: bool,
    complete: bool,
    profile: Option<NameDocument>,
    would: Option<Outline>,
    people: Option<People<'a>>,
    calls: Option<u64>,
    answer: Vec<AnswerDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct NameDocument {
    probe: u64,
    measured_at: String,
    sha256: String,
    age_days: i64,
    by: Option<String>,
}

#[derive(Debug, Serialize)]
struct People<'a> {
    made: usize,
    removed: usize,
    merges: usize,
    open: usize,
    left: Vec<LeftDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct LeftDocument<'a> {
    lead: LeadId,
    address: &'a str,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct AnswerDocument<'a> {
    question: Question,
    asked: &'static str,
    adobe: &'static str,
    found: Option<&'a str>,
    detail: Option<&'a str>,
    why_not: Option<&'a str>,
    fields: &'a BTreeMap<String, String>,
    follows: &'static str,
}

/// What a run would do at most.
#[derive(Debug, Clone, Copy, Serialize)]
struct Outline {
    people: usize,
    merges: usize,
    calls: usize,
}

impl Outline {
    /// By the steps of a run in which nothing has to be asked twice, and one that has to.
    fn of(asked: &Asked) -> Self {
        let with_program = usize::from(asked.program.is_some());
        // Fields, three of the merge, two of each race, two of the duplicate, one of the spelling.
        let people = 1 + 3 + 2 * 3 + 2 + 1 + 2 * with_program;
        let merges = 1 + with_program;
        let looks_at_the_log = 2 + usize::try_from(asked.wait.as_secs() / 10).unwrap_or(60);
        let list = 5 * usize::from(asked.list.is_some());
        let calls = 60 + 30 * with_program + list + looks_at_the_log;
        Self { people, merges, calls }
    }
}

fn name(name: &ProfileName, profile: &InstanceProfile) -> NameDocument {
    NameDocument {
        probe: name.probe,
        measured_at: name.measured_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        sha256: name.sha256.clone(),
        age_days: (now() - name.measured_at).num_days(),
        by: profile.by.clone(),
    }
}

fn answers(profile: &InstanceProfile) -> Vec<AnswerDocument<'_>> {
    profile.answers.iter().map(AnswerDocument::of).collect()
}

impl<'a> AnswerDocument<'a> {
    fn of(answer: &'a Answer) -> Self {
        let Answer { question, found, detail, why_not, fields } = answer;
        Self {
            question: *question,
            asked: asked(*question),
            adobe: adobe_says(*question),
            found: found.as_deref(),
            detail: detail.as_deref(),
            why_not: why_not.as_deref(),
            fields,
            follows: follows(answer),
        }
    }
}

const SCHEMA: &str = "mkto-audit/probe/1";

/// The profile that is kept.
pub(super) fn kept(context: &mut Context, json: bool, kept: Kept) -> Result<Exit, Failure> {
    let Some((known, profile)) = kept else {
        return Err(Failure::Usage {
            what: "nothing was measured on this instance".to_owned(),
            hint: Some("mkto-audit probe says what measuring would make and remove".to_owned()),
        });
    };
    if json {
        let document = Document {
            schema: SCHEMA,
            instance: profile.instance.clone(),
            complete: true,
            profile: Some(name(&known, &profile)),
            answer: answers(&profile),
            ..Document::default()
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    table(context, &known, &profile)?;
    Ok(Exit::Done)
}

/// What a run would make, call and remove.
pub(super) fn dry_run(
    context: &mut Context,
    json: bool,
    asked: &Asked,
    open: usize,
) -> Result<Exit, Failure> {
    let outline = Outline::of(asked);
    if json {
        let document = Document {
            schema: SCHEMA,
            instance: context.config.instance_name(),
            dry_run: true,
            would: Some(outline),
            ..Document::default()
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let Outline { people, merges, calls } = outline;
    let mut lines = vec![
        format!(
            "would make up to {people} test records with made-up addresses at {}, which mail \
             cannot reach",
            asked.domain
        ),
        format!(
            "would write to them, merge some of them ({merges} of at most 3 records each), look at \
             what came of it, and delete all of them"
        ),
        format!(
            "would take up to about {calls} calls, within the limits of the configuration, and up to \
             {} for Marketo's log",
            humantime::format_duration(asked.wait)
        ),
        "would touch no other record: before each merge and each deletion a look must show the \
         record under its made-up address"
            .to_owned(),
        "campaigns that listen for new people or changed values fire for test records too"
            .to_owned(),
    ];
    lines.push(match &asked.program {
        Some(program) => format!(
            "would put four of them into program {} ({}, {})",
            program.id,
            one_line(&program.lower),
            one_line(&program.higher)
        ),
        None => {
            "no program is named (--program): whose status stays would not be measured".to_owned()
        }
    });
    lines.push(match asked.list {
        Some(list) => format!("would put one of them on static list {list}"),
        None => "no static list is named (--list): whether lists are kept would not be measured"
            .to_owned(),
    });
    if open > 0 {
        lines.push(format!("would first remove {open} test records of a run that was cut short"));
    }
    print(context, &lines)?;
    context.ui.note("nothing was changed: add --confirm to do it");
    Ok(Exit::Done)
}

/// What a run came to.
pub(super) fn report(
    context: &mut Context,
    json: bool,
    cleans_up: bool,
    calls: u64,
    report: &ProbeReport,
) -> Result<(), Failure> {
    if json {
        let left = report.left.iter().map(|left| LeftDocument {
            lead: left.lead,
            address: &left.address,
            why: &left.why,
        });
        let people = People {
            made: report.made,
            removed: report.removed,
            merges: report.merges,
            open: report.open,
            left: left.collect(),
        };
        let profile = report.profile.as_ref();
        let ended = report.failed.is_none() && !report.interrupted && report.open == 0;
        let document = Document {
            schema: SCHEMA,
            instance: context.config.instance_name(),
            complete: ended && (cleans_up || profile.is_some()),
            profile: profile.map(|(known, profile)| name(known, profile)),
            people: Some(people),
            calls: Some(calls),
            answer: profile.map(|(_, profile)| answers(profile)).unwrap_or_default(),
            ..Document::default()
        };
        return context.ui.json(&document);
    }
    match &report.profile {
        Some((known, profile)) => table(context, known, profile),
        None => Ok(()),
    }
}

/// Question, what Adobe says, what this instance does, and what follows.
fn table(
    context: &mut Context,
    name: &ProfileName,
    profile: &InstanceProfile,
) -> Result<(), Failure> {
    let days = (now() - name.measured_at).num_days();
    let age = match days {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    };
    let by = profile.by.as_ref().map(|by| format!(" by {}", one_line(by))).unwrap_or_default();
    let mut lines = vec![format!("measured {age}{by}: {name}"), String::new()];
    let (found, open): (Vec<&Answer>, Vec<&Answer>) =
        profile.answers.iter().partition(|answer| answer.found.is_some());
    for answer in found {
        lines.push(asked(answer.question).to_owned());
        lines.push(format!("    Adobe: {}", adobe_says(answer.question)));
        let found = answer.found.as_deref().unwrap_or_default().replace('_', " ");
        let detail = answer.detail.as_ref().map(|detail| format!(" ({})", one_line(detail)));
        lines.push(format!("    here:  {found}{}", detail.unwrap_or_default()));
        lines.push(format!("    so:    {}", follows(answer)));
    }
    lines.push(String::new());
    lines.push("not measured:".to_owned());
    for answer in open {
        lines.push(format!("  {}", asked(answer.question)));
        let why = answer.why_not.as_deref().unwrap_or("not known");
        lines.push(format!("    {}", one_line(why)));
    }
    print(context, &lines)
}

fn print(context: &mut Context, lines: &[String]) -> Result<(), Failure> {
    let width = context.ui.terminal_width().map_or(usize::MAX, |width| width.min(WIDTH));
    let lines: Vec<String> = lines.iter().map(|line| wrapped(line, width)).collect();
    context.ui.print(&lines.join("\n"))
}
