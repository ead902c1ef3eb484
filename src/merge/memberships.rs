//! Where leads are members, read the cheaper way.
//!
//! Asking Marketo by lead costs two calls a lead, more than the merges themselves. Asking by list
//! and by program costs a call for each 300 members, whoever they are. So lists, and likewise
//! programs, are read whole once and kept for a quarter of an hour, unless that cannot be cheaper
//! than asking for each lead of the run, or turns out not to be: once it has used half as many
//! calls as asking by lead would have, the rest is asked by lead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::custom_objects::{mend, said};
use super::error::Error;
use super::member_fields;
use crate::lead::LeadId;
use crate::marketo::{self, ReadMemberFields, ReadMemberships};

/// For how long memberships that were read whole stand for what they are now.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// Memberships of one lead, as Marketo describes them.
pub(super) type Rows = Vec<Map<String, Value>>;

/// What was read whole.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    lists: FullRead,
    programs: FullRead,
    /// The fields of members that there are; none where that was not asked yet.
    member_fields: Option<Vec<String>>,
}

/// One of the two kinds.
#[derive(Debug, Default)]
enum FullRead {
    /// Not tried yet.
    #[default]
    Unread,
    /// Every list or program was read, at this time.
    Read(Instant, BTreeMap<LeadId, Rows>),
    /// It would cost more than it saves.
    TooMany,
}

impl Memberships {
    /// Lists and programs of each lead, with the fields of the members. `of_run` is how many leads
    /// the run asks for in all.
    pub(super) async fn of(
        &mut self,
        marketo: &(impl ReadMemberships + ReadMemberFields),
        leads: &[LeadId],
        of_run: usize,
    ) -> Result<BTreeMap<LeadId, (Rows, Rows)>, Error> {
        let budget = of_run.max(leads.len()) / 2;
        if self.lists.must_be_read() {
            self.lists = lists(marketo, budget).await?;
        }
        if self.programs.must_be_read() {
            self.programs = programs(marketo, budget).await?;
        }
        let mut all = BTreeMap::new();
        for lead in leads {
            let lists = match self.lists.of(*lead) {
                Some(rows) => rows,
                None => marketo.list_membership(*lead).await?,
            };
            let programs = match self.programs.of(*lead) {
                Some(rows) => rows,
                None => marketo.program_membership(*lead).await?,
            };
            all.insert(*lead, (lists, programs));
        }
        self.add_member_fields(marketo, &mut all).await?;
        Ok(all)
    }

    async fn add_member_fields(
        &mut self,
        marketo: &impl ReadMemberFields,
        all: &mut BTreeMap<LeadId, (Rows, Rows)>,
    ) -> Result<(), Error> {
        if all.values().all(|(_, programs)| programs.is_empty()) {
            return Ok(());
        }
        if self.member_fields.is_none() {
            self.member_fields = Some(member_fields::known(marketo).await?);
        }
        let fields = self.member_fields.as_deref().unwrap_or_default();
        let rows = all
            .iter_mut()
            .flat_map(|(lead, (_, programs))| programs.iter_mut().map(|row| (*lead, row)));
        Ok(member_fields::add_to(marketo, fields, rows).await?)
    }
}

/// Why no group can be merged where Marketo does not show this API user the lists and programs of a
/// lead; none where it does. One call.
pub(super) async fn hidden(
    marketo: &impl ReadMemberships,
    lead: LeadId,
) -> Result<Option<String>, Error> {
    match marketo.list_membership(lead).await {
        Ok(_) => Ok(None),
        Err(error) => not_shown(error.into()).map(Some),
    }
}

/// The same of a reading that failed; where it failed otherwise, its error.
pub(super) fn not_shown(error: Error) -> Result<String, Error> {
    match error {
        Error::Marketo(error @ marketo::Error::Permission { .. }) => Ok(format!(
            "Marketo does not show this API user the lists and programs that records are in ({}), so that they could \
             neither be kept before a merge nor be compared after it; {}",
            said(&error),
            mend(&error)
        )),
        error => Err(error),
    }
}

impl FullRead {
    fn must_be_read(&self) -> bool {
        match self {
            Self::Unread => true,
            Self::Read(at, _) => at.elapsed() > FRESH,
            Self::TooMany => false,
        }
    }

    fn of(&self, lead: LeadId) -> Option<Rows> {
        match self {
            Self::Read(_, members) => Some(members.get(&lead).cloned().unwrap_or_default()),
            Self::Unread | Self::TooMany => None,
        }
    }
}

async fn lists(marketo: &impl ReadMemberships, budget: usize) -> Result<FullRead, Error> {
    if budget < 2 {
        return Ok(FullRead::TooMany);
    }
    let at = Instant::now();
    let lists = marketo.static_lists().await?;
    let mut calls = lists.len();
    let mut members: BTreeMap<LeadId, Rows> = BTreeMap::new();
    for list in lists {
        let mut token = None;
        let mut seen = BTreeSet::new();
        loop {
            if calls > budget {
                return Ok(FullRead::TooMany);
            }
            let (page, next) = marketo.list_members(list.id, token.as_deref()).await?;
            seen.extend(page);
            let Some(next) = next else { break };
            token = Some(next);
            calls += 1;
        }
        for lead in seen {
            members
                .entry(lead)
                .or_default()
                .push(object(json!({"id": list.id, "name": list.name})));
        }
    }
    Ok(FullRead::Read(at, members))
}

async fn programs(marketo: &impl ReadMemberships, budget: usize) -> Result<FullRead, Error> {
    if budget < 2 {
        return Ok(FullRead::TooMany);
    }
    let at = Instant::now();
    let programs = marketo.programs().await?;
    let mut calls = programs.len();
    let mut members: BTreeMap<LeadId, Rows> = BTreeMap::new();
    for program in programs {
        let mut token = None;
        let mut seen = BTreeMap::new();
        loop {
            if calls > budget {
                return Ok(FullRead::TooMany);
            }
            let (page, next) = marketo.program_members(program.id, token.as_deref()).await?;
            seen.extend(page.into_iter().map(|member| (member.lead, member.membership)));
            let Some(next) = next else { break };
            token = Some(next);
            calls += 1;
        }
        for (lead, mut membership) in seen {
            membership.insert("id".to_owned(), Value::from(program.id));
            membership.insert("name".to_owned(), Value::from(program.name.clone()));
            members.entry(lead).or_default().push(membership);
        }
    }
    Ok(FullRead::Read(at, members))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
