//! Measures what Adobe's pages leave open or contradict, on test people that it makes and removes.
//!
//! For: a prediction says exactly what a merge leaves only where somebody knows what this instance
//! does. The answers are the instance's profile: kept in the ledger, dated, with what was not
//! measured and why.
//!
//! What keeps it from harm:
//!
//! - Its people have addresses that are made up for this run, of a domain that mail can never reach
//!   (`domain`). Each has a row in the ledger before the call leaves that makes it (`people`). They
//!   are made by `createOnly`, so that a call whose answer was lost is looked for by its address
//!   and never sent again.
//! - Only leads of that journal are merged or deleted, and only after a look that showed each of
//!   them under its address (`own`). The types of the orders see to it.
//! - A run that is killed is found by the next one, and by `probe --clean-up` (`clean`).
//!
//! No leases are taken: nobody else can write a key that was made up a moment ago and is in no
//! system. Never: touches a lead that it did not make, concludes from one look what a later one
//! could contradict, prints.

mod answers;
mod clean;
mod domain;
mod fields;
mod found;
mod merged;
mod own;
mod people;
mod programs;
mod questions;
mod values;
mod witness;
mod writes;

use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use domain::Domain;
pub use questions::{adobe_says, asked, follows};

use crate::dedupe::{FieldFacts, InstanceProfile, ProfileName};
use crate::lead::LeadId;
use crate::ledger::{self, Ledger, ProbeId};
use crate::marketo::{
    self, Clock, DeleteLeads, MergeLeads, ReadActivities, ReadHistory, ReadLeads, ReadMemberships,
    RestoreLeads, RestoreOrder, SetProgramStatus, SyncLeads, UntilStopped, sealed,
};
use answers::Answers;

/// What measuring asks of Marketo.
pub trait ProbeClient:
    ReadLeads
    + ReadActivities
    + ReadHistory
    + ReadMemberships
    + SyncLeads
    + SetProgramStatus
    + MergeLeads
    + RestoreLeads
    + DeleteLeads
{
}

impl<M> ProbeClient for M where
    M: ReadLeads
        + ReadActivities
        + ReadHistory
        + ReadMemberships
        + SyncLeads
        + SetProgramStatus
        + MergeLeads
        + RestoreLeads
        + DeleteLeads
{
}

/// A run that somebody agreed to.
#[derive(Debug)]
pub struct ConfirmedProbe(());

impl ConfirmedProbe {
    /// To be called where a person, or a script in a person's name, said yes, and nowhere else.
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for ConfirmedProbe {
    fn default() -> Self {
        Self::new()
    }
}

// Putting a test person on a list is a call that restoring has.
impl sealed::Sealed for ConfirmedProbe {}
impl RestoreOrder for ConfirmedProbe {}

/// Two steps of a program made for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    /// The program's id.
    pub id: u64,
    /// The name of an early status.
    pub lower: String,
    /// The name of a later one.
    pub higher: String,
}

/// What is to be measured, and with what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where the test people have their addresses.
    pub domain: Domain,
    /// A program that they may enter.
    pub program: Option<TestProgram>,
    /// A static list that they may be put on.
    pub list: Option<u64>,
    /// Fields to be tested for blocks, beside those that the measuring itself needs.
    pub fields: BTreeSet<String>,
    /// How long Marketo's log is waited for.
    pub wait: Duration,
    /// How many calls may be in flight at once: a race needs two.
    pub at_once: usize,
}

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct ProbeSettings {
    /// How fast Marketo's time passes.
    pub clock: Clock,
    /// What the ledger's times are read from.
    pub now: fn() -> DateTime<Utc>,
    /// Cancelled: nothing more is measured; the test people are removed.
    pub stop: CancellationToken,
    /// The instance, as its ledger names it.
    pub instance: String,
    /// Who runs it, for the ledger.
    pub by: Option<String>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed in a way that the next one would not survive either.
    #[error(transparent)]
    Marketo(#[from] marketo::Error),
    /// The ledger failed; without it nothing may be sent.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// Why a step of a run was not done.
#[derive(Debug)]
enum Trouble {
    /// The questions of the step are not measured, for this reason; the run goes on.
    Here(String),
    /// The run was told to stop.
    Stopped,
    /// The run cannot go on.
    Everywhere(Error),
}

type Step<T> = Result<T, Trouble>;

impl From<ledger::Error> for Trouble {
    fn from(error: ledger::Error) -> Self {
        Self::Everywhere(error.into())
    }
}

impl From<marketo::Error> for Trouble {
    fn from(error: marketo::Error) -> Self {
        match error {
            marketo::Error::Withheld { .. } => Self::Stopped,
            // What one question needs the others may do without.
            marketo::Error::Permission { .. } => Self::Here(error.to_string()),
            error if error.stops_the_run() => Self::Everywhere(error.into()),
            error => Self::Here(error.to_string()),
        }
    }
}

/// A test person's lead that was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The lead.
    pub lead: LeadId,
    /// The address that it was given.
    pub address: String,
    /// Why it was left alone, and what to do.
    pub why: String,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct ProbeReport {
    /// The profile that was kept; none of a run that did not come to its end.
    pub profile: Option<(ProfileName, InstanceProfile)>,
    /// How many questions failed that were to be measured.
    pub failed_questions: usize,
    /// How many people were made.
    pub made: usize,
    /// How many leads were removed, by deleting them or by merging them into another test person.
    pub removed: usize,
    /// Leads that were left alone.
    pub left: Vec<Left>,
    /// How many people may still be there.
    pub open: usize,
    /// How many merges were sent.
    pub merges: usize,
    /// How many people of earlier runs were seen to be gone.
    pub cleaned: usize,
    /// Whether it was told to stop.
    pub interrupted: bool,
    /// Why test people could not be removed, or are not known to be gone.
    pub not_removed: Option<String>,
    /// Why it could not go on.
    pub failed: Option<Error>,
}

/// What shows that a lead is a record of the CRM too.
const CRM_FIELDS: [&str; 4] = ["sfdcContactId", "sfdcId", "sfdcLeadId", "sfdcType"];

/// A run on one instance.
pub struct Probe<'a, M> {
    marketo: &'a M,
    ledger: &'a mut Ledger,
    settings: ProbeSettings,
    facts: FieldFacts,
    /// What is read of a test person that is looked for: its address, and whether the CRM has it.
    looked_at: Vec<String>,
    opened_at: Instant,
    /// From when on an empty look proves that nobody is there: the last call in doubt must be over,
    /// and what was made is shown.
    over_at: Instant,
    report: ProbeReport,
}

impl<M> std::fmt::Debug for Probe<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl<'a, M: ProbeClient> Probe<'a, M> {
    /// Learns which fields the instance has. The ledger must have been opened for this run: while
    /// it is held, no earlier run can still be sending.
    pub async fn new(
        marketo: &'a M,
        ledger: &'a mut Ledger,
        settings: ProbeSettings,
    ) -> Result<Self, Error> {
        let opened_at = Instant::now();
        let schema = marketo.describe().await?;
        let facts = crate::merge::facts(&schema);
        let report = ProbeReport::default();
        let of_crm = CRM_FIELDS.iter().filter(|field| schema.fields.contains_key(**field));
        let looked_at = std::iter::once(&"email").chain(of_crm).map(|f| (*f).to_owned()).collect();
        let over_at = opened_at;
        Ok(Self { marketo, ledger, settings, facts, looked_at, opened_at, over_at, report })
    }

    /// Removes what earlier runs left behind. Always gives a report, however it ended.
    pub async fn clean_up(mut self, _order: &ConfirmedProbe) -> ProbeReport {
        if let Err(trouble) = self.clean_earlier().await {
            self.troubled(trouble);
        }
        self.report
    }

    /// Measures, keeps the profile, and removes the test people. Always gives a report, however it
    /// ended.
    pub async fn carry_out(mut self, order: &ConfirmedProbe, asked: &Asked) -> ProbeReport {
        if let Err(trouble) = self.all(order, asked).await {
            self.troubled(trouble);
        }
        self.report
    }

    async fn all(&mut self, order: &ConfirmedProbe, asked: &Asked) -> Step<()> {
        self.clean_earlier().await?;
        let probe = self.ledger.begin_probe(self.settings.by.as_deref(), &self.at())?;
        let mut answers = Answers::default();
        let measured = self.measure(order, probe, asked, &mut answers).await;
        // The people go, whatever became of the questions.
        let gone = self.clean().await;
        let all_gone = gone.is_ok() && self.report.open == 0;
        self.ledger.end_probe(probe, measured.is_ok() && all_gone, &self.at())?;
        measured?;
        self.report.failed_questions = answers.failed();
        let profile = InstanceProfile {
            form: InstanceProfile::FORM,
            instance: self.settings.instance.clone(),
            measured_at: (self.settings.now)(),
            by: self.settings.by.clone(),
            answers: answers.all(),
        };
        // Words, numbers and times always have a JSON form.
        let (body, sha256) = profile.as_kept().unwrap_or_default();
        self.ledger.keep_profile(probe, &body, &sha256, &self.at())?;
        let name = ProfileName { probe: probe.number(), measured_at: profile.measured_at, sha256 };
        self.report.profile = Some((name, profile));
        gone
    }

    async fn measure(
        &mut self,
        order: &ConfirmedProbe,
        probe: ProbeId,
        asked: &Asked,
        answers: &mut Answers,
    ) -> Step<()> {
        let step = self.fields(probe, asked, answers).await;
        answers.after(step, fields::QUESTIONS)?;
        let step = self.merged(order, probe, asked, answers).await;
        answers.after(step, merged::QUESTIONS)?;
        let step = self.race(probe, asked, answers).await;
        answers.after(step, &[writes::RACE])?;
        let step = self.duplicate(probe, asked, answers).await;
        answers.after(step, &[writes::DUPLICATE])?;
        let step = self.spelling(probe, asked, answers).await;
        answers.after(step, writes::SPELLING)
    }

    fn troubled(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Stopped => self.report.interrupted = true,
            Trouble::Everywhere(error) => self.report.failed = Some(error),
            // Questions have taken theirs: this is of removing the test people.
            Trouble::Here(why) => self.report.not_removed = Some(why),
        }
    }

    /// For calls that begin something.
    fn gate(&self) -> UntilStopped {
        UntilStopped::at_once(self.settings.stop.clone())
    }

    /// A pause of Marketo's time; a stop ends it.
    async fn pause(&self, span: Duration) -> Step<()> {
        tokio::select! {
            biased;
            () = self.settings.stop.cancelled() => Err(Trouble::Stopped),
            () = self.settings.clock.sleep(span) => Ok(()),
        }
    }

    /// The time for the ledger.
    fn at(&self) -> String {
        (self.settings.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}
