//! How a group came about, by what the leads themselves say.
//!
//! Every lead but the first came although another was there: for each of them the cause is found by itself, and the group
//! has the cause of most of them. Where a lead came from (its original source) weighs more than where it is synced now:
//! what Marketo sends to the CRM has an id there too.
//! Without the activity log nothing is proved: creation times have whole seconds, and two creations close together may
//! be a race or one call. So a race is likely at most here, and never certain.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::did_you_mean;
use crate::lead::{Crm, Lead, LeadId};

/// The longest that Marketo lets a sync call run: creations further apart cannot have overlapped.
const RACE_SECONDS: i64 = 90;

/// How many leads the evidence goes into, before it only counts.
const TOLD: usize = 3;

/// How a group came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Upserts that overlapped.
    Race,
    /// A deliberate `createDuplicate`.
    CreateDuplicate,
    /// The CRM's sync, which does not look for an email.
    Crm,
    /// A list import.
    Import,
    /// One person in two lead partitions.
    Partition,
    /// Nothing that can be seen.
    Unknown,
}

impl Cause {
    /// Every cause, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Race, Self::CreateDuplicate, Self::Crm, Self::Import, Self::Partition, Self::Unknown];

    /// The word of the JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::CreateDuplicate => "create_duplicate",
            Self::Crm => "crm",
            Self::Import => "import",
            Self::Partition => "partition",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no cause `{word}`{hint}; there are race, create_duplicate, crm, import, partition and unknown",
    word = .0,
    hint = did_you_mean(.0, Cause::ALL.iter().map(|cause| cause.as_str()))
)]
pub struct UnknownCause(String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| UnknownCause(text.to_owned()))
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A guess.
    Low,
    /// Likely.
    Medium,
    /// As good as certain.
    High,
}

impl Confidence {
    /// The word of the JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A cause, how sure it is, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How the group came about.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// The reasons, in words for a person.
    pub evidence: Vec<String>,
}

/// Says how a group came about. The leads may come in any order.
pub fn explain(leads: &[Lead]) -> Explanation {
    let mut members: Vec<Member> = leads.iter().map(|lead| Member { lead, at: lead.created_at() }).collect();
    members.sort_by_key(|member| (member.at.is_none(), member.at, member.lead.id));
    let findings: Vec<Finding> = (1..members.len())
        .filter_map(|place| {
            let (earlier, rest) = members.split_at(place);
            rest.first().map(|late| find(late, earlier))
        })
        .collect();
    let of_cause = |cause: Cause| findings.iter().filter(move |finding| finding.cause == cause);
    let cause = Cause::ALL
        .into_iter()
        .rev()
        .max_by_key(|cause| of_cause(*cause).count())
        .filter(|cause| of_cause(*cause).count() > 0)
        .unwrap_or(Cause::Unknown);
    let mut evidence: Vec<String> =
        of_cause(cause).take(TOLD).map(|finding| finding.evidence.clone()).collect();
    let more = of_cause(cause).count().saturating_sub(TOLD);
    if more > 0 {
        evidence.push(format!("and {more} more of its leads likewise"));
    }
    for other in Cause::ALL.into_iter().filter(|other| *other != cause) {
        if let Some(finding) = of_cause(other).next() {
            evidence.push(format!(
                "{other} for {} of its leads: {}",
                of_cause(other).count(),
                finding.evidence
            ));
        }
    }
    let confidence = of_cause(cause).map(|finding| finding.confidence).min().unwrap_or(Confidence::Low);
    Explanation { cause, confidence, evidence }
}

/// A lead, with its creation time read once.
struct Member<'a> {
    lead: &'a Lead,
    at: Option<DateTime<Utc>>,
}

/// How one lead came although earlier ones were there.
struct Finding {
    cause: Cause,
    confidence: Confidence,
    evidence: String,
}

fn find(late: &Member, earlier: &[Member]) -> Finding {
    by_partition(late, earlier)
        .or_else(|| by_import(late, earlier))
        .or_else(|| by_crm_source(late, earlier))
        .or_else(|| by_race(late, earlier))
        .or_else(|| by_crm_ids(late, earlier))
        .or_else(|| by_create_duplicate(late, earlier))
        .unwrap_or_else(|| Finding {
            cause: Cause::Unknown,
            confidence: Confidence::Low,
            evidence: format!(
                "lead {} was created {}, and nothing that it holds says why",
                late.id(),
                after(late, earlier)
            ),
        })
}

fn by_partition(late: &Member, earlier: &[Member]) -> Option<Finding> {
    let own = late.lead.partition_id()?;
    let others: Option<Vec<u64>> = earlier.iter().map(|member| member.lead.partition_id()).collect();
    let others = others.filter(|others| !others.contains(&own))?;
    let (first, other) = (earlier.first()?, others.first()?);
    Some(Finding {
        cause: Cause::Partition,
        confidence: Confidence::High,
        evidence: format!(
            "lead {} is in partition {own} and lead {} in partition {other}, each of which may hold an address",
            late.id(),
            first.id()
        ),
    })
}

fn by_import(late: &Member, earlier: &[Member]) -> Option<Finding> {
    source_has(late.lead, &["list import", "import to list"]).then(|| Finding {
        cause: Cause::Import,
        confidence: Confidence::Medium,
        evidence: format!("lead {} came by a list import, {}", late.id(), after(late, earlier)),
    })
}

fn by_crm_source(late: &Member, earlier: &[Member]) -> Option<Finding> {
    from_crm(late.lead).then(|| Finding {
        cause: Cause::Crm,
        confidence: if earlier.iter().any(|member| in_crm(member.lead)) {
            Confidence::High
        } else {
            Confidence::Medium
        },
        evidence: format!(
            "lead {} came from the CRM, whose sync looks for no address, {}",
            late.id(),
            after(late, earlier)
        ),
    })
}

fn by_race(late: &Member, earlier: &[Member]) -> Option<Finding> {
    let may_race = |lead: &Lead| lead.source().is_none() || from_api(lead) || from_form(lead);
    let (rival, seconds) = earlier
        .iter()
        .filter(|member| may_race(member.lead))
        .filter_map(|member| Some((member, (late.at? - member.at?).num_seconds())))
        .min_by_key(|(_, seconds)| *seconds)
        .filter(|(_, seconds)| *seconds <= RACE_SECONDS && may_race(late.lead))?;
    let known = rival.lead.source().is_some() && late.lead.source().is_some();
    // A lead that is in the CRM, and of which nobody knows whence it came, came from there as likely as not.
    if !known && (in_crm(late.lead) || in_crm(rival.lead)) {
        return None;
    }
    let both_by_api = from_api(rival.lead) && from_api(late.lead);
    let apart = match seconds {
        0 => "in the same second".to_owned(),
        seconds => format!("{seconds} s apart"),
    };
    let how = match (both_by_api, known) {
        (true, _) => ", both by the API",
        (false, true) => ", by a form and the API or by two forms",
        (false, false) => "; how is not in the cache",
    };
    Some(Finding {
        cause: Cause::Race,
        confidence: if both_by_api { Confidence::Medium } else { Confidence::Low },
        evidence: format!(
            "leads {} and {} were created {apart}, within the {RACE_SECONDS} s that a call may take{how}",
            rival.id(),
            late.id()
        ),
    })
}

fn by_crm_ids(late: &Member, earlier: &[Member]) -> Option<Finding> {
    let rival = earlier.iter().find(|member| in_crm(member.lead));
    let (confidence, evidence) = match (in_crm(late.lead), rival) {
        (true, Some(rival)) => (
            Confidence::High,
            format!(
                "leads {} and {} are two records of the CRM, whose sync looks for no address",
                rival.id(),
                late.id()
            ),
        ),
        (true, None) => (
            Confidence::Medium,
            format!("lead {} is a record of the CRM, and came {}", late.id(), after(late, earlier)),
        ),
        (false, Some(rival)) if !from_api(late.lead) => (
            Confidence::Low,
            format!(
                "lead {} is a record of the CRM, lead {} is known to Marketo alone",
                rival.id(),
                late.id()
            ),
        ),
        (false, _) => return None,
    };
    Some(Finding { cause: Cause::Crm, confidence, evidence })
}

fn by_create_duplicate(late: &Member, earlier: &[Member]) -> Option<Finding> {
    from_api(late.lead).then(|| Finding {
        cause: Cause::CreateDuplicate,
        confidence: Confidence::Low,
        evidence: format!(
            "the API created lead {} {}, when an upsert would have found that one; or an address was changed later",
            late.id(),
            after(late, earlier)
        ),
    })
}

impl Member<'_> {
    fn id(&self) -> LeadId {
        self.lead.id
    }
}

/// `3 min after lead 17`, the lead before it.
fn after(late: &Member, earlier: &[Member]) -> String {
    let Some(last) = earlier.last() else { return String::new() };
    match (last.at, late.at) {
        (Some(before), Some(at)) if at == before => format!("in the same second as lead {}", last.id()),
        (Some(before), Some(at)) => format!("{} after lead {}", span((at - before).num_seconds()), last.id()),
        _ => format!("beside lead {}", last.id()),
    }
}

/// A length of time in the unit that a person would choose.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn source_has(lead: &Lead, words: &[&str]) -> bool {
    lead.source().is_some_and(|source| {
        let source = source.to_lowercase();
        words.iter().any(|word| source.contains(word))
    })
}

fn from_api(lead: &Lead) -> bool {
    source_has(lead, &["web service api"])
}

fn from_form(lead: &Lead) -> bool {
    source_has(lead, &["web form", "munchkin"])
}

fn from_crm(lead: &Lead) -> bool {
    source_has(lead, &["salesforce", "dynamics", "sfdc"])
}

fn in_crm(lead: &Lead) -> bool {
    lead.crm() > Crm::None || from_crm(lead)
}

#[cfg(test)]
mod tests;
