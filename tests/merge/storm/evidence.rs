//! What is judged after a storm: what the sandbox and the ledger know, and what the runs said.

use std::collections::{BTreeMap, BTreeSet};

use mkto_audit::ledger::{CallKind, Ledger};
use mkto_sandbox::{Deed, LeadView, Meddled};
use serde_json::{Map, Value, json};

use super::scenario::{CONSENT, VALUES};
use crate::support::{CLOCK_SPEED, Instance, Run};

pub(super) struct Evidence<'a> {
    pub(super) instance: &'a Instance,
    pub(super) start: BTreeMap<u64, LeadView>,
    pub(super) meddled: Vec<Meddled>,
    pub(super) ledger: Ledger,
    pub(super) plans: Vec<String>,
    /// Findings that are open, by lead and field.
    pub(super) open: BTreeSet<(u64, String)>,
    /// What any run named of a lead and field, by its value before, in `open` and in the groups'
    /// `surprises`.
    pub(super) named: BTreeSet<(u64, String)>,
    pub(super) seed: u64,
    pub(super) log: String,
}

impl Evidence<'_> {
    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}\nmeddled: {:#?}\n{}", self.seed, self.meddled, self.log);
    }

    fn by_people(&self, lead: u64) -> bool {
        self.meddled.iter().any(|deed| match deed.what {
            Deed::Delete => deed.lead == lead,
            Deed::Merge => deed.losers.contains(&lead) || deed.lead == lead,
            Deed::Change | Deed::OptOut => false,
        })
    }

    fn end_of(&self, mut lead: u64) -> u64 {
        while let Some(into) = self.instance.sandbox.merged_into(lead) {
            lead = into;
        }
        lead
    }

    fn held(&self, lead: u64) -> Option<Map<String, Value>> {
        let view =
            self.instance.sandbox.lead(lead).or_else(|| self.instance.sandbox.lead_at_death(lead));
        view.map(|view| view.fields)
    }

    fn typed(&self, lead: u64, field: &str) -> bool {
        self.meddled.iter().any(|deed| deed.lead == lead && deed.fields.contains_key(field))
    }

    /// No opt-out of a lead that a merge of ours took away is missing on the survivor.
    pub(super) fn consent_is_kept(&self) {
        for id in self.start.keys() {
            let end = self.end_of(*id);
            if end == *id || self.by_people(*id) || self.by_people(end) {
                continue;
            }
            let (Some(dead), Some(survivor)) = (self.held(*id), self.held(end)) else { continue };
            for field in CONSENT.iter().filter(|field| dead.get(**field) == Some(&json!(true))) {
                let kept = survivor.get(*field) == Some(&json!(true));
                let named = self.open.iter().any(|(lead, name)| *lead == end && name == field);
                if !kept && !named {
                    self.fail(&format!("`{field}` of lead {id} is lost on {end}\nhistory of {id}: {:?}\nhistory of {end}: {:?}",
                        self.instance.sandbox.history(*id), self.instance.sandbox.history(end)));
                }
            }
        }
    }

    /// A survivor holds a value of one of its leads in each field in which any of them has one.
    pub(super) fn values_are_kept(&self) {
        let mut by_end: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for id in self.start.keys() {
            by_end.entry(self.end_of(*id)).or_default().push(*id);
        }
        for (end, ids) in by_end.into_iter().filter(|(_, ids)| ids.len() > 1) {
            if ids.iter().any(|id| self.by_people(*id)) || self.instance.sandbox.lead(end).is_none()
            {
                continue;
            }
            let survivor = self.held(end).unwrap();
            for field in VALUES {
                let mut values: Vec<&Value> =
                    ids.iter().filter_map(|id| self.start[id].fields.get(*field)).collect();
                values.extend(
                    self.meddled
                        .iter()
                        .filter(|deed| ids.contains(&deed.lead))
                        .filter_map(|deed| deed.fields.get(*field)),
                );
                // A value that the instance itself made of a write, and that could not be set back,
                // wins over the leads', which the next plan names as dropped: it must have been
                // named when it came.
                if values.is_empty() || ids.iter().any(|id| self.is_named(*id, field)) {
                    continue;
                }
                if !survivor.get(*field).is_some_and(|held| values.contains(&held)) {
                    self.fail(&format!(
                        "`{field}` of {end} is {:?}, and its leads had {values:?}\nhistory: {:?}",
                        survivor.get(*field),
                        self.instance.sandbox.history(end)
                    ));
                }
            }
        }
    }

    /// Whatever was destroyed is in the ledger as it was before its merge left.
    pub(super) fn backups_are_whole(&self) {
        let mut left: BTreeMap<u64, String> = BTreeMap::new();
        for plan in &self.plans {
            for call in self.ledger.calls_of(plan).unwrap() {
                if call.what.kind == CallKind::Merge {
                    for loser in call.losers() {
                        left.insert(loser, call.started_at.unwrap().to_rfc3339());
                    }
                }
            }
        }
        for id in self.start.keys() {
            let Some(into) = self.instance.sandbox.merged_into(*id) else { continue };
            if self.meddled.iter().any(|deed| deed.what == Deed::Merge && deed.losers.contains(id))
            {
                continue;
            }
            let backups = self.ledger.backups_of(*id).unwrap();
            let Some(kept) = backups.last() else {
                self.fail(&format!("lead {id} went into {into} without a backup"))
            };
            let Some(at) = left.get(id) else {
                self.fail(&format!("lead {id} went into {into} without a call in the ledger"))
            };
            let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
            // No client closes the seconds between the last look and the call.
            let look = at - chrono::TimeDelta::milliseconds(5_500 / i64::from(CLOCK_SPEED) + 100);
            let last = self.instance.sandbox.lead_at_death(*id).unwrap();
            let history = self.instance.sandbox.history(*id);
            for (field, value) in &last.fields {
                if field == "updatedAt" || field == "id" || kept.lead.value(field) == Some(value) {
                    continue;
                }
                let late = history
                    .iter()
                    .rev()
                    .find(|held| held.field == *field)
                    .is_some_and(|held| held.at >= look);
                if !late {
                    self.fail(&format!("`{field}` of lead {id} was {value}, and the ledger has {:?}\nhistory: {history:?}\nleft {at}", kept.lead.value(field)));
                }
            }
        }
    }

    /// A lead into which nothing was merged is as it was, but for what people typed.
    pub(super) fn what_is_left_alone_is_as_it_was(&self) {
        let winners: BTreeSet<u64> =
            self.start.keys().filter_map(|id| self.instance.sandbox.merged_into(*id)).collect();
        for (id, before) in &self.start {
            let Some(now) = self.instance.sandbox.lead(*id).filter(|_| !winners.contains(id))
            else {
                continue;
            };
            if self.by_people(*id) {
                continue;
            }
            for field in VALUES.iter().chain(CONSENT).chain(&["email", "firstName", "lastName"]) {
                let (was, is) = (before.fields.get(*field), now.fields.get(*field));
                if was != is && !self.typed(*id, field) && !self.excused(*id, field, is) {
                    self.fail(&format!("`{field}` of lead {id}, which was left alone, was {was:?} and is {is:?}\nhistory: {:?}", self.instance.sandbox.history(*id)));
                }
            }
        }
    }

    /// Whether a run has named the lead and field with what it should hold, or the ledger has it
    /// open.
    fn is_named(&self, lead: u64, field: &str) -> bool {
        let this = (lead, field.to_owned());
        self.open.contains(&this) || self.named.contains(&this)
    }

    /// An opt-out that was written for a merge stays, and is told; what could not be set back is
    /// named.
    fn excused(&self, lead: u64, field: &str, is: Option<&Value>) -> bool {
        let email = self.start[&lead].fields.get("email");
        let mates =
            self.start.values().filter(|mate| mate.id != lead && mate.fields.get("email") == email);
        // Marketo also unsubscribes every lead with the address that is unsubscribed.
        let said_no = |mate: &LeadView| {
            mate.fields.get(field) == Some(&json!(true)) || self.typed(mate.id, field)
        };
        let opted_out =
            CONSENT.contains(&field) && is == Some(&json!(true)) && mates.clone().any(said_no);
        // Nor is a value taken back whose record somebody merged or deleted meanwhile.
        let giver_gone = VALUES.contains(&field)
            && is.is_some()
            && mates.clone().any(|mate| self.instance.sandbox.lead(mate.id).is_none());
        opted_out || giver_gone || self.is_named(lead, field)
    }
}

/// The leads and fields that a run named as left otherwise than they should be.
pub(super) fn named_by(run: &Run) -> Vec<(u64, String)> {
    let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else { return Vec::new() };
    let rows = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let surprises =
        rows(&document["group"]).into_iter().flat_map(|group| rows(&group["surprises"]));
    let all = surprises.filter(|row| row["fate"] == "not_set_back").chain(rows(&document["open"]));
    all.map(|row| (row["lead"].as_u64().unwrap(), row["name"].as_str().unwrap().to_owned()))
        .collect()
}

/// A group that is called merged is, and no run ends well while something is open.
pub(super) fn merged_is_merged(instance: &Instance, run: &Run, seed: u64) {
    let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else { return };
    assert!(
        run.code != Some(0) || document.get("open").is_none(),
        "seed {seed}: {}",
        run.picture()
    );
    for group in
        document["group"].as_array().unwrap().iter().filter(|group| group["outcome"] == "merged")
    {
        for loser in group["losers"].as_array().unwrap() {
            let loser = loser.as_u64().unwrap();
            let into = instance.sandbox.merged_into(loser);
            if group["winner"].as_u64() == Some(loser) {
                continue;
            }
            assert!(
                instance.sandbox.lead(loser).is_none() && into.is_some(),
                "seed {seed}: {loser} lives or was deleted: {}",
                run.picture()
            );
        }
    }
}
