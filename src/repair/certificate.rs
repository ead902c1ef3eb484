//! The certificate of a run: who planned, decided, approved and ran it, what it did field by field,
//! and a chain of hashes over all of it.
//!
//! For: somebody who answers for merges can show what happened, and anybody can check it against
//! the ledger. Told from the ledger alone. What was seen of a merge after it was settled follows
//! the seal as records of their own. Never: asks Marketo; a verdict of its own, since each was
//! written down when its merge was settled.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::{GroupHistory, Written, history_of};
use crate::dedupe::{Decisions, InstanceProfile, ProfileName};
use crate::lead::LeadId;
use crate::ledger::{self, KeptProfile, Ledger, PastRun};
use crate::merge::{Error, FieldProof, FieldVerdict, MergeProof, RowsProof};

mod afterwards;
pub mod chain;
mod counted;
pub mod csv;
mod kept;
pub mod page;
mod rate;
mod sealed;

pub use afterwards::{Afterwards, GroupAfterwards, GroupLate, LateTotals, Look, LookedAt};
pub use counted::Counted;
pub use kept::{Later, NotKept, kept_and_later};
pub use rate::{Rate, SourceRate};
pub use sealed::{seal_those_without, sealed};

/// What a run did, sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// `mkto-audit/certificate/1`.
    pub schema: String,
    /// The instance.
    pub instance: String,
    /// The ledger's number of the run.
    pub run: u64,
    /// The plan that it carried out.
    pub plan: Option<String>,
    /// What people call the plan.
    pub plan_name: Option<String>,
    /// The digest of the plan with the decisions in force.
    pub digest: Option<String>,
    /// When the plan was made.
    pub planned_at: Option<DateTime<Utc>>,
    /// Who had it made; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_by: Option<String>,
    /// What was measured of the instance before it began, by which its predictions went. One of an
    /// older version says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// Who ran it; none where nobody knows.
    pub by: Option<String>,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it ended; none of one that was killed.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether it came to every group of its plan.
    pub complete: bool,
    /// Whether no call of it is unsettled.
    pub settled: bool,
    /// Who approved it.
    pub approved: Option<Signature>,
    /// What a record costs, in the user's own words.
    pub price: Option<String>,
    /// The numbers.
    pub totals: Totals,
    /// Whether the run kept which groups it left alone: those of older versions did not.
    pub left_alone_known: bool,
    /// Extra records before and after, by the last scan before the run.
    pub rate: Option<Rate>,
    /// The groups, by key.
    pub group: Vec<CertifiedGroup>,
    /// The looks at its merges that came after they were settled, the oldest first. Each is under
    /// the hash before it, and the first one under the seal.
    pub witness: Vec<Look>,
    /// What these looks came to.
    pub afterwards: Afterwards,
    /// The chain over everything above.
    pub chain: chain::Chain,
}

/// Who signed something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in their words.
    pub note: Option<String>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Groups that are merged.
    pub merged: u64,
    /// Records that are gone.
    pub removed: u64,
    /// Groups that were left alone.
    pub skipped: u64,
    /// Groups whose records to keep were written to, and that were not merged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prepared: u64,
    /// Groups that failed, or of which nobody knows.
    pub failed: u64,
    /// Fields of survivors, by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Opt-outs that a record of a group had.
    pub opt_outs: u64,
    /// Those of them that the survivor does not have.
    pub opt_outs_lost: u64,
    /// Rows of custom objects that were linked to survivors before their merges.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_moved: u64,
    /// Those of them that were seen there afterwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_verified: u64,
}

/// A group in a certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertifiedGroup {
    /// What its records had in common.
    pub key: String,
    /// The word of the contract for how it ended.
    pub outcome: String,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// The record that stayed, or was to stay.
    pub winner: Option<LeadId>,
    /// The records that are gone.
    pub removed: Vec<LeadId>,
    /// All its records, as the run took it up.
    pub leads: Vec<LeadId>,
    /// When the run decided to leave it alone, where it did and that was kept.
    pub left_alone_at: Option<DateTime<Utc>>,
    /// What was written to the record that was to stay, where its merge was not made.
    pub written: Option<Written>,
    /// When its first merge left.
    pub merged_at: Option<DateTime<Utc>>,
    /// Marketo's ids of the merges.
    pub request_ids: Vec<String>,
    /// The ledger's numbers of the merges.
    pub calls: Vec<u64>,
    /// Who decided about it, where somebody did.
    pub decided: Option<Signature>,
    /// What they decided.
    pub decisions: Option<Decisions>,
    /// Each field: before, as predicted, after, and the verdict. None of a group that is not
    /// merged, or whose merge was not compared.
    pub fields: Vec<FieldProof>,
    /// What else was not as predicted, in words.
    pub others: Vec<String>,
    /// The rows of custom objects that were linked to the survivor before the merge, and how many
    /// of them were seen on it afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowsProof>,
    /// Whether the survivor was compared with its prediction.
    pub compared: bool,
    /// The chain's hash up to here.
    pub hash: String,
}

/// What the certificate says that is not in the ledger's rows of the run.
#[derive(Debug, Clone)]
pub struct About {
    /// The instance.
    pub instance: String,
    /// Of which scans the rates are: the cache's name.
    pub scans_of: String,
    /// What a record costs.
    pub price: Option<String>,
}

/// The schema of a certificate.
pub const SCHEMA: &str = "mkto-audit/certificate/1";

/// The certificate of a run, from the ledger.
pub fn certificate_of(ledger: &Ledger, run: &PastRun, about: &About) -> Result<Certificate, Error> {
    let plan = run.plan.clone();
    let head = plan.as_deref().map(|plan| ledger.plan_head(plan)).transpose()?.flatten();
    let planned_at = kept_at(ledger, plan.as_deref())?;
    let decided = decided(ledger, run)?;
    let mut proofs: BTreeMap<String, MergeProof> = BTreeMap::new();
    for proof in ledger.proofs_of(run.id)? {
        let said: MergeProof = serde_json::from_str(&proof.body)
            .map_err(|error| ledger::Error::Damaged { what: format!("a proof: {error}") })?;
        joined(proofs.entry(proof.key).or_default(), said);
    }
    let mut group: Vec<CertifiedGroup> = Vec::new();
    for history in history_of(ledger, run, None)? {
        let proof = proofs.remove(&history.key);
        group.push(certified(history, proof, &decided));
    }
    let totals = totals(run, &group);
    let approval =
        plan.as_deref().map(|plan| ledger.approval_at(plan, run.begun_at)).transpose()?.flatten();
    // Of another state of the plan it is another run's.
    let is_of_run = |digest: &str| run.digest.as_ref().is_none_or(|of_run| of_run == digest);
    let approval = approval.filter(|approval| is_of_run(&approval.digest));
    let digest = approval.as_ref().map(|approval| approval.digest.clone());
    let approved = approval.map(|approval| Signature {
        by: approval.by,
        at: approval.at,
        note: approval.note,
    });
    let witness = afterwards::looks_of(ledger.witness_of(run.id)?);
    let mut certificate = Certificate {
        schema: SCHEMA.to_owned(),
        instance: about.instance.clone(),
        run: run.id.number(),
        planned_by: head.as_ref().and_then(|head| planned_by(&head.header)),
        plan_name: head.as_ref().and_then(|head| head.name.clone()),
        digest: run.digest.clone().or(digest).or(head.map(|head| head.digest)),
        plan,
        planned_at,
        profile: profile_at(ledger, run.begun_at)?,
        by: run.by.clone(),
        begun_at: run.begun_at,
        ended_at: run.ended_at,
        complete: run.complete,
        settled: !ledger.has_open_calls(run.id)?,
        approved,
        price: about.price.clone(),
        rate: rate::rate_of(ledger, run, &about.scans_of, &group, totals.removed)?,
        totals,
        left_alone_known: run.left_alone_known,
        afterwards: afterwards::afterwards_of(&group, &witness),
        witness,
        group,
        chain: chain::Chain::default(),
    };
    chain::close(&mut certificate);
    Ok(certificate)
}

/// Who had a plan made, by its header.
fn planned_by(header: &str) -> Option<String> {
    let header: Value = serde_json::from_str(header).ok()?;
    Some(header.get("by")?.as_str()?.to_owned())
}

/// The profile that was in force at a moment.
fn profile_at(ledger: &Ledger, at: DateTime<Utc>) -> Result<Option<ProfileName>, Error> {
    let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let Some(kept) = ledger.instance_profile_at(Some(&at))? else { return Ok(None) };
    let KeptProfile { probe, body, sha256, instance } = kept;
    let read = InstanceProfile::of_kept(probe, &body, &sha256, &instance);
    read.map(|(name, _)| Some(name)).map_err(|what| Error::UnusableProfile { probe, what })
}

fn kept_at(ledger: &Ledger, plan: Option<&str>) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(id) = plan else { return Ok(None) };
    Ok(ledger.kept_plans()?.into_iter().find(|kept| kept.id == id).map(|kept| kept.made_at))
}

/// The decisions that were in force when the run began, by key.
fn decided(
    ledger: &Ledger,
    run: &PastRun,
) -> Result<BTreeMap<String, (Signature, Decisions)>, Error> {
    let mut decided = BTreeMap::new();
    let Some(plan) = &run.plan else { return Ok(decided) };
    for row in ledger.decisions_since(plan, 0)? {
        let is_later = DateTime::parse_from_rfc3339(&row.at).is_ok_and(|at| at > run.begun_at);
        if is_later {
            continue;
        }
        let state: Decisions = serde_json::from_str(&row.state)
            .map_err(|error| ledger::Error::Damaged { what: format!("a decision: {error}") })?;
        if state.is_empty() {
            decided.remove(&row.key);
        } else {
            let by = Signature { by: row.by, at: row.at, note: row.note };
            decided.insert(row.key, (by, state));
        }
    }
    Ok(decided)
}

/// Several calls of one group: what the first found before, and the last afterwards.
fn joined(all: &mut MergeProof, later: MergeProof) {
    all.others.extend(later.others);
    for rows in later.rows {
        match all.rows.iter_mut().find(|known| known.object == rows.object) {
            None => all.rows.push(rows),
            Some(known) => {
                known.moved += rows.moved;
                known.verified += rows.verified;
            }
        }
    }
    for field in later.fields {
        match all.fields.iter_mut().find(|known| known.name == field.name) {
            None => all.fields.push(field),
            Some(known) => {
                let before = std::mem::take(&mut known.before);
                let verdict = known.verdict.max(field.verdict);
                let mended = known.mended || field.mended;
                *known = FieldProof { verdict, mended, ..field };
                known.before.extend(before);
            }
        }
    }
}

fn certified(
    history: GroupHistory,
    proof: Option<MergeProof>,
    decided: &BTreeMap<String, (Signature, Decisions)>,
) -> CertifiedGroup {
    let by = decided.get(&history.key);
    let compared = proof.as_ref().is_some_and(|proof| !proof.fields.is_empty());
    let MergeProof { fields, others, rows } = proof.unwrap_or_default();
    CertifiedGroup {
        outcome: history.outcome,
        reason: history.reason,
        winner: history.winner,
        removed: history.removed,
        leads: history.leads,
        left_alone_at: history.left_alone_at,
        written: history.written,
        merged_at: history.merged_at,
        request_ids: history.request_ids,
        calls: history.calls,
        decided: by.map(|(by, _)| by.clone()),
        decisions: by.map(|(_, decisions)| decisions.clone()),
        fields,
        others,
        rows,
        compared,
        hash: String::new(),
        key: history.key,
    }
}

fn totals(run: &PastRun, groups: &[CertifiedGroup]) -> Totals {
    let fields = || groups.iter().flat_map(|group| &group.fields);
    let mut verdicts: BTreeMap<String, u64> =
        FieldVerdict::ALL.iter().map(|verdict| (verdict.as_str().to_owned(), 0)).collect();
    for field in fields() {
        *verdicts.entry(field.verdict.as_str().to_owned()).or_default() += 1;
    }
    let opted_out = |field: &&FieldProof| field.consent && field.before.values().any(is_true);
    let opt_outs = fields().filter(opted_out).count() as u64;
    let opt_outs_lost =
        fields().filter(opted_out).filter(|field| !is_true(&field.after)).count() as u64;
    let rows = |number: fn(&RowsProof) -> usize| {
        groups.iter().flat_map(|group| &group.rows).map(number).sum::<usize>() as u64
    };
    Totals {
        merged: run.merged,
        removed: run.removed,
        skipped: run.skipped,
        prepared: run.prepared,
        failed: run.failed,
        verdicts,
        opt_outs,
        opt_outs_lost,
        rows_moved: rows(|proof| proof.moved),
        rows_verified: rows(|proof| proof.verified),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}
