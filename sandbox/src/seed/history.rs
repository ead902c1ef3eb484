//! The activities that a seeded instance has behind it, in the order of their commits.
//!
//! Births, merges, deletions and changed addresses leave exactly what Marketo would have written
//! for them. Around them is everyday noise of the last ninety days, so that a reader who asks for
//! rare types gets short and empty pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::births::{API_ATTRIBUTES_SINCE, Birth, CrmType, DAY, Fate, Origin, PRESENT, SECOND};
use super::names::TITLES;
use super::population::Population;
use super::rng::SeededRng;
use crate::world::log::{Activity, Call, Source, What};

/// Every activity of the population, oldest first.
pub(super) fn activities(population: &Population, rng: &mut SeededRng) -> Vec<Activity> {
    let mut events: Vec<Activity> = Vec::with_capacity(population.births.len() * 3 / 2);
    let mut users = Texts::default();
    let mut merges: BTreeMap<(i64, u64), Vec<u64>> = BTreeMap::new();
    for (birth, id) in population.births.iter().zip(population.ids.iter().copied()) {
        let mut add = |at: i64, what: What| events.push(activity(id, at, what));
        add(birth.born, What::NewLead(source(birth, &mut users)));
        if let Origin::Form(form) = birth.origin {
            add(birth.born, What::FillOutForm { form: users.get(form) });
        }
        if let (Some((was, at)), Some(is)) = (&birth.changed_email, &birth.email) {
            let (old, new) = (Some(was.as_str().into()), Some(is.as_str().into()));
            add(*at, What::ChangeDataValue { field: users.get("email"), old, new, by: None });
        }
        match birth.fate {
            Fate::Lives => noise(birth, rng, &mut users, &mut add),
            Fate::Deleted { at } => add(at, What::DeleteLead),
            Fate::Merged { into, at } => {
                let winner = population.ids.get(into).copied().unwrap_or_default();
                merges.entry((at, winner)).or_default().push(id);
            }
        }
    }
    events.extend(merges.into_iter().map(|((at, winner), losers)| {
        activity(winner, at, What::MergeLeads { losers: losers.into(), in_sales: false, by: None })
    }));
    events.sort_by_key(|event| (event.at, event.lead, event.what.activity_type().id));
    events
}

/// What people and campaigns do every day.
fn noise(birth: &Birth, rng: &mut SeededRng, texts: &mut Texts, add: &mut impl FnMut(i64, What)) {
    let lately = |rng: &mut SeededRng| {
        rng.between((PRESENT - 90 * DAY).max(birth.born + SECOND), PRESENT - SECOND)
    };
    match rng.below(100) {
        0..=9 => add(lately(rng), What::VisitWebPage { page: texts.get(rng.word(PAGES)) }),
        10..=15 => {
            let old = i64::from(rng.below(100));
            add(lately(rng), What::ChangeScore { old, new: old + 5 });
        }
        16..=20 => {
            let (old, new) = (Some(texts.get(rng.word(TITLES))), Some(texts.get(rng.word(TITLES))));
            add(
                lately(rng),
                What::ChangeDataValue { field: texts.get("title"), old, new, by: None },
            );
        }
        _ => {}
    }
}

const PAGES: &[&str] = &["/pricing", "/blog/cdp?utm=a,b", "/カタログ", "/contact"];

fn source(birth: &Birth, texts: &mut Texts) -> Source {
    match birth.origin {
        Origin::Api { user, arrived, number } => {
            Source::Api((birth.born >= API_ATTRIBUTES_SINCE).then(|| Call {
                method: "syncLead",
                user: texts.get(user),
                request_id: format!("{number:x}#{arrived:x}").into(),
            }))
        }
        Origin::Form(form) => Source::Form(texts.get(form)),
        Origin::ListImport(list) => Source::ListImport(texts.get(list)),
        Origin::Salesforce(CrmType::Lead) => Source::Salesforce("Lead"),
        Origin::Salesforce(CrmType::Contact) => Source::Salesforce("Contact"),
        Origin::ByHand => Source::ByHand,
        Origin::WebVisit => Source::WebPageVisit,
    }
}

fn activity(lead: u64, at: i64, what: What) -> Activity {
    // Long visible, whatever this machine's clock says.
    Activity { lead, at: time(at), visible_from: DateTime::UNIX_EPOCH, what }
}

/// A time of the seed as the rest of the sandbox has it.
pub(super) fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// Texts that many activities have in common, kept once.
#[derive(Default)]
struct Texts(BTreeMap<&'static str, Arc<str>>);

impl Texts {
    fn get(&mut self, text: &'static str) -> Arc<str> {
        Arc::clone(self.0.entry(text).or_insert_with(|| Arc::from(text)))
    }
}
