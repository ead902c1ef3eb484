//! Reads what survivors are members of now: list by list and program by program where that is
//! cheaper than asking for each of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::{MembersRecord, Membership, membership};
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

impl Wanted {
    pub(super) fn add(&mut self, lead: LeadId, record: &MembersRecord) {
        self.leads.insert(lead);
        for held in record.before.values() {
            self.lists.extend(held.lists.keys());
            self.programs.extend(held.programs.keys());
        }
    }

    /// What they are in now. Lists and programs are read whole where that is cheaper than asking
    /// for each lead.
    pub(super) async fn read(
        &self,
        marketo: &impl ReadMemberships,
    ) -> Result<BTreeMap<LeadId, Membership>, marketo::Error> {
        let mut now: BTreeMap<LeadId, Membership> = BTreeMap::new();
        let (lists, programs) = (self.lists(marketo).await?, self.programs(marketo).await?);
        for lead in &self.leads {
            let (Some(lists), Some(programs)) = (lists.get(lead), programs.get(lead)) else {
                // It was merged on or deleted since, and cannot be asked for.
                continue;
            };
            now.insert(*lead, membership(lists, programs));
        }
        Ok(now)
    }

    async fn lists(
        &self,
        marketo: &impl ReadMemberships,
    ) -> Result<BTreeMap<LeadId, Rows>, marketo::Error> {
        let mut rows: BTreeMap<LeadId, Rows> =
            self.leads.iter().map(|lead| (*lead, Rows::new())).collect();
        if self.lists.is_empty() {
            return Ok(rows);
        }
        let mut calls = 0;
        for list in &self.lists {
            let mut token = None;
            loop {
                if calls >= self.leads.len() / 2 {
                    return self.lists_by_lead(marketo).await;
                }
                calls += 1;
                let (page, next) = marketo.list_members(*list, token.as_deref()).await?;
                for lead in page {
                    if let Some(rows) = rows.get_mut(&lead) {
                        rows.push([("id".to_owned(), Value::from(*list))].into_iter().collect());
                    }
                }
                let Some(next) = next else { break };
                token = Some(next);
            }
        }
        Ok(rows)
    }

    async fn lists_by_lead(
        &self,
        marketo: &impl ReadMemberships,
    ) -> Result<BTreeMap<LeadId, Rows>, marketo::Error> {
        let mut rows = BTreeMap::new();
        for lead in &self.leads {
            if let Some(lists) = if_there(marketo.list_membership(*lead).await)? {
                rows.insert(*lead, lists);
            }
        }
        Ok(rows)
    }

    async fn programs(
        &self,
        marketo: &impl ReadMemberships,
    ) -> Result<BTreeMap<LeadId, Rows>, marketo::Error> {
        let mut rows: BTreeMap<LeadId, Rows> =
            self.leads.iter().map(|lead| (*lead, Rows::new())).collect();
        if self.programs.is_empty() {
            return Ok(rows);
        }
        let mut calls = 0;
        for program in &self.programs {
            let mut token = None;
            loop {
                if calls >= self.leads.len() / 2 {
                    return self.programs_by_lead(marketo).await;
                }
                calls += 1;
                let (page, next) = marketo.program_members(*program, token.as_deref()).await?;
                for member in page {
                    if let Some(rows) = rows.get_mut(&member.lead) {
                        let mut row = member.membership;
                        row.insert("id".to_owned(), Value::from(*program));
                        rows.push(row);
                    }
                }
                let Some(next) = next else { break };
                token = Some(next);
            }
        }
        Ok(rows)
    }

    async fn programs_by_lead(
        &self,
        marketo: &impl ReadMemberships,
    ) -> Result<BTreeMap<LeadId, Rows>, marketo::Error> {
        let mut rows = BTreeMap::new();
        for lead in &self.leads {
            if let Some(programs) = if_there(marketo.program_membership(*lead).await)? {
                rows.insert(*lead, programs);
            }
        }
        Ok(rows)
    }
}

/// What a lead is in; none where Marketo says no to this lead.
fn if_there(read: marketo::Result<Rows>) -> marketo::Result<Option<Rows>> {
    match read {
        Ok(rows) => Ok(Some(rows)),
        Err(marketo::Error::Refused { .. } | marketo::Error::Answer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
