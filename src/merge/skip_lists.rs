//! Who is on the static lists whose members are left alone (`skip.lists`), read the cheaper way:
//! the lists whole, a call for each 300 members, or each lead's lists, a call a lead.
//!
//! For: planning. A run looks again in what it reads of each lead anyway. Never: takes a lead for
//! none of a list because the list could not be read.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::memberships::{Rows, not_shown};
use crate::dedupe::SkipRules;
use crate::lead::LeadId;
use crate::marketo::ReadMemberships;

/// The members of the lists of `skip.lists`.
#[derive(Debug)]
pub(super) struct SkipLists {
    rules: SkipRules,
    /// Most calls that reading the lists whole may take.
    budget: usize,
    read: Read,
}

#[derive(Debug)]
enum Read {
    NotTried,
    Whole(BTreeMap<LeadId, BTreeSet<u64>>),
    /// The lists are longer than asking for each lead takes.
    TooLong,
}

impl SkipLists {
    /// Of a plan that asks for so many leads.
    pub(super) fn new(rules: &SkipRules, leads: usize) -> Self {
        Self { rules: rules.clone(), budget: leads / 2, read: Read::NotTried }
    }

    /// Why these leads keep their groups out, by lead.
    pub(super) async fn why(
        &mut self,
        marketo: &impl ReadMemberships,
        leads: &[LeadId],
    ) -> Result<BTreeMap<LeadId, String>, Error> {
        if self.rules.list_ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        match self.found(marketo, leads).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let why = format!("`skip.lists` cannot be judged: {}", not_shown(error)?);
                Ok(leads.iter().map(|lead| (*lead, why.clone())).collect())
            }
        }
    }

    async fn found(
        &mut self,
        marketo: &impl ReadMemberships,
        leads: &[LeadId],
    ) -> Result<BTreeMap<LeadId, String>, Error> {
        if matches!(self.read, Read::NotTried) {
            self.read = self.whole(marketo).await?;
        }
        let mut found = BTreeMap::new();
        for lead in leads {
            let why = match &self.read {
                Read::Whole(members) => {
                    let lists = members.get(lead).into_iter().flatten().copied();
                    self.rules.of_lists(*lead, lists)
                }
                Read::NotTried | Read::TooLong => {
                    of_rows(&self.rules, *lead, &marketo.list_membership(*lead).await?)
                }
            };
            found.extend(why.map(|why| (*lead, why)));
        }
        Ok(found)
    }

    async fn whole(&self, marketo: &impl ReadMemberships) -> Result<Read, Error> {
        let mut members: BTreeMap<LeadId, BTreeSet<u64>> = BTreeMap::new();
        let mut calls = 0;
        for list in self.rules.list_ids.keys() {
            let mut token = None;
            loop {
                if calls >= self.budget {
                    return Ok(Read::TooLong);
                }
                let (page, next) = marketo.list_members(*list, token.as_deref()).await?;
                calls += 1;
                for lead in page {
                    members.entry(lead).or_default().insert(*list);
                }
                token = next;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(Read::Whole(members))
    }
}

/// Why a lead keeps its group out, by the lists that it is on.
pub(super) fn of_rows(rules: &SkipRules, lead: LeadId, lists: &Rows) -> Option<String> {
    let id = |row: &serde_json::Map<String, serde_json::Value>| {
        let id = row.get("id")?;
        id.as_u64().or_else(|| id.as_str()?.trim().parse().ok())
    };
    rules.of_lists(lead, lists.iter().filter_map(id))
}
