//! A sum that this program wrote within the day is not added up again, though the ledger that knew
//! of it is lost.
//!
//! For: a run that was killed between write and merge, and whose ledger is gone. The winner then
//! holds the sum, and its losers are still there. Planned anew, their numbers would be added a
//! second time. Marketo's log of changes tells: the field went up by exactly what the losers hold.
//! The log is read only where a group has such a field, and only while the ledger is younger than
//! what it could have forgotten. The log does not say who changed a score. A campaign that happened
//! to add just as much counts as ours, and the plan shows the field before and after.
//!
//! Never: adds up where the log cannot be read, or cannot have the last minutes yet. The group is
//! left alone then, and the report says why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::own_writes::OwnWrites;
use super::timing::LOG_LAG;
use crate::cancel::unless_stopped;
use crate::dedupe::{FieldRule, PlannedGroup, Policy};
use crate::lead::{Lead, LeadId};
use crate::ledger::CallValue;
use crate::marketo::{self, LeadChange, Since};

pub(super) mod log;

use log::SumLog;

/// So far back the log is read.
const DAYS: i64 = 1;

/// What changes a field through the API is called so in the log.
const API: &str = "Web service API";

/// What the log says of groups with a sum, by their winners.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Winners that hold a sum already. It is taken back before they are planned.
    pub(super) held: BTreeSet<LeadId>,
    /// Those that are left alone, and why.
    pub(super) unknown: BTreeMap<LeadId, String>,
}

/// A field that a group adds up: what its losers add.
struct Sum<'g> {
    winner: LeadId,
    field: &'g str,
    added: f64,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks for sums that the winners of these groups hold already, and notes them in `written`.
    /// `live` are their leads where they were read just now.
    pub(super) async fn see_sums(
        &mut self,
        groups: &[&PlannedGroup],
        live: Option<&BTreeMap<LeadId, Lead>>,
        policy: &Policy,
        written: &mut OwnWrites,
    ) -> Result<Sums, Error> {
        let mut told = Sums::default();
        let now = (self.now)();
        let age = self.ledger.first_plan_at()?.map(|at| now - at);
        let sums: Vec<Sum<'_>> = groups.iter().flat_map(|group| sums_of(group, policy)).collect();
        if sums.is_empty() || age.is_some_and(|age| age > TimeDelta::days(DAYS)) {
            return Ok(told);
        }
        let fields: BTreeSet<&str> = sums.iter().map(|sum| sum.field).collect();
        match self.read_sum_log(&fields, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(told),
            Err(Error::Marketo(error @ marketo::Error::Permission { .. })) => {
                let why = format!(
                    "its rule `sum` would add up `{}`, and whether a run whose ledger is lost did so within the day cannot be told: {error}",
                    fields.into_iter().collect::<Vec<_>>().join("`, `")
                );
                told.unknown = sums.iter().map(|sum| (sum.winner, why.clone())).collect();
                return Ok(told);
            }
            Err(error) => return Err(error),
        }
        let changes = self.sum_log.as_ref().map(|log| log.changes.as_slice()).unwrap_or_default();
        let lag = self.clock.wall(LOG_LAG);
        // A ledger that is older than the log's lag knows what this program wrote meanwhile.
        let is_young = age.and_then(|age| age.to_std().ok()).is_none_or(|age| age < lag);
        for sum in &sums {
            let of_field: Vec<&LeadChange> = changes
                .iter()
                .filter(|change| change.lead == sum.winner && change.field == sum.field)
                .collect();
            let winner = live.and_then(|live| live.get(&sum.winner));
            let ours = self.ledger.values_written(sum.winner, sum.field)?;
            if is_added(&unknown_to(&ours, &of_field), sum.added) {
                written.holds_sum(sum.winner, sum.field, sum.added);
                told.held.insert(sum.winner);
            } else if is_young
                && winner.is_some_and(|winner| may_be_behind(winner, sum, &of_field, now, lag))
            {
                let why = format!(
                    "its rule `sum` would add up `{}`, and lead {} was changed in the last minutes, which Marketo's log of changes does not show yet: a run whose ledger is lost may have added it up; run it again in some minutes",
                    sum.field, sum.winner
                );
                told.unknown.insert(sum.winner, why);
            }
        }
        Ok(told)
    }

    /// Reads the log of these fields, on from where it was read last. False where the run is to
    /// stop.
    async fn read_sum_log(
        &mut self,
        fields: &BTreeSet<&str>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let known = self.sum_log.take();
        let known = known
            .filter(|log| fields.iter().all(|field| log.fields.iter().any(|name| name == field)));
        let (fields, mut changes, from) = if let Some(log) = known {
            (log.fields, log.changes, Since::Token(log.next))
        } else {
            let fields = fields.iter().map(ToString::to_string).collect();
            (fields, Vec::new(), Since::Time(now - TimeDelta::days(DAYS)))
        };
        let reading = self.marketo.value_changes_since(from, &fields);
        let Some((read, next)) = unless_stopped(&self.stop, reading).await? else {
            return Ok(false);
        };
        changes.extend(read);
        self.sum_log = Some(SumLog { fields, changes, next });
        Ok(true)
    }
}

/// The fields of a group that are added up, with what its losers add.
fn sums_of<'g>(group: &'g PlannedGroup, policy: &Policy) -> Vec<Sum<'g>> {
    let of_group = group.rules(policy);
    let ruled = group.changes.iter().filter(|change| *of_group.of(&change.name) == FieldRule::Sum);
    let sum = |change: &'g crate::dedupe::FieldChange| Sum {
        winner: group.winner,
        field: &change.name,
        added: number(&change.after) - number(&change.before),
    };
    ruled.map(sum).filter(|sum| sum.added != 0.0).collect()
}

/// The changes that are no write of this ledger: what became of its own writes it knows. A second
/// duplicate with the same number is added up honestly.
fn unknown_to<'c>(ours: &[CallValue], changes: &[&'c LeadChange]) -> Vec<&'c LeadChange> {
    let is_ours = |change: &LeadChange| {
        let is_it = |write: &CallValue| {
            same(number(&write.before), number(&change.old))
                && same(number(&write.after), number(&change.new))
        };
        ours.iter().any(is_it)
    };
    changes.iter().copied().filter(|change| !is_ours(change)).collect()
}

/// Whether the field went up by what the losers hold through the API, and was not set back since.
fn is_added(changes: &[&LeadChange], added: f64) -> bool {
    let by_api = changes.iter().filter(|change| {
        change.source.as_deref().is_none_or(|source| source.eq_ignore_ascii_case(API))
    });
    let mut times = 0;
    for change in by_api {
        let step = number(&change.new) - number(&change.old);
        if same(step, added) {
            times += 1;
        } else if same(step, -added) && times > 0 {
            times -= 1;
        }
    }
    times > 0
}

/// Whether the lead changed so lately that the log may not have it, and the log does not end with
/// what the lead holds.
fn may_be_behind(
    winner: &Lead,
    sum: &Sum<'_>,
    changes: &[&LeadChange],
    now: DateTime<Utc>,
    lag: Duration,
) -> bool {
    let held = winner.value(sum.field).map_or(0.0, number);
    let is_shown = changes.last().is_some_and(|last| same(number(&last.new), held));
    let Some(updated) = winner.updated_at() else { return false };
    let is_late = (now - updated).to_std().map_or(true, |ago| ago < lag);
    let since_birth = winner.created_at().map_or(TimeDelta::MAX, |born| updated - born);
    is_late && !is_shown && since_birth > TimeDelta::seconds(2)
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => 0.0,
    }
}

/// Sums of fractions differ in their last digits.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_added, unknown_to};
    use crate::ledger::CallValue;
    use crate::marketo::LeadChange;

    #[test]
    fn a_sum_is_held_where_the_api_added_just_what_the_losers_hold_and_nobody_took_it_back() {
        let change = |old: Value, new: Value, source: Option<&str>| LeadChange {
            lead: 1,
            field: "score".to_owned(),
            old,
            new,
            at: None,
            source: source.map(str::to_owned),
            request_id: None,
        };
        let api = Some("Web service API");
        let added = || change(json!("10"), json!("17"), api);
        for (changes, held) in [
            (vec![], false),
            (vec![added()], true),
            (vec![change(json!(10), json!(17), None)], true),
            (vec![change(Value::Null, json!(7), api)], true),
            // A campaign scores on; the sum is in it all the same.
            (vec![added(), change(json!(17), json!(22), Some("Marketo Flow Action"))], true),
            (vec![added(), change(json!(17), json!(10), api)], false),
            (vec![added(), change(json!(17), json!(10), api), added()], true),
            // A campaign added as much; and another integration wrote something else.
            (vec![change(json!(10), json!(17), Some("Marketo Flow Action"))], false),
            (vec![change(json!(10), json!(50), api)], false),
        ] {
            let all: Vec<&LeadChange> = changes.iter().collect();
            assert_eq!(is_added(&all, 7.0), held, "{changes:?}");
        }
        // What this ledger wrote itself is no sum that a lost one wrote.
        let ours =
            CallValue { lead: 1, field: "score".to_owned(), before: json!(10), after: json!(17) };
        let (first, second) = (added(), change(json!(17), json!(24), api));
        let known = [ours];
        assert!(!is_added(&unknown_to(&known, &[&first]), 7.0));
        assert!(is_added(&unknown_to(&known, &[&first, &second]), 7.0));
    }
}
