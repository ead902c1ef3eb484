//! How a group came about, by what its leads hold and by what the activity log says of their
//! births.
//!
//! Every lead but the first came although another was there: for each of them the cause is found by
//! itself ([`find()`]), and the group has the cause of most of them. A race is proved, not guessed:
//! the call that made the later lead arrived (its request id says when, to the millisecond) before
//! the earlier lead was there. Without request ids it is likely at most, and where the call arrived
//! after the earlier lead was there, it was none. Never: reads anything itself, or calls a race
//! certain that is not proved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lead::{Birth, Lead, LeadId};

mod advice;
mod find;
mod kind;
mod member;

pub use advice::advice;
pub use kind::{Cause, Confidence};
pub(crate) use member::span;

use find::{Finding, find};
use member::Member;

/// How many leads the evidence goes into, before it only counts.
const TOLD: usize = 3;

/// A cause, how sure it is, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How the group came about.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// The reasons, in words for a person.
    pub evidence: Vec<String>,
    /// What speaks against it, or what it leaves open.
    pub doubts: Vec<String>,
    /// The leads that came although another was there, each by itself, by creation.
    pub late: Vec<LateLead>,
}

/// A lead that came although its group had one already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateLead {
    /// The lead.
    pub id: LeadId,
    /// How it came nevertheless.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// When it was created, in whole seconds.
    pub at: Option<DateTime<Utc>>,
    /// The login of the API user that created it: the integration.
    pub api_user: Option<String>,
}

/// Says how a group came about. Leads and births may come in any order; births of other leads are
/// passed over.
pub fn explain(leads: &[Lead], births: &[Birth]) -> Explanation {
    let members = Member::of_group(leads, births);
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
    let late = members.iter().skip(1).zip(&findings).map(|(member, finding)| LateLead {
        id: member.id(),
        cause: finding.cause,
        confidence: finding.confidence,
        at: member.at,
        api_user: member.api_user().map(str::to_owned),
    });
    let mut doubts: Vec<String> =
        of_cause(cause).filter_map(|finding| finding.doubt.clone()).collect();
    doubts.dedup();
    doubts.truncate(TOLD);
    Explanation {
        cause,
        confidence: of_cause(cause)
            .map(|finding| finding.confidence)
            .min()
            .unwrap_or(Confidence::Low),
        evidence: evidence(&findings, cause),
        doubts,
        late: late.collect(),
    }
}

/// The reasons for the cause, then those for which other leads of the group have another.
fn evidence(findings: &[Finding], cause: Cause) -> Vec<String> {
    let of_cause = |cause: Cause| findings.iter().filter(move |finding| finding.cause == cause);
    let mut evidence: Vec<String> =
        of_cause(cause).take(TOLD).map(|finding| finding.evidence.clone()).collect();
    let more = of_cause(cause).count().saturating_sub(TOLD);
    if more > 0 {
        evidence.push(format!("and {more} more of its records likewise"));
    }
    for other in Cause::ALL.into_iter().filter(|other| *other != cause) {
        if let Some(finding) = of_cause(other).next() {
            evidence.push(format!(
                "{} for {} of its records: {}",
                other.in_short(),
                of_cause(other).count(),
                finding.evidence
            ));
        }
    }
    evidence
}

#[cfg(test)]
mod tests;
