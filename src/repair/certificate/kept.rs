//! Whether the looks of a certificate are those that the ledger keeps, and what it has beyond them.
//! Pure.
//!
//! For: looks follow the seal, which does not cover them, and anybody can work their hashes out
//! anew. So the certificate is made again with the ledger's looks, as many as it has, and compared
//! whole. Never: takes a body for erased that the ledger has; passes over later looks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::afterwards::{Look, afterwards_of, looks_of};
use super::{Certificate, chain};
use crate::ledger::WitnessLook;

/// What the ledger has beyond the looks of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Later {
    /// How many looks.
    pub looks: usize,
    /// When the last one was.
    pub last_at: Option<String>,
    /// The groups that Marketo's own record contradicts by them.
    pub contradicts: Vec<String>,
    /// The groups whose survivors lacked something by the last of them.
    pub missing: Vec<String>,
}

/// Why a certificate is not what the ledger makes of its looks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Its looks are not the first ones of the ledger.
    #[error("the ledger has not kept what it says was seen of its merges afterwards")]
    Looks,
    /// What was seen is not in it.
    #[error("what was seen on {at} of the merge of {group} was taken out of it; the ledger has it")]
    TakenOut {
        /// The group.
        group: String,
        /// When it was seen.
        at: String,
    },
    /// What it says of its looks is not what they come to.
    #[error("the ledger makes another certificate of the same run and the same looks")]
    Other,
}

/// Compares a certificate whose chain is whole with the one that the ledger's looks make of it, and
/// gives what the ledger has beyond. A body that was erased since is taken from the certificate,
/// where its digest is that of the ledger.
pub fn kept_and_later(certificate: &Certificate, kept: Vec<WitnessLook>) -> Result<Later, NotKept> {
    let mut looks = looks_of(kept);
    if looks.len() < certificate.witness.len() {
        return Err(NotKept::Looks);
    }
    for (look, kept) in certificate.witness.iter().zip(&mut looks) {
        fill(certificate, look, kept)?;
    }
    let whole = Certificate { witness: looks, ..certificate.clone() };
    let shown = certificate.witness.len();
    if whole.up_to(shown) == *certificate {
        Ok(whole.later_than(shown))
    } else {
        Err(NotKept::Other)
    }
}

fn fill(certificate: &Certificate, look: &Look, kept: &mut Look) -> Result<(), NotKept> {
    let is_same =
        (&look.kind, &look.at, look.calls.len()) == (&kept.kind, &kept.at, kept.calls.len());
    if !is_same {
        return Err(NotKept::Looks);
    }
    for (seen, kept) in look.calls.iter().zip(&mut kept.calls) {
        if (seen.call, &seen.verdict, &seen.sha256) != (kept.call, &kept.verdict, &kept.sha256) {
            return Err(NotKept::Looks);
        }
        match (&seen.body, &kept.body) {
            (None, Some(_)) => {
                let group = certificate.group_of(seen.call);
                return Err(NotKept::TakenOut { group, at: look.at.clone() });
            }
            (Some(body), None) => kept.body = Some(body.clone()),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    Ok(())
}

impl Certificate {
    /// The same certificate as it was after so many looks.
    #[must_use]
    pub fn up_to(&self, looks: usize) -> Self {
        let mut earlier = self.clone();
        earlier.witness.truncate(looks);
        earlier.afterwards = afterwards_of(&earlier.group, &earlier.witness);
        chain::close(&mut earlier);
        earlier
    }

    /// What the looks show that come after so many.
    #[must_use]
    pub fn later_than(&self, looks: usize) -> Later {
        let later = self.witness.get(looks..).unwrap_or_default();
        let mut last: BTreeMap<(&str, u64), &str> = BTreeMap::new();
        for look in later {
            let seen = look.calls.iter();
            last.extend(seen.map(|seen| ((look.kind.as_str(), seen.call), seen.verdict.as_str())));
        }
        let of = |verdict: &str| -> Vec<String> {
            let calls = last.iter().filter(|(_, word)| **word == verdict);
            let groups: BTreeSet<String> =
                calls.map(|((_, call), _)| self.group_of(*call)).collect();
            groups.into_iter().collect()
        };
        Later {
            looks: later.len(),
            last_at: later.last().map(|look| look.at.clone()),
            contradicts: of("contradicts"),
            missing: of("missing"),
        }
    }

    /// The key of the group of a merge. One that was settled after the certificate has no group in
    /// it.
    fn group_of(&self, call: u64) -> String {
        let group = self.group.iter().find(|group| group.calls.contains(&call));
        group.map_or_else(|| format!("merge {call}"), |group| group.key.clone())
    }
}
