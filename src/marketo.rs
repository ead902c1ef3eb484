//! Speaks Marketo, and knows nothing of duplicates.
//!
//! For: one typed, paced, classified door to the REST API. Reading, upserting and merging are three
//! capabilities, so that a caller can be handed no more than it needs: what plans can only read,
//! and what guards cannot merge. Never: prints, decides about duplicates, sends a write a second
//! time whose outcome is unclear, or lets a token or a secret reach a URL, an error or a log line.

use std::future::Future;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lead::{Lead, LeadId};

#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod auth;
#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod call;
mod certificate;
mod client;
mod clock;
mod deadline;
#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod envelope;
mod error;
mod export;
#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod failure;
mod in_flight;
mod instance;
#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod meaning;
mod options;
mod pacer;
mod permission;
mod quota;
mod read;
mod retry;
mod schema;
mod send_gate;
#[cfg_attr(not(test), expect(dead_code, reason = "the guard is to call by it"))]
mod session;
mod spending;
mod token;
pub(crate) mod transport;
mod witness;
mod write;

#[cfg(test)]
mod tests;

#[cfg_attr(not(test), expect(unused_imports, reason = "the guard is to call by them"))]
pub(crate) use auth::{Auth, Borrowed};
pub use certificate::CertificateFault;
pub use client::Client;
pub use clock::{Clock, Moment};
pub(crate) use deadline::margin;
pub use deadline::{LeaveBy, MARGIN, to_send, until_over};
pub use error::{Error, Outcome};
pub use export::{Download, ExportBudget, ExportJob, ExportLeads, ExportStatus, Ordered};
pub(crate) use failure::in_words;
#[cfg_attr(not(test), expect(unused_imports, reason = "the guard is to call by them"))]
pub(crate) use failure::{CallFailure, Refusal};
pub use in_flight::{InFlight, longest};
pub use instance::{
    Activity, ActivityPage, ActivityType, CustomObjectType, LeadChange, MergeRecord, Program,
    ProgramMember, Since, StaticList, Usage,
};
#[cfg_attr(not(test), expect(unused_imports, reason = "the guard is to call by them"))]
pub(crate) use meaning::Meaning;
pub(crate) use meaning::{Kind, Verdict, code_of, is_of_a_record, of_code, of_http};
pub(crate) use options::is_loopback;
pub use options::{ClientOptions, OwnCredentials};
pub use pacer::Share;
pub(crate) use pacer::{Pacer, Slot};
pub(crate) use quota::day;
#[cfg_attr(not(test), expect(unused_imports, reason = "the guard is to call by them"))]
pub(crate) use retry::Turns;
pub(crate) use retry::crowded_pause;
pub use schema::{Field, Schema};
pub(crate) use send_gate::AtAnyTime;
pub use send_gate::{SendGate, UntilStopped, Withheld};
#[cfg_attr(not(test), expect(unused_imports, reason = "the guard is to call by them"))]
pub(crate) use session::{Found, MarketoTime, RawWrite, Session, Written};
pub(crate) use spending::NoCall;
pub use spending::{OneRun, Spending, Spent, Uncounted};

/// Most records, ids or filter values that one call takes, and most leads on a page.
pub const BATCH: usize = 300;

/// Most losers that one merge call takes; above it Marketo answers 1080 (since 31 March 2026).
pub const MERGE_LOSERS: usize = 25;

/// Marketo allows bodies of 1 MB; what stays below this leaves room for the envelope.
pub const BODY_BYTES: usize = 1_000_000;

/// How long Marketo lets a Sync Leads call run: until then a call whose answer was lost may still
/// write.
pub const SYNC_LIMIT: std::time::Duration = std::time::Duration::from_secs(90);

/// How long Marketo lets a merge run.
pub const MERGE_LIMIT: std::time::Duration = std::time::Duration::from_secs(180);

/// How long Marketo lets a change of program status run.
pub const STATUS_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// The result of one call, or why there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What reading may do. All of it can be asked again without harm, so the client retries it.
pub trait ReadLeads: Send + Sync {
    /// Leads whose `field` has one of `values` (at most [`BATCH`]), all pages of the answer, by id.
    /// Values that no lead has are simply missing from the answer. Where Marketo finds over 1,000
    /// the values are split and asked again; a single value with over 1,000 leads is an error.
    fn leads_by(
        &self,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> impl Future<Output = Result<Vec<Lead>>> + Send;

    /// The leads that still have these ids (at most [`BATCH`]), by id.
    fn leads_by_id(
        &self,
        ids: &[LeadId],
        fields: &[String],
    ) -> impl Future<Output = Result<Vec<Lead>>> + Send {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        async move { self.leads_by("id", &ids, fields).await }
    }

    /// The leads that still have these ids (at most [`BATCH`]), by id, and the moment since when
    /// they were so: that at which the call left, after all the waiting for its turn.
    fn look(
        &self,
        ids: &[LeadId],
        fields: &[String],
    ) -> impl Future<Output = Result<(Moment, Vec<Lead>)>> + Send {
        async move {
            let at = Moment::now();
            Ok((at, self.leads_by_id(ids, fields).await?))
        }
    }

    /// The fields that leads have here, and which of them can be looked up by.
    fn describe(&self) -> impl Future<Output = Result<Schema>> + Send;

    /// The names and numbers of activity types.
    fn activity_types(&self) -> impl Future<Output = Result<Vec<ActivityType>>> + Send;

    /// A token from which activities since `since` can be paged.
    fn paging_token(&self, since: DateTime<Utc>) -> impl Future<Output = Result<String>> + Send;

    /// One page of activities of at most ten types, of all leads or of at most 30. It may be short
    /// or empty although more follow.
    fn activities(
        &self,
        token: &str,
        types: &[u32],
        leads: &[LeadId],
    ) -> impl Future<Output = Result<ActivityPage>> + Send;

    /// One page of changes of these fields, by REST name, and of births, which come whatever the
    /// fields.
    fn lead_changes(
        &self,
        token: &str,
        fields: &[String],
    ) -> impl Future<Output = Result<ActivityPage>> + Send;

    /// One page of deletions, which Marketo keeps for 14 days. Whether leads that were merged away
    /// are among them is not documented.
    fn deleted_leads(&self, token: &str) -> impl Future<Output = Result<ActivityPage>> + Send;

    /// The static lists, all pages.
    fn static_lists(&self) -> impl Future<Output = Result<Vec<StaticList>>> + Send;

    /// The ids of the leads on a static list: one page, and the token of the next.
    fn list_members(
        &self,
        list: u64,
        token: Option<&str>,
    ) -> impl Future<Output = Result<(Vec<LeadId>, Option<String>)>> + Send;

    /// The static lists that a lead is on, as Marketo describes them (`id`, `name`, …).
    fn list_membership(
        &self,
        lead: LeadId,
    ) -> impl Future<Output = Result<Vec<Map<String, Value>>>> + Send;

    /// The programs that a lead is in, as Marketo describes them (`id`, `progressionStatus`, …).
    fn program_membership(
        &self,
        lead: LeadId,
    ) -> impl Future<Output = Result<Vec<Map<String, Value>>>> + Send;

    /// The programs, all pages.
    fn programs(&self) -> impl Future<Output = Result<Vec<Program>>> + Send;

    /// The members of a program, each with its membership as Marketo describes it
    /// (`progressionStatus`, …): one page, and the token of the next. A page may be short or empty
    /// although more follow: only a missing token ends it.
    fn program_members(
        &self,
        program: u64,
        token: Option<&str>,
    ) -> impl Future<Output = Result<(Vec<ProgramMember>, Option<String>)>> + Send;

    /// The custom objects that link to leads, with the lead field that they link by.
    fn lead_custom_objects(&self) -> impl Future<Output = Result<Vec<CustomObjectType>>> + Send;

    /// Rows of a custom object whose `field` has one of `values` (at most [`BATCH`]).
    fn custom_objects(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Vec<Map<String, Value>>>> + Send;

    /// The calls of today by all integrations together.
    fn usage_today(&self) -> impl Future<Output = Result<Usage>> + Send;
}

/// What Marketo's own log of activities tells of merges and changes: a witness beside our own
/// looks. Rows become visible seconds to minutes after what they tell of: one that is missing
/// proves nothing. Both need the permission Read-Only Activity; without it they are an
/// [`Error::Permission`] that names it.
pub trait ReadActivities: Send + Sync {
    /// The merges that Marketo recorded since then of these leads, as winners of then or now, by
    /// time. More than 30 leads are looked for in the log of all, and found as losers too; of no
    /// leads nothing is asked. Whose record names no losers is given with none.
    fn merges_since(
        &self,
        since: DateTime<Utc>,
        leads: &[LeadId],
    ) -> impl Future<Output = Result<Vec<MergeRecord>>> + Send;

    /// Every change of these fields, by REST name, on the whole instance, in the order of the log,
    /// and the token from which the next call goes on.
    fn consent_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> impl Future<Output = Result<(Vec<LeadChange>, String)>> + Send;

    /// The same with changes of scores, which Marketo logs as a type of their own: from the log of
    /// all changed values, so that the rows of every other field are passed over too. A change of a
    /// score carries no source.
    fn value_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> impl Future<Output = Result<(Vec<LeadChange>, String)>> + Send;
}

/// What writing leads may do: one call of Sync Leads.
pub trait SyncLeads: Send + Sync {
    /// Sends at most [`BATCH`] records within [`BODY_BYTES`] once, and gives what Marketo says of
    /// each, in the order of the input. Never sent again after an [`Outcome::Unclear`] error: that
    /// is the caller's to settle, by looking. A call may wait long for its place among the limits,
    /// and be turned away and try anew; `gate` is asked each time, at the last moment before it
    /// leaves. Without it, or where it is withdrawn meanwhile, nothing is sent, and the error is
    /// [`Error::Withheld`].
    fn sync_leads_with(
        &self,
        gate: &impl SendGate,
        request: &SyncRequest,
    ) -> impl Future<Output = Result<Vec<RecordResult>>> + Send;

    /// The same for a call that may leave at any time.
    fn sync_leads(
        &self,
        request: &SyncRequest,
    ) -> impl Future<Output = Result<Vec<RecordResult>>> + Send {
        self.sync_leads_with(&AtAnyTime, request)
    }
}

/// What moving members of programs may do: one call of Sync Program Member Status.
pub trait SetProgramStatus: Send + Sync {
    /// Gives at most [`BATCH`] leads this status in the program, whether they are members yet or
    /// not, and says what became of each, in the order in which they were given. A member that is
    /// at that step or past it is skipped with 1037: a status only ever rises. Sent once, as
    /// [`SyncLeads::sync_leads_with`] is; after an [`Outcome::Unclear`] error read the memberships
    /// when [`STATUS_LIMIT`] is over, and what is missing can be sent again, since twice is the
    /// same as once.
    fn set_program_status_with(
        &self,
        gate: &impl SendGate,
        program: u64,
        status: &str,
        leads: &[LeadId],
    ) -> impl Future<Output = Result<Vec<StatusResult>>> + Send;

    /// The same for a call that may leave at any time.
    fn set_program_status(
        &self,
        program: u64,
        status: &str,
        leads: &[LeadId],
    ) -> impl Future<Output = Result<Vec<StatusResult>>> + Send {
        self.set_program_status_with(&AtAnyTime, program, status, leads)
    }
}

/// What merging may do. It takes an order, which only a confirmed plan can make.
pub trait MergeLeads: Send + Sync {
    /// Sends one merge once. `Ok` says that Marketo accepted it, not who survived: look at all ids
    /// afterwards. `gate` is asked as it is for [`SyncLeads::sync_leads_with`].
    fn merge_leads_with(
        &self,
        gate: &impl SendGate,
        order: &impl MergeOrder,
    ) -> impl Future<Output = Result<Accepted>> + Send;

    /// The same for a call that may leave at any time.
    fn merge_leads(
        &self,
        order: &impl MergeOrder,
    ) -> impl Future<Output = Result<Accepted>> + Send {
        self.merge_leads_with(&AtAnyTime, order)
    }
}

/// A merge that somebody has looked at and confirmed. It is sealed: the step of a confirmed plan
/// alone implements it ([`crate::merge::Confirmed`]), so that no other code can ask for a merge.
///
/// Another crate can name it, and cannot implement it:
///
/// ```compile_fail,E0277
/// use mkto_audit::lead::LeadId;
/// use mkto_audit::marketo::MergeOrder;
///
/// struct Mine(LeadId, Vec<LeadId>);
///
/// impl MergeOrder for Mine {
///     fn winner(&self) -> LeadId { self.0 }
///     fn losers(&self) -> &[LeadId] { &self.1 }
///     fn in_crm(&self) -> bool { false }
/// }
/// ```
///
/// Nothing else is wrong with that: for a trait of its own, with the same items, it compiles.
///
/// ```
/// use mkto_audit::lead::LeadId;
/// use mkto_audit::marketo::MergeOrder as _;
/// # trait MergeOrder {
/// #     fn winner(&self) -> LeadId;
/// #     fn losers(&self) -> &[LeadId];
/// #     fn in_crm(&self) -> bool;
/// # }
///
/// struct Mine(LeadId, Vec<LeadId>);
///
/// impl MergeOrder for Mine {
///     fn winner(&self) -> LeadId { self.0 }
///     fn losers(&self) -> &[LeadId] { &self.1 }
///     fn in_crm(&self) -> bool { false }
/// }
/// ```
pub trait MergeOrder: sealed::Sealed + Send + Sync {
    /// The lead that stays, as asked for; the CRM's precedence can override it.
    fn winner(&self) -> LeadId;
    /// The leads that go, at most [`MERGE_LOSERS`], in the order that the plan gave them.
    fn losers(&self) -> &[LeadId];
    /// Whether Salesforce is to merge its records too; then there is one loser a call.
    fn in_crm(&self) -> bool;
}

pub(crate) mod sealed {
    /// Keeps other crates from implementing what it is part of.
    pub trait Sealed {}
}

/// What Sync Leads is asked to do with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncAction {
    /// Insert where none matches, else update. The action that races.
    CreateOrUpdate,
    /// Insert, or 1005 where one matches.
    CreateOnly,
    /// Update, or 1004 where none matches.
    UpdateOnly,
    /// Insert whatever there is.
    CreateDuplicate,
}

/// One call of Sync Leads.
#[derive(Clone)]
pub struct SyncRequest {
    /// What to do with the records.
    pub action: SyncAction,
    /// The field that is looked up; `id` goes with `updateOnly` alone.
    pub lookup_field: String,
    /// The partition that new leads go to; the default one where absent.
    pub partition: Option<String>,
    /// The records. Their values are people's data: `Debug` shows their number alone.
    pub input: Vec<Map<String, Value>>,
}

impl std::fmt::Debug for SyncRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncRequest")
            .field("action", &self.action)
            .field("lookup_field", &self.lookup_field)
            .field("partition", &self.partition)
            .field("records", &self.input.len())
            .finish()
    }
}

/// What Marketo says of one record of a Sync Leads call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordResult {
    /// What became of it.
    pub status: RecordStatus,
    /// The lead; a skipped record has none.
    pub id: Option<LeadId>,
    /// Why it was skipped.
    pub reasons: Vec<Reason>,
    /// Marketo's id of the call, which carries the time at which it arrived.
    pub request_id: Option<String>,
}

impl RecordResult {
    /// Whether one of the reasons has this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

/// What Marketo says of one lead of a change of program status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusResult {
    /// The lead.
    pub lead: LeadId,
    /// Whether it was given the status; where not, it was skipped.
    pub set: bool,
    /// Why it was skipped.
    pub reasons: Vec<Reason>,
}

impl StatusResult {
    /// Whether the lead was at that status already, or past it (1037).
    pub fn is_there_already(&self) -> bool {
        self.set || self.reasons.iter().any(|reason| reason.code == "1037")
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStatus {
    /// A new lead.
    Created,
    /// An existing lead was written to, even where nothing changed.
    Updated,
    /// Nothing was written.
    Skipped,
}

/// Marketo's code and text for a refusal. Decide on the code: texts differ between Marketo's own
/// pages and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For example `1007`.
    pub code: String,
    /// Marketo's words.
    pub message: String,
}

/// A merge that Marketo accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Marketo's id of the call.
    pub request_id: Option<String>,
}
