//! Why a group is left to a person: the one place that decides it, for a plan and for a report
//! alike.
//!
//! For: what a report counts as "can be merged now" is what a merge with the same flags would take,
//! as far as the cache knows the leads. Never: looks at what only Marketo can tell, such as custom
//! objects or fields that were not read; nor at the rules of fields, which are the plan's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dedupe::cause::Cause;
use crate::dedupe::group::likely_shared;
use crate::dedupe::policy::Policy;
use crate::lead::{Crm, Lead};

/// What is known of a group beside its leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// How it came about, where that is known.
    pub cause: Option<Cause>,
    /// Whether its address was given by name.
    pub named: bool,
}

/// The kinds of reasons to leave a group to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its records are in several lead partitions, each of which may hold an address.
    Partitions,
    /// Several of its records are in the CRM, which then has to merge them.
    Crm,
    /// It may be several people behind one mailbox.
    SeveralPeople,
    /// An integration made it on purpose.
    Deliberate,
    /// It has more records than one person usually has.
    Large,
    /// A merge would leave rows of custom objects behind, or nobody can tell.
    CustomObjects,
    /// A rule of the section `skip` of the configuration leaves it alone.
    SkipRule,
    /// The file of ids names several of its records as the one to keep.
    WinnerIds,
    /// Somebody decided about these records in an earlier plan, and they are others since.
    SaidBefore,
}

impl Reason {
    /// Every reason that the leads themselves tell, in the order in which they are looked for.
    pub const ALL: [Self; 7] = [
        Self::SkipRule,
        Self::Partitions,
        Self::Crm,
        Self::WinnerIds,
        Self::SeveralPeople,
        Self::Deliberate,
        Self::Large,
    ];

    /// The word of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Crm => "crm",
            Self::SeveralPeople => "several_people",
            Self::Deliberate => "deliberate",
            Self::Large => "large",
            Self::CustomObjects => "custom_objects",
            Self::SkipRule => "skip_rule",
            Self::WinnerIds => "winner_ids",
            Self::SaidBefore => "said_before",
        }
    }

    /// The reason in a few words for a person.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Partitions => "in several lead partitions",
            Self::Crm => "several records in the CRM",
            Self::SeveralPeople => "perhaps several people",
            Self::Deliberate => "created without checking",
            Self::Large => "too many records for one person",
            Self::CustomObjects => "rows of custom objects",
            Self::SkipRule => "a skip rule of yours",
            Self::WinnerIds => "several named to be kept",
            Self::SaidBefore => "decided before, of other records",
        }
    }

    /// Whether the records may be meant as they are, so that they are perhaps no duplicates at all.
    pub fn is_perhaps_meant(self) -> bool {
        matches!(self, Self::Partitions | Self::Deliberate)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a group is left to a person, and what would have it merged all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// The kind.
    pub reason: Reason,
    /// The reason in words, for whoever decides about this group.
    pub why: String,
    /// The same, with what would have it merged all the same: a decision, a name, a setting.
    pub words: String,
}

impl Objection {
    /// An objection, and what would have the group merged all the same.
    fn new(reason: Reason, why: impl Into<String>, remedy: &str) -> Self {
        let why = why.into();
        Self { reason, words: format!("{why}; {remedy}"), why }
    }

    /// Rows of custom objects that a merge would leave behind, or that nobody can tell.
    pub fn custom_objects(why: &str) -> Self {
        Self { reason: Reason::CustomObjects, why: why.to_owned(), words: why.to_owned() }
    }

    /// What somebody said of some of the records in an earlier plan.
    pub fn said_before(why: &str) -> Self {
        Self { reason: Reason::SaidBefore, why: why.to_owned(), words: why.to_owned() }
    }

    /// Why a group is left to a person; `None` where it can be merged. The leads may come in any
    /// order.
    pub fn to(leads: &[Lead], known: Known, policy: &Policy) -> Option<Self> {
        // Words name the first leads that differ: by id they are the same words everywhere.
        let members = if leads.is_sorted_by_key(|lead| lead.id) {
            Cow::Borrowed(leads)
        } else {
            let mut members = leads.to_vec();
            members.sort_by_key(|lead| lead.id);
            Cow::Owned(members)
        };
        if let Some(words) = policy.skip_rules.why(&members) {
            return Some(Self { reason: Reason::SkipRule, why: words.clone(), words });
        }
        of_leads(&members, &policy.for_cause(known.cause))
            .or_else(|| unless_named(members.len(), known, policy))
    }
}

/// Whether several of the leads are the CRM's records.
pub(super) fn is_in_crm(members: &[Lead]) -> bool {
    members.iter().filter(|lead| lead.crm() > Crm::None).count() > 1
}

/// How many of the leads the sync with Microsoft Dynamics created. Adobe documents no field that
/// holds a Dynamics record's id; the source of a lead alone says where it came from.
fn came_from_dynamics(members: &[Lead]) -> usize {
    let sources = members.iter().filter_map(Lead::source);
    sources.filter(|source| source.to_lowercase().contains("dynamics")).count()
}

/// What the leads themselves say against a merge; they come by id.
pub(super) fn of_leads(members: &[Lead], policy: &Policy) -> Option<Objection> {
    let partitions: BTreeSet<Option<String>> = members.iter().map(Lead::partition).collect();
    if partitions.len() > 1 && !policy.across_partitions {
        return Some(Objection::new(
            Reason::Partitions,
            "its records are in several lead partitions",
            "to merge them, make a plan (`mkto-audit plan create`, or `mkto-audit merge --across-partitions`) and decide in it",
        ));
    }
    if is_in_crm(members) && !policy.merge_in_crm {
        return Some(Objection {
            reason: Reason::Crm,
            why: "several of its records are in the CRM, which would merge them too".to_owned(),
            words:
                "several of its records are in the CRM, which would have to merge them: do that there, or make a \
                    plan (`mkto-audit plan create`, or `mkto-audit merge --merge-in-crm`) and decide in it that the CRM merges them"
                    .to_owned(),
        });
    }
    if came_from_dynamics(members) > 1 && !policy.merge_in_crm {
        return Some(Objection {
            reason: Reason::Crm,
            why: "several of its records came from Microsoft Dynamics, which Marketo cannot have merge them: merge \
                  them there first"
                .to_owned(),
            words: "several of its records came from Microsoft Dynamics, which Marketo cannot have merge them: merge \
                    them there first, or make a plan (`mkto-audit plan create`, or `mkto-audit merge --merge-in-crm`) and decide in it"
                .to_owned(),
        });
    }
    let named = policy.winner.named_among(members);
    if let [a, b, ..] = named.iter().collect::<Vec<_>>().as_slice() {
        let file = policy.winner_ids.as_ref().map_or("`winner.ids_file`", |file| &file.path);
        return Some(Objection::new(
            Reason::WinnerIds,
            format!("{file} names leads {a} and {b} of it, and one record alone can be kept"),
            "take the others out of it",
        ));
    }
    if policy.include_shared {
        return None;
    }
    likely_shared(members, &policy.skip).map(|why| {
        let why = format!("it may be several people: {why}");
        Objection::new(
            Reason::SeveralPeople,
            why,
            "to merge them, make a plan (`mkto-audit plan create`, or `mkto-audit merge --include-shared`) and decide in it",
        )
    })
}

/// Groups that are merged only when somebody names them: large ones, and those that were made on
/// purpose. No part of the re-check: a plan holds such a group only where it was named, and leads
/// that come later are no part of it.
fn unless_named(size: usize, known: Known, policy: &Policy) -> Option<Objection> {
    if known.named {
        return None;
    }
    if known.cause == Some(Cause::CreateDuplicate) && !policy.include_deliberate {
        return Some(Objection::new(
            Reason::Deliberate,
            "an integration told Marketo to create without checking, so that its records may be meant as they are",
            "--cause create_duplicate, or --email with its address, would merge them",
        ));
    }
    let above = policy.skip.above;
    (size > above).then(|| {
        let remedy = format!(
            "look at them, then --email with its address would merge them (or a higher `skip.above`, which is {above})"
        );
        let why = format!("it has {size} records, more than one person usually has");
        Objection::new(Reason::Large, why, &remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::{Known, Objection, Reason};
    use crate::dedupe::plan::named::plan_candidate;
    use crate::dedupe::{Cause, FieldFacts, Key, Policy};
    use crate::lead::Lead;

    /// Every kind of group, and what a plan and a report make of it.
    #[test]
    fn a_plan_leaves_alone_exactly_what_a_report_says_a_person_must_decide() {
        let lead =
            |id: u64| Lead::new(id).with("email", "ada@example.com").with("leadPartitionId", 1);
        let pair = |with: fn(Lead) -> Lead| vec![lead(2), with(lead(1))];
        let from_dynamics = |lead: Lead| lead.with("originalSourceType", "Microsoft Dynamics");
        let cases: [(Vec<Lead>, Option<Reason>); 9] = [
            (pair(|lead| lead.with("originalSourceType", "Microsoft Dynamics")), None),
            (pair(|lead| lead).into_iter().map(from_dynamics).collect(), Some(Reason::Crm)),
            (pair(|lead| lead), None),
            (pair(|lead| lead.with("leadPartitionId", 2)), Some(Reason::Partitions)),
            (pair(|lead| lead.with("sfdcLeadId", "00Q1")), None),
            (
                pair(|lead| lead).into_iter().map(|l| l.with("sfdcLeadId", "00Q1")).collect(),
                Some(Reason::Crm),
            ),
            (
                vec![lead(1).with("firstName", "Ada"), lead(2).with("firstName", "Zoltan")],
                Some(Reason::SeveralPeople),
            ),
            ((1..=10).map(lead).collect(), None),
            ((1..=11).map(lead).collect(), Some(Reason::Large)),
        ];
        let facts = FieldFacts::of_writeable(["email"]);
        let key = Key::of("ada@example.com").unwrap();
        let policies = [
            Policy::default(),
            Policy { include_shared: true, ..Policy::default() },
            Policy { merge_in_crm: true, across_partitions: true, ..Policy::default() },
            Policy { include_deliberate: true, ..Policy::default() },
        ];
        let origins = [None, Some(Cause::Race), Some(Cause::CreateDuplicate)];
        let knowns =
            origins.into_iter().flat_map(|cause| [false, true].map(|named| Known { cause, named }));
        for known in knowns {
            for policy in &policies {
                for (leads, _) in &cases {
                    let said = Objection::to(leads, known, policy).map(|objection| objection.words);
                    let planned = plan_candidate(&key, leads, known, policy, &facts).err();
                    assert_eq!(said, planned.map(|left| left.reason), "{known:?} {leads:?}");
                }
            }
        }
        for (leads, expected) in cases {
            let found = Objection::to(&leads, Known::default(), &Policy::default());
            assert_eq!(found.map(|objection| objection.reason), expected, "{leads:?}");
        }
    }

    #[test]
    fn an_export_that_names_its_partitions_tells_them_apart() {
        let lead = |id: u64, partition: &str| Lead::new(id).with("leadPartitionId", partition);
        let reason = |a, b| {
            Objection::to(&[lead(1, a), lead(2, b)], Known::default(), &Policy::default())
                .map(|objection| objection.reason)
        };
        assert_eq!(reason("Default", "EMEA"), Some(Reason::Partitions));
        assert_eq!(reason("Default", "Default"), None);
    }
}
