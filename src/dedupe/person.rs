//! Whether the leads of a group look like one person, by their names, companies and second keys.
//!
//! For: a merge cannot be undone, so whatever speaks for several people keeps a group out until
//! somebody decides. Never: calls leads several people because a value is missing, is a
//! placeholder, or is spelled otherwise.
//!
//! The rules, pair by pair:
//! - Names that are filled and no spelling, initial or short form of each other differ. Different
//!   first names are two people even with one last name (a household).
//! - Different last names with one first name are one person (a marriage), unless their companies
//!   differ too. Without a first name that agrees, different last names are two people.
//! - Names in scripts that cannot be compared (Latin and Chinese, say) prove nothing by themselves;
//!   with different companies they are two people. Cyrillic and Greek are compared with Latin by
//!   their consonants.
//! - Values of a field in `skip.differs` that are filled and not the same are two people.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::value::{is_nothing, same};
use crate::lead::{Lead, LeadId};

mod company;
mod known;
mod name;
mod placeholder;
mod script;
mod spelling;
mod word;

use company::Company;
use name::{Likeness, Name};
use placeholder::Placeholders;

/// Which groups are left alone until somebody names or allows them: the section `skip` of the
/// config file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// Texts that stand for a missing name, beside the built-in ones.
    pub placeholders: Vec<String>,
    /// Fields that tell people apart: leads with different values are several people.
    pub differs: Vec<String>,
    /// Groups of more records than this are merged only when they are named.
    pub above: usize,
}

impl Default for Skip {
    fn default() -> Self {
        Self { placeholders: Vec::new(), differs: Vec::new(), above: 10 }
    }
}

/// What a lead says about who it is.
struct Person {
    lead: LeadId,
    name: Name,
    company: Company,
}

/// Why these leads look like several people, in words; `None` where nothing speaks for it.
pub(super) fn several_people(leads: &[Lead], skip: &Skip) -> Option<String> {
    let placeholders = Placeholders::with(&skip.placeholders);
    if all_say_the_same(leads) && !leads.iter().any(Name::may_be_of_two) {
        return by_second_key(leads, skip, &placeholders);
    }
    let mut people: BTreeMap<(String, String), Person> = BTreeMap::new();
    let mut told = HashSet::new();
    for lead in leads {
        // Most records of a group say the very same, and nothing new can be learnt from them.
        if !told.insert((lead.first_name(), lead.last_name(), lead.company())) {
            continue;
        }
        let person = Person {
            lead: lead.id,
            name: Name::of(lead, &placeholders),
            company: Company::of(lead, &placeholders),
        };
        if person.name.is_of_two() {
            return Some(format!("lead {} has the names of two people", lead.id));
        }
        // Large groups mostly repeat a few names; each is compared once.
        let said = (person.name.signature(), person.company.signature());
        people.entry(said).or_insert(person);
    }
    let mut people: Vec<Person> = people.into_values().collect();
    people.sort_by_key(|person| person.lead);
    let by_name = pairs(&people).find_map(|(a, b)| why_two(a, b));
    by_name.or_else(|| by_second_key(leads, skip, &placeholders))
}

/// Whether names and companies are the same letter by letter, as they are in most groups: taking
/// them apart would tell nothing.
fn all_say_the_same(leads: &[Lead]) -> bool {
    leads.first().is_none_or(|first| {
        leads.iter().skip(1).all(|lead| {
            lead.last_name() == first.last_name()
                && lead.first_name() == first.first_name()
                && lead.company() == first.company()
        })
    })
}

fn by_second_key(leads: &[Lead], skip: &Skip, placeholders: &Placeholders) -> Option<String> {
    skip.differs.iter().find_map(|field| differs(leads, field, placeholders))
}

/// Every pair, by id.
fn pairs(people: &[Person]) -> impl Iterator<Item = (&Person, &Person)> {
    let later = |place: usize| people.iter().skip(place + 1);
    people.iter().enumerate().flat_map(move |(place, a)| later(place).map(move |b| (a, b)))
}

fn why_two(a: &Person, b: &Person) -> Option<String> {
    let companies = a.company.differs_from(&b.company);
    let what = match a.name.compare(&b.name) {
        Likeness::Alike | Likeness::NotKnown => return None,
        Likeness::OnlyFirst | Likeness::NotComparable if !companies => return None,
        Likeness::OnlyFirst => "different last names and different companies",
        Likeness::NotComparable => {
            "different companies, and names in scripts that cannot be compared with each other"
        }
        Likeness::Differ(what) => what,
    };
    Some(format!("leads {} and {} have {what}", a.lead, b.lead))
}

/// Why a second key tells the leads apart, where it does.
fn differs(leads: &[Lead], field: &str, placeholders: &Placeholders) -> Option<String> {
    let filled = |lead: &&Lead| {
        lead.value(field).is_some_and(|value| {
            !is_nothing(value)
                && !value.as_str().is_some_and(|text| placeholders.stands_for_nothing(text))
        })
    };
    let mut with_value = leads.iter().filter(filled);
    let first = with_value.next()?;
    let other = with_value.find(|lead| {
        let values = (first.value(field), lead.value(field));
        !matches!(values, (Some(a), Some(b)) if same(a, b))
    })?;
    let (a, b) = (first.id.min(other.id), first.id.max(other.id));
    Some(format!("leads {a} and {b} have different values of `{field}`, a field of `skip.differs`"))
}

#[cfg(test)]
mod tests;
