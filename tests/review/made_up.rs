//! A plan in memory: cards by a pattern, decisions in a map. It stands in for the ledger's where
//! the page and its server are what is tested.

use std::collections::BTreeMap;
use std::sync::Mutex;

use mkto_audit::dedupe::{Choice, ChosenValue, Decisions, Risk};
use mkto_audit::review::Error;
use mkto_audit::review::card::{Card, CardField, CardLead, CardRole};
use mkto_audit::review::model::{
    Approval, Blocked, CardFilter, Decided, Door, Failed, Head, Page, Reviewed, Seen, Tab,
};
use serde_json::{Value, json};

/// So many groups, every fourth of them red; card by card made when it is asked for.
#[derive(Debug, Default)]
pub struct MadeUp {
    pub groups: u64,
    /// The names on the records of the first group.
    pub first_name: String,
    pub decisions: Mutex<BTreeMap<String, Decisions>>,
    /// The number of the last decision about each group.
    pub numbers: Mutex<BTreeMap<String, i64>>,
    pub approval: Mutex<Option<Approval>>,
    /// Who decided through which door, in order.
    pub log: Mutex<Vec<(String, Door)>>,
}

pub fn key(place: u64) -> String {
    format!("p{place:06}@example.com")
}

/// What is decided about the `pressed`th group by keys alone.
pub fn choice(pressed: u64) -> (&'static str, Choice) {
    let choices =
        [("m", Choice::Merge), ("s", Choice::Skip), ("h", Choice::Hold), ("x", Choice::NotSame)];
    choices[usize::try_from(pressed % 4).unwrap()]
}

fn risk(place: u64) -> Risk {
    [Risk::Green, Risk::Amber, Risk::Amber, Risk::Red][usize::try_from(place % 4).unwrap()]
}

fn is_refused(place: u64, decisions: &Decisions) -> bool {
    decisions.left_out.contains(&decisions.winner.unwrap_or(1_000 + place * 10))
}

fn merges(place: u64, decisions: &Decisions) -> bool {
    let unless_told = risk(place) != Risk::Red;
    let told = decisions.choice.map_or(unless_told, |choice| choice == Choice::Merge);
    told && !is_refused(place, decisions)
}

impl MadeUp {
    pub fn of(groups: u64) -> Self {
        Self { groups, first_name: "Pat".to_owned(), ..Self::default() }
    }

    pub fn decided(&self, place: u64) -> Decisions {
        self.decisions.lock().unwrap().get(&key(place)).cloned().unwrap_or_default()
    }

    fn number(&self, key: &str) -> i64 {
        self.numbers.lock().unwrap().get(key).copied().unwrap_or(0)
    }

    fn digest(&self) -> String {
        format!("{:064x}", self.log.lock().unwrap().len())
    }

    fn card(&self, place: u64) -> Card {
        let decisions = self.decided(place);
        let risk = risk(place);
        let ids = [1_000 + place * 10, 1_001 + place * 10, 1_002 + place * 10];
        let winner = decisions.winner.unwrap_or(ids[0]);
        let first = if place == 0 { &self.first_name } else { "Pat" };
        let leads = ids.map(|id| CardLead {
            id,
            role: match id {
                id if decisions.left_out.contains(&id) => CardRole::LeftOut,
                id if id == winner => CardRole::Winner,
                _ => CardRole::Loser,
            },
            link: Some(format!(
                "https://app-ab12.marketo.com/leadDatabase/loadLeadDetail?leadId={id}"
            )),
            email: Some(key(place)),
            first_name: Some(first.to_owned()),
            last_name: Some(format!("Nr. {place}")),
            company: None,
            created_at: Some("2026-03-01T08:00:00Z".to_owned()),
        });
        let cities = [json!("Oslo"), json!("Bergen"), Value::Null];
        let of = |id: u64| ids.iter().position(|known| *known == id).unwrap();
        let after = match decisions.values.get("city") {
            Some(ChosenValue::From(id)) => cities[of(*id)].clone(),
            Some(ChosenValue::Typed(value)) => value.clone(),
            None => cities[of(winner)].clone(),
        };
        let is_red = risk == Risk::Red;
        Card {
            place,
            key: key(place),
            stored_key: key(place),
            said_before: None,
            risk,
            warnings: vec![],
            objection: is_red.then(|| "The names differ: perhaps these are two people.".to_owned()),
            cause: None,
            cause_in_words: "A list import created it.".to_owned(),
            consent: (place % 4 == 1)
                .then(|| "One record unsubscribed; the person stays so.".to_owned()),
            leads: leads.into(),
            fields: vec![CardField {
                name: "city".to_owned(),
                label: "City".to_owned(),
                data_type: "string".to_owned(),
                values: cities.into(),
                after,
                rule: "winner".to_owned(),
                conflict: true,
                may_choose: true,
            }],
            equal: 12,
            dropped: 1,
            why: "It is the oldest record.".to_owned(),
            refused: is_refused(place, &decisions)
                .then(|| "the record to keep is left out".to_owned()),
            merges: merges(place, &decisions),
            past: None,
            decisions,
            decision_number: self.number(&key(place)),
        }
    }

    fn tab(&self, place: u64) -> Tab {
        let decisions = self.decided(place);
        let changed = merges(place, &decisions) && !decisions.is_empty();
        match risk(place) {
            _ if is_refused(place, &decisions) => Tab::Decide,
            _ if decisions.choice.is_some() || changed => Tab::Done,
            Risk::Red => Tab::Decide,
            Risk::Green | Risk::Amber => Tab::Safe,
        }
    }

    fn matches(&self, place: u64, filter: &CardFilter) -> bool {
        filter.tab.is_none_or(|tab| self.tab(place) == tab)
            && filter.search.as_ref().is_none_or(|wanted| key(place).contains(wanted))
            && filter.risk.is_none_or(|wanted| risk(place) == wanted)
    }
}

impl Reviewed for MadeUp {
    fn head(&self) -> Result<Head, Failed> {
        let count = |tab| (0..self.groups).filter(|place| self.tab(*place) == tab).count() as u64;
        let merging =
            (0..self.groups).filter(|place| merges(*place, &self.decided(*place))).count() as u64;
        Ok(Head {
            plan: "a1b2c3".to_owned(),
            name: Some("nov".to_owned()),
            instance: "123-abc-456.mktorest.com".to_owned(),
            made_at: "2026-11-30T08:00:00Z".to_owned(),
            digest: self.digest(),
            groups: self.groups,
            records: merging * 2,
            safe: count(Tab::Safe),
            decide: count(Tab::Decide),
            blocked: 1,
            done: count(Tab::Done),
            dropped_values: merging,
            opt_outs_lost: 0,
            state: mkto_audit::review::CarriedState::New,
            last_run_at: None,
            merged: 0,
            left_alone: 0,
            prepared: 0,
            failed: 0,
            approval: self.approval.lock().unwrap().clone(),
            profile: None,
        })
    }

    fn cards(&self, filter: &CardFilter, after: Option<u64>, count: usize) -> Result<Page, Failed> {
        let found = || (0..self.groups).filter(|place| self.matches(*place, filter));
        let next = found().filter(|place| after.is_none_or(|after| *place > after));
        let cards = next.take(count).map(|place| self.card(place)).collect();
        Ok(Page { cards, total: found().count() as u64 })
    }

    fn card_by_key(&self, wanted: &str) -> Result<Option<Card>, Failed> {
        let place = wanted.get(1..7).and_then(|place| place.parse().ok());
        Ok(place.filter(|place| *place < self.groups).map(|place| self.card(place)))
    }

    fn blocked(&self, after: u64, count: usize) -> Result<Vec<Blocked>, Failed> {
        let only = Blocked {
            key: "many@example.com".to_owned(),
            leads: vec![7, 8],
            reason: "It changed since the scan; scan again.".to_owned(),
        };
        Ok(if after == 0 && count > 0 { vec![only] } else { vec![] })
    }

    fn decide(
        &self,
        decided: &[(String, Decisions)],
        seen: &Seen,
        by: &str,
        door: Door,
    ) -> Result<Decided, Failed> {
        let Seen::Groups(seen) = seen else { return Err("a page looks group by group".into()) };
        for (key, _) in decided {
            if self.card_by_key(key)?.is_none() {
                return Err(format!("there is no group {key} in this plan").into());
            }
            if self.number(key) > seen.get(key).copied().unwrap_or(0) {
                let (plan, who) = ("a1b2c3".to_owned(), format!("Cy decided about {key}"));
                return Err(Error::DecidedMeanwhile { plan, who }.into());
            }
        }
        let mut numbers = BTreeMap::new();
        for (key, decisions) in decided {
            self.decisions.lock().unwrap().insert(key.clone(), decisions.clone());
            self.log.lock().unwrap().push((by.to_owned(), door));
            let number = i64::try_from(self.log.lock().unwrap().len()).unwrap();
            self.numbers.lock().unwrap().insert(key.clone(), number);
            numbers.insert(key.clone(), number);
        }
        *self.approval.lock().unwrap() = None;
        Ok(Decided { changed: decided.len(), digest: self.digest(), numbers })
    }

    fn approve(&self, digest: &str, by: &str, note: Option<&str>) -> Result<Approval, Failed> {
        if digest != self.digest() {
            return Err("somebody decided since; look again".into());
        }
        let approval = Approval {
            digest: digest.to_owned(),
            by: by.to_owned(),
            at: "2026-11-30T09:00:00Z".to_owned(),
            note: note.map(str::to_owned),
        };
        *self.approval.lock().unwrap() = Some(approval.clone());
        Ok(approval)
    }
}
