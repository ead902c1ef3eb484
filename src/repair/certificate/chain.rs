//! The chain of hashes over a certificate, and whether a file still is what was sealed. Pure.
//!
//! The first hash is of all that the certificate says of the run itself; each group's is of the
//! hash before it and of the group; the last one is the seal, which the ledger keeps. The looks
//! that came later follow the seal, each under the hash before it: the seal stays what it was. A
//! byte that changes anywhere changes every hash after it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Certificate;
use super::afterwards::{Afterwards, Look, afterwards_of};
use crate::ledger::sha256_of;

/// The ends of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The hash of what the certificate says of the run.
    pub head: String,
    /// The hash of everything but the looks, which the ledger keeps.
    pub seal: String,
    /// The hash of the last look; the seal where there is none.
    pub last: String,
}

/// Why a certificate is not what was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What it says of the run is not what was sealed.
    #[error("what it says of the run itself was changed")]
    Head,
    /// A group is not what was sealed.
    #[error(
        "what it says of the group {0} was changed, or a group before it was added or taken out"
    )]
    Group(String),
    /// The seal is not that of its groups.
    #[error("its seal is not that of what it says: groups at its end were added or taken out")]
    Seal,
    /// A look is not what was kept.
    #[error("what it says was seen of its merges on {0} was changed")]
    Look(String),
    /// The last hash is not that of its looks.
    #[error("looks at its merges were added or taken out at its end")]
    Looks,
    /// What the looks came to does not follow from them.
    #[error("what it says the looks at its merges came to does not follow from them")]
    Afterwards,
}

/// Works the chain out, and writes it into the certificate.
pub fn close(certificate: &mut Certificate) {
    let (head, hashes) = hashes(certificate);
    let seal = hashes.last().unwrap_or(&head).clone();
    for (group, hash) in certificate.group.iter_mut().zip(hashes) {
        group.hash = hash;
    }
    let mut last = seal.clone();
    for look in &mut certificate.witness {
        look.hash = hash_of_look(&last, look);
        last.clone_from(&look.hash);
    }
    certificate.chain = Chain { head, seal, last };
}

/// Compares what a certificate says with its own chain.
pub fn check(certificate: &Certificate) -> Result<(), Broken> {
    let (head, hashes) = hashes(certificate);
    if head != certificate.chain.head {
        return Err(Broken::Head);
    }
    let changed = certificate.group.iter().zip(&hashes).find(|(group, hash)| group.hash != **hash);
    if let Some((group, _)) = changed {
        return Err(Broken::Group(group.key.clone()));
    }
    let seal = hashes.last().unwrap_or(&head);
    if *seal != certificate.chain.seal {
        return Err(Broken::Seal);
    }
    let mut last = seal.clone();
    for look in &certificate.witness {
        let is_whole = |seen: &super::LookedAt| {
            seen.body.as_ref().is_none_or(|body| sha256_of(&body.to_string()) == seen.sha256)
        };
        if look.hash != hash_of_look(&last, look) || !look.calls.iter().all(is_whole) {
            return Err(Broken::Look(look.at.clone()));
        }
        last.clone_from(&look.hash);
    }
    if last != certificate.chain.last {
        return Err(Broken::Looks);
    }
    let follows = afterwards_of(&certificate.group, &certificate.witness);
    if follows == certificate.afterwards { Ok(()) } else { Err(Broken::Afterwards) }
}

/// Of the hash before it and of the look; of what it showed the digests are in it, which outlive
/// the values.
fn hash_of_look(before: &str, look: &Look) -> String {
    let calls: Vec<_> =
        look.calls.iter().map(|seen| (seen.call, &seen.verdict, &seen.sha256)).collect();
    sha256(&[before.as_bytes(), &canonical(&(&look.kind, &look.at, calls))])
}

fn hashes(certificate: &Certificate) -> (String, Vec<String>) {
    let mut of_run = Certificate {
        group: Vec::new(),
        witness: Vec::new(),
        afterwards: Afterwards::default(),
        ..certificate.clone()
    };
    of_run.chain = Chain::default();
    let head = sha256(&[&canonical(&of_run)]);
    let mut before = head.clone();
    let groups = certificate.group.iter().map(|group| {
        let mut body = serde_json::to_value(group).unwrap_or_default();
        if let Value::Object(members) = &mut body {
            members.remove("hash");
        }
        before = sha256(&[before.as_bytes(), &canonical(&body)]);
        before.clone()
    });
    let groups = groups.collect();
    (head, groups)
}

/// JSON whose members are in the order of their names.
fn canonical(of: &impl Serialize) -> Vec<u8> {
    // Texts, numbers and lists always have a JSON form, and a map of `serde_json` is ordered.
    let value = serde_json::to_value(of).unwrap_or_default();
    serde_json::to_vec(&value).unwrap_or_default()
}

fn sha256(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
