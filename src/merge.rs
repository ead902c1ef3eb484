//! Plans merges, carries them out, and leaves nothing to guess when it is cut short.
//!
//! A merge cannot be undone, and its answer can be lost. So each batch of groups goes through the same steps, each of
//! which can end a group and none of which can be skipped:
//!
//! 1. **re-check** (`recheck`): the group is read live, and must be what the plan looked at (law 2). A re-check is never
//!    older than a minute when a merge leaves. Losers with rows of custom objects are left alone: a merge drops those.
//! 2. **back up** (`memberships`): the whole leads with lists and programs, and every intent, go into the ledger (law 3).
//! 3. **write** (`write`): the values that must survive are written to the winners, hundreds a call, by id.
//! 4. **merge** (`call`): at most 25 losers a call, one where the CRM merges too; one call at a time.
//! 5. **settle** (`settle`): every call, whatever its answer, is settled by looking (law 4): the losers gone, exactly one
//!    survivor, its values as planned and no opt-out lost (law 5).
//!
//! The next run begins with step 5 for whatever the last one left open ([`Merge::settle_open`]), so that killing it at
//! any instant is harmless. What fits no outcome (winner and losers all gone, say) stops the run: a person must look.
//!
//! Only [`Confirmed`] hands out merge orders, and only against the ledger's proof that the intent is on disk.
//! Never: decides which leads are duplicates or who wins (that is `dedupe`), sends a call twice, prints.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dedupe::{FieldFact, FieldFacts};
use crate::ledger::{self, Ledger};
use crate::marketo::{
    self, Clock, CustomObjectType, Field, MergeLeads, ReadLeads, Schema, SyncLeads, UntilStopped,
};

mod batch;
mod build;
mod call;
mod confirmed;
mod ending;
mod memberships;
mod recheck;
mod report;
mod resume;
mod settle;
mod slices;
mod write;
mod written;

pub use build::Candidate;
pub use confirmed::Confirmed;
pub use report::{GroupReport, Outcome, Report, Stopped, Watch};
pub use resume::Resumed;

/// Added to Marketo's own time limits, for clocks and networks, before a call counts as over.
const MARGIN: Duration = Duration::from_secs(20);

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
    fields: Vec<String>,
    facts: FieldFacts,
    custom_objects: Option<Vec<CustomObjectType>>,
    memberships: memberships::Memberships,
    opened_at: Instant,
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
    /// Cancelled: reading that only prepares is given up, what was sent is finished and looked at, and the run stops.
    pub stop: CancellationToken,
    /// The run stops after so many failed groups in a row.
    pub stop_after_errors: usize,
}

impl<M> std::fmt::Debug for Merge<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl<'a, M: ReadLeads + SyncLeads + MergeLeads> Merge<'a, M> {
    /// Learns which fields the instance has. The ledger must have been opened for this run: while it is held, no
    /// earlier run can still be sending.
    pub async fn new(marketo: &'a M, ledger: &'a mut Ledger, settings: Settings) -> Result<Self, Error> {
        let opened_at = Instant::now();
        let schema = marketo.describe().await?;
        let facts = facts(&schema);
        let fields = schema.fields.into_keys().collect();
        let Settings { clock, now, stop, stop_after_errors } = settings;
        Ok(Self {
            marketo,
            ledger,
            clock,
            now,
            stop,
            stop_after_errors,
            fields,
            facts,
            custom_objects: None,
            memberships: memberships::Memberships::default(),
            opened_at,
            resuming: false,
        })
    }

    /// What calls have to ask that begin something: none leaves once the run is to stop.
    fn permit(&self) -> UntilStopped {
        UntilStopped::at_once(self.stop.clone())
    }

    /// How long looking at what was sent, and mending it, may wait for its turn once the run is to stop. The ledger keeps
    /// open what is not known by then, and the next run looks first; so an earlier run's calls are not waited for at all.
    fn grace(&self) -> Duration {
        if self.resuming { Duration::ZERO } else { self.clock.wall(GRACE) }
    }

    /// The time for the ledger.
    fn at(&self) -> String {
        (self.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// What decisions need to know of the fields.
fn facts(schema: &Schema) -> FieldFacts {
    let fact = |field: &Field| FieldFact {
        label: field.display_name.clone(),
        data_type: field.data_type.clone(),
        length: field.length,
        writeable: field.updateable && !field.crm_managed,
    };
    let fields = schema.fields.iter().map(|(name, field)| (name.clone(), fact(field))).collect();
    FieldFacts { fields, not_taken: BTreeSet::new() }
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
    /// A plan in the ledger is not what it was when it was made, or not for this program.
    #[error("plan {id} in the ledger cannot be carried out: {what}; make a new one with `mkto-audit merge`")]
    UnusablePlan {
        /// The plan.
        id: String,
        /// Why not.
        what: String,
    },
}

#[cfg(test)]
mod tests;
