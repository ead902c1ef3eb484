//! Makes lost leads good from their backups: it is no undoing, and says what cannot come back.
//!
//! A lost lead, step by step:
//!
//! 1. **look**: the lead that took it, with its lists and programs, as it is now. What is to be
//!    done is decided from that and from the backups (`wanted`, pure).
//! 2. **hold** the keys of both (law 10), and look again.
//! 3. **make** the lead anew (`make`). The ledger has a row before the call leaves. A lost answer
//!    is looked for by what the lead holds (law 4), by this run or the next: no call is sent a
//!    second time, so that no second lead arises.
//! 4. **fill**: partition, lists, programs, fields of members, rows of custom objects (`rows`); the
//!    former values of the lead that took it, and the lists that it got. Each is done only where
//!    a look shows that it is missing, so that the same command goes on with a run that was killed.
//! 5. **read back** everything, and tell what is there and what is not.
//!
//! Never: takes back an opt-out (law 5), or a value that somebody else wrote since; makes a lead
//! without a value by which it could be looked for; prints.

mod carry;
mod find;
mod live;
mod make;
mod members;
mod membership;
mod report;
mod rows;
mod steps;
mod wanted;
mod words;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use find::{Loss, Which, losses};
pub use report::{
    FormerMember, FormerValue, Missing, Named, RestoreReport, RestoredReport, Status, ValueOf,
    WinnerReport,
};
pub use words::{ROWS_SET_OFF, SETS_OFF, never};

use super::context::facts;
use super::error::Error;
use super::hold::{Hold, Holds};
use super::member_fields;
use crate::dedupe::FieldFacts;
use crate::ledger::Ledger;
use crate::marketo::{
    Clock, LinkRows, ReadCustomObjects, ReadLeads, ReadMemberFields, ReadMemberships, RestoreLeads,
    RestoreOrder, Schema, SetProgramStatus, SyncLeads, sealed,
};

/// What restoring asks of Marketo.
pub trait RestoreClient:
    ReadLeads
    + ReadMemberships
    + ReadMemberFields
    + ReadCustomObjects
    + SyncLeads
    + SetProgramStatus
    + LinkRows
    + RestoreLeads
{
}

impl<M> RestoreClient for M where
    M: ReadLeads
        + ReadMemberships
        + ReadMemberFields
        + ReadCustomObjects
        + SyncLeads
        + SetProgramStatus
        + LinkRows
        + RestoreLeads
{
}

/// A restore that somebody looked at and agreed to.
#[derive(Debug)]
pub struct ConfirmedRestore(());

impl ConfirmedRestore {
    /// To be called where a person, or a script in a person's name, said yes, and nowhere else.
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for ConfirmedRestore {
    fn default() -> Self {
        Self::new()
    }
}

impl sealed::Sealed for ConfirmedRestore {}
impl RestoreOrder for ConfirmedRestore {}

/// How a restore goes about it.
#[derive(Debug, Clone)]
pub struct RestoreSettings {
    /// How fast Marketo's time passes.
    pub clock: Clock,
    /// What the ledger's times are read from.
    pub now: fn() -> DateTime<Utc>,
    /// Cancelled: the lead under way is brought to its end, and no other is begun.
    pub stop: CancellationToken,
    /// Where the keys are leased of what is written.
    pub hold: Hold,
    /// Who runs it, for the ledger.
    pub by: Option<String>,
    /// Whether a status that the merge raised may be lowered, and a membership that it brought be
    /// ended, at the price of their dates, success and stream.
    pub lower_status: bool,
}

/// A restore on one instance.
pub struct Restore<'a, M> {
    marketo: &'a M,
    ledger: &'a mut Ledger,
    settings: RestoreSettings,
    facts: FieldFacts,
    fields: Vec<String>,
    /// The fields that programs have of their members.
    member_fields: Vec<String>,
    searchable: Vec<String>,
    holds: Holds,
    opened_at: Instant,
    /// Id and name, read once where they are needed.
    partitions: Option<Vec<(u64, String)>>,
}

impl<M> std::fmt::Debug for Restore<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl<'a, M: RestoreClient> Restore<'a, M> {
    /// Learns which fields the instance has. The ledger must have been opened for this run: while
    /// it is held, no earlier run can still be sending.
    pub async fn new(
        marketo: &'a M,
        ledger: &'a mut Ledger,
        settings: RestoreSettings,
    ) -> Result<Self, Error> {
        let opened_at = Instant::now();
        let schema: Schema = marketo.describe().await?;
        let member_fields = member_fields::known(marketo).await?;
        let holds = Holds::new(settings.hold.clone(), &schema.searchable, settings.clock);
        Ok(Self {
            marketo,
            ledger,
            facts: facts(&schema),
            fields: schema.fields.into_keys().collect(),
            member_fields,
            searchable: schema.searchable,
            settings,
            holds,
            opened_at,
            partitions: None,
        })
    }

    /// The time for the ledger.
    fn at(&self) -> String {
        (self.settings.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}
