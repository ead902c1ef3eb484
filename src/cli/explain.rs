//! `mkto-audit explain`: how a group came about, or what an integration did. Asks nobody, and needs
//! no credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;

use super::filter::some_text;
use super::report::{STANDARD_OUTPUT, collect, count, each_group, tell_unfinished};
use super::{Context, Exit, Failure};
use crate::cache::Groups;
use crate::dedupe::normalise;
use crate::lead::LeadId;
use crate::ledger::{Ledger, PastMerge};
use crate::report::{
    Emails, Filter, Merged, Source, is_of_integration, judged, render_explanation, render_merged,
    write_beside, write_evidence_pack, write_explanations,
};
use crate::terminal::counted;

/// Explain how the duplicates of an address arose, and what to change so that it stops
///
/// With --integration: the calls by which an integration made duplicates, for whoever runs it;
/// request ids, times and lead ids, without personal data.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkto-audit explain ada@example.com\n  \
    mkto-audit explain --integration webshop@api.example.com --csv evidence.csv")]
pub(super) struct ExplainArgs {
    /// The address
    #[arg(value_parser = some_text, required_unless_present = "integration", conflicts_with = "integration")]
    email: Option<String>,
    /// Of the cache that `scan --file … --as NAME` filled
    #[arg(long = "as", value_name = "NAME", value_parser = super::caches::name)]
    cache_name: Option<String>,
    /// The login of an API user, as `report` names it
    #[arg(long, value_name = "API-USER", requires = "csv")]
    integration: Option<String>,
    /// Write the calls of the integration as CSV to FILE, or to standard output where no FILE is
    /// named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STANDARD_OUTPUT, requires = "integration")]
    csv: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "csv")]
    json: bool,
}

pub(super) fn run(context: &mut Context, args: ExplainArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.cache_name {
        context.config.use_cache_named(name);
    }
    let merged =
        args.email.as_deref().map(|email| merged(context, email)).transpose()?.unwrap_or_default();
    let emails = args.email.as_deref().map(|email| Emails::of([email]));
    let filter = Filter { emails, min_size: 2, ..Filter::default() };
    if let (Some(user), Some(file)) = (args.integration, args.csv) {
        return evidence_pack(context, &filter, &user, &file);
    }
    let report = collect(context, &filter, None)?;
    if args.json {
        context.ui.write(|out| write_explanations(&report.source, &report.shown, &merged, out))?;
        return Ok(tell_unfinished(context, &report.source));
    }
    let email = args.email.unwrap_or_default();
    let width = context.ui.width();
    let people = report.source.leads;
    if report.shown.is_empty() {
        let told = if merged.is_empty() {
            let so_far = if report.source.complete { "" } else { " so far" };
            format!("no duplicates of {email}{so_far} among {}", counted(people, "person"))
        } else {
            render_merged(&email, &merged, Some(people), width)
        };
        context.ui.print(&told)?;
        return Ok(tell_unfinished(context, &report.source));
    }
    let mut texts: Vec<String> =
        report.shown.iter().map(|shown| render_explanation(shown, width)).collect();
    if !merged.is_empty() {
        texts.push(render_merged(&email, &merged, None, width));
    }
    context.ui.print(&texts.join("\n"))?;
    if report.shown.iter().any(|shown| shown.group.births.is_empty()) {
        context.ui.note(&format!("note: {}", unasked(&report.source)));
    }
    let exit = tell_unfinished(context, &report.source);
    if exit == Exit::Done && !report.source.is_file {
        context
            .ui
            .note(&format!("next: `mkto-audit merge --email {email}` says what a merge would do"));
    }
    Ok(exit)
}

/// Why nothing is known of the births of leads.
fn unasked(source: &Source) -> String {
    source.not_known().unwrap_or_else(|| {
        "the activity log does not show how these leads came to be; the cause is a guess from the records alone"
            .to_owned()
    })
}

/// The merges that are known of an address: those of others first, then this program's own.
fn merged(context: &mut Context, email: &str) -> Result<Vec<Merged>, Failure> {
    let asked = normalise(email);
    let is_asked_for = |held: &str| normalise(held) == asked;
    let own = own_merges(context, is_asked_for);
    let gone: BTreeSet<LeadId> = own.iter().flat_map(|merge| &merge.merged).copied().collect();
    let mut others: BTreeMap<LeadId, Vec<LeadId>> = BTreeMap::new();
    for (survivor, loser) in context.cache()?.merged_into_emails(is_asked_for)? {
        if !gone.contains(&loser) {
            others.entry(survivor).or_default().push(loser);
        }
    }
    let others = others.into_iter().map(|(survivor, merged)| Merged {
        at: None,
        plan: None,
        survivor,
        merged,
    });
    let own = own.into_iter().map(|merge| {
        let PastMerge { plan, survivor, merged, at, .. } = merge;
        Merged { at: Some(at), plan: Some(plan), survivor, merged }
    });
    Ok(others.chain(own).collect())
}

/// What the ledger has of an address. An explanation needs no ledger: where it cannot be read, that
/// is said.
fn own_merges(context: &mut Context, is_asked_for: impl Fn(&str) -> bool) -> Vec<PastMerge> {
    if context.config.instance.base_url.is_none() || context.config.has_named_cache() {
        return Vec::new();
    }
    let Ok(file) = context.config.ledger_file() else { return Vec::new() };
    if !file.exists() {
        return Vec::new();
    }
    let read = Ledger::open(&file, &context.config.instance_name())
        .and_then(|ledger| ledger.merges_of_email(is_asked_for));
    read.unwrap_or_else(|error| {
        context.ui.note(&format!("note: what this program merged is not known now: {error}"));
        Vec::new()
    })
}

fn evidence_pack(
    context: &mut Context,
    filter: &Filter,
    user: &str,
    file: &std::path::Path,
) -> Result<Exit, Failure> {
    let cache = context.cache()?;
    let report = count(context, &cache, filter, Some(0))?;
    let known: Vec<String> = report.statistics.by_integration.keys().flatten().cloned().collect();
    let policy = filter.policy(context.config.policy(super::now())?);
    let mut groups = Vec::new();
    each_group(&cache, filter, &context.config.key, Groups::All, |group| {
        let shown = judged(group, filter, &policy);
        groups.extend(shown.filter(|shown| is_of_integration(shown, user)));
        ControlFlow::Continue(())
    })?;
    if groups.is_empty() {
        let known = if known.is_empty() { "none is known".to_owned() } else { known.join(", ") };
        return Err(Failure::Usage {
            what: format!("no duplicate in the cache was made by an integration `{user}`"),
            hint: Some(match report.source.not_known() {
                Some(words) => {
                    format!(
                        "integrations that made some, as far as they are known: {known}. {words}"
                    )
                }
                None => format!("integrations that made some: {known}"),
            }),
        });
    }
    if file.as_os_str() == STANDARD_OUTPUT {
        context.ui.write(|out| write_evidence_pack(&groups, user, out))?;
        return Ok(tell_unfinished(context, &report.source));
    }
    write_beside(file, |out| write_evidence_pack(&groups, user, out))
        .map_err(|source| Failure::File { path: file.to_owned(), source })?;
    context.ui.note(&format!(
        "the calls of {} written to {}",
        counted(groups.len() as u64, "group"),
        file.display()
    ));
    Ok(tell_unfinished(context, &report.source))
}
