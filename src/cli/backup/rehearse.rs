//! A rehearsal: groups from the ledger are loaded into the built-in sandbox, merged and restored
//! there, and every field is compared.
//!
//! Never: asks Marketo, or touches the real ledger. A backup is real only if it restores.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::{LeadView, OptionError, Options, Sandbox};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{Context, Failure, now};
use crate::dedupe::{FieldFacts, Key, Known, Policy, differs_by_nature};
use crate::lead::LeadId;
use crate::leases::{SharedLeases, Terms};
use crate::ledger::{Backup, Ledger, Role};
use crate::marketo::{Client, ClientOptions, Clock, ReadLeads as _, ReadMemberFields as _};
use crate::merge::restore::{
    ConfirmedRestore, Restore, RestoreReport, RestoreSettings, RestoredReport, Which, losses,
};
use crate::merge::{Candidate, Confirmed, Hold, Merge, Outcome, Report, Settings};
use crate::terminal::{counted_of, one_line};

mod load;

use load::Loaded;

/// How many times as fast as the wall's the sandbox's time passes.
const SPEED: u32 = 20;

/// A group that was merged, as it was before.
#[derive(Debug)]
pub(super) struct KeptGroup {
    key: String,
    /// The record that stayed comes first.
    leads: Vec<Backup>,
}

/// What differs after a merge and a restore.
#[derive(Debug, Serialize)]
struct Differs {
    lead: LeadId,
    what: String,
    before: Value,
    after: Value,
}

/// What a rehearsal came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rehearsal {
    groups: usize,
    /// Groups that were merged and restored.
    rehearsed: usize,
    records: usize,
    /// Values and memberships that were compared.
    compared: usize,
    /// What differs and was not told beforehand.
    differences: Vec<Differs>,
    /// What differs as was told beforehand.
    told: usize,
    /// Groups that the sandbox could not merge, with the reasons.
    not_rehearsed: Vec<NotRehearsed>,
    /// Fields of the instance that the sandbox does not have.
    unknown_fields: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct NotRehearsed {
    key: String,
    why: String,
}

impl Rehearsal {
    /// Whether everything that was rehearsed came back as told.
    pub(super) fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// For a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "rehearsed {} of {}: {} merged and restored, {} compared, {} as told beforehand, {} not",
            self.rehearsed,
            counted_of(self.groups, "group"),
            counted_of(self.records, "record"),
            counted_of(self.compared, "value"),
            counted_of(self.told, "difference"),
            self.differences.len()
        )];
        lines.extend(self.differences.iter().map(|one| {
            format!("DIFFERS: {} of record {}: {} → {}", one.what, one.lead, one.before, one.after)
        }));
        lines.extend(
            self.not_rehearsed.iter().map(|one| {
                format!("not rehearsed: {}: {}", one_line(&one.key), one_line(&one.why))
            }),
        );
        if !self.unknown_fields.is_empty() {
            let fields: Vec<&str> = self.unknown_fields.iter().map(String::as_str).collect();
            lines.push(format!("fields that the sandbox does not have: {}", fields.join(", ")));
        }
        lines
    }
}

/// The groups that were merged last, with the backups of all their records.
pub(super) fn last_merged(ledger: &Ledger, groups: usize) -> Result<Vec<KeptGroup>, Failure> {
    let merged = ledger.merged_leads()?;
    let mut found: Vec<KeptGroup> = Vec::new();
    let mut seen = BTreeSet::new();
    for one in merged.iter().rev() {
        if found.len() == groups {
            break;
        }
        if !seen.insert((one.plan.clone(), one.key.clone())) {
            continue;
        }
        let of_group = merged.iter().filter(|other| other.plan == one.plan && other.key == one.key);
        let losers: BTreeSet<LeadId> = of_group.map(|other| other.loser).collect();
        let winner = ledger.backups_under(one.winner, &one.plan)?.into_iter().next();
        let mut leads: Vec<Backup> = winner.into_iter().collect();
        for loser in losers {
            leads.extend(ledger.backups_under(loser, &one.plan)?.pop());
        }
        // What was erased, or has one record left, cannot be rehearsed.
        if leads.len() > 1 && leads.iter().any(|backup| backup.role == Role::Winner) {
            found.push(KeptGroup { key: one.key.clone(), leads });
        }
    }
    Ok(found)
}

/// Loads the groups into a sandbox, merges and restores them there, and compares.
pub(super) async fn rehearse(
    context: &Context,
    groups: &[KeptGroup],
) -> Result<Rehearsal, Failure> {
    let sandbox = start().await?;
    let client = client(&sandbox)?;
    let schema = client.describe().await?;
    let member_fields = client.member_fields().await?;
    let loaded = load::load(&sandbox, groups, &member_fields);
    let mut rehearsal = Rehearsal {
        groups: groups.len(),
        unknown_fields: load::unknown_fields(groups, &schema, &member_fields),
        ..Rehearsal::default()
    };
    let before: BTreeMap<LeadId, LeadView> =
        sandbox.leads().into_iter().map(|view| (view.id, view)).collect();
    let folder = tempfile::tempdir().map_err(Failure::Output)?;
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), NAME)?;
    let report = merge(context, &client, &mut ledger, &loaded).await?;
    let Some(run) = report.run else {
        rehearsal.not_rehearsed = left(&report);
        return Ok(rehearsal);
    };
    let settings = RestoreSettings {
        clock: client.clock(),
        now,
        stop: context.interrupt.clone(),
        hold: hold(),
        by: None,
        lower_status: true,
    };
    let lost = losses(&ledger, &Which::Run(run))?;
    let mut restore = Restore::new(&client, &mut ledger, settings).await?;
    let restored = restore.carry_out(&ConfirmedRestore::new(), &lost).await;
    rehearsal.not_rehearsed = left(&report);
    let facts = crate::merge::facts(&schema);
    let compared = Compared { sandbox: &sandbox, before: &before, facts: &facts };
    compared.all(&mut rehearsal, &report, &restored);
    match restored.failed {
        Some(error) => Err(error.into()),
        None => Ok(rehearsal),
    }
}

const NAME: &str = "rehearsal";

async fn start() -> Result<Sandbox, Failure> {
    let mut options = Options { rate_limit: 1_000_000, concurrency: 1_000, ..Options::default() };
    options.daily_quota = 10_000_000;
    options.race_window = std::time::Duration::ZERO;
    let usage = |error: OptionError| Failure::Usage { what: error.to_string(), hint: None };
    for knob in [
        &format!("clock_speed={SPEED}"),
        "activity_delay_ms=0",
        "merge_ms=0",
        "merge_across_partitions=allow",
    ] {
        options.set_knob(knob).map_err(usage)?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(Failure::Output)?;
    Sandbox::start(listener, options).map_err(Failure::Output)
}

fn client(sandbox: &Sandbox) -> Result<Client, Failure> {
    let url = sandbox
        .base_url()
        .parse()
        .map_err(|error: url::ParseError| Failure::Usage { what: error.to_string(), hint: None })?;
    let options = ClientOptions::new(url)
        .credentials(sandbox.client_id(), sandbox.client_secret())
        .rate(1_000_000, std::time::Duration::from_secs(20))
        .concurrency(50)
        .clock(Clock::sped_up(SPEED));
    Ok(Client::new(options)?)
}

fn hold() -> Hold {
    Hold::new(SharedLeases::memory(Terms::at(Clock::sped_up(SPEED))), NAME.to_owned())
}

/// Merges the groups as they stand: what a person would have to decide was decided when they were
/// merged.
async fn merge(
    context: &Context,
    client: &Client,
    ledger: &mut Ledger,
    loaded: &Loaded,
) -> Result<Report, Failure> {
    let settings = Settings::new(client.clock(), now, hold()).stop(context.interrupt.clone());
    let mut merge = Merge::new(client, ledger, settings).await?;
    let policy = Policy {
        include_shared: true,
        across_partitions: true,
        include_deliberate: true,
        key: merge.by_schema(context.config.key.clone()),
        ..context.config.policy(now())?
    };
    let candidates: Vec<Candidate> = loaded
        .groups
        .iter()
        .filter_map(|(key, leads)| {
            let key = Key::stored(key.clone())?;
            let known = Known { named: true, ..Known::default() };
            Some(Candidate { key, leads: leads.clone(), known })
        })
        .collect();
    let plan = merge.plan_again_as_decided(&candidates, policy, NAME.to_owned()).await?;
    Ok(merge.carry_out(Confirmed::new(plan), &mut ()).await)
}

fn left(report: &Report) -> Vec<NotRehearsed> {
    let left = report.groups.iter().filter(|group| group.outcome != Outcome::Merged);
    left.map(|group| NotRehearsed {
        key: group.key.clone(),
        why: group.reason.clone().unwrap_or_else(|| group.outcome.as_str().to_owned()),
    })
    .collect()
}

/// What is compared: the records before, those in the sandbox now, and what counts as one value.
struct Compared<'c> {
    sandbox: &'c Sandbox,
    before: &'c BTreeMap<LeadId, LeadView>,
    facts: &'c FieldFacts,
}

impl Compared<'_> {
    /// Compares every record of the merged groups with what it was.
    fn all(&self, rehearsal: &mut Rehearsal, report: &Report, restored: &RestoreReport) {
        let by_lost: BTreeMap<LeadId, &RestoredReport> =
            restored.restored.iter().map(|one| (one.lost_id, one)).collect();
        for group in report.groups.iter().filter(|group| group.outcome == Outcome::Merged) {
            rehearsal.rehearsed += 1;
            let winner = group.winner.unwrap_or_default();
            // What was told of a group, of whichever of its records.
            let told: Vec<&str> = group
                .losers
                .iter()
                .filter_map(|loser| by_lost.get(loser))
                .flat_map(|one| &one.not_restored)
                .map(|missing| missing.what.as_str())
                .collect();
            for id in std::iter::once(winner).chain(group.losers.iter().copied()) {
                rehearsal.records += 1;
                let now = if id == winner {
                    Some(id)
                } else {
                    by_lost.get(&id).and_then(|one| one.new_id)
                };
                let after = now.and_then(|id| self.sandbox.lead(id));
                let Some(then) = self.before.get(&id) else { continue };
                match after {
                    Some(after) => self.lead(rehearsal, then, &after, &told),
                    None => rehearsal.differences.push(Differs {
                        lead: id,
                        what: "the record".to_owned(),
                        before: json!("there"),
                        after: Value::Null,
                    }),
                }
            }
        }
    }

    fn lead(&self, rehearsal: &mut Rehearsal, then: &LeadView, now: &LeadView, told: &[&str]) {
        let mut note = |what: String, is_same: bool, before: Value, after: Value| {
            rehearsal.compared += 1;
            let names = |told: &&str| {
                told.contains(&what) || told.split(", ").any(|one| one == what.trim_matches('`'))
            };
            if is_same {
                return;
            }
            if told.iter().any(names) {
                rehearsal.told += 1;
            } else {
                rehearsal.differences.push(Differs { lead: then.id, what, before, after });
            }
        };
        let names: BTreeSet<&String> = then.fields.keys().chain(now.fields.keys()).collect();
        for name in names.into_iter().filter(|name| !differs_by_nature(name)) {
            let value = |view: &LeadView| view.fields.get(name).cloned().unwrap_or_default();
            let (before, after) = (value(then), value(now));
            // An instance spells a phone number its own way.
            let is_same = self.facts.holds(name, &after, &before);
            note(format!("`{name}`"), is_same, before, after);
        }
        for (what, before, after) in [
            ("static lists", json!(then.lists), json!(now.lists)),
            ("programs", json!(then.programs), json!(now.programs)),
            ("successes", json!(then.successes), json!(now.successes)),
            ("fields of program members", json!(then.member_fields), json!(now.member_fields)),
        ] {
            note(what.to_owned(), before == after, before, after);
        }
    }
}
