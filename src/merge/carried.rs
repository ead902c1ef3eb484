//! Looks for the memberships that only a merged lead had.
//!
//! A merge carries them over (documented by Adobe), and nothing but a look says that it did. They
//! are looked for once at the end of a run, program by program, which costs a call for 300 members;
//! lead by lead where that is cheaper. What is not there, or not as far, is applied again, read
//! back, and told where that did not help. Memberships of one program that several leads had are
//! seen to when their call is settled, not here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::memberships::Rows;
use super::programs::Survivor;
use super::programs::status::{is_as_far, is_concerned, only_of_others};
use super::raise::{difference, finding};
use super::report::{Fate, Surprise};
use crate::lead::LeadId;
use crate::marketo::{self, ReadMemberships};

/// A survivor, and what it has to be a member of.
struct Due {
    plan: String,
    key: String,
    /// Of the programs that only merged leads were in.
    before: Vec<Rows>,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Sees to the memberships of all merges after which nobody has looked for them. Gives what
    /// could not be kept, by survivor.
    pub(super) async fn see_carried(&mut self) -> Result<Vec<(LeadId, Surprise)>, Error> {
        let due = self.due()?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        // Where the run is to stop, the next one looks.
        let Some(now) = self.within_grace(members_now(self.marketo, &due)).await else {
            return Ok(Vec::new());
        };
        let now = match now {
            Ok(now) => now,
            // A program may be gone since, or be denied to this API user: each survivor is asked
            // for itself.
            Err(error)
                if !error.stops_the_run() || matches!(error, marketo::Error::Permission { .. }) =>
            {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    "the members of a program cannot be read; reading lead by lead"
                );
                None
            }
            Err(error) => return Err(error.into()),
        };
        let nothing = Rows::new();
        let behind = due.iter().filter(|(lead, due)| match &now {
            Some(now) => !is_as_far(&due.before, now.get(*lead).unwrap_or(&nothing)),
            None => true,
        });
        let survivors: Vec<Survivor<'_>> = behind
            .map(|(lead, due)| Survivor { lead: *lead, before: due.before.iter().collect() })
            .collect();
        let Some(raised) = self.raise_all(&survivors).await? else { return Ok(Vec::new()) };
        let mut told = Vec::new();
        for unkept in &raised.unkept {
            let Some(due) = due.get(&unkept.lead) else { continue };
            self.ledger.open_findings_with(&due.plan, &[finding(&due.key, unkept)], &self.at())?;
            told.push((unkept.lead, Surprise { difference: difference(unkept), fate: Fate::Lost }));
        }
        match raised.failed {
            Some(error) if error.stops_the_run() => Err(error.into()),
            _ => Ok(told),
        }
    }

    /// The survivors whose memberships may not have come over with the merge, from the ledger
    /// alone.
    fn due(&self) -> Result<BTreeMap<LeadId, Due>, Error> {
        let mut all: BTreeMap<LeadId, Due> = BTreeMap::new();
        for merge in self.ledger.unwatched_merges()? {
            let programs = |lead: LeadId| -> Result<Rows, Error> {
                let mut kept = self.ledger.backups_of(lead)?.into_iter().rev();
                Ok(kept.find_map(|backup| backup.programs).unwrap_or_default())
            };
            let own = programs(merge.survivor)?;
            let gone = merge
                .gone
                .iter()
                .map(|lead| programs(*lead))
                .collect::<Result<Vec<Rows>, Error>>()?;
            if is_concerned(&gone.iter().chain([&own]).collect::<Vec<_>>()) {
                continue;
            }
            let before: Vec<Rows> = gone.iter().map(|rows| only_of_others(rows, &own)).collect();
            if before.iter().all(Vec::is_empty) {
                continue;
            }
            let new = Due { plan: merge.plan, key: merge.key, before: Vec::new() };
            all.entry(merge.survivor).or_insert(new).before.extend(before);
        }
        Ok(all)
    }
}

/// The memberships of the survivors in the programs that they are looked for in; none where reading
/// these whole costs more than asking for each survivor.
async fn members_now(
    marketo: &impl ReadMemberships,
    due: &BTreeMap<LeadId, Due>,
) -> Result<Option<BTreeMap<LeadId, Rows>>, marketo::Error> {
    let budget = due.len() / 2;
    let rows = due.values().flat_map(|due| due.before.iter().flatten());
    let programs: BTreeSet<u64> = rows.filter_map(super::member_fields::program_of).collect();
    if programs.len() > budget {
        return Ok(None);
    }
    let (mut calls, mut now) = (0, BTreeMap::<LeadId, Rows>::new());
    for program in programs {
        let mut token = None;
        loop {
            if calls == budget {
                return Ok(None);
            }
            calls += 1;
            let (page, next) = marketo.program_members(program, token.as_deref()).await?;
            for member in page.into_iter().filter(|member| due.contains_key(&member.lead)) {
                let mut membership = member.membership;
                membership.insert("id".to_owned(), Value::from(program));
                now.entry(member.lead).or_default().push(membership);
            }
            let Some(next) = next else { break };
            token = Some(next);
        }
    }
    Ok(Some(now))
}
