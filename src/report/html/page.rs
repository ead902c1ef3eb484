//! What the page shows, as text that the template only has to place.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use askama::Template;
use chrono::NaiveDate;

use super::chart::Chart;
use super::price::Price;
use super::rows::{integrations, name_of, newest};
use crate::dedupe::Cause;
use crate::embed::policy_digest;
use crate::report::table::people;
use crate::report::{DayTotals, GroupTotals, Report, ShownGroup, Statistics};
use crate::terminal::{count, counted};

const STYLE: &str = include_str!("../../../templates/report.css");
pub(super) const SCRIPT: &str = include_str!("../../../templates/report.js");

/// How many of the largest groups stand in the page itself, for whoever prints it or has no script.
pub const LARGEST: usize = 20;
/// How wide the longest bar of the causes is drawn.
const BAR: u64 = 120;

/// The page, up to the rows of the table of all groups.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    style: &'static str,
    /// What the policy lets run: the digests of the style and of the script, and nothing else.
    style_digest: String,
    script_digest: String,
    instance: String,
    scanned: String,
    leads: String,
    groups: String,
    /// That the scan did not end, in words.
    unfinished: Option<String>,
    /// What the activity log would tell and was not asked for, in words.
    not_known: Option<String>,
    log_is_read: bool,
    none_found: String,
    any: bool,
    duplicates: String,
    excess: String,
    share: String,
    mergeable: Number,
    undecided: Number,
    /// The undecided ones by reason, most first, as `31 in several lead partitions`.
    reasons: Vec<String>,
    /// Absent where none is.
    perhaps_meant: Option<Number>,
    /// What the duplicates do to people, in a sentence each.
    people: Vec<String>,
    key_name: String,
    cost: Option<Cost>,
    prevented: String,
    prevented_share: String,
    /// Leads that were merged into others before; absent where none is known.
    merged_before: Option<String>,
    over_time: Chart,
    by_hour: Chart,
    any_race: bool,
    causes: Vec<CauseRow>,
    integrations: Vec<IntegrationRow>,
    largest: Vec<LargestRow>,
    cause_names: Vec<(&'static str, &'static str)>,
}

/// Extra records, and the groups that they are in.
struct Number {
    excess: String,
    groups: String,
}

impl From<GroupTotals> for Number {
    fn from(totals: GroupTotals) -> Self {
        Self { excess: count(totals.excess), groups: counted(totals.groups, "group") }
    }
}

struct Cost {
    all: String,
    one: String,
}

struct CauseRow {
    code: &'static str,
    meaning: &'static str,
    groups: String,
    excess: String,
    bar: u64,
}

struct IntegrationRow {
    /// Absent where the activity log does not name one.
    name: Option<String>,
    groups: String,
    excess: String,
    races: String,
}

struct LargestRow {
    key: String,
    name: String,
    size: String,
    cause: &'static str,
    confidence: &'static str,
    newest: String,
    integrations: String,
    /// The record to keep, or why a person must decide.
    verdict: String,
    decided: bool,
}

impl Page {
    pub(super) fn of(report: &Report, price: Option<&Price>) -> Self {
        let figures = &report.statistics;
        let scanned_at = report.source.scanned_at.filter(|_| report.source.complete);
        let late = figures.by_integration.values().map(|totals| totals.excess).sum();
        Self {
            style: STYLE,
            style_digest: policy_digest(STYLE),
            script_digest: policy_digest(SCRIPT),
            instance: report.source.instance.clone(),
            scanned: scanned_at.map_or_else(
                || "not fully scanned yet".to_owned(),
                |at| at.format("scanned %Y-%m-%d %H:%M UTC").to_string(),
            ),
            leads: counted(report.source.leads, "record"),
            groups: count(report.groups),
            unfinished: report.source.unfinished(),
            not_known: report.source.not_known(),
            log_is_read: !report.source.log.is_unread(),
            none_found: report.source.none_found(),
            any: report.groups > 0,
            duplicates: count(report.duplicates),
            excess: count(report.excess),
            share: percent(report.excess, report.source.leads),
            mergeable: report.mergeable.into(),
            undecided: report.all_undecided().into(),
            reasons: reasons(report),
            perhaps_meant: Some(report.perhaps_meant())
                .filter(|meant| meant.groups > 0)
                .map(Number::from),
            people: people(report),
            key_name: report.key_name.clone(),
            cost: price.map(|price| Cost {
                all: price.of(report.mergeable.excess),
                one: price.to_string(),
            }),
            prevented: count(figures.prevented),
            prevented_share: percent(figures.prevented, late),
            merged_before: Some(figures.merged_before()).filter(|merged| *merged > 0).map(count),
            over_time: Chart::over_time(&days(report)),
            by_hour: Chart::by_hour(&figures.races_by_hour),
            any_race: figures.races_by_hour.iter().any(|races| *races > 0),
            causes: causes(report),
            integrations: integration_rows(figures),
            largest: report.shown.iter().take(LARGEST).map(LargestRow::of).collect(),
            cause_names: Cause::ALL.map(|cause| (cause.as_str(), cause.in_short())).into(),
        }
    }
}

/// The days of the duplicates; without races where these are no more than guesses.
fn days(report: &Report) -> BTreeMap<NaiveDate, DayTotals> {
    let mut days = report.statistics.by_day.clone();
    if report.source.log.is_unread() {
        for day in days.values_mut() {
            day.races = 0;
        }
    }
    days
}

impl LargestRow {
    fn of(shown: &ShownGroup) -> Self {
        Self {
            key: shown.group.key.to_string(),
            name: name_of(shown),
            size: count(shown.group.leads.len() as u64),
            cause: shown.explanation.cause.in_short(),
            confidence: shown.explanation.confidence.as_str(),
            newest: newest(shown)
                .map(|at| at.format("%Y-%m-%d %H:%M").to_string())
                .unwrap_or_default(),
            integrations: integrations(shown),
            verdict: shown.objection().map_or_else(
                || shown.winner().map(|winner| winner.to_string()).unwrap_or_default(),
                |objection| objection.reason.in_words().to_owned(),
            ),
            decided: shown.winner().is_some(),
        }
    }
}

/// Why a person must decide, the reason of the most extra records first.
fn reasons(report: &Report) -> Vec<String> {
    report
        .reasons()
        .map(|(reason, totals)| format!("{} {}", count(totals.excess), reason.in_words()))
        .collect()
}

/// The causes that were found, the one with the most extra records first.
fn causes(report: &Report) -> Vec<CauseRow> {
    let mut found: Vec<_> =
        report.by_cause.iter().filter(|(_, totals)| totals.groups > 0).collect();
    found.sort_by_key(|(cause, totals)| (Reverse(totals.excess), **cause));
    let most = found.first().map_or(1, |(_, totals)| totals.excess.max(1));
    let rows = found.into_iter().map(|(cause, totals)| CauseRow {
        code: cause.as_str(),
        meaning: cause.in_words(),
        groups: count(totals.groups),
        excess: count(totals.excess),
        bar: (totals.excess * BAR / most).max(1),
    });
    rows.collect()
}

/// The integrations, the one that added most first.
fn integration_rows(figures: &Statistics) -> Vec<IntegrationRow> {
    let mut found: Vec<_> = figures.by_integration.iter().collect();
    found.sort_by_key(|(name, totals)| (Reverse(totals.excess), *name));
    let rows = found.into_iter().map(|(name, totals)| IntegrationRow {
        name: name.clone(),
        groups: count(totals.groups),
        excess: count(totals.excess),
        races: count(totals.races),
    });
    rows.collect()
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0%".to_owned();
    }
    let per_mille = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}
