//! What happened to the leads of an instance, in the order in which it was committed.
//!
//! An entry keeps the id that the lead had then. Marketo shows the survivor's id once a lead was
//! merged away, so ids are resolved when entries are read, through [`Directory`]; nothing is
//! rewritten at a merge. Entries are never removed either: what Marketo purges after some weeks or
//! months is hidden by age.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::activity_types::Type;

/// One entry: something that happened to a lead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Activity {
    /// The lead's id at the time.
    pub(crate) lead: u64,
    /// When it happened; shown in whole seconds.
    pub(crate) at: DateTime<Utc>,
    /// When it can be read: later than it happened.
    pub(crate) visible_from: DateTime<Utc>,
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The lead was created.
    NewLead(Source),
    /// A field got another value.
    ChangeDataValue {
        /// The field's REST name.
        field: Arc<str>,
        old: Option<Arc<str>>,
        new: Option<Arc<str>>,
        /// The call that did it; otherwise somebody on Marketo's screens.
        by: Option<Call>,
    },
    /// The lead took in others.
    MergeLeads {
        losers: Box<[u64]>,
        in_sales: bool,
        /// The call that did it; otherwise somebody on Marketo's screens.
        by: Option<Box<Call>>,
    },
    /// An anonymous visitor turned out to be this lead.
    JoinVisitor { visitor: u64 },
    /// The lead was deleted.
    DeleteLead,
    /// The lead was deleted by Salesforce's sync.
    DeleteLeadFromSfdc,
    /// The lead was moved to another partition.
    ChangePartition { old: u64, new: u64 },
    /// The lead was put on a static list.
    AddToList { list: u64 },
    /// The lead was taken off a static list.
    RemoveFromList { list: u64 },
    /// The lead filled out a form.
    FillOutForm { form: Arc<str> },
    /// The lead visited a page.
    VisitWebPage { page: Arc<str> },
    /// A score changed.
    ChangeScore { old: i64, new: i64 },
    /// A program status changed.
    ChangeStatus { program: u64, new: Arc<str> },
}

/// How a lead was created, as its New Lead activity tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A call of the REST API; instances of some age have entries without the call.
    Api(Option<Call>),
    /// A form was filled out.
    Form(Arc<str>),
    /// A file was imported into the list of that name.
    ListImport(Arc<str>),
    /// Salesforce's sync, with the type that the record has there.
    Salesforce(&'static str),
    /// Somebody typed it in.
    ByHand,
    /// An anonymous visitor became known.
    WebPageVisit,
}

/// A call of the API that changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Such as `syncLead`.
    pub(crate) method: &'static str,
    /// The login of the API-only user.
    pub(crate) user: Arc<str>,
    /// The call's request id, which carries the time of its arrival.
    pub(crate) request_id: Arc<str>,
}

impl What {
    pub(crate) fn activity_type(&self) -> &'static Type {
        use super::activity_types::{
            ADD_TO_LIST, CHANGE_DATA_VALUE, CHANGE_PARTITION, CHANGE_SCORE, CHANGE_STATUS,
            DELETE_FROM_SFDC, DELETE_LEAD, FILL_OUT_FORM, MERGE_LEADS, NEW_LEAD, REMOVE_FROM_LIST,
            VISIT_WEB_PAGE,
        };
        match self {
            Self::NewLead(_) => &NEW_LEAD,
            Self::ChangeDataValue { .. } => &CHANGE_DATA_VALUE,
            Self::MergeLeads { .. } | Self::JoinVisitor { .. } => &MERGE_LEADS,
            Self::DeleteLead => &DELETE_LEAD,
            Self::DeleteLeadFromSfdc => &DELETE_FROM_SFDC,
            Self::ChangePartition { .. } => &CHANGE_PARTITION,
            Self::AddToList { .. } => &ADD_TO_LIST,
            Self::RemoveFromList { .. } => &REMOVE_FROM_LIST,
            Self::FillOutForm { .. } => &FILL_OUT_FORM,
            Self::VisitWebPage { .. } => &VISIT_WEB_PAGE,
            Self::ChangeScore { .. } => &CHANGE_SCORE,
            Self::ChangeStatus { .. } => &CHANGE_STATUS,
        }
    }
}

/// What the log must know of the rest of the instance to show its entries.
pub(crate) trait Directory {
    /// The lead that this one is today: itself, the last survivor of its merges, or none if that
    /// was deleted.
    fn survivor(&self, lead: u64) -> Option<u64>;
    /// The id and the display name of a field.
    fn field(&self, rest_name: &str) -> (u64, String);
    /// The name of a static list.
    fn list_name(&self, list: u64) -> Option<String>;
    /// The name of a program.
    fn program_name(&self, program: u64) -> Option<String>;
}

/// All entries, oldest commit first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Activity>,
    /// What is committed later than what happens after it.
    late: Vec<Activity>,
    /// The end of a seeded instance's history. Entries before it do not age any further, so that
    /// what can be read of them does not depend on the day on which the sandbox runs.
    ages_from: Option<DateTime<Utc>>,
}

/// Which entries a reader wants.
pub(crate) struct Wanted<'a> {
    pub(crate) types: &'a [u32],
    /// Only what happened to these, by the ids that they have today; to any lead when none.
    pub(crate) leads: Option<&'a BTreeSet<u64>>,
    /// For Change Data Value, only these fields; every field when none.
    pub(crate) fields: Option<&'a [String]>,
    /// Whether what happened to leads that are deleted by now is wanted: only the deletions
    /// themselves are.
    pub(crate) of_deleted: bool,
}

/// A page of entries.
pub(crate) struct Page<'a> {
    /// Entries with their place in the log and the id that their lead has today.
    pub(crate) entries: Vec<(usize, u64, &'a Activity)>,
    /// Where the next page begins.
    pub(crate) next: usize,
    /// Whether there is more to scan, not whether there is more to find.
    pub(crate) more: bool,
}

/// How many entries a page scans at most before it filters: this is why pages are short or empty.
const BLOCK: usize = 300;
/// How much of the instance's time a page scans at most.
const BLOCK_SPAN: Duration = Duration::days(180);

impl Log {
    /// Adds what happened at `at` and can be read from `visible_from`, though not before what was
    /// committed earlier.
    pub(crate) fn record(&mut self, mut activity: Activity) {
        if let Some(earlier) = self.entries.last() {
            activity.visible_from = activity.visible_from.max(earlier.visible_from);
        }
        self.entries.push(activity);
    }

    /// Adds what is committed only when it can be read, behind what was committed until then.
    pub(crate) fn record_late(&mut self, activity: Activity) {
        self.late.push(activity);
    }

    /// Commits what was late and is due.
    pub(crate) fn commit_late(&mut self, now: DateTime<Utc>) {
        let due =
            self.late.extract_if(.., |activity| activity.visible_from <= now).collect::<Vec<_>>();
        for activity in due {
            self.record(activity);
        }
    }

    /// Whether a merge was made by a call of the API.
    pub(crate) fn has_merges_by_calls(&self) -> bool {
        let is_it = |entry: &Activity| matches!(&entry.what, What::MergeLeads { by: Some(_), .. });
        self.entries.iter().any(is_it)
    }

    /// Ends the history that a seed wrote: what was recorded before stops ageing at `present`.
    pub(crate) fn end_history(&mut self, present: DateTime<Utc>) {
        self.ages_from = Some(present);
    }

    /// Where entries since that time begin. Later commits of earlier events may lie behind it, as
    /// in Marketo.
    pub(crate) fn since(&self, time: DateTime<Utc>) -> usize {
        self.entries.iter().position(|entry| entry.at >= time).unwrap_or(self.entries.len())
    }

    /// One page from `from`: a block is scanned, what is wanted of it comes back, at most `batch`
    /// entries.
    pub(crate) fn page<'a>(
        &'a self,
        from: usize,
        batch: usize,
        now: DateTime<Utc>,
        wanted: &Wanted<'_>,
        directory: &impl Directory,
    ) -> Page<'a> {
        let end = self.visible_end(now);
        let block = self.entries.get(from..end).unwrap_or_default();
        let block_ends = block.first().map_or(now, |first| first.at + BLOCK_SPAN);
        let mut entries = Vec::new();
        let mut next = from;
        for entry in block.iter().take(BLOCK) {
            if entries.len() == batch || entry.at > block_ends {
                break;
            }
            if self.is_kept(entry, now)
                && let Some(lead) = wanted.wants(entry, directory)
            {
                entries.push((next, lead, entry));
            }
            next += 1;
        }
        Page { entries, next, more: next < end }
    }

    fn visible_end(&self, now: DateTime<Utc>) -> usize {
        self.entries.partition_point(|entry| entry.visible_from <= now)
    }

    fn is_kept(&self, entry: &Activity, now: DateTime<Utc>) -> bool {
        let Some(kept) = entry.what.activity_type().kept else { return true };
        let today = match self.ages_from {
            Some(present) if entry.at < present => present.min(now),
            _ => now,
        };
        today - entry.at <= kept
    }
}

impl Wanted<'_> {
    /// The id that the entry's lead has today, if the entry is wanted.
    fn wants(&self, entry: &Activity, directory: &impl Directory) -> Option<u64> {
        if !self.types.contains(&entry.what.activity_type().id) {
            return None;
        }
        if let (What::ChangeDataValue { field, .. }, Some(fields)) = (&entry.what, self.fields)
            && !fields.iter().any(|name| **name == **field)
        {
            return None;
        }
        // A deletion tells of a lead that is gone; anything else is shown under the id that the
        // lead has today.
        let is_deletion = self.of_deleted || entry.what == What::DeleteLeadFromSfdc;
        let lead = if is_deletion { Some(entry.lead) } else { directory.survivor(entry.lead) };
        lead.filter(|lead| self.leads.is_none_or(|leads| leads.contains(lead)))
    }
}

#[cfg(test)]
mod tests;
