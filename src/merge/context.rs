//! What every step of a run works with: the way to Marketo, the ledger, the fields of the instance,
//! and how far to go.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::brakes::{Brake, Brakes};
use super::custom_objects::Relations;
use super::error::Error;
use super::hold::{Hold, Holds};
use super::measured::{instance_profile, take_measured};
use super::memberships::Memberships;
use super::rows::{Done, LateRows};
use super::sums::log::SumLog;
use crate::cancel::unless_stopped;
use crate::dedupe::{FieldFact, FieldFacts, KeySpec};
use crate::lead::LeadId;
use crate::ledger::Ledger;
use crate::marketo::{
    self, Clock, Field, LinkRows, MergeLeads, Moment, ReadCustomObjects, ReadHistory, ReadLeads,
    ReadMemberFields, ReadMemberships, ReadUsage, Schema, SetProgramStatus, SyncLeads,
};

/// How long a description of the fields stands for what they are.
const DESCRIBED_FOR: Duration = Duration::from_secs(10 * 60);

/// How long Marketo's count of the day stands: all integrations together can make at most 1,500
/// calls meanwhile.
const COUNTED_FOR: Duration = Duration::from_secs(5 * 60);

/// For so many days a field counts as one whose updates are blocked after it was seen to be, by a
/// merge or by `probe`: an administrator can lift the block, and a value is not written meanwhile.
const NOT_TAKEN_DAYS: i64 = 30;

/// How long a look at an open call may still take after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// A merge run on one instance: the way to Marketo, the ledger, and how far to go.
pub struct Merge<'a, M> {
    pub(super) marketo: &'a M,
    pub(super) ledger: &'a mut Ledger,
    pub(super) clock: Clock,
    pub(super) now: fn() -> DateTime<Utc>,
    pub(super) stop: CancellationToken,
    pub(super) stop_after_errors: usize,
    pub(super) concurrency: usize,
    pub(super) brakes: Brakes,
    /// When Marketo was asked for the calls of the day.
    pub(super) calls_counted_at: Option<Instant>,
    pub(super) carries_out: bool,
    pub(super) fields: Vec<String>,
    pub(super) facts: FieldFacts,
    pub(super) custom_objects: Relations,
    pub(super) memberships: Memberships,
    /// The keys that this run holds.
    pub(super) holds: Holds,
    pub(super) opened_at: Instant,
    /// When the fields were described.
    pub(super) described_at: Instant,
    /// Since when the leads were so that the next merges rest on.
    pub(super) looked_at: Option<Moment>,
    /// What was read of the log for sums that are held already.
    pub(super) sum_log: Option<SumLog>,
    /// By winner, why it cannot be shown who merged the leads of a call.
    pub(super) not_shown: BTreeMap<LeadId, String>,
    /// Why nothing more may be merged although no settled call says so: one that Marketo accepted
    /// is not shown.
    pub(super) not_shown_alarm: Option<String>,
    /// Whether the calls that are being settled are an earlier run's.
    pub(super) resuming: bool,
    /// Rows of custom objects that came to merged leads late.
    pub(super) late_rows: LateRows,
    /// Merges of whose leads no rows were looked for since they were settled.
    pub(super) rows_to_see: Vec<Done>,
    /// Who runs it, for the ledger.
    pub(super) by: Option<String>,
}

/// How a run goes about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// Groups that are merged at once, at most.
    pub concurrency: usize,
    /// What ends it before its plan does.
    pub brakes: Brakes,
    /// Whether what it plans is carried out at once, which shows by itself what may not be read. A
    /// plan that is only shown takes a call more for that, so that it promises nothing that cannot
    /// be done.
    pub carries_out: bool,
    /// Where the keys are leased of what is merged and written.
    pub hold: Hold,
    /// Who runs it, for the ledger; none where nobody knows.
    pub by: Option<String>,
}

impl<M> std::fmt::Debug for Merge<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// What merging asks of Marketo.
pub trait MergeClient: MergeReads + SyncLeads + MergeLeads + SetProgramStatus + LinkRows {}

impl<M: MergeReads + SyncLeads + MergeLeads + SetProgramStatus + LinkRows> MergeClient for M {}

/// What merging reads.
pub trait MergeReads:
    ReadLeads + ReadMemberships + ReadMemberFields + ReadCustomObjects + ReadHistory + ReadUsage
{
}

impl<M> MergeReads for M where
    M: ReadLeads + ReadMemberships + ReadMemberFields + ReadCustomObjects + ReadHistory + ReadUsage
{
}

impl<'a, M: MergeClient> Merge<'a, M> {
    /// Learns which fields the instance has. The ledger must have been opened for this run: while
    /// it is held, no earlier run can still be sending.
    pub async fn new(
        marketo: &'a M,
        ledger: &'a mut Ledger,
        settings: Settings,
    ) -> Result<Self, Error> {
        let Settings {
            clock,
            now,
            stop,
            stop_after_errors,
            concurrency,
            brakes,
            carries_out,
            hold,
            by,
        } = settings;
        let opened_at = Instant::now();
        let schema = marketo.describe().await?;
        let mut facts = facts(&schema);
        facts.not_taken = ledger.not_taken_since(&days_ago(now(), NOT_TAKEN_DAYS))?;
        if let Some((name, profile)) = instance_profile(ledger)? {
            let is_fresh = profile.measured_at >= now() - TimeDelta::days(NOT_TAKEN_DAYS);
            take_measured(&mut facts, &profile, name, is_fresh);
        }
        let fields = schema.fields.keys().cloned().collect();
        let holds = Holds::new(hold, &schema.searchable, clock);
        let custom_objects = Relations::new(schema);
        Ok(Self {
            marketo,
            ledger,
            clock,
            now,
            stop,
            stop_after_errors,
            concurrency,
            brakes,
            calls_counted_at: None,
            carries_out,
            fields,
            facts,
            custom_objects,
            memberships: Memberships::default(),
            holds,
            opened_at,
            described_at: opened_at,
            looked_at: None,
            sum_log: None,
            not_shown: BTreeMap::new(),
            not_shown_alarm: None,
            resuming: false,
            late_rows: LateRows::default(),
            rows_to_see: Vec::new(),
            by,
        })
    }

    /// What makes leads the same, with what this instance's schema says of the fields.
    pub fn by_schema(&self, key: KeySpec) -> KeySpec {
        let data_type = |field: &str| Some(self.facts.fields.get(field)?.data_type.as_str());
        key.by_schema(data_type)
    }

    /// How long looking at what was sent, and mending it, may wait for its turn once the run is to
    /// stop. The ledger keeps open what is not known by then, and the next run looks first; so an
    /// earlier run's calls are not waited for at all.
    pub(super) fn grace(&self) -> Duration {
        if self.resuming { Duration::ZERO } else { self.clock.wall(GRACE) }
    }

    /// Learns anew which fields there are: an administrator can add, block or shorten one in a long
    /// run.
    pub(super) async fn describe_again_when_old(&mut self) -> Result<(), Error> {
        if self.described_at.elapsed() < self.clock.wall(DESCRIBED_FOR) {
            return Ok(());
        }
        let Some(schema) = unless_stopped(&self.stop, self.marketo.describe()).await? else {
            return Ok(());
        };
        let not_taken = std::mem::take(&mut self.facts.not_taken);
        let measured = std::mem::take(&mut self.facts.measured);
        self.facts = facts(&schema);
        self.facts.not_taken = not_taken;
        self.facts.measured = measured;
        self.holds.keys.describe(&schema.searchable);
        self.fields = schema.fields.into_keys().collect();
        self.described_at = Instant::now();
        Ok(())
    }

    /// Reads until it is done, or until the run is to stop and has no time left.
    pub(super) async fn within_grace<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
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

    /// The ledger of the run.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        self.ledger
    }

    /// The time for the ledger.
    pub(super) fn at(&self) -> String {
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

impl<M: MergeClient> Merge<'_, M> {
    /// Why nothing may leave now. Asks Marketo for the calls of the day, at most every five
    /// minutes, where a share of them is left to others.
    pub async fn brake(&mut self) -> Result<Option<Brake>, Error> {
        if let Some(brake) = self.brakes.at((self.now)()) {
            return Ok(Some(brake));
        }
        let Some(share) = self.brakes.share.filter(|_| self.counted_long_ago()) else {
            return Ok(None);
        };
        let usage = match unless_stopped(&self.stop, self.marketo.usage_today()).await {
            Ok(usage) => usage,
            // Whoever may not see the count makes no fewer calls for that; the program's own
            // budget of the day holds all the same.
            Err(error @ marketo::Error::Permission { .. }) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    "the calls of the day cannot be read; merge.leave_calls is not heeded"
                );
                self.brakes.share = None;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.calls_counted_at = Some(Instant::now());
        Ok(usage.and_then(|usage| share.after(usage.total)))
    }

    fn counted_long_ago(&self) -> bool {
        let span = self.clock.wall(COUNTED_FOR);
        self.calls_counted_at.is_none_or(|at| at.elapsed() >= span)
    }
}

impl Settings {
    /// A run that carries out what it plans, three groups at once, until it is done or ten groups
    /// in a row have failed.
    /// The clock is the client's; `now` gives the ledger's times; `hold` is where the guards of the
    /// instance keep their leases.
    pub fn new(clock: Clock, now: fn() -> DateTime<Utc>, hold: Hold) -> Self {
        let stop = CancellationToken::new();
        let (stop_after_errors, concurrency, brakes) = (10, 3, Brakes::default());
        Self {
            clock,
            now,
            stop,
            stop_after_errors,
            concurrency,
            brakes,
            carries_out: true,
            hold,
            by: None,
        }
    }

    /// Who runs it, for the ledger.
    #[must_use]
    pub fn by(self, by: impl Into<String>) -> Self {
        Self { by: Some(by.into()), ..self }
    }

    /// Cancelled: what was sent is finished and looked at, and the run stops.
    #[must_use]
    pub fn stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// The run stops after so many failed groups in a row.
    #[must_use]
    pub fn stop_after_errors(self, stop_after_errors: usize) -> Self {
        Self { stop_after_errors, ..self }
    }

    /// So many groups are merged at once, at most; one at least.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), ..self }
    }

    /// What ends it before its plan does.
    #[must_use]
    pub fn brakes(self, brakes: Brakes) -> Self {
        Self { brakes, ..self }
    }

    /// Plans are only shown: what may not be read is found out while planning.
    #[must_use]
    pub fn dry_run(self) -> Self {
        Self { carries_out: false, ..self }
    }
}
