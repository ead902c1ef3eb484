//! A plan that is shown, decided about and approved, by whichever door.
//!
//! The ledger is open, and locked, only within each call, so that a live page and a command can go
//! side by side. Never: merges; holds more leads than the cards of one page.

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::{Mutex, MutexGuard};

use super::approval;
use super::card::Card;
use super::cards::{card, shown};
use super::deciding;
use super::effect::effective;
use super::error::Error;
use super::index::Made;
use super::links::{LinkTo, Links};
use super::loaded::{Loaded, MadeOf};
use super::model::{
    Approval, Blocked, CardFilter, Decided, Door, Failed, Head, Page, Reviewed, Seen, Tab,
};
use super::view::Shown;
use crate::dedupe::{Decisions, FieldFacts, Key, Policy};
use crate::ledger::Ledger;
use crate::merge::kept_plan::parsed;

/// A plan of a ledger file.
#[derive(Debug)]
pub struct PlanReview {
    file: PathBuf,
    instance: String,
    now: fn() -> DateTime<Utc>,
    two_people: bool,
    links: Links,
    loaded: Mutex<Loaded>,
}

impl PlanReview {
    /// Opens a plan, by its id or name, for reading and deciding. `now` is what the ledger's times
    /// are read from.
    pub fn open(
        file: &Path,
        instance: &str,
        plan: &str,
        now: fn() -> DateTime<Utc>,
    ) -> Result<Self, Error> {
        let ledger = Ledger::open(file, instance)?;
        let loaded = Mutex::new(Loaded::of(&ledger, instance, plan)?);
        let (file, instance) = (file.to_owned(), instance.to_owned());
        Ok(Self { file, instance, now, two_people: false, links: Links::default(), loaded })
    }

    /// `review.two_people`: whether somebody who decided may not approve.
    #[must_use]
    pub fn two_people(self, two_people: bool) -> Self {
        Self { two_people, ..self }
    }

    /// How the address of a record's page in Marketo is made, for the links of cards.
    #[must_use]
    pub fn linked_by(self, link_to: LinkTo) -> Self {
        Self { links: Links::by(link_to), ..self }
    }

    /// The plan in short, as things stand.
    pub fn head(&self) -> Result<Head, Error> {
        let (ledger, loaded) = self.at_work()?;
        head(&ledger, &loaded)
    }

    /// The cards that pass a filter, after a place, in the plan's order.
    pub fn cards(
        &self,
        filter: &CardFilter,
        after: Option<u64>,
        count: usize,
    ) -> Result<Page, Error> {
        let (ledger, loaded) = self.at_work()?;
        if filter.tab == Some(Tab::Blocked) {
            return Ok(Page { cards: Vec::new(), total: loaded.blocked });
        }
        let (total, places) = loaded.index.find(filter, after, count);
        let cards = places
            .into_iter()
            .filter_map(|place| self.card_at(&ledger, &loaded, place).transpose());
        Ok(Page { cards: cards.collect::<Result<_, _>>()?, total })
    }

    /// Some groups that pass a filter as cards and as they would be merged, after a place. `all`:
    /// with the fields that all records agree on.
    pub fn shown(
        &self,
        filter: &CardFilter,
        after: Option<u64>,
        count: usize,
        all: bool,
    ) -> Result<Vec<Shown>, Error> {
        let (ledger, loaded) = self.at_work()?;
        let (_, places) = loaded.index.find(filter, after, count);
        let shown = |place: usize| {
            let nothing = Decisions::default();
            let made = loaded.index.key(place).and_then(|key| loaded.index.made(key));
            let decisions = made.map_or(&nothing, |made| &made.decisions);
            let kept = loaded.kept(&ledger, place)?;
            let mut shown = shown(place as u64, &kept, &loaded.header, decisions, all);
            shown.card.said_before = made.and_then(Made::said_before);
            if let Some(past) = loaded.index.key(place).and_then(|key| loaded.index.carried.of(key))
            {
                shown.card.merges &= !past.is_fixed;
                shown.card.past = Some(past.clone());
            }
            Ok(shown)
        };
        places.into_iter().map(shown).collect()
    }

    /// The card at a place.
    pub fn card(&self, place: u64) -> Result<Option<Card>, Error> {
        let (ledger, loaded) = self.at_work()?;
        usize::try_from(place).map_or(Ok(None), |place| self.card_at(&ledger, &loaded, place))
    }

    /// The card of a group, by its key as stored or as a person writes it.
    pub fn card_by_key(&self, key: &str) -> Result<Option<Card>, Error> {
        let (ledger, loaded) = self.at_work()?;
        self.card_of_key(&ledger, &loaded, key)
    }

    /// What a card would be with other decisions. Nothing is kept; `refused` of the card says why
    /// they cannot be carried out.
    pub fn preview(&self, place: u64, decisions: &Decisions) -> Result<Card, Error> {
        let (ledger, loaded) = self.at_work()?;
        let at = place_in(&loaded, place)?;
        Ok(self.links.on(card(place, &loaded.kept(&ledger, at)?, &loaded.header, decisions)))
    }

    /// The cards of these groups, by their keys as stored or as a person writes them; none where the
    /// plan has no such group.
    pub fn cards_by_key(&self, keys: &[&str]) -> Result<Vec<Option<Card>>, Error> {
        let (ledger, loaded) = self.at_work()?;
        keys.iter().map(|key| self.card_of_key(&ledger, &loaded, key)).collect()
    }

    /// Why these decisions about the groups at these places cannot be carried out, each; none where
    /// they can. Nothing is kept.
    pub fn refusals(&self, asked: &[(u64, &Decisions)]) -> Result<Vec<Option<String>>, Error> {
        let (ledger, loaded) = self.at_work()?;
        let refusal = |(place, decisions): &(u64, &Decisions)| {
            let kept = loaded.kept(&ledger, place_in(&loaded, *place)?)?;
            Ok(effective(&kept, &loaded.header, decisions).err())
        };
        asked.iter().map(refusal).collect()
    }

    /// The keys of its groups as stored, in their order, each with the place of its group.
    pub(super) fn keys(&self) -> Result<Vec<(String, usize)>, Error> {
        let (_ledger, loaded) = self.at_work()?;
        Ok(loaded.index.by_key().map(|(key, place)| (key.to_owned(), place)).collect())
    }

    /// By what its groups were planned.
    pub(super) fn rules(&self) -> (Policy, FieldFacts) {
        let loaded = self.loaded.lock();
        (loaded.header.policy.clone(), loaded.header.facts.clone())
    }

    /// What the groups at these places are made of.
    pub(super) fn made_of(&self, places: &[usize]) -> Result<Vec<MadeOf>, Error> {
        let (ledger, loaded) = self.at_work()?;
        places.iter().map(|place| loaded.made_of(&ledger, *place)).collect()
    }

    /// The card of such a group, without its place and its links.
    pub(super) fn card_of(&self, made_of: &MadeOf) -> Result<Card, Error> {
        let loaded = self.loaded.lock();
        Ok(card(0, &loaded.look_into(made_of)?, &loaded.header, &made_of.decisions))
    }

    /// Keeps decisions about groups, by their keys as stored: all or none. What is as it was is not
    /// written. One that cannot be carried out is kept with the reason, and has no effect. Where
    /// somebody decided about what was `seen`, nothing is kept, and the error names them: nobody
    /// else has the ledger between this look and the write.
    pub fn decide(
        &self,
        decided: &[(String, Decisions)],
        seen: &Seen,
        by: &str,
        door: Door,
    ) -> Result<Decided, Error> {
        let (mut ledger, mut loaded) = self.at_work()?;
        let at = self.at();
        deciding::decide(&mut ledger, &mut loaded, decided, seen, (by, door, &at))
    }

    /// Who decided after the plan had this digest, in words; none where it has it still.
    pub fn decided_since(&self, digest: &str) -> Result<Option<String>, Error> {
        let (ledger, loaded) = self.at_work()?;
        loaded.decided_since(&ledger, digest)
    }

    /// Approves the plan as it stands, which has to have this digest.
    pub fn approve(&self, digest: &str, by: &str, note: Option<&str>) -> Result<Approval, Error> {
        let (mut ledger, loaded) = self.at_work()?;
        let words = (digest, by, note);
        approval::approve(&mut ledger, &loaded, words, self.two_people, &self.at())
    }

    /// The groups that nobody can decide about, `count` of them from this one on.
    pub fn blocked(&self, from: u64, count: usize) -> Result<Vec<Blocked>, Error> {
        let (ledger, loaded) = self.at_work()?;
        let rows = ledger.left_from(loaded.head.number, from, count)?;
        rows.into_iter()
            .map(|row| {
                Ok(Blocked {
                    key: Key::stored(row.key).map(|key| key.to_string()).unwrap_or_default(),
                    leads: parsed(&loaded.head.plan, &row.leads)?,
                    reason: row.reason,
                })
            })
            .collect()
    }

    fn card_of_key(
        &self,
        ledger: &Ledger,
        loaded: &Loaded,
        key: &str,
    ) -> Result<Option<Card>, Error> {
        let as_stored = || Key::of(key).and_then(|key| loaded.index.place_of(key.as_str()));
        match loaded.index.place_of(key).or_else(as_stored) {
            Some(place) => self.card_at(ledger, loaded, place),
            None => Ok(None),
        }
    }

    fn card_at(
        &self,
        ledger: &Ledger,
        loaded: &Loaded,
        place: usize,
    ) -> Result<Option<Card>, Error> {
        let Some(key) = loaded.index.key(place) else { return Ok(None) };
        let nothing = Decisions::default();
        let decisions = loaded.index.made(key).map_or(&nothing, |made| &made.decisions);
        let card = card(place as u64, &loaded.kept(ledger, place)?, &loaded.header, decisions);
        let decision_number = loaded.index.number(key);
        let said_before = loaded.index.made(key).and_then(Made::said_before);
        let past = loaded.index.carried.of(key).cloned();
        let merges = card.merges && !loaded.index.carried.is_fixed(key);
        Ok(Some(self.links.on(Card { said_before, decision_number, merges, past, ..card })))
    }

    /// The ledger, and the plan as it stands now.
    fn at_work(&self) -> Result<(Ledger, MutexGuard<'_, Loaded>), Error> {
        let mut loaded = self.loaded.lock();
        let ledger = Ledger::open(&self.file, &self.instance)?;
        loaded.refresh(&ledger)?;
        Ok((ledger, loaded))
    }

    fn at(&self) -> String {
        (self.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// A place that the plan has.
fn place_in(loaded: &Loaded, place: u64) -> Result<usize, Error> {
    let at = usize::try_from(place).ok().filter(|place| *place < loaded.index.len());
    at.ok_or_else(|| Error::NoSuchGroup {
        plan: loaded.head.plan.clone(),
        key: format!("at place {place}"),
    })
}

/// The plan in short, as things stand.
pub(super) fn head(ledger: &Ledger, loaded: &Loaded) -> Result<Head, Error> {
    let sums = loaded.index.sums();
    let carried = &loaded.index.carried;
    let counts = carried.counts();
    Ok(Head {
        plan: loaded.head.plan.clone(),
        name: loaded.head.name.clone(),
        instance: loaded.header.instance.clone(),
        made_at: loaded.head.made_at.clone(),
        digest: loaded.digest(),
        groups: loaded.index.len() as u64,
        records: sums.records,
        safe: sums.safe,
        decide: sums.decide,
        blocked: loaded.blocked,
        done: sums.done,
        dropped_values: sums.dropped,
        opt_outs_lost: sums.lost,
        approval: approval::valid(ledger, loaded)?,
        state: carried.state(loaded.index.len() as u64, loaded.blocked),
        last_run_at: carried.last_at.clone(),
        merged: counts.merged,
        left_alone: counts.left_alone,
        prepared: counts.prepared,
        failed: counts.failed,
        profile: loaded.header.facts.measured.profile.clone(),
    })
}

impl Reviewed for PlanReview {
    fn head(&self) -> Result<Head, Failed> {
        Ok(Self::head(self)?)
    }

    fn cards(&self, filter: &CardFilter, after: Option<u64>, count: usize) -> Result<Page, Failed> {
        Ok(Self::cards(self, filter, after, count)?)
    }

    fn card_by_key(&self, key: &str) -> Result<Option<Card>, Failed> {
        Ok(Self::card_by_key(self, key)?)
    }

    fn blocked(&self, after: u64, count: usize) -> Result<Vec<Blocked>, Failed> {
        Ok(Self::blocked(self, after, count)?)
    }

    fn decide(
        &self,
        decided: &[(String, Decisions)],
        seen: &Seen,
        by: &str,
        door: Door,
    ) -> Result<Decided, Failed> {
        Ok(Self::decide(self, decided, seen, by, door)?)
    }

    fn approve(&self, digest: &str, by: &str, note: Option<&str>) -> Result<Approval, Failed> {
        Ok(Self::approve(self, digest, by, note)?)
    }
}
