//! Plans merges, carries them out, and leaves nothing to guess when it is cut short.
//!
//! A merge cannot be undone, its answer can be lost, and Marketo or a person can do something else
//! meanwhile. So a run believes nothing that it has not read:
//!
//! 1. **take in** (`take_in`): the next groups are read live, must be what the plan looked at (law
//!    2), and go into the ledger whole, with lists and programs (law 3). Then the values that must
//!    survive are written to the winners, hundreds a call, by id.
//! 2. **verify** (`verify`): a second look, at most seconds old when the merge leaves (`fresh`),
//!    shows that the winner holds what was written (law 9) and that nothing else has changed. What
//!    has is backed up again.
//! 3. **send** (`sending`, `send`): at most 25 losers a call, one where that saves something; one
//!    merge at first, then 2, 4, 8 and at most 10 on one look, of which a few are under way at
//!    once, and never two of one group.
//! 4. **settle** (`settle`, `settled`): every call, whatever its answer, is settled by looking (law
//!    4). "Merged" is shown by Marketo's answer or its log, never concluded from absence. Every
//!    field of the survivor is compared with its prediction; what the merge took is written again
//!    and read back; what cannot be put right stops the run and stays open in the ledger.
//! 5. **late opt-outs** (`late`) are written to survivors, and **winners whose merge was not made**
//!    get their former values back (`give_back`).
//!
//! The next run begins with what the last one left open ([`Merge::settle_open`]), so that killing
//! it at any instant is harmless. `rounds` is the loop that arranges these steps; what it carries
//! along is a `Run`, and what every step works with is the [`Merge`].
//!
//! A run ends before its plan does, and the same command goes on later, when one of its [`Brakes`]
//! says so: the hours, the stop file, the calls that are left to others.
//!
//! Only [`Confirmed`] hands out merge orders, and only against the ledger's proof that the intent
//! is on disk. Never: decides which leads are duplicates or who wins (that is `dedupe`), sends a
//! call twice, prints.

mod backup;
mod batches;
mod brakes;
mod build;
mod candidates;
mod carried;
mod compare;
mod consent;
mod context;
mod contradicted;
mod custom_objects;
mod error;
mod follow;
mod fresh;
mod give_back;
mod hold;
pub(crate) mod kept_plan;
pub(crate) mod lasting;
mod late;
mod leads;
mod look;
mod measured;
pub(crate) mod member_fields;
mod members;
mod memberships;
mod mend;
mod outcome;
mod own_writes;
mod past;
mod planned;
mod planning;
mod programs;
mod proof;
mod raise;
mod refusal;
mod report;
pub mod restore;
mod resume;
mod review;
mod rounds;
mod rows;
mod rules;
mod run;
mod send;
mod sending;
mod settle;
mod settled;
mod skip_lists;
mod sums;
mod take_in;
mod tally;
mod timing;
mod verdict;
mod verify;
mod witness;
mod work;
mod write;

pub use brakes::{Brake, Brakes, Hours, Share};
pub use candidates::candidates;
pub use consent::Confirmed;
pub(crate) use context::facts;
pub use context::{Merge, MergeClient, MergeReads, Settings};
pub use error::Error;
pub use hold::Hold;
pub use measured::instance_profile;
pub use members::{InProgram, MembersRecord, Membership};
pub(crate) use members::{
    Learnt as MembersLearnt, LookedAt as MembersLookedAt, PART as MEMBERS_PART,
    calls_for as members_calls_for, look_for as look_for_members,
};
pub use past::{PastRuns, PlanPast, PlanState};
pub use planned::planned_groups;
pub use planning::{Candidate, Planned, Planning};
pub use proof::{FieldProof, MergeProof, Verdict as FieldVerdict};
pub use report::{
    Difference, Fate, GroupReport, Outcome, Report, RowsProof, Said, Stopped, Surprise, Unwatched,
    Watch,
};
pub use resume::Resumed;
pub use review::acknowledge;
pub(crate) use rows::rows_hanging;
pub use rows::{LateRecord, LateRow, LateRows, LeftRows};
pub use tally::Tally;
pub(crate) use witness::{LookError, look_for};
pub use witness::{Witness, WitnessRecord};

#[cfg(test)]
mod tests;
