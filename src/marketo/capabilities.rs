//! What a client may do, one capability a trait: so that a caller can be handed no more than it
//! needs. What plans can only read, and the guard cannot merge.
//!
//! Everything that reads can be asked again without harm, so the client retries it. A write leaves
//! once.

use std::collections::BTreeMap;
use std::future::Future;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    Accepted, ActivityPage, ActivityType, AtAnyTime, CustomObjectType, DeleteOrder, LeadChange,
    LeadPartition, MergeOrder, MergeRecord, Moment, ObjectField, Program, ProgramMember,
    RecordResult, RestoreOrder, Result, RowLink, RowResult, Schema, SendGate, Since, StaticList,
    StatusResult, SyncRequest, Usage,
};
use crate::lead::{Lead, LeadId};

/// Leads, and the fields that they have.
pub trait ReadLeads: Send + Sync {
    /// Leads whose `field` has one of `values` (at most [`BATCH`](super::BATCH)), all pages of the
    /// answer, by id. Values that no lead has are simply missing from the answer. Where Marketo
    /// finds over 1,000 the values are split and asked again; a single value with over 1,000 leads
    /// is an error.
    fn leads_by(
        &self,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> impl Future<Output = Result<Vec<Lead>>> + Send;

    /// The leads that still have these ids (at most [`BATCH`](super::BATCH)), by id.
    fn leads_by_id(
        &self,
        ids: &[LeadId],
        fields: &[String],
    ) -> impl Future<Output = Result<Vec<Lead>>> + Send {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        async move { self.leads_by("id", &ids, fields).await }
    }

    /// The leads that still have these ids (at most [`BATCH`](super::BATCH)), by id, and the moment
    /// since when they were so: that at which the call left, after all the waiting for its turn.
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
}

/// The log of activities, page by page.
pub trait ReadActivities: Send + Sync {
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
}

/// The static lists and programs, and which leads are in them.
pub trait ReadMemberships: Send + Sync {
    /// The lead partitions that this API user may see.
    fn lead_partitions(&self) -> impl Future<Output = Result<Vec<LeadPartition>>> + Send;

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
}

/// The fields that programs keep of their members, beside status and success.
pub trait ReadMemberFields: Send + Sync {
    /// The fields that a caller may write, by REST name; the same for every program.
    fn member_fields(&self) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// These fields of those of the leads that are members of a program.
    fn member_values(
        &self,
        program: u64,
        leads: &[LeadId],
        fields: &[String],
    ) -> impl Future<Output = Result<BTreeMap<LeadId, Map<String, Value>>>> + Send;
}

/// Custom objects that belong to leads.
pub trait ReadCustomObjects: Send + Sync {
    /// The custom objects that link to leads, with the lead field that they link by.
    fn lead_custom_objects(&self) -> impl Future<Output = Result<Vec<CustomObjectType>>> + Send;

    /// What describe tells of an object's fields, by their names.
    fn object_fields(
        &self,
        object: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, ObjectField>>> + Send;

    /// Rows of a custom object whose `field` has one of `values` (at most [`BATCH`](super::BATCH)),
    /// each with `marketoGUID`, that field and `fields`.
    fn custom_objects(
        &self,
        object: &str,
        field: &str,
        values: &[String],
        fields: &[String],
    ) -> impl Future<Output = Result<Vec<Map<String, Value>>>> + Send;
}

/// What linking rows of custom objects to other leads may do.
pub trait LinkRows: Send + Sync {
    /// Links at most [`BATCH`](super::BATCH) rows, by their GUIDs, to leads, by this field of the
    /// object, and says what became of each, in the order in which they were given. Sent once, as
    /// [`SyncLeads::sync_leads_with`] is; after an [`Outcome::Unclear`](super::Outcome::Unclear)
    /// error read the rows when [`ROWS_LIMIT`](super::ROWS_LIMIT) is over.
    fn link_rows_with(
        &self,
        gate: &impl SendGate,
        object: &str,
        field: &str,
        rows: &[RowLink],
    ) -> impl Future<Output = Result<Vec<RowResult>>> + Send;
}

/// What the instance as a whole has used up.
pub trait ReadUsage: Send + Sync {
    /// The calls of today by all integrations together.
    fn usage_today(&self) -> impl Future<Output = Result<Usage>> + Send;
}

/// What Marketo's own log of activities tells of merges and changes: a witness beside our own
/// looks. Rows become visible seconds to minutes after what they tell of: one that is missing
/// proves nothing. Both need the permission Read-Only Activity; without it they are an
/// [`Error::Permission`](super::Error::Permission) that names it.
pub trait ReadHistory: Send + Sync {
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
    /// Sends at most [`BATCH`](super::BATCH) records within [`BODY_BYTES`](super::BODY_BYTES) once,
    /// and gives what Marketo says of each, in the order of the input. Never sent again after an
    /// [`Outcome::Unclear`](super::Outcome::Unclear) error: that is the caller's to settle, by
    /// looking. A call may wait long for its place among the limits, and be turned away and try
    /// anew; `gate` is asked each time, at the last moment before it leaves. Without it, or where
    /// it is withdrawn meanwhile, nothing is sent, and the error is
    /// [`Error::Withheld`](super::Error::Withheld).
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
    /// Gives at most [`BATCH`](super::BATCH) leads this status in the program, whether they are
    /// members yet or not, and says what became of each, in the order in which they were given. A
    /// member that is at that step or past it is skipped with 1037: a status only ever rises. Sent
    /// once, as [`SyncLeads::sync_leads_with`] is; after an
    /// [`Outcome::Unclear`](super::Outcome::Unclear) error read the memberships when
    /// [`STATUS_LIMIT`](super::STATUS_LIMIT) is over, and what is missing can be sent again, since
    /// twice is the same as once.
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

/// What making lost leads good may do beyond writing to leads and raising statuses. It takes what
/// only a confirmed restore can make, so that no other code can ask for it. Each call leaves once,
/// as [`SyncLeads::sync_leads_with`] does.
pub trait RestoreLeads: Send + Sync {
    /// Makes one lead of these values, whatever there is: the one call that must never be sent
    /// twice. After an [`Outcome::Unclear`](super::Outcome::Unclear) error look for the lead by
    /// what it holds, when [`SYNC_LIMIT`](super::SYNC_LIMIT) is over.
    fn make_lead_with(
        &self,
        gate: &impl SendGate,
        order: &impl RestoreOrder,
        values: &Map<String, Value>,
    ) -> impl Future<Output = Result<RecordResult>> + Send;

    /// Puts a lead on a static list, or takes it off. Twice is the same as once.
    fn set_on_list_with(
        &self,
        gate: &impl SendGate,
        order: &impl RestoreOrder,
        list: u64,
        lead: LeadId,
        on: bool,
    ) -> impl Future<Output = Result<StatusResult>> + Send;

    /// Takes a lead out of a program, with its dates, its success and its place in a stream. Twice
    /// is the same as once.
    fn leave_program_with(
        &self,
        gate: &impl SendGate,
        order: &impl RestoreOrder,
        program: u64,
        lead: LeadId,
    ) -> impl Future<Output = Result<StatusResult>> + Send;

    /// Writes fields of a member of a program.
    fn set_member_fields_with(
        &self,
        gate: &impl SendGate,
        order: &impl RestoreOrder,
        program: u64,
        lead: LeadId,
        fields: &Map<String, Value>,
    ) -> impl Future<Output = Result<StatusResult>> + Send;

    /// Moves a lead to another partition, by its name.
    fn move_to_partition_with(
        &self,
        gate: &impl SendGate,
        order: &impl RestoreOrder,
        lead: LeadId,
        partition: &str,
    ) -> impl Future<Output = Result<StatusResult>> + Send;

    /// The lead partitions that this API user sees: id and name.
    fn partitions(&self) -> impl Future<Output = Result<Vec<(u64, String)>>> + Send;
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

/// What removing test people may do: one call of Delete Leads. It takes an order that names leads
/// which this program made itself.
pub trait DeleteLeads: Send + Sync {
    /// Deletes the leads of the order, and says what became of each, in its order. One that is gone
    /// is skipped with 1004. Sent once, as [`SyncLeads::sync_leads_with`] is; what is still there
    /// when [`STATUS_LIMIT`](super::STATUS_LIMIT) is over can be sent again, since twice is the
    /// same as once.
    fn delete_leads_with(
        &self,
        gate: &impl SendGate,
        order: &impl DeleteOrder,
    ) -> impl Future<Output = Result<Vec<StatusResult>>> + Send;

    /// The same for a call that may leave at any time.
    fn delete_leads(
        &self,
        order: &impl DeleteOrder,
    ) -> impl Future<Output = Result<Vec<StatusResult>>> + Send {
        self.delete_leads_with(&AtAnyTime, order)
    }
}
