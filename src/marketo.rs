//! Speaks Marketo, and knows nothing of duplicates.
//!
//! For: one typed, paced, classified door to the REST API, in capabilities. A [`Client`] makes
//! calls with its own token; on behalf of the guard's callers a session makes them with theirs.
//! Both go by one retry loop, one envelope and one table of what Marketo's codes mean.
//!
//! Never: prints, decides about duplicates, sends a write a second time whose outcome is unclear,
//! or lets a token or a secret reach a URL, an error or a log line.
//!
//! From the wire upwards: `transport` (connections, and bodies that leave by a deadline), `call`,
//! `envelope`, `meaning`, `failure`, `retry`, `session`, `client`, then the typed verbs in `read`,
//! `history`, `write` and `export`.

use crate::lead::LeadId;

mod auth;
mod call;
mod capabilities;
mod certificate;
mod client;
mod clock;
mod custom_objects;
mod deadline;
mod delete;
mod envelope;
mod error;
mod error_chain;
mod export;
mod failure;
mod history;
mod in_flight;
mod instance;
mod list_changes;
mod meaning;
mod members;
mod model;
mod options;
mod pacer;
mod permission;
mod quota;
mod read;
mod restore;
mod retry;
mod schema;
mod send_gate;
mod session;
mod spending;
mod token;
pub(crate) mod transport;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use auth::{Auth, Borrowed};
pub use capabilities::{
    DeleteLeads, LinkRows, MergeLeads, ReadActivities, ReadCustomObjects, ReadHistory, ReadLeads,
    ReadMemberFields, ReadMemberships, ReadUsage, RestoreLeads, SetProgramStatus, SyncLeads,
};
pub use certificate::CertificateFault;
pub use client::Client;
pub use clock::{Clock, Moment};
pub(crate) use deadline::margin;
pub use deadline::{LeaveBy, MARGIN, to_send, until_over};
pub use error::{Error, Outcome};
pub(crate) use error_chain::in_words;
pub use export::{Download, ExportBudget, ExportJob, ExportLeads, ExportStatus, Ordered};
pub(crate) use failure::{CallFailure, Refusal};
pub use in_flight::{InFlight, longest};
pub use instance::{
    Activity, ActivityPage, ActivityType, CustomObjectType, LeadChange, LeadPartition, MergeRecord,
    ObjectField, Program, ProgramMember, Since, StaticList, Usage,
};
pub use list_changes::ListChange;
pub(crate) use meaning::Meaning;
pub(crate) use meaning::{Kind, Verdict, code_of, is_of_a_record, of_code, of_http};
pub use model::{
    Accepted, Reason, RecordResult, RecordStatus, RowLink, RowResult, StatusResult, SyncAction,
    SyncRequest,
};
pub(crate) use options::is_loopback;
pub use options::{ClientOptions, OwnCredentials};
pub use pacer::Share;
pub(crate) use pacer::{Pacer, Slot};
pub(crate) use quota::day;
pub(crate) use retry::Turns;
pub(crate) use retry::crowded_pause;
pub use schema::{Field, Schema};
pub(crate) use send_gate::AtAnyTime;
pub use send_gate::{SendGate, UntilStopped, Withheld};
pub(crate) use session::{Found, MarketoTime, RawWrite, Written};
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

/// How long Marketo lets a write of rows of a custom object run.
pub const ROWS_LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// The result of one call, or why there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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

/// A restore that somebody has looked at and confirmed. It is sealed, as [`MergeOrder`] is:
///
/// ```compile_fail,E0277
/// struct Mine;
///
/// impl mkto_audit::marketo::RestoreOrder for Mine {}
/// ```
pub trait RestoreOrder: sealed::Sealed + Send + Sync {}

/// Leads that this program made for a test, each looked at again under the address that it gave
/// them. It is sealed, as [`MergeOrder`] is: nothing else is ever deleted.
///
/// ```compile_fail,E0277
/// struct Mine(Vec<u64>);
///
/// impl mkto_audit::marketo::DeleteOrder for Mine {
///     fn leads(&self) -> &[u64] { &self.0 }
/// }
/// ```
pub trait DeleteOrder: sealed::Sealed + Send + Sync {
    /// The leads, at most [`BATCH`].
    fn leads(&self) -> &[LeadId];
}

pub(crate) mod sealed {
    /// Keeps other crates from implementing what it is part of.
    pub trait Sealed {}
}
