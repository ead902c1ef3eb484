//! What `merge` prints, for a person in words here; for a program in `document`.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::cli::wrap::fitted;
use crate::cli::{Failure, Ui};
use crate::dedupe::{Dropped, FieldChange, OPT_OUTS, rows_in_words};
use crate::ledger::{Finding, FindingId, RunId, WrittenNotMerged, WrittenValue};
use crate::merge::{GroupReport, LateRows, Outcome, PlanState, Report, Tally};
use crate::terminal::{counted_of as counted, harmless, moment};

mod document;

use document::Document;

/// The groups of a report, in the order in which they are shown. They may come one by one.
pub(super) trait EachGroup {
    /// Hands every group over, until the closure says to stop.
    fn each(&self, take: &mut dyn FnMut(&GroupReport) -> ControlFlow<()>) -> Result<(), Failure>;
}

impl EachGroup for Report {
    fn each(&self, take: &mut dyn FnMut(&GroupReport) -> ControlFlow<()>) -> Result<(), Failure> {
        let _how = self.groups.iter().try_for_each(take);
        Ok(())
    }
}

/// What is to be shown.
pub(super) struct Shown<'a> {
    /// None where nothing can be merged: a plan of nothing is no plan.
    pub(super) plan: Option<&'a str>,
    pub(super) dry_run: bool,
    /// How far a kept plan was carried out that is only shown.
    pub(super) kept: Option<PlanState>,
    /// Whether only some of the groups were asked for.
    pub(super) filtered: bool,
    pub(super) groups: &'a dyn EachGroup,
    /// Of these groups.
    pub(super) tally: &'a Tally,
    pub(super) is_stopped: bool,
    pub(super) run: Option<RunId>,
    /// Rows of custom objects that came late to records which runs merged.
    pub(super) late_rows: Option<&'a LateRows>,
    /// What merges lost, or could not be set back, and nobody has put right.
    pub(super) open: &'a [(FindingId, Finding)],
    pub(super) calls: u64,
    /// The terminal's width; none in a file or a pipe, where lines stay whole.
    pub(super) width: Option<usize>,
}

impl Shown<'_> {
    /// For a program, or for a person.
    pub(super) fn print(&self, ui: &mut Ui, json: bool) -> Result<(), Failure> {
        if json {
            return ui.json(&Document::of(self));
        }
        // A kept plan may have any number of groups, and each is printed as it is read.
        let mut lines = if self.kept.is_some() { self.write_groups(ui)? } else { self.groups()? };
        lines.extend(self.totals());
        ui.print(&self.fitted(&lines.join("\n")))
    }

    fn fitted(&self, text: &str) -> String {
        fitted(text, self.width.unwrap_or(usize::MAX))
    }

    /// The lines of all groups, and what stands between them and the sums.
    fn groups(&self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        self.groups.each(&mut |group| {
            lines.extend(group_lines(group));
            ControlFlow::Continue(())
        })?;
        if !lines.is_empty() {
            lines.push(String::new());
        }
        Ok(lines)
    }

    /// Prints them, and gives what stands between them and the sums.
    fn write_groups(&self, ui: &mut Ui) -> Result<Vec<String>, Failure> {
        let (mut is_any, mut read) = (false, Ok(()));
        ui.write(|out| {
            let mut written = Ok(());
            read = self.groups.each(&mut |group| {
                is_any = true;
                written = writeln!(out, "{}", self.fitted(&group_lines(group).join("\n")));
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            written
        })?;
        read?;
        Ok(if is_any { vec![String::new()] } else { Vec::new() })
    }

    fn totals(&self) -> Vec<String> {
        let tally = self.tally;
        let left_alone = counted(tally.count(Outcome::Skipped), "group");
        if let Some(PlanState::Begun(at) | PlanState::CarriedOut(at)) = self.kept {
            return self.totals_of_the_past(at);
        }
        if tally.groups == 0 && !self.is_stopped {
            return vec![self.nothing().to_owned()];
        }
        if self.dry_run {
            let total = format!(
                "{} would be merged, {} removed; {left_alone} left alone",
                counted(tally.count(Outcome::WouldMerge), "group"),
                counted(tally.would_remove, "record")
            );
            let next = match self.plan {
                Some(plan) if tally.would_remove == 0 => format!(
                    "a person must decide. To look: mkto-audit plan show {plan}; to decide: mkto-audit plan decide {plan} --email ADDRESS --merge --by NAME"
                ),
                Some(plan) => {
                    format!("to carry out exactly this: mkto-audit merge --plan {plan} --confirm")
                }
                None if self.is_stopped => {
                    "no plan was kept: it was stopped before it had every group".to_owned()
                }
                None => "no plan was kept: there is nothing to merge without a person's decision"
                    .to_owned(),
            };
            return vec![total, "nothing was changed".to_owned(), next];
        }
        let failed = tally.count(Outcome::Failed) + tally.count(Outcome::Unknown);
        let prepared = self.prepared();
        vec![format!(
            "{} merged, {} removed, {left_alone} left alone, {prepared}{failed} failed, in {}",
            counted(tally.count(Outcome::Merged), "group"),
            counted(tally.removed, "record"),
            counted(usize::try_from(self.calls).unwrap_or(usize::MAX), "call"),
        )]
    }
}

impl Shown<'_> {
    /// The groups that were written to and not merged, in words; nothing where there are none.
    fn prepared(&self) -> String {
        match self.tally.count(Outcome::Prepared) {
            0 => String::new(),
            all => format!("{} written to and not merged, ", counted(all, "group")),
        }
    }

    /// Where there is no group at all: a plan of nothing is no plan.
    fn nothing(&self) -> &'static str {
        if self.filtered {
            "nothing to merge: no group of duplicates fits what was asked for; no plan was kept, and nothing was changed"
        } else {
            "nothing to merge: the last scan found no duplicates; no plan was kept, and nothing was changed"
        }
    }

    /// What became of a plan that is only shown.
    fn totals_of_the_past(&self, at: DateTime<Utc>) -> Vec<String> {
        let tally = self.tally;
        let merged = tally.count(Outcome::Merged);
        let done = format!(
            "{} merged, {} removed, {} left alone, {}{} failed",
            counted(merged, "group"),
            counted(tally.removed, "record"),
            counted(tally.count(Outcome::Skipped), "group"),
            self.prepared(),
            tally.count(Outcome::Failed) + tally.count(Outcome::Unknown),
        );
        let plan = self.plan.unwrap_or_default();
        match self.kept {
            Some(PlanState::Begun(_)) => vec![
                format!(
                    "this plan was not carried out to its end; last worked on {}: {done}",
                    moment(at)
                ),
                format!("{} still to do", counted(tally.count(Outcome::WouldMerge), "group")),
                format!("to go on: mkto-audit merge --plan {plan} --confirm"),
            ],
            _ if merged == tally.planned => {
                vec![
                    format!("carried out {}: {done}", moment(at)),
                    "nothing is left to do of it".to_owned(),
                ]
            }
            _ => vec![
                format!("carried out {}: {done}", moment(at)),
                "`mkto-audit merge` plans afresh what was not merged".to_owned(),
            ],
        }
    }
}

fn group_lines(group: &GroupReport) -> Vec<String> {
    let losers: Vec<String> = group.losers.iter().map(ToString::to_string).collect();
    let losers = losers.join(", ");
    let what = match (group.outcome, group.winner) {
        (Outcome::WouldMerge, Some(winner)) => {
            format!("would keep {winner} and merge {losers} into it")
        }
        (Outcome::Merged, Some(winner)) => format!("kept {winner}, merged {losers} into it"),
        (Outcome::Skipped, Some(winner)) => format!("left alone: {winner}, {losers}"),
        (Outcome::Prepared, Some(winner)) => {
            format!("WRITTEN TO, NOT MERGED: {winner}, {losers}")
        }
        (_, Some(winner)) => format!("NOT MERGED: {winner}, {losers}"),
        (_, None) => format!("left alone: {losers}"),
    };
    let mut lines = vec![format!("{}  {what}", group.key)];
    lines.extend(group.reason.iter().map(|reason| format!("    {reason}")));
    lines.extend(group.written.iter().flat_map(written_lines));
    if matches!(group.outcome, Outcome::WouldMerge | Outcome::Merged) {
        lines.push(format!("    {}", sum_line(group)));
        // Consent comes first.
        let (consent, others): (Vec<_>, Vec<_>) =
            group.fields.iter().partition(|change| OPT_OUTS.contains(&change.name.as_str()));
        lines.extend(consent.into_iter().chain(others).map(field_line));
        lines.extend(group.kept.keys().map(|field| dropped_line(group, field)));
        lines.extend(group.at_risk.iter().map(at_risk_line));
        lines.extend(rows_line(group));
    }
    lines
}

/// What was written to the record to keep for a merge that was not made, and what to do.
fn written_lines(written: &WrittenNotMerged) -> Vec<String> {
    let line = |value: &WrittenValue| {
        let (before, after) = (shown(&value.before), shown(&value.after));
        let back = if value.given_back { "given back" } else { "not given back" };
        format!("    {} of {}: {before} → {after}, {back}", value.name, written.lead)
    };
    let mut lines: Vec<String> = written.values.iter().map(line).collect();
    if written.values.iter().any(|value| !value.given_back) {
        lines.push(format!("    {}", written.what_next()));
    }
    lines
}

/// What becomes of the group's values, in numbers.
fn sum_line(group: &GroupReport) -> String {
    let is_filled = |change: &&FieldChange| is_blank(&change.before) && !is_blank(&change.after);
    format!(
        "{} → 1 · {} filled · {} dropped · {} equal",
        counted(group.losers.len() + 1, "record"),
        counted(group.fields.iter().filter(is_filled).count(), "blank"),
        counted(group.dropped.len(), "value"),
        group.equal
    )
}

/// A field of which the merge destroys values: what stays, and what goes.
fn dropped_line(group: &GroupReport, field: &str) -> String {
    let kept = group.kept.get(field).map_or_else(|| "(blank)".to_owned(), shown);
    let gone: Vec<String> = group
        .dropped
        .iter()
        .filter(|drop| drop.name == field)
        .map(|drop| format!("{} (from {})", shown(&drop.value), drop.lead))
        .collect();
    let rule = group
        .rules
        .get(field)
        .map(|rule| format!(" · rule: {}", harmless(rule)))
        .unwrap_or_default();
    format!("    {field}: keeps {kept}, drops {}{rule}", gone.join(", "))
}

/// The rows of custom objects that go with their lead.
fn rows_line(group: &GroupReport) -> Option<String> {
    let winner = group.winner.filter(|_| !group.rows.is_empty())?;
    let rows = rows_in_words(&group.rows);
    Some(match group.outcome {
        Outcome::Merged => format!("    {rows}: moved to {winner}, and seen there"),
        _ => format!("    {rows}: to be moved to {winner} before the merge"),
    })
}

/// A value that this program cannot write.
fn at_risk_line(risk: &Dropped) -> String {
    format!(
        "    {}: {} (from {}) cannot be written; whether it stays is up to Marketo's merge",
        risk.name,
        shown(&risk.value),
        risk.lead
    )
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn shown(value: &Value) -> String {
    if is_blank(value) { "(blank)".to_owned() } else { harmless(&value.to_string()) }
}

fn field_line(change: &FieldChange) -> String {
    let from = change.from.map(|lead| format!(" (from {lead})")).unwrap_or_default();
    if change.before == change.after {
        // Marketo shows an empty boolean as false, and would fill it from a loser.
        return format!(
            "    {}: stays {}, and is written so that no loser's value takes its place",
            change.name,
            shown(&change.after)
        );
    }
    format!("    {}: {} → {}{from}", change.name, shown(&change.before), shown(&change.after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::document::GroupDocument;
    use super::group_lines;
    use crate::dedupe::{FieldFacts, Key, OPT_OUTS, Policy, plan_group};
    use crate::lead::Lead;
    use crate::merge::GroupReport;

    #[test]
    fn a_group_shows_what_its_merge_throws_away() {
        let lead = |id: u64| Lead::new(id).with("email", "ada@example.com");
        let leads = [
            lead(1).with("leadSource", "Web").with("title", "Countess"),
            lead(2).with("leadSource", "List").with("country", "India").with("unsubscribed", true),
        ];
        let fields = ["email", "leadSource", "title", "country"];
        let facts = FieldFacts::of_writeable(fields.iter().chain(OPT_OUTS).copied());
        let key = Key::of("ada@example.com").unwrap();
        let group = plan_group(&key, &leads, &Policy::default(), &facts).unwrap();
        assert_eq!(
            json!(group.dropped),
            json!([{"name": "leadSource", "lead": 2, "value": "List"}])
        );
        assert_eq!(
            group_lines(&GroupReport::planned(&group))[2..],
            [
                "    2 records → 1 · 2 blanks filled · 1 value dropped · 2 equal",
                "    unsubscribed: (blank) → true (from 2)",
                "    country: (blank) → \"India\" (from 2)",
                "    leadSource: keeps \"Web\", drops \"List\" (from 2) · rule: winner",
            ]
        );
    }

    #[test]
    fn a_value_that_cannot_be_written_and_may_be_lost_is_named_in_text_and_json() {
        let lead = |id: u64| Lead::new(id).with("email", "ada@example.com");
        let leads = [
            lead(1),
            lead(2).with("region", "EMEA").with("phone", "1"),
            lead(3).with("region", "APAC"),
            lead(4).with("region", "EMEA"),
        ];
        let mut facts =
            FieldFacts::of_writeable(["email", "phone", "region"].iter().chain(OPT_OUTS).copied());
        facts.fields.entry("region".to_owned()).and_modify(|fact| fact.writeable = false);
        let key = Key::of("ada@example.com").unwrap();
        let group =
            GroupReport::planned(&plan_group(&key, &leads, &Policy::default(), &facts).unwrap());
        let lines = group_lines(&group);
        let of_region: Vec<&str> = lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| line.starts_with("region"))
            .collect();
        assert_eq!(
            of_region,
            [
                "region: keeps \"EMEA\", drops \"APAC\" (from 3) · rule: none, Marketo fills a blank that cannot be written",
                "region: \"EMEA\" (from 2) cannot be written; whether it stays is up to Marketo's merge",
                "region: \"EMEA\" (from 4) cannot be written; whether it stays is up to Marketo's merge",
            ]
        );
        let document = json!(GroupDocument::of(&group));
        assert_eq!(document["dropped"], json!([{"name": "region", "lead": 3, "value": "APAC"}]));
        assert_eq!(document["at_risk"][0], json!({"name": "region", "lead": 2, "value": "EMEA"}));
        assert_eq!(document["rules"]["phone"], "winner");
    }
}
