//! Plans merges, carries them out, and leaves nothing to guess when it is cut short.
//!
//! A merge cannot be undone, its answer can be lost, and Marketo or a person can do something else
//! meanwhile. So a run believes nothing that it has not read:
//!
//! 1. **take in** (`take_in`): the next groups are read live, must be what the plan looked at (law
//!    2), and go into the ledger whole, with lists and programs (law 3). Then the values that must
//!    survive are written to the winners, hundreds a call, by id.
//! 2. **verify** (`verify`): a second look, at most seconds old when the merge leaves (`fresh`),
//!    shows that the winner holds what was written (law 9) and that nothing else has changed. What
//!    has is backed up again.
//! 3. **send** (`send`): at most 25 losers a call, one where that saves something; one call at a
//!    time; one merge at first, then 2, 4, 8 and at most 10 on one look.
//! 4. **settle** (`settle`, `settled`): every call, whatever its answer, is settled by looking (law
//!    4). "Merged" is shown by Marketo's answer or its log, never concluded from absence. Every
//!    field of the survivor is compared with its prediction; what the merge took is written again
//!    and read back; what cannot be put right stops the run and stays open in the ledger.
//! 5. **late opt-outs** (`late`) are written to survivors, and **winners whose merge was not made**
//!    get their former values back (`give_back`).
//!
//! The next run begins with what the last one left open ([`Merge::settle_open`]), so that killing
//! it at any instant is harmless. `run` is the loop that arranges these steps.
//!
//! Only [`Confirmed`] hands out merge orders, and only against the ledger's proof that the intent
//! is on disk. Never: decides which leads are duplicates or who wins (that is `dedupe`), sends a
//! call twice, prints.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dedupe::{FieldFact, FieldFacts, KeySpec, Policy};
use crate::lead::LeadId;
use crate::ledger::{self, Ledger};
use crate::marketo::{
    self, Clock, Field, MergeLeads, Moment, ReadActivities, ReadLeads, Schema, SetProgramStatus,
    SyncLeads,
};
use crate::stop::unless_stopped;

mod batches;
mod build;
mod carried;
mod compare;
mod consent;
mod contradicted;
mod custom_objects;
mod ending;
mod follow;
mod fresh;
mod give_back;
mod late;
mod look;
mod memberships;
mod past;
mod programs;
mod raise;
mod refusal;
mod report;
mod resume;
mod review;
mod run;
mod send;
mod settle;
mod settled;
mod sums;
mod take_in;
mod verify;
mod work;
mod write;
mod written;

pub use build::Candidate;
pub use consent::Confirmed;
pub use past::{PlanPast, PlanState};
pub use report::{Difference, Fate, GroupReport, Outcome, Report, Said, Stopped, Surprise, Watch};
pub use resume::Resumed;
pub use review::acknowledge;

/// Added to Marketo's own time limits, for clocks and networks, before a call counts as over.
const MARGIN: Duration = Duration::from_secs(20);

/// How long a description of the fields stands for what they are.
const DESCRIBED_FOR: Duration = Duration::from_secs(10 * 60);

/// For so many days a field counts as one whose updates are blocked after it was seen to be.
const NOT_TAKEN_DAYS: i64 = 30;

/// So long after a stop a look at what was sent may still take.
const GRACE: Duration = Duration::from_secs(10);

/// A merge run on one instance: the way to Marketo, the ledger, and how far to go.
pub struct Merge<'a, M> {
    marketo: &'a M,
    ledger: &'a mut Ledger,
    clock: Clock,
    now: fn() -> DateTime<Utc>,
    stop: CancellationToken,
    stop_after_errors: usize,
    carries_out: bool,
    fields: Vec<String>,
    facts: FieldFacts,
    custom_objects: custom_objects::Relations,
    memberships: memberships::Memberships,
    opened_at: Instant,
    /// When the fields were described.
    described_at: Instant,
    /// Since when the leads were so that the next merges rest on.
    looked_at: Option<Moment>,
    /// What was read of the log for sums that are held already.
    sum_log: Option<sums::SumLog>,
    /// By winner, why it cannot be shown who merged the leads of a call.
    not_shown: BTreeMap<LeadId, String>,
    /// Why nothing more may be merged although no settled call says so: one that Marketo accepted
    /// is not shown.
    not_shown_alarm: Option<String>,
    /// Whether the calls that are being settled are an earlier run's.
    resuming: bool,
}

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How fast Marketo's time passes.
    pub clock: Clock,
    /// What the ledger's times are read from.
    pub now: fn() -> DateTime<Utc>,
    /// Cancelled: reading that only prepares is given up, what was sent is finished and looked at,
    /// and the run stops.
    pub stop: CancellationToken,
    /// The run stops after so many failed groups in a row.
    pub stop_after_errors: usize,
    /// Whether what it plans is carried out at once, which shows by itself what may not be read. A
    /// plan that is only shown takes a call more for that, so that it promises nothing that cannot
    /// be done.
    pub carries_out: bool,
}

impl<M> std::fmt::Debug for Merge<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// What merging asks of Marketo.
pub trait MergeClient:
    ReadLeads + ReadActivities + SyncLeads + MergeLeads + SetProgramStatus
{
}

impl<M: ReadLeads + ReadActivities + SyncLeads + MergeLeads + SetProgramStatus> MergeClient for M {}

impl<'a, M: MergeClient> Merge<'a, M> {
    /// Learns which fields the instance has. The ledger must have been opened for this run: while
    /// it is held, no earlier run can still be sending.
    pub async fn new(
        marketo: &'a M,
        ledger: &'a mut Ledger,
        settings: Settings,
    ) -> Result<Self, Error> {
        let Settings { clock, now, stop, stop_after_errors, carries_out } = settings;
        let opened_at = Instant::now();
        let schema = marketo.describe().await?;
        let mut facts = facts(&schema);
        facts.not_taken = ledger.not_taken_since(&days_ago(now(), NOT_TAKEN_DAYS))?;
        let fields = schema.fields.keys().cloned().collect();
        let custom_objects = custom_objects::Relations::new(schema);
        Ok(Self {
            marketo,
            ledger,
            clock,
            now,
            stop,
            stop_after_errors,
            carries_out,
            fields,
            facts,
            custom_objects,
            memberships: memberships::Memberships::default(),
            opened_at,
            described_at: opened_at,
            looked_at: None,
            sum_log: None,
            not_shown: BTreeMap::new(),
            not_shown_alarm: None,
            resuming: false,
        })
    }

    /// What makes leads the same, with what this instance's schema says of the fields.
    pub fn by_schema(&self, key: KeySpec) -> KeySpec {
        let data_type = |field: &str| Some(self.facts.fields.get(field)?.data_type.as_str());
        key.by_schema(data_type)
    }

    /// Refuses a policy that names a field that the instance does not have: a slip of the pen would
    /// cost its values.
    pub fn check_rules(&self, policy: &Policy) -> Result<(), Error> {
        let unknown: Vec<String> =
            policy.unknown_fields(&self.facts).iter().map(ToString::to_string).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Error::UnknownFields { what: unknown.join(". ") })
        }
    }

    /// How long looking at what was sent, and mending it, may wait for its turn once the run is to
    /// stop. The ledger keeps open what is not known by then, and the next run looks first; so an
    /// earlier run's calls are not waited for at all.
    fn grace(&self) -> Duration {
        if self.resuming { Duration::ZERO } else { self.clock.wall(GRACE) }
    }

    /// Learns anew which fields there are: an administrator can add, block or shorten one in a long
    /// run.
    async fn describe_again_when_old(&mut self) -> Result<(), Error> {
        if self.described_at.elapsed() < self.clock.wall(DESCRIBED_FOR) {
            return Ok(());
        }
        let Some(schema) = unless_stopped(&self.stop, self.marketo.describe()).await? else {
            return Ok(());
        };
        let not_taken = std::mem::take(&mut self.facts.not_taken);
        self.facts = facts(&schema);
        self.facts.not_taken = not_taken;
        self.fields = schema.fields.into_keys().collect();
        self.described_at = Instant::now();
        Ok(())
    }

    /// Reads until it is done, or until the run is to stop and has no time left.
    async fn within_grace<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        let out_of_time = async {
            self.stop.cancelled().await;
            tokio::time::sleep(self.grace()).await;
        };
        tokio::select! {
            biased;
            read = reading => Some(read),
            () = out_of_time => None,
        }
    }

    /// The time for the ledger.
    fn at(&self) -> String {
        (self.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// What decisions need to know of the fields.
pub(crate) fn facts(schema: &Schema) -> FieldFacts {
    let fact = |field: &Field| FieldFact {
        label: field.display_name.clone(),
        data_type: field.data_type.clone(),
        length: field.length,
        writeable: field.updateable && !field.crm_managed,
    };
    let fields = schema.fields.iter().map(|(name, field)| (name.clone(), fact(field))).collect();
    FieldFacts::new(fields)
}

fn days_ago(now: DateTime<Utc>, days: i64) -> String {
    (now - TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Why a run could not go on. What it had done by then is in its [`Report`] and in the ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed in a way that the next one would not survive either.
    #[error(transparent)]
    Marketo(#[from] marketo::Error),
    /// The ledger failed; without it nothing may be sent.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The ledger has no such plan.
    #[error("the ledger has no plan {id}; `mkto-audit merge` makes one and prints its id")]
    NoSuchPlan {
        /// The id that was asked for.
        id: String,
    },
    /// A rule, an order or a key names a field that the instance does not have.
    #[error("{what}. Nothing was planned or changed")]
    UnknownFields {
        /// Each place with its field.
        what: String,
    },
    /// The ledger has no open finding with this number.
    #[error("no finding {id} is open; `mkto-audit merge` names those that are")]
    NoSuchFinding {
        /// The number that was asked for.
        id: ledger::FindingId,
    },
    /// A plan in the ledger is not what it was when it was made, or not for this program.
    #[error(
        "plan {id} in the ledger cannot be carried out: {what}; make a new one with `mkto-audit merge`"
    )]
    UnusablePlan {
        /// The plan.
        id: String,
        /// Why not.
        what: String,
    },
}

#[cfg(test)]
mod tests;
