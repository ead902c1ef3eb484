//! What a look says of merge calls that were sent (law 4). Pure.
//!
//! For: calls just made, and calls that a killed run left open; the same rules settle both.
//! "Merged" is shown and never concluded from absence alone: Marketo accepted the call, or its log
//! names the merge; and a lead counts as gone when two looks miss it. Never: concludes that a call
//! was not done before it must be over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::report::{Difference, Fate, RowsProof, Said, Surprise};
use crate::dedupe::{FieldRules, PlannedGroup};
use crate::lead::{Crm, Lead, LeadId, request_arrival};
use crate::ledger::{CallId, Event, State};
use crate::marketo::{Clock, MERGE_LIMIT, MergeRecord, longest};

/// What this machine's clock and that of Marketo's log may differ by.
const CLOCKS: Duration = Duration::from_secs(40);

/// A merge call to be settled.
#[derive(Debug, Clone)]
pub(super) struct Pending<'p> {
    pub(super) call: CallId,
    pub(super) plan: &'p str,
    pub(super) group: &'p PlannedGroup,
    /// The rules of its group.
    pub(super) rules: Cow<'p, FieldRules>,
    pub(super) losers: Vec<LeadId>,
    /// What the journal says of it: accepted, refused or unknown.
    pub(super) state: State,
    /// What Marketo said, of a refused call.
    pub(super) said: Option<Said>,
    /// Marketo's id of the call, where its answer came.
    pub(super) request_id: Option<String>,
    /// From when on it cannot be under way any more.
    pub(super) over_at: Instant,
    /// Between these times it left.
    pub(super) left: (DateTime<Utc>, DateTime<Utc>),
    /// A merge that the log puts after this time is another one.
    pub(super) done_by: DateTime<Utc>,
    /// The leads as they were when it left, as far as they are known.
    pub(super) before: BTreeMap<LeadId, Lead>,
    /// The leads that the look before missed.
    pub(super) missed: BTreeSet<LeadId>,
    /// Whether a look came after it that did not show it done.
    pub(super) lingers: bool,
    pub(super) log: Log,
    /// Whether only the log can tell what became of it.
    pub(super) asks_log: bool,
    /// Until then Marketo's log may lag behind; its rows can come minutes later.
    pub(super) log_until: Instant,
    pub(super) made: Made,
}

/// When a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    ByThisRun,
    ByAnEarlierRun,
    /// So long ago that the log would have told by now.
    LongAgo,
}

/// What Marketo's activity log says of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Log {
    /// It was not asked.
    Silent,
    /// It cannot be read.
    Mute(String),
    /// It has merges that name leads of the call.
    Shows(Vec<MergeRecord>),
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// All leads of the call are gone but this one.
    Merged { survivor: Lead, gone: Vec<LeadId> },
    /// The winner and some losers are still there.
    Partly { survivor: Lead, gone: Vec<LeadId> },
    /// Nothing was done by this call.
    NotDone(String),
    /// It fits no outcome.
    Contradicted(String),
}

impl Finding {
    pub(super) fn survivor(&self) -> Option<&Lead> {
        match self {
            Self::Merged { survivor, .. } | Self::Partly { survivor, .. } => Some(survivor),
            Self::NotDone(_) | Self::Contradicted(_) => None,
        }
    }

    pub(super) fn gone(&self) -> &[LeadId] {
        match self {
            Self::Merged { gone, .. } | Self::Partly { gone, .. } => gone,
            Self::NotDone(_) | Self::Contradicted(_) => &[],
        }
    }

    pub(super) fn event(&self) -> Event {
        match self {
            Self::Merged { survivor, gone } | Self::Partly { survivor, gone } => {
                Event::Verified { survivor: Some(survivor.id), merged: gone.clone() }
            }
            Self::NotDone(why) => Event::NotDone { why: why.clone() },
            Self::Contradicted(what) => Event::Contradicted { what: what.clone() },
        }
    }
}

/// What is to be done about a call after a look.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Conclusion {
    /// It is settled.
    Found(Finding),
    /// Leads are missing for the first time: look again.
    LookAgain,
    /// It may be under way.
    UnderWay,
    /// Whether this call made the leads go, only the log can tell.
    AskLog,
    /// Only the log could tell, and it does not.
    NotShown(String),
}

impl Pending<'_> {
    pub(super) fn leads(&self) -> impl Iterator<Item = LeadId> {
        std::iter::once(self.group.winner).chain(self.losers.iter().copied())
    }

    /// Whether Marketo accepted it and only one look misses its leads.
    pub(super) fn needs_one_more_look(&self) -> bool {
        self.state == State::Accepted && !self.lingers && !self.missed.is_empty()
    }

    /// What the leads that a look found say of the call; `is_over` where it cannot be under way any
    /// more.
    pub(super) fn conclude(&mut self, live: &BTreeMap<LeadId, Lead>, is_over: bool) -> Conclusion {
        let conclusion = self.judge(live, is_over);
        self.lingers = match conclusion {
            Conclusion::UnderWay | Conclusion::AskLog | Conclusion::NotShown(_) => true,
            Conclusion::Found(_) | Conclusion::LookAgain => false,
        };
        conclusion
    }

    fn judge(&mut self, live: &BTreeMap<LeadId, Lead>, is_over: bool) -> Conclusion {
        let missing: BTreeSet<LeadId> = self.leads().filter(|id| !live.contains_key(id)).collect();
        let seen_twice = missing.is_subset(&self.missed);
        self.missed = missing;
        if !seen_twice {
            return Conclusion::LookAgain;
        }
        let winner = live.get(&self.group.winner);
        let here: Vec<&Lead> = self.losers.iter().filter_map(|id| live.get(id)).collect();
        match (winner, here.as_slice()) {
            (Some(_), here) if here.len() == self.losers.len() => self.all_are_here(is_over),
            (Some(winner), []) if self.state == State::Accepted => {
                Conclusion::Found(Finding::Merged {
                    survivor: winner.clone(),
                    gone: self.losers.clone(),
                })
            }
            (Some(winner), here) => self.by_log(winner, here, is_over),
            (None, [survivor]) if self.outranks(survivor) => Conclusion::Found(Finding::Merged {
                survivor: (*survivor).clone(),
                gone: self.leads().filter(|id| *id != survivor.id).collect(),
            }),
            (None, [survivor]) if self.state != State::Refused => {
                self.by_log(survivor, &here, is_over)
            }
            (None, []) => self.over(is_over || self.state == State::Accepted, || {
                Finding::Contradicted(all_are_gone(self.group.winner))
            }),
            (None, here) if self.state == State::Refused && here.len() == self.losers.len() => {
                Conclusion::Found(Finding::NotDone(format!(
                    "lead {} is gone, and not by this program; nothing was merged into it",
                    self.group.winner
                )))
            }
            (None, _) => self.over(is_over, || {
                Finding::Contradicted(format!(
                    "lead {} is gone, and no single lead stands in its place",
                    self.group.winner
                ))
            }),
        }
    }

    fn over(&self, is_over: bool, finding: impl FnOnce() -> Finding) -> Conclusion {
        if is_over || self.state == State::Refused {
            Conclusion::Found(finding())
        } else {
            Conclusion::UnderWay
        }
    }

    fn all_are_here(&self, is_over: bool) -> Conclusion {
        self.over(is_over, || {
            if self.state == State::Accepted {
                return Finding::Contradicted(format!(
                    "Marketo accepted the merge into lead {}, but all its leads are still there",
                    self.group.winner
                ));
            }
            Finding::NotDone("all its leads are still there".to_owned())
        })
    }

    /// Whether a loser that is there alone took the winner's place by the CRM's precedence: Marketo
    /// accepted the call, and it ranks higher (documented by Adobe).
    fn outranks(&self, survivor: &Lead) -> bool {
        let of_winner = self.before.get(&self.group.winner).map_or(Crm::None, Lead::crm);
        self.state == State::Accepted && survivor.crm() > of_winner
    }

    /// Leads are gone, and the answer does not say that this call did it: what the log shows.
    fn by_log(&self, survivor: &Lead, here: &[&Lead], is_over: bool) -> Conclusion {
        let gone: Vec<LeadId> = self
            .leads()
            .filter(|id| *id != survivor.id && here.iter().all(|lead| lead.id != *id))
            .collect();
        // A refusal of one loser says that nothing was merged; one of several may come half-way.
        if self.state == State::Refused && self.losers.len() == 1 {
            return Conclusion::Found(Finding::NotDone(gone_by_others(&gone)));
        }
        let records = match &self.log {
            Log::Silent => return Conclusion::AskLog,
            Log::Mute(why) => {
                return if is_over {
                    Conclusion::NotShown(format!("{} gone; {why}", named(&gone)))
                } else {
                    Conclusion::UnderWay
                };
            }
            Log::Shows(records) => records,
        };
        // A merge into another lead than the one that is there is somebody else's, whenever it was.
        let is_ours = |record: &MergeRecord| record.winner == survivor.id && self.is_ours(record);
        let names = |record: &&MergeRecord, id: &LeadId| record.losers.contains(id);
        let ours = |id: &LeadId| records.iter().filter(|record| names(record, id)).any(is_ours);
        let others = |id: &LeadId| {
            records.iter().filter(|record| names(record, id)).any(|record| !is_ours(record))
        };
        if gone.iter().all(ours) {
            let survivor = survivor.clone();
            return match here.iter().filter(|lead| lead.id != survivor.id).count() {
                0 => Conclusion::Found(Finding::Merged { survivor, gone }),
                _ => self.over(is_over, || Finding::Partly { survivor, gone }),
            };
        }
        if gone.iter().any(ours) {
            let gone: Vec<LeadId> = gone.into_iter().filter(ours).collect();
            return self.over(is_over, || Finding::Partly { survivor: survivor.clone(), gone });
        }
        if gone.iter().all(others) {
            return self.over(is_over, || Finding::NotDone(gone_by_others(&gone)));
        }
        Conclusion::AskLog
    }

    /// Whether a merge of the log is this call. The record must name our user and the API's merge,
    /// where it names any. Then Marketo's id of the call decides, or the time at which the call
    /// arrived, which that id carries; without an id the time of the merge alone.
    fn is_ours(&self, record: &MergeRecord) -> bool {
        if let (Some(ours), Some(theirs)) = (&self.request_id, &record.request_id) {
            return ours == theirs;
        }
        let is_merge = |method: &String| method.to_lowercase().contains("merge");
        if record.by_another_user || !record.method.as_ref().is_none_or(is_merge) {
            return false;
        }
        let (from, to) = self.left;
        let early = TimeDelta::seconds(2);
        if let Some(arrived) = record.request_id.as_deref().and_then(request_arrival) {
            return from - early <= arrived && arrived <= to + TimeDelta::seconds(12);
        }
        // The log has whole seconds, and Marketo may take minutes over a merge.
        record.at.is_none_or(|at| from - TimeDelta::seconds(60) <= at && at <= self.done_by)
    }
}

/// Until when Marketo can be done with a call that left by then: its own time limit, and what
/// clocks differ by.
pub(super) fn done_by(left: DateTime<Utc>, clock: Clock) -> DateTime<Utc> {
    let most = (longest(MERGE_LIMIT, clock) + clock.wall(CLOCKS)).max(Duration::from_secs(2));
    left + TimeDelta::from_std(most).unwrap_or_default()
}

fn all_are_gone(winner: LeadId) -> String {
    format!(
        "lead {winner} and all the leads that were to be merged into it are gone; look for them in \
         Marketo's activity log, their backups are in the ledger"
    )
}

fn gone_by_others(gone: &[LeadId]) -> String {
    format!("{} gone, and not by this program", named(gone))
}

fn named(leads: &[LeadId]) -> String {
    let list: Vec<String> = leads.iter().map(ToString::to_string).collect();
    match leads {
        [_] => format!("lead {} is", list.concat()),
        _ => format!("leads {} are", list.join(", ")),
    }
}

/// A settled merge call.
#[derive(Debug)]
pub(super) struct Settled<'p> {
    pub(super) pending: Pending<'p>,
    pub(super) finding: Finding,
    /// What of the survivor is not as predicted, and what became of it.
    pub(super) surprises: Vec<Surprise>,
    /// The rows of custom objects that were moved for it.
    pub(super) rows: Vec<RowsProof>,
}

impl Settled<'_> {
    /// What the survivor lost for good.
    pub(super) fn lost(&self) -> impl Iterator<Item = &Difference> {
        self.surprises
            .iter()
            .filter(|surprise| surprise.fate == Fate::Lost)
            .map(|surprise| &surprise.difference)
    }

    /// Why no more may be merged before a person has looked.
    pub(super) fn alarm(&self) -> Option<String> {
        if let Finding::Contradicted(what) = &self.finding {
            return Some(what.clone());
        }
        let lost: Vec<String> =
            self.lost().map(|difference| format!("`{}`", difference.name)).collect();
        let survivor = self.finding.survivor()?.id;
        (!lost.is_empty()).then(|| {
            format!(
                "lead {survivor} does not hold {} after the merge, and writing it again did not help; its former values are in the ledger: put it right in Marketo before more is merged",
                lost.join(", ")
            )
        })
    }

    /// Whether Marketo did something else than was expected of it. That nothing was merged is said
    /// by its refusal, or is an answer that was lost.
    pub(super) fn is_unexpected(&self) -> bool {
        let is_not_done = matches!(self.finding, Finding::NotDone(_));
        let is_surprising = |surprise: &Surprise| !is_usual(surprise, &self.pending.group.blank);
        self.surprises.iter().any(is_surprising) || !(self.is_as_asked() || is_not_done)
    }

    /// Whether all losers of the call are gone and the lead that was to stay did.
    pub(super) fn is_as_asked(&self) -> bool {
        match &self.finding {
            Finding::Merged { survivor, .. } => survivor.id == self.pending.group.winner,
            Finding::Partly { .. } | Finding::NotDone(_) | Finding::Contradicted(_) => false,
        }
    }
}

/// Whether a merge does that in the ordinary course, so that it was mended: Marketo adds scores up,
/// and fills a blank that a bundle keeps.
fn is_usual(surprise: &Surprise, blank: &BTreeSet<String>) -> bool {
    let Surprise { difference: Difference { name, wanted, found, .. }, fate } = surprise;
    *fate == Fate::Mended && (blank.contains(name) || (wanted.is_number() && found.is_number()))
}
