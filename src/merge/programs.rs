//! Program status and success: a merge must not set anybody back.
//!
//! Of two memberships of one program a merge keeps one, and it is not documented which. So after
//! the merge each status that any of the leads had is applied to the survivor again. That only ever
//! raises: Marketo skips a member that is at that step or past it (1037), and which step is higher
//! need not be known. Success cannot be written by itself; the status that had it sets it. What is
//! read afterwards decides, and what is not kept is told. A membership that only one lead had is
//! looked for at the end of a run (`carried`). Never: lowers a status, sends a call again before it
//! must be over and was looked for, or calls for a group whose memberships were all alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::memberships::Rows;
use crate::lead::LeadId;
use crate::marketo::{
    self, BATCH, Clock, InFlight, ReadMemberships, SendGate, SetProgramStatus, StatusResult,
};

pub(super) mod status;

use status::{Programs, Raise, is_concerned, standings, to_raise};

/// How often a status is applied that is not there afterwards.
const ROUNDS: usize = 3;

/// Between applying a status and looking for it, where it was not there the first time: what is
/// read can lag.
const LAG: Duration = Duration::from_secs(5);

/// What the leads of a merged group were members of, and who they are now.
#[derive(Debug, Clone)]
pub(super) struct Survivor<'a> {
    /// The lead that stayed.
    pub(super) lead: LeadId,
    /// The programs of each lead of the group as they were backed up, the survivor's own among
    /// them.
    pub(super) before: Vec<&'a Rows>,
}

/// A status or success that could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unkept {
    /// The survivor.
    pub(super) lead: LeadId,
    /// The program's id.
    pub(super) program: u64,
    /// Its name; empty where it is not known.
    pub(super) name: String,
    /// The status that a lead had; empty where only the membership is known.
    pub(super) wanted: String,
    /// Whether it is success that is missing.
    pub(super) success: bool,
    /// The survivor's status; none where it is no member.
    pub(super) held: Option<String>,
    /// Why, where Marketo said it.
    pub(super) why: Option<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Raised {
    /// What could not be kept, or is not known to be.
    pub(super) unkept: Vec<Unkept>,
    /// Why not everything was tried.
    pub(super) failed: Option<marketo::Error>,
}

/// Applies again what the survivors must keep, reads it back, and tells what is not there.
pub(super) async fn raise(
    marketo: &(impl ReadMemberships + SetProgramStatus),
    gate: &impl SendGate,
    clock: &Clock,
    survivors: &[Survivor<'_>],
) -> Raised {
    let concerned: Vec<&Survivor<'_>> =
        survivors.iter().filter(|survivor| is_concerned(&survivor.before)).collect();
    raise_all(marketo, gate, clock, &concerned).await
}

/// The same for every survivor, whether a merge can have set it back or not.
pub(super) async fn raise_all(
    marketo: &(impl ReadMemberships + SetProgramStatus),
    gate: &impl SendGate,
    clock: &Clock,
    concerned: &[&Survivor<'_>],
) -> Raised {
    let mut run = Raising {
        marketo,
        gate,
        after: BTreeMap::new(),
        at_or_past: BTreeSet::new(),
        refused: BTreeMap::new(),
    };
    let mut leads: BTreeSet<LeadId> = concerned.iter().map(|survivor| survivor.lead).collect();
    let mut failed = None;
    for round in 0..=ROUNDS {
        if round > 1 {
            clock.sleep(LAG).await;
        }
        failed = run.look(&leads).await.err();
        let open = run.open(concerned);
        if failed.is_some() || open.is_empty() || round == ROUNDS {
            break;
        }
        leads = open.values().flatten().copied().collect();
        failed = run.apply(open).await.err();
        if failed.is_some() {
            break;
        }
    }
    let mut unkept: Vec<Unkept> =
        concerned.iter().flat_map(|survivor| run.unkept(survivor)).collect();
    unkept.sort();
    Raised { unkept, failed }
}

/// The statuses to apply, each with the leads that are to get it, in the order in which they are
/// applied.
type Open = BTreeMap<(bool, u64, String), Vec<LeadId>>;

/// A status of a program that a lead is to have.
type This = (LeadId, u64, String);

/// The work of one call of [`raise`].
struct Raising<'a, M, P> {
    marketo: &'a M,
    gate: &'a P,
    /// The survivors' programs, as they were read last.
    after: BTreeMap<LeadId, Rows>,
    /// What a lead is at or past, by Marketo's word.
    at_or_past: BTreeSet<This>,
    /// What Marketo will not do, and why.
    refused: BTreeMap<This, String>,
}

impl<M: ReadMemberships + SetProgramStatus, P: SendGate> Raising<'_, M, P> {
    async fn look(&mut self, leads: &BTreeSet<LeadId>) -> Result<(), marketo::Error> {
        for lead in leads {
            match self.marketo.program_membership(*lead).await {
                Ok(rows) => drop(self.after.insert(*lead, rows)),
                // The lead may have been merged on or deleted since: the others are looked at all
                // the same.
                Err(error) if is_about_the_lead(&error) => {
                    self.after.remove(lead);
                    tracing::warn!(
                        lead,
                        code = error.code(),
                        request_id = error.request_id(),
                        "the programs of a lead cannot be read"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&self, concerned: &[&Survivor<'_>]) -> Open {
        let mut open = Open::new();
        for survivor in concerned {
            let Some(after) = self.after.get(&survivor.lead) else { continue };
            for Raise { program, status, success } in to_raise(&survivor.before, after) {
                let this = (survivor.lead, program, status);
                if !self.at_or_past.contains(&this) && !self.refused.contains_key(&this) {
                    open.entry((!success, program, this.2)).or_default().push(survivor.lead);
                }
            }
        }
        open
    }

    /// Applies each status once. The error is one after which nothing more is tried.
    async fn apply(&mut self, open: Open) -> Result<(), marketo::Error> {
        let mut unclear: Option<InFlight> = None;
        let mut set: BTreeMap<(LeadId, u64), String> = BTreeMap::new();
        for ((_, program, status), leads) in open {
            for leads in leads.chunks(BATCH) {
                match self.marketo.set_program_status_with(self.gate, program, &status, leads).await
                {
                    Ok(results) => {
                        for result in results {
                            self.note(program, &status, &result, &mut set);
                        }
                    }
                    Err(marketo::Error::Unclear { in_flight, .. }) => unclear = Some(*in_flight),
                    Err(error) if is_about_the_program(&error) => {
                        for lead in leads {
                            self.refused
                                .insert((*lead, program, status.clone()), error.to_string());
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if let Some(in_flight) = unclear {
            // Only when it must be over does a look tell whether it was done.
            in_flight.over().await;
        }
        Ok(())
    }

    fn note(
        &mut self,
        program: u64,
        status: &str,
        result: &StatusResult,
        set: &mut BTreeMap<(LeadId, u64), String>,
    ) {
        let this = (result.lead, program, status.to_owned());
        if result.set {
            // What was set just before is past now; what was set last is what is looked for.
            if let Some(lower) = set.insert((result.lead, program), status.to_owned()) {
                self.at_or_past.insert((result.lead, program, lower));
            }
        } else if result.is_there_already() {
            self.at_or_past.insert(this);
        } else {
            let words = |reason: &marketo::Reason| format!("{} {}", reason.code, reason.message);
            let words: Vec<String> = result.reasons.iter().map(words).collect();
            self.refused.insert(this, words.join("; "));
        }
    }

    /// What the survivor is not known to have kept.
    fn unkept(&self, survivor: &Survivor<'_>) -> Vec<Unkept> {
        let nothing = Rows::new();
        let read = self.after.get(&survivor.lead);
        let held = standings(read.unwrap_or(&nothing));
        let names = survivor.before.iter().flat_map(|rows| standings(rows));
        let known: Programs = names.filter(|(_, standing)| !standing.name.is_empty()).collect();
        let unkept = |program: u64, wanted: String, success: bool, why: Option<String>| Unkept {
            lead: survivor.lead,
            program,
            name: known.get(&program).map(|standing| standing.name.clone()).unwrap_or_default(),
            wanted,
            success,
            held: held.get(&program).map(|standing| standing.status.clone()),
            why: read.map_or_else(|| Some("its programs could not be read".to_owned()), |_| why),
        };
        let mut missing = Vec::new();
        for Raise { program, status, success } in
            to_raise(&survivor.before, read.unwrap_or(&nothing))
        {
            let this = (survivor.lead, program, status);
            let is_held = held.get(&program).is_some_and(|held| held.status == this.2);
            if !is_held && !self.at_or_past.contains(&this) {
                let why = self.refused.get(&this).cloned();
                missing.push(unkept(program, this.2, false, why));
            } else if success && held.get(&program).is_none_or(|held| !held.success) {
                missing.push(unkept(program, this.2, true, None));
            }
        }
        // Of these no status is known that could be applied.
        let programs: BTreeSet<u64> =
            survivor.before.iter().flat_map(|rows| standings(rows).into_keys()).collect();
        for program in programs {
            if !held.contains_key(&program)
                && missing.iter().all(|unkept| unkept.program != program)
            {
                missing.push(unkept(program, String::new(), false, None));
            }
        }
        missing
    }
}

/// Whether Marketo said no to this lead, so that another one may be read all the same.
fn is_about_the_lead(error: &marketo::Error) -> bool {
    matches!(error, marketo::Error::Refused { .. } | marketo::Error::Answer { .. })
}

/// Whether Marketo said no to this program or status; everything else would befall any call.
fn is_about_the_program(error: &marketo::Error) -> bool {
    use marketo::Error as E;
    matches!(error, E::Permission { .. } | E::Refused { .. } | E::Answer { .. })
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lead, program, name, wanted, success, held, why } = self;
        let program = if name.is_empty() {
            format!("program {program}")
        } else {
            format!("program `{name}` ({program})")
        };
        let held = match held {
            Some(held) if !held.is_empty() => format!("is at `{held}`"),
            Some(_) => "is a member".to_owned(),
            None => "is no member".to_owned(),
        };
        match (success, wanted.as_str()) {
            (true, _) => write!(
                f,
                "lead {lead} lost its success in {program}: it {held}, and applying `{wanted}` again did not bring it back"
            ),
            (false, "") => write!(f, "lead {lead} lost its membership of {program}"),
            (false, _) => {
                write!(f, "lead {lead} does not have the status `{wanted}` in {program}: it {held}")
            }
        }?;
        match why {
            Some(why) => write!(f, " ({why}); set it by hand in Marketo"),
            None => f.write_str("; set it by hand in Marketo"),
        }
    }
}
