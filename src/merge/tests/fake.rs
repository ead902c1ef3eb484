//! A Marketo in memory: small, strict, and able to fail at any call in the ways that matter to a
//! merge.

mod merging;
mod read;
mod rows;
mod status;
mod witness;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

pub(super) use self::rows::FakeRow;
use crate::lead::{Lead, LeadId};
use crate::marketo::{
    Clock, Error, InFlight, LeadChange, MERGE_LIMIT, MergeRecord, ROWS_LIMIT, RecordResult, Result,
    RowLink, STATUS_LIMIT, SYNC_LIMIT, SendGate, SyncAction, SyncLeads, SyncRequest,
};

/// What befalls the next write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    Fine,
    /// Done, and the answer is lost.
    AnswerLost,
    /// The answer is lost, and it is done after so many seconds.
    DoneLater(u64),
    /// The answer is lost, and nothing is ever done.
    NeverDone,
    /// Accepted, and nothing is ever done.
    AcceptedOnly,
    /// Refused with this code, and nothing is done.
    Refused(&'static str),
    /// Refused after one loser was merged.
    StopsAfterOne,
    /// The first loser survives in the winner's place.
    LoserSurvives,
    /// All leads of the merge vanish.
    AllVanish,
    /// The quota is used up.
    Quota,
    /// Its answer never comes: the run is killed meanwhile.
    NoAnswer(Moment),
    /// It takes a hundred seconds, and meanwhile somebody else writes this lead.
    Slow(Lead),
}

/// What can cease to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaks {
    /// An opt-out keeps its value, whatever is written.
    OptOuts,
    /// The programs of a lead are answered after an hour.
    Programs,
    /// The API user may not see the programs of a lead any more.
    MaySeePrograms,
}

/// Where a run is killed: at its n-th call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub(super) call: usize,
    pub(super) moment: Moment,
}

/// When the work of the call is done that a run is killed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Never.
    Never,
    /// Before the kill.
    Before,
    /// Long after it, where the call is a merge.
    LongAfter,
}

#[derive(Debug, Clone)]
struct Merging {
    winner: LeadId,
    losers: Vec<LeadId>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way in which Marketo can be")]
pub(super) struct World {
    pub(super) leads: BTreeMap<LeadId, Lead>,
    pub(super) lists: BTreeMap<u64, BTreeSet<LeadId>>,
    pub(super) programs: BTreeMap<u64, BTreeSet<LeadId>>,
    /// The rows of the one custom object, by their GUIDs.
    pub(super) rows: BTreeMap<String, FakeRow>,
    /// Whether its link cannot be changed; whether its key has the link in it.
    pub(super) fixed_rows: bool,
    pub(super) key_has_link: bool,
    /// Whether a row takes the place of another one with its key; by default it is skipped.
    pub(super) overwrites_rows: bool,
    /// Rows that went with a lead, or by another row that took their place.
    pub(super) lost_rows: BTreeSet<String>,
    /// What befalls the next calls that link rows, how many there were, and the code with which a
    /// row is skipped in every one.
    pub(super) link_fates: Vec<Fate>,
    pub(super) links: usize,
    pub(super) skips_rows: BTreeMap<String, &'static str>,
    /// The rows that somebody else puts in with the next call that links some.
    pub(super) rows_meddled: Vec<(LeadId, String)>,
    /// The row that somebody else links to another lead while a lead's lists are read.
    pub(super) row_taken: Option<(String, LeadId)>,
    /// How many reads of rows show what was before the first link.
    pub(super) row_lag: usize,
    stale_rows: Option<BTreeMap<String, FakeRow>>,
    late_links: Vec<(Instant, Vec<RowLink>)>,
    /// Links whose answer was lost, and that are never done.
    unclear_links: Vec<(Instant, Vec<RowLink>)>,
    /// By what that object is linked to leads, where not by the id.
    pub(super) linked_by: Option<String>,
    /// The values that its rows hold then.
    pub(super) linked: BTreeSet<String>,
    /// The code with which its rows are refused, and that for the list of objects.
    pub(super) refuses_rows: Option<&'static str>,
    pub(super) refuses_objects: Option<&'static str>,
    pub(super) merge_fates: Vec<Fate>,
    pub(super) write_fates: Vec<Fate>,
    pub(super) kill: Option<Kill>,
    pub(super) calls: usize,
    pub(super) merges: Vec<Vec<LeadId>>,
    /// How long a merge takes.
    pub(super) merge_takes: Duration,
    /// The winners of the merges that are under way.
    under_way: BTreeSet<LeadId>,
    /// How many merges were under way when each began, itself included.
    pub(super) at_once: Vec<usize>,
    /// How many calls all integrations together have made today, and the code with which that is
    /// refused.
    pub(super) calls_of_all: u64,
    pub(super) refuses_usage: Option<&'static str>,
    /// How often it was asked for.
    pub(super) usage_asked: usize,
    /// When leads were read last.
    looked_at: Option<Instant>,
    /// By what leads can be looked up beside their ids.
    pub(super) searchable: Vec<String>,
    /// Merges whose answer was lost.
    unclear: Vec<(Instant, Vec<LeadId>)>,
    pub(super) writes: usize,
    /// Who each lost lead went into.
    pub(super) into: BTreeMap<LeadId, LeadId>,
    /// Whose opt-out the next merge drops.
    pub(super) forgets_opt_outs: bool,
    /// What does not work any more once a merge was made.
    pub(super) breaks: Option<Breaks>,
    /// What somebody else writes just after the first write.
    pub(super) meddling: Option<Lead>,
    /// What somebody else writes while a lead's lists are read, which takes two minutes.
    pub(super) slow_memberships: Option<Lead>,
    /// Whether the API user may not see lists and programs.
    pub(super) hides_memberships: bool,
    late: Vec<(Instant, Merging)>,
    /// What Marketo's log has of merges.
    pub(super) recorded: Vec<MergeRecord>,
    /// Whether its merges leave no row there.
    pub(super) records_nothing: bool,
    /// Whether the API user may not read of merges.
    pub(super) denies_merges: bool,
    /// Whether the API user may not read of changed values.
    pub(super) denies_log: bool,
    /// And of changed values.
    pub(super) changes: Vec<LeadChange>,
    /// The statuses of every program, the last of which is its success.
    pub(super) steps: Vec<String>,
    /// How far members of programs are.
    pub(super) standing: BTreeMap<(u64, LeadId), String>,
    /// Whether Marketo says that it has set a status, and has not.
    pub(super) sets_no_status: bool,
    /// Whether a merge takes its losers off their lists.
    pub(super) drops_lists: bool,
    /// Whether a merge drops the program memberships of its losers.
    pub(super) drops_memberships: bool,
    /// The code with which the members of a program are refused once a merge was made.
    pub(super) refuses_members: Option<&'static str>,
    /// Leads whose programs are refused: they were merged on or deleted.
    pub(super) unreadable: BTreeSet<LeadId>,
    /// Leads whose lists are refused, each with the code.
    pub(super) refuses_lists_of: BTreeMap<LeadId, &'static str>,
    /// What setting a status answers in place of a result.
    pub(super) status_fates: Vec<Fate>,
    /// The code with which a lead's record is skipped in every write.
    pub(super) skips: BTreeMap<LeadId, &'static str>,
    /// Fields that answer `updated` and keep their values.
    pub(super) blocked: BTreeSet<String>,
    /// Leads that the next read leaves out.
    pub(super) hides: BTreeSet<LeadId>,
    /// How many reads show what was before a write, and what is left of that.
    pub(super) lag: usize,
    /// How many reads after a merge that is refused show what was before the last write.
    pub(super) lag_after_refusal: usize,
    before_write: BTreeMap<LeadId, Lead>,
    stale: Option<(usize, BTreeMap<LeadId, Lead>)>,
}

/// The strict, small Marketo.
#[derive(Debug, Default)]
pub(super) struct Fake(Mutex<World>);

impl Fake {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics while it holds the world")
    }

    /// Counts a call; at the call where the run is killed it never returns.
    async fn arrive(&self) {
        let dead = {
            let mut world = self.world();
            world.calls += 1;
            world.commit_late_merges();
            world.is_killed(&[Moment::Never])
        };
        if dead {
            pending::<()>().await;
        }
    }

    /// A write ends; at the call where the run is killed its answer never comes.
    async fn answer(&self) {
        let dead = self.world().is_killed(&[Moment::Before, Moment::LongAfter]);
        if dead {
            pending::<()>().await;
        }
    }
}

impl World {
    fn is_broken(&self, what: Breaks) -> bool {
        self.breaks == Some(what) && !self.merges.is_empty()
    }

    fn is_killed(&self, moments: &[Moment]) -> bool {
        self.kill.is_some_and(|kill| kill.call == self.calls && moments.contains(&kill.moment))
    }

    fn commit_late_merges(&mut self) {
        let now = Instant::now();
        let (due, late) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = late;
        for (_, merging) in due {
            self.merge(&merging);
        }
        let (due, late) =
            std::mem::take(&mut self.late_links).into_iter().partition(|(at, _)| *at <= now);
        self.late_links = late;
        for (_, links) in due {
            self.link(&links);
        }
    }

    fn merge(&mut self, merging: &Merging) {
        let present = |id: &LeadId| self.leads.contains_key(id);
        if !present(&merging.winner) || !merging.losers.iter().all(present) {
            return;
        }
        if !self.records_nothing {
            self.recorded.push(MergeRecord {
                winner: merging.winner,
                then: None,
                losers: merging.losers.clone(),
                at: None,
                request_id: None,
                user: None,
                method: None,
                source: None,
                by_another_user: false,
            });
        }
        let first = merging.losers.first().and_then(|id| self.leads.get(id)).cloned();
        for loser in &merging.losers {
            self.leads.remove(loser);
            self.into.insert(*loser, merging.winner);
            let left = self.rows.iter().filter(|(_, row)| row.lead == *loser);
            self.lost_rows.extend(left.map(|(guid, _)| guid.clone()));
            self.rows.retain(|_, row| row.lead != *loser);
            for members in self.lists.values_mut() {
                if members.remove(loser) && !self.drops_lists {
                    members.insert(merging.winner);
                }
            }
            for members in self.programs.values_mut() {
                if members.remove(loser) && !self.drops_memberships {
                    members.insert(merging.winner);
                }
            }
        }
        let Some(winner) = self.leads.get_mut(&merging.winner) else { return };
        for (field, value) in first.iter().flat_map(|lead| &lead.fields) {
            winner.fields.entry(field.clone()).or_insert_with(|| value.clone());
        }
        if self.forgets_opt_outs {
            winner.set("unsubscribed", json!(false));
        }
    }
}

fn unclear(call: &str) -> Error {
    let limit = match call {
        call if call.contains("merge") => MERGE_LIMIT,
        call if call.contains("status") => STATUS_LIMIT,
        call if call.contains("customobjects") => ROWS_LIMIT,
        _ => SYNC_LIMIT,
    };
    Error::Unclear {
        call: call.to_owned(),
        what: "the connection was cut".to_owned(),
        request_id: None,
        in_flight: Box::new(InFlight::begun_at(Instant::now(), limit, Clock::real())),
    }
}

fn refused(call: &str, code: &str) -> Error {
    if code == "603" {
        return Error::Permission {
            call: call.to_owned(),
            message: "Access denied".to_owned(),
            request_id: None,
        };
    }
    Error::Refused {
        call: call.to_owned(),
        code: code.to_owned(),
        message: "no".to_owned(),
        request_id: Some("1#2".to_owned()),
    }
}

impl SyncLeads for Fake {
    async fn sync_leads_with(
        &self,
        _at_any_time: &impl SendGate,
        request: &SyncRequest,
    ) -> Result<Vec<RecordResult>> {
        const CALL: &str = "POST /rest/v1/leads.json";
        self.arrive().await;
        assert_eq!((request.action, request.lookup_field.as_str()), (SyncAction::UpdateOnly, "id"));
        let answer = {
            let mut world = self.world();
            world.writes += 1;
            let fate =
                if world.write_fates.is_empty() { Fate::Fine } else { world.write_fates.remove(0) };
            match fate {
                Fate::NeverDone => Err(unclear(CALL)),
                Fate::Refused(code) => Err(refused(CALL, code)),
                Fate::AnswerLost => {
                    world.write(request);
                    Err(unclear(CALL))
                }
                _ => Ok(world.write(request)),
            }
        };
        self.answer().await;
        answer
    }
}
