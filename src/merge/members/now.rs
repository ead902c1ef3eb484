//! Reads what survivors are members of now: list by list and program by program where that is
//! cheaper than asking for each of them.
//!
//! Which of the two is decided before anything is spent, as far as that can be known: a list costs
//! at least one call, and one that was too long once is not begun again. Only Marketo's 1004 says
//! that a lead is gone, and only its 1013 (or 404) that a list or a program is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::{Ended, MembersRecord, Membership, membership};
use crate::lead::LeadId;
use crate::marketo::{self, ReadMemberships};
use crate::merge::memberships::Rows;

/// Whom to look at, and in which lists and programs.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) leads: BTreeSet<LeadId>,
    lists: BTreeSet<u64>,
    programs: BTreeSet<u64>,
}

/// What is learnt of lists and programs while survivors are looked at, part by part.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// Those that Marketo has no more.
    pub(super) ended: Ended,
    there: Ended,
    too_long: Ended,
}

/// What a look at a lead showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Now {
    In(Membership),
    /// Marketo has it no more.
    Gone,
    /// Marketo's answer for it says nothing.
    Unreadable,
}

/// The rows of leads, or what Marketo says in their place.
type ByLead = BTreeMap<LeadId, Result<Rows, Said>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Gone,
    Nothing,
}

/// Something that leads are members of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Lists,
    Programs,
}

impl What {
    fn of(self, ended: &mut Ended) -> &mut BTreeSet<u64> {
        match self {
            Self::Lists => &mut ended.lists,
            Self::Programs => &mut ended.programs,
        }
    }

    async fn of_lead(self, marketo: &impl ReadMemberships, lead: LeadId) -> marketo::Result<Rows> {
        match self {
            Self::Lists => marketo.list_membership(lead).await,
            Self::Programs => marketo.program_membership(lead).await,
        }
    }

    /// A page of its members; none where Marketo has it no more.
    async fn page(
        self,
        marketo: &impl ReadMemberships,
        id: u64,
        token: Option<&str>,
    ) -> marketo::Result<Option<(Vec<(LeadId, Rows)>, Option<String>)>> {
        let of_list =
            |lead| (lead, vec![[("id".to_owned(), Value::from(id))].into_iter().collect()]);
        let read = match self {
            Self::Lists => marketo
                .list_members(id, token)
                .await
                .map(|(page, next)| (page.into_iter().map(of_list).collect(), next)),
            Self::Programs => marketo.program_members(id, token).await.map(|(page, next)| {
                let of_program = |member: marketo::ProgramMember| {
                    let mut row = member.membership;
                    row.insert("id".to_owned(), Value::from(id));
                    (member.lead, vec![row])
                };
                (page.into_iter().map(of_program).collect(), next)
            }),
        };
        match read {
            Ok(page) => Ok(Some(page)),
            Err(marketo::Error::Refused { code, .. })
                if matches!(code.as_str(), "1013" | "HTTP 404") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Wanted {
    pub(super) fn add(&mut self, lead: LeadId, record: &MembersRecord) {
        self.leads.insert(lead);
        for held in record.before.values() {
            self.lists.extend(held.lists.keys());
            self.programs.extend(held.programs.keys());
        }
    }

    /// What they are in now. Lists and programs are read whole where that is cheaper than asking
    /// for each lead, and where that is not to be `certain`: a lead that is gone is in none.
    pub(super) async fn read(
        &self,
        marketo: &impl ReadMemberships,
        learnt: &mut Learnt,
        certain: bool,
    ) -> marketo::Result<BTreeMap<LeadId, Now>> {
        let mut lists = self.members(marketo, What::Lists, learnt, certain).await?;
        let mut programs = self.members(marketo, What::Programs, learnt, certain).await?;
        let mut of = |lead: &LeadId| match (lists.remove(lead), programs.remove(lead)) {
            (Some(Err(Said::Gone)), _) | (_, Some(Err(Said::Gone))) => Now::Gone,
            (Some(Ok(lists)), Some(Ok(programs))) => Now::In(membership(&lists, &programs)),
            _ => Now::Unreadable,
        };
        Ok(self.leads.iter().map(|lead| (*lead, of(lead))).collect())
    }

    async fn members(
        &self,
        marketo: &impl ReadMemberships,
        what: What,
        learnt: &mut Learnt,
        certain: bool,
    ) -> marketo::Result<ByLead> {
        let wanted = if what == What::Lists { &self.lists } else { &self.programs };
        let wanted: BTreeSet<u64> =
            wanted.difference(what.of(&mut learnt.ended)).copied().collect();
        let is_short = wanted.is_disjoint(what.of(&mut learnt.too_long));
        if wanted.is_empty() {
            return Ok(self.leads.iter().map(|lead| (*lead, Ok(Rows::new()))).collect());
        }
        if !certain
            && is_short
            && let Some(rows) = self.whole(marketo, what, &wanted, learnt).await?
        {
            return Ok(rows);
        }
        let mut rows = ByLead::new();
        for lead in &self.leads {
            let read = match what.of_lead(marketo, *lead).await {
                Ok(rows) => Ok(rows),
                Err(marketo::Error::Refused { code, .. }) if code == "1004" => Err(Said::Gone),
                Err(error @ (marketo::Error::Refused { .. } | marketo::Error::Answer { .. })) => {
                    tracing::warn!(code = error.code(), lead, "a survivor cannot be looked at");
                    Err(Said::Nothing)
                }
                Err(error) => return Err(error),
            };
            rows.insert(*lead, read);
        }
        Ok(rows)
    }

    /// The members of lists or programs; none where asking for each lead is cheaper.
    async fn whole(
        &self,
        marketo: &impl ReadMemberships,
        what: What,
        wanted: &BTreeSet<u64>,
        learnt: &mut Learnt,
    ) -> marketo::Result<Option<ByLead>> {
        let mut by_lead: BTreeMap<LeadId, Rows> =
            self.leads.iter().map(|lead| (*lead, Rows::new())).collect();
        let most = self.leads.len() / 2;
        let mut calls = 0;
        for (place, id) in wanted.iter().enumerate() {
            let mut token = None;
            loop {
                // Each one that is left costs a call at least.
                if calls + (wanted.len() - place) > most {
                    if token.is_some() {
                        what.of(&mut learnt.too_long).insert(*id);
                    }
                    return Ok(None);
                }
                calls += 1;
                let Some((page, next)) = what.page(marketo, *id, token.as_deref()).await? else {
                    what.of(&mut learnt.ended).insert(*id);
                    break;
                };
                what.of(&mut learnt.there).insert(*id);
                for (lead, rows) in page {
                    if let Some(of_lead) = by_lead.get_mut(&lead) {
                        of_lead.extend(rows);
                    }
                }
                let Some(next) = next else { break };
                token = Some(next);
            }
        }
        Ok(Some(by_lead.into_iter().map(|(lead, rows)| (lead, Ok(rows))).collect()))
    }
}

impl Learnt {
    /// Asks which of these lists and programs are there still, each once.
    pub(super) async fn ask(
        &mut self,
        marketo: &impl ReadMemberships,
        lists: BTreeSet<u64>,
        programs: BTreeSet<u64>,
    ) -> marketo::Result<()> {
        for (what, ids) in [(What::Lists, lists), (What::Programs, programs)] {
            for id in ids {
                let known = [
                    what.of(&mut self.there).contains(&id),
                    what.of(&mut self.ended).contains(&id),
                ];
                if known.contains(&true) {
                    continue;
                }
                let page = what.page(marketo, id, None).await?;
                what.of(if page.is_some() { &mut self.there } else { &mut self.ended }).insert(id);
            }
        }
        Ok(())
    }
}
