//! How the leads in groups came to be: their New Lead activities, with as few calls as possible.
//!
//! Marketo searches its log of activities in the order of time, a block at a call, and filters
//! afterwards, so that what costs is the stretch of time that is walked through, not the number of
//! leads that are asked for. So the leads are looked for in the order of their creation: the log is
//! entered just before the first of them, and walked on while the next one is near; where it is
//! far, the log is left and entered again there, which costs one call more. At worst that is two
//! calls for leads that lie alone, and at best the whole log once. Never: asks twice for a lead, or
//! takes a birth that is not found for one that was not. On its way it meets births of leads that
//! were merged into others since: they are kept, as the past that they tell of.

use std::collections::{BTreeMap, BTreeSet};

use crate::cancel::unless_stopped;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Error, Watch};
use crate::cache::Cache;
use crate::lead::{Birth, LeadId};
use crate::marketo::{Activity, ReadActivities};

/// A birth may be written down a little before the creation time that the lead shows.
const BEFORE: TimeDelta = TimeDelta::seconds(5);

/// Activities come in the order in which they were committed, some time after what they tell of: in
/// a walk, one that is so much late is not waited for.
const LATE: TimeDelta = TimeDelta::hours(1);

/// A birth that the log does not have when its lead is so old will not come any more: nobody asks
/// again. Activities become visible up to hours late, by reports of users.
const SETTLED: TimeDelta = TimeDelta::days(1);

/// So many pages without any birth after an entry, and the lead that was looked for there is left
/// to another scan: a mail to everybody may lie in between.
const BLANK_PAGES: u32 = 20;

/// What became of the search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BirthsLearnt {
    /// Leads in groups whose birth was found.
    pub found: u64,
    /// Leads in groups whose birth was not found.
    pub missing: u64,
    /// Whether a signal ended the search; the next scan goes on with it.
    pub interrupted: bool,
}

impl BirthsLearnt {
    fn stopped(self) -> Self {
        Self { interrupted: true, ..self }
    }
}

/// Learns how each lead in a group came to be that nobody has asked for yet, and keeps it in the
/// cache page by page. `new_lead` is the number of the activity type *New Lead*.
pub async fn learn_births(
    marketo: &impl ReadActivities,
    cache: &mut Cache,
    new_lead: u32,
    now: DateTime<Utc>,
    stop: &CancellationToken,
    watch: &dyn Watch,
) -> Result<BirthsLearnt, Error> {
    let mut learnt = BirthsLearnt::default();
    let mut wanted = Wanted::of(cache.leads_without_birth()?);
    let total = wanted.len();
    if total == 0 {
        return Ok(learnt);
    }
    let kinds = [new_lead];
    while let Some(start) = wanted.first() {
        let mut walk = Walk::from(start);
        let token = unless_stopped(stop, marketo.paging_token(start - BEFORE)).await?;
        let Some(mut token) = token else { return Ok(learnt.stopped()) };
        loop {
            let page = unless_stopped(stop, marketo.activities(&token, &kinds, &[])).await?;
            let Some(page) = page else { return Ok(learnt.stopped()) };
            let births: Vec<Birth> = page.activities.iter().filter_map(birth).collect();
            let found = wanted.found(&births);
            walk.passed(&births);
            walk.ended = !page.more;
            let missing = wanted.given_up(&walk);
            let kept: Vec<Birth> = births
                .into_iter()
                .filter(|b| b.of_a_merged_lead() || found.contains(&b.lead))
                .collect();
            let settled = missing
                .iter()
                .filter(|(created, _)| walk.searched(*created) && *created + SETTLED < now);
            let asked: Vec<LeadId> =
                found.iter().copied().chain(settled.map(|(_, lead)| *lead)).collect();
            cache.save_births(&kept, &asked)?;
            learnt.found += found.len() as u64;
            learnt.missing += missing.len() as u64;
            watch.at(total - wanted.len(), Some(total));
            match wanted.first() {
                // The one for which the log was entered is looked for until it is found or given
                // up, so that each entry leaves fewer to look for.
                Some(next) if page.more && (next == start || walk.is_near(next)) => {
                    token = page.next;
                }
                _ => break,
            }
        }
    }
    Ok(learnt)
}

/// The leads that are still looked for, by creation.
struct Wanted {
    by_creation: BTreeSet<(DateTime<Utc>, LeadId)>,
    created: BTreeMap<LeadId, DateTime<Utc>>,
}

impl Wanted {
    fn of(leads: Vec<(LeadId, DateTime<Utc>)>) -> Self {
        Self {
            by_creation: leads.iter().map(|(lead, created)| (*created, *lead)).collect(),
            created: leads.into_iter().collect(),
        }
    }

    fn len(&self) -> u64 {
        self.by_creation.len() as u64
    }

    fn first(&self) -> Option<DateTime<Utc>> {
        self.by_creation.first().map(|(created, _)| *created)
    }

    /// Takes out the leads of which these are the births, and names them.
    fn found(&mut self, births: &[Birth]) -> BTreeSet<LeadId> {
        let own = births.iter().filter(|birth| !birth.of_a_merged_lead()).map(|birth| birth.lead);
        let found: BTreeSet<LeadId> = own.filter(|lead| self.created.contains_key(lead)).collect();
        for lead in &found {
            self.take_out(*lead);
        }
        found
    }

    /// Takes out the leads that the walk has left behind, and the one that it has looked for in
    /// vain for too long.
    fn given_up(&mut self, walk: &Walk) -> Vec<(DateTime<Utc>, LeadId)> {
        let mut lost: Vec<_> = self
            .by_creation
            .iter()
            .take_while(|(created, _)| walk.searched(*created))
            .copied()
            .collect();
        if walk.blank_pages >= BLANK_PAGES && lost.is_empty() {
            lost.extend(self.by_creation.first());
        }
        for (_, lead) in &lost {
            self.take_out(*lead);
        }
        lost
    }

    fn take_out(&mut self, lead: LeadId) {
        if let Some(created) = self.created.remove(&lead) {
            self.by_creation.remove(&(created, lead));
        }
    }
}

/// One way through the log, from where it was entered.
struct Walk {
    /// The time of the latest birth that was met.
    reached: DateTime<Utc>,
    /// How much time the longest page so far spanned.
    page_span: TimeDelta,
    /// Pages without a birth, in a row.
    blank_pages: u32,
    /// Whether the log has no more.
    ended: bool,
}

impl Walk {
    fn from(start: DateTime<Utc>) -> Self {
        Self { reached: start - BEFORE, page_span: TimeDelta::zero(), blank_pages: 0, ended: false }
    }

    fn passed(&mut self, births: &[Birth]) {
        let Some(latest) = births.iter().map(|birth| birth.at).max() else {
            self.blank_pages += 1;
            return;
        };
        self.blank_pages = 0;
        self.page_span = self.page_span.max(latest - self.reached);
        self.reached = self.reached.max(latest);
    }

    /// Whether a birth of that time would have been met by now.
    fn searched(&self, created: DateTime<Utc>) -> bool {
        self.ended || created + LATE < self.reached
    }

    /// Whether to walk on costs no more than to enter the log anew: a token and a page, or two
    /// pages.
    fn is_near(&self, next: DateTime<Utc>) -> bool {
        next <= self.reached + self.page_span * 2
    }
}

/// A New Lead activity as a birth; none where it has no time.
fn birth(activity: &Activity) -> Option<Birth> {
    let text = |name: &str| match activity.attributes.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    Some(Birth {
        born_as: activity.primary.unwrap_or(activity.lead),
        source_type: text("source type"),
        api_method: text("api method name"),
        api_user: text("modifying user"),
        request_id: text("request id"),
        list: text("list name"),
        form: text("form name"),
        crm_type: text("sfdc type"),
        ..Birth::new(activity.lead, activity.at?)
    })
}
