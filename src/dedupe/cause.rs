//! How a group came about, by what the leads themselves say.
//!
//! Without the activity log nothing is proved: creation times have whole seconds, and two creations close together may
//! be a race or one call. So a race is likely at most here, and never certain.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::group::sort_by_creation;
use crate::lead::{Crm, Lead};

/// The longest that Marketo lets a sync call run: creations further apart cannot have overlapped.
const RACE_SECONDS: i64 = 90;

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
#[error("there is no cause `{0}`; there are race, create_duplicate, crm, import, partition and unknown")]
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
    let mut leads = leads.to_vec();
    sort_by_creation(&mut leads);
    let leads = &leads;
    by_partition(leads)
        .or_else(|| by_crm(leads))
        .or_else(|| by_race(leads))
        .or_else(|| by_import(leads))
        .or_else(|| by_create_duplicate(leads))
        .unwrap_or_else(|| Explanation {
            cause: Cause::Unknown,
            confidence: Confidence::Low,
            evidence: vec![format!("{}, and nothing that the leads hold says why", apart(leads))],
        })
}

fn by_partition(leads: &[Lead]) -> Option<Explanation> {
    let mut partitions: Vec<u64> = leads.iter().filter_map(Lead::partition_id).collect();
    partitions.sort_unstable();
    partitions.dedup();
    (partitions.len() > 1).then(|| {
        let named: Vec<String> = partitions.iter().map(u64::to_string).collect();
        Explanation {
            cause: Cause::Partition,
            confidence: Confidence::High,
            evidence: vec![format!(
                "the leads are in partitions {}, each of which may hold an email once",
                named.join(" and ")
            )],
        }
    })
}

fn by_crm(leads: &[Lead]) -> Option<Explanation> {
    let in_crm: Vec<&Lead> = leads.iter().filter(|lead| lead.crm() > Crm::None || from_crm(lead)).collect();
    let first = in_crm.first()?;
    let (confidence, reason) = if in_crm.len() > 1 {
        let records: Vec<String> = in_crm
            .iter()
            .map(|lead| match lead.crm() {
                Crm::None => format!("{} (from the CRM)", lead.id),
                crm => format!("{} ({})", lead.id, crm.label()),
            })
            .collect();
        (
            Confidence::High,
            format!(
                "leads {} are records of the CRM, whose sync does not look for an email",
                records.join(", ")
            ),
        )
    } else if leads.first().is_some_and(|oldest| oldest.id != first.id) {
        (
            Confidence::Medium,
            format!(
                "lead {} came from the CRM, whose sync does not look for an email, after lead {}",
                first.id,
                leads.first().map_or(0, |lead| lead.id)
            ),
        )
    } else {
        return None;
    };
    Some(Explanation { cause: Cause::Crm, confidence, evidence: vec![reason] })
}

fn by_race(leads: &[Lead]) -> Option<Explanation> {
    let close = neighbours(leads)
        .find(|(a, b, seconds)| *seconds <= RACE_SECONDS && may_be_api(a) && may_be_api(b))?;
    let (a, b, seconds) = close;
    let by_api = from_api(a) && from_api(b);
    let mut evidence = vec![format!(
        "leads {} and {} were created {seconds} s apart, within the {RACE_SECONDS} s that a call may take",
        a.id, b.id
    )];
    evidence.push(if by_api {
        "both by the API".to_owned()
    } else {
        "how they were created is not in the cache".to_owned()
    });
    let confidence = if by_api { Confidence::Medium } else { Confidence::Low };
    Some(Explanation { cause: Cause::Race, confidence, evidence })
}

fn by_import(leads: &[Lead]) -> Option<Explanation> {
    let lead = leads.iter().skip(1).find(|lead| from_import(lead))?;
    Some(Explanation {
        cause: Cause::Import,
        confidence: Confidence::Medium,
        evidence: vec![format!("lead {} came by a list import, {}", lead.id, apart(leads))],
    })
}

fn by_create_duplicate(leads: &[Lead]) -> Option<Explanation> {
    let (first, second, seconds) =
        neighbours(leads).find(|(_, b, seconds)| *seconds > RACE_SECONDS && from_api(b))?;
    Some(Explanation {
        cause: Cause::CreateDuplicate,
        confidence: Confidence::Low,
        evidence: vec![format!(
            "the API created lead {} {} after lead {}, when an upsert would have found that one; or the email was changed later",
            second.id,
            span(seconds),
            first.id
        )],
    })
}

/// Leads next to each other in creation, with the seconds between them.
fn neighbours(leads: &[Lead]) -> impl Iterator<Item = (&Lead, &Lead, i64)> {
    leads.iter().zip(leads.iter().skip(1)).filter_map(|(a, b)| {
        let (first, second): (DateTime<Utc>, DateTime<Utc>) = (a.created_at()?, b.created_at()?);
        Some((a, b, (second - first).num_seconds()))
    })
}

fn apart(leads: &[Lead]) -> String {
    let times: Vec<DateTime<Utc>> = leads.iter().filter_map(Lead::created_at).collect();
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => {
            format!("{} from the first lead to the last", span((*last - *first).num_seconds()))
        }
        _ => "creation times are not known".to_owned(),
    }
}

fn span(seconds: i64) -> String {
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

/// By the API, or by a way that is not known.
fn may_be_api(lead: &Lead) -> bool {
    lead.source().is_none() || from_api(lead)
}

fn from_import(lead: &Lead) -> bool {
    source_has(lead, &["list import", "import to list"])
}

fn from_crm(lead: &Lead) -> bool {
    source_has(lead, &["salesforce", "dynamics", "sfdc"])
}

#[cfg(test)]
mod tests {
    use super::{Cause, Confidence, explain};
    use crate::lead::Lead;

    fn lead(id: u64, created: &str, source: &str) -> Lead {
        Lead::new(id)
            .with("email", "ada@example.com")
            .with("createdAt", created)
            .with("originalSourceType", source)
    }

    const API: &str = "Web service API";

    #[test]
    fn each_cause_is_told_by_what_the_leads_hold() {
        let at = |second: u32| format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
        let first = lead(1, &at(0), API);
        for (second, cause, confidence) in [
            (lead(2, &at(1), API), Cause::Race, Confidence::Medium),
            (lead(2, &at(90), API), Cause::Race, Confidence::Medium),
            (lead(2, &at(91), API), Cause::CreateDuplicate, Confidence::Low),
            (lead(2, &at(1), ""), Cause::Race, Confidence::Low),
            (lead(2, &at(300), "List import"), Cause::Import, Confidence::Medium),
            (lead(2, &at(1), "List import"), Cause::Import, Confidence::Medium),
            (lead(2, &at(300), "Web form fillout"), Cause::Unknown, Confidence::Low),
            (lead(2, &at(1), API).with("sfdcLeadId", "00Q1"), Cause::Crm, Confidence::Medium),
        ] {
            let told = explain(&[second.clone(), first.clone()]);
            assert_eq!((told.cause, told.confidence), (cause, confidence), "{:?}", told.evidence);
        }
    }

    #[test]
    fn two_partitions_and_two_crm_records_are_told_apart_from_a_race() {
        let (a, b) = (lead(1, "2026-01-01T00:00:00Z", API), lead(2, "2026-01-01T00:00:00Z", API));
        let told = explain(&[a.clone().with("leadPartitionId", 1), b.clone().with("leadPartitionId", 2)]);
        assert_eq!(told.cause, Cause::Partition);
        let told = explain(&[a.with("sfdcLeadId", "00Q1"), b.with("sfdcContactId", "0031")]);
        assert_eq!((told.cause, told.confidence), (Cause::Crm, Confidence::High));
    }

    #[test]
    fn without_request_ids_a_race_is_never_certain() {
        for source in [API, ""] {
            let told =
                explain(&[lead(1, "2026-01-01T00:00:00Z", source), lead(2, "2026-01-01T00:00:00Z", source)]);
            assert_eq!(told.cause, Cause::Race);
            assert!(told.confidence < Confidence::High);
        }
    }

    #[test]
    fn leads_without_creation_times_have_no_known_cause() {
        assert_eq!(explain(&[Lead::new(1), Lead::new(2)]).cause, Cause::Unknown);
    }
}
