//! What the instance holds: leads, what happened to them, lists, programs, custom objects. Rules of
//! the API stand elsewhere; here are only the facts and how to change them without breaking an
//! index.
//!
//! The index of emails is not unique, as Marketo's is not: that nothing keeps two inserts of one
//! email apart is the whole story.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value};

use self::log::{Activity, Directory, Log, What};
use self::objects::CustomObject;
use self::record::Record;
use super::schema;

pub(super) mod activity_types;
pub(super) mod by_hand;
pub(super) mod log;
pub(super) mod objects;
pub(super) mod past;
pub(super) mod record;

/// The partition that leads go to when none is named.
pub(super) const DEFAULT_PARTITION: u64 = 1;

/// An instance.
#[derive(Debug, Default)]
pub(super) struct World {
    leads: BTreeMap<u64, Record>,
    /// Folded email → leads.
    emails: HashMap<String, BTreeSet<u64>>,
    /// Leads that were merged away, and into whom; leads that were deleted, and nobody.
    gone: BTreeMap<u64, Option<u64>>,
    last_id: u64,
    pub(super) log: Log,
    /// How much later than it happened something can be read from the log.
    pub(super) activity_delay: chrono::Duration,
    /// Whether emails compare without the blanks around them.
    pub(super) email_trim: bool,
    /// Whether capitals count where an email is looked up.
    pub(super) minds_email_case: bool,
    /// Whether values of other fields compare with regard to case.
    pub(super) minds_case: bool,
    pub(super) lists: BTreeMap<u64, StaticList>,
    pub(super) programs: BTreeMap<u64, Program>,
    pub(super) objects: Vec<CustomObject>,
    pub(super) partitions: BTreeMap<u64, String>,
    /// Leads that a merge has in hand.
    pub(super) merging: BTreeSet<u64>,
    /// What leads were.
    pub(super) past: past::Past,
    /// The call that changes leads now; otherwise somebody on Marketo's screens.
    pub(super) cause: Option<Arc<str>>,
}

/// A static list.
#[derive(Debug, Clone)]
pub(super) struct StaticList {
    pub(super) name: String,
    pub(super) members: BTreeSet<u64>,
}

/// A program and its members.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    /// From the first step to the last.
    pub(super) statuses: Vec<String>,
    pub(super) members: BTreeMap<u64, Membership>,
}

/// A lead's place in a program.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Membership {
    pub(super) status: String,
    pub(super) since: DateTime<Utc>,
    pub(super) reached_success: bool,
    /// When its status changed last.
    pub(super) changed: DateTime<Utc>,
    /// The fields of the member that callers wrote.
    pub(super) data: Map<String, Value>,
}

impl Membership {
    /// Without any field of its own.
    pub(super) fn new(status: String, since: DateTime<Utc>, reached_success: bool) -> Self {
        Self { status, since, reached_success, changed: since, data: Map::new() }
    }
}

impl World {
    pub(super) fn new(activity_delay: chrono::Duration) -> Self {
        Self {
            activity_delay,
            partitions: BTreeMap::from([
                (DEFAULT_PARTITION, "Default".to_owned()),
                (2, "Europe".to_owned()),
                (3, "Partners".to_owned()),
            ]),
            ..Self::default()
        }
    }

    pub(super) fn lead(&self, id: u64) -> Option<&Record> {
        self.leads.get(&id)
    }

    pub(super) fn leads(&self) -> impl Iterator<Item = &Record> {
        self.leads.values()
    }

    /// The lead that this one was merged into; none if it lives, was deleted, or never was.
    pub(super) fn merged_into(&self, id: u64) -> Option<u64> {
        self.gone.get(&id).copied().flatten()
    }

    /// Takes the next id without making a lead of it, as an anonymous visitor does.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a lead under the id that it carries.
    pub(super) fn insert(&mut self, record: Record) {
        self.last_id = self.last_id.max(record.id);
        if let Some(key) = record.email_key(self.email_trim) {
            self.emails.entry(key).or_default().insert(record.id);
        }
        self.leads.insert(record.id, record);
    }

    /// Changes a lead and what is indexed of it; `None` where it is gone.
    pub(super) fn change<T>(
        &mut self,
        id: u64,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Record) -> T,
    ) -> Option<T> {
        let trim = self.email_trim;
        let record = self.leads.get_mut(&id)?;
        let earlier = record.clone();
        let before = record.email_key(trim);
        let result = change(record);
        record.updated_at = now.trunc_subsecs(0);
        let after = record.email_key(trim);
        self.past.changed(earlier, record, now, self.cause.as_ref());
        if before != after {
            self.unindex(before, id);
            if let Some(key) = after {
                self.emails.entry(key).or_default().insert(id);
            }
        }
        Some(result)
    }

    /// Takes a lead out: merged into another, or deleted.
    pub(super) fn remove(
        &mut self,
        id: u64,
        into: Option<u64>,
        now: DateTime<Utc>,
    ) -> Option<Record> {
        self.note_end(id, into.is_some(), now);
        let record = self.leads.remove(&id)?;
        self.unindex(record.email_key(self.email_trim), id);
        self.gone.insert(id, into);
        for list in self.lists.values_mut() {
            list.members.remove(&id);
        }
        for program in self.programs.values_mut() {
            program.members.remove(&id);
        }
        Some(record)
    }

    /// Notes what a lead is at its end, before anything of it goes elsewhere.
    pub(super) fn note_end(&mut self, id: u64, merged: bool, now: DateTime<Utc>) {
        let Some(record) = self.leads.get(&id).cloned() else { return };
        let on = |(list, held): (&u64, &StaticList)| held.members.contains(&id).then_some(*list);
        let is_in = |(program, held): (&u64, &Program)| {
            let member = held.members.get(&id)?;
            Some((*program, member.clone()))
        };
        let lists = self.lists.iter().filter_map(on).collect();
        let programs = self.programs.iter().filter_map(is_in).collect();
        self.past.died(past::Dead { record, lists, programs }, now, merged);
    }

    /// Deletes a lead, in the words of whoever does it.
    pub(super) fn delete(&mut self, id: u64, at: DateTime<Utc>, what: What) {
        if self.remove(id, None, at).is_some() {
            self.record(id, at, what);
        }
    }

    /// Remembers a lead that was born and gone before the instance's present.
    pub(super) fn bury(&mut self, id: u64, into: Option<u64>) {
        self.last_id = self.last_id.max(id);
        self.gone.insert(id, into);
    }

    /// The leads whose field has this value, by id. Emails and texts compare without regard to
    /// case.
    pub(super) fn find(&self, field: u16, value: &str) -> Vec<u64> {
        match schema::by_number(field).map(|field| field.name) {
            Some("id") => value
                .trim()
                .parse()
                .ok()
                .filter(|id| self.leads.contains_key(id))
                .into_iter()
                .collect(),
            Some("email") => record::fold(value, self.email_trim)
                .and_then(|key| self.emails.get(&key))
                .map(|ids| ids.iter().copied().filter(|id| self.is_spelled(*id, value)).collect())
                .unwrap_or_default(),
            Some(_) => {
                let folded = |text: &str| {
                    if self.minds_case {
                        text.trim().to_owned()
                    } else {
                        text.trim().to_lowercase()
                    }
                };
                let wanted = folded(value);
                self.leads
                    .values()
                    .filter(|record| {
                        record.text_of(field).is_some_and(|held| folded(&held) == wanted)
                    })
                    .map(|record| record.id)
                    .collect()
            }
            None => Vec::new(),
        }
    }

    /// Whether a lead's email is written so, where capitals count.
    fn is_spelled(&self, id: u64, email: &str) -> bool {
        let spelled = |lead: &Record| {
            let held = schema::find("email").and_then(|(number, _)| lead.text_of(number));
            held.is_some_and(|held| held.trim() == email.trim())
        };
        !self.minds_email_case || self.lead(id).is_some_and(spelled)
    }

    /// Writes down what happened to a lead.
    pub(super) fn record(&mut self, lead: u64, at: DateTime<Utc>, what: What) {
        self.log.record(Activity { lead, at, visible_from: at + self.activity_delay, what });
    }

    fn unindex(&mut self, key: Option<String>, id: u64) {
        if let Some(key) = key
            && let Some(ids) = self.emails.get_mut(&key)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.emails.remove(&key);
            }
        }
    }
}

impl Directory for World {
    fn survivor(&self, lead: u64) -> Option<u64> {
        let mut id = lead;
        while let Some(into) = self.gone.get(&id) {
            id = (*into)?;
        }
        self.leads.contains_key(&id).then_some(id)
    }

    fn field(&self, rest_name: &str) -> (u64, String) {
        schema::find(rest_name).map_or_else(
            || (0, rest_name.to_owned()),
            |(number, field)| (u64::from(number) + 10, field.display_name.to_owned()),
        )
    }

    fn list_name(&self, list: u64) -> Option<String> {
        self.lists.get(&list).map(|list| list.name.clone())
    }

    fn program_name(&self, program: u64) -> Option<String> {
        self.programs.get(&program).map(|program| program.name.clone())
    }
}
