//! Why a plan cannot be shown, decided about, approved or carried out.

use crate::{ledger, merge};

/// Why a plan cannot be shown, decided about, approved or carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger failed, or another run has it.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The plan is not there, or not for this program or instance.
    #[error(transparent)]
    Plan(#[from] merge::Error),
    /// A decision is about a group that the plan does not have.
    #[error("plan {plan} has no group `{key}`; nothing was decided")]
    NoSuchGroup {
        /// The plan.
        plan: String,
        /// The key that was asked for.
        key: String,
    },
    /// A decision or an approval without a name.
    #[error("who {what} has to be named; nothing was written")]
    Nameless {
        /// `decides` or `approves`.
        what: &'static str,
    },
    /// A decision is about a group of which records are gone.
    #[error(
        "nobody can decide about {key} in plan {plan} any more: {what}; nothing was taken. To decide about records that are \
         left, make a new plan: mkto-audit plan create --email {key}"
    )]
    CarriedOut {
        /// The plan.
        plan: String,
        /// The group, as a person reads it.
        key: String,
        /// What became of it.
        what: String,
    },
    /// Somebody decided after whoever decides now had looked.
    #[error(
        "plan {plan} was decided about in the meantime: {who}; nothing was taken. Look at it again, and decide then"
    )]
    DecidedMeanwhile {
        /// The plan.
        plan: String,
        /// Who, about what, when.
        who: String,
    },
    /// A decision leaves out the record that stays.
    #[error("{key}: {why}; nothing was taken")]
    LeavesOutTheKept {
        /// The group's key, for a person.
        key: String,
        /// Why, and what to do.
        why: String,
    },
    /// The digest is not the plan's with the decisions in force.
    #[error(
        "plan {plan} was decided about since: {who}; its digest is {now}, not {asked}; look at it again with \
         `mkto-audit plan show {plan}`"
    )]
    OtherDigest {
        /// The plan.
        plan: String,
        /// Who decided, about what, when.
        who: String,
        /// The digest that was asked for.
        asked: String,
        /// The digest as things stand.
        now: String,
    },
    /// Somebody who decided wants to approve.
    #[error(
        "{by} decided about groups of plan {plan}, and `review.two_people` asks for somebody else to approve it: \
         mkto-audit plan approve {plan} --by NAME"
    )]
    SamePerson {
        /// The plan.
        plan: String,
        /// Who.
        by: String,
    },
    /// The plan needs an approval that it does not have.
    #[error(
        "plan {plan} is not approved{why}: {needs}; nothing was merged. To approve it: mkto-audit plan approve {plan} --by NAME"
    )]
    NotApproved {
        /// The plan.
        plan: String,
        /// What became of the last approval, from a comma on; empty where there was none.
        why: String,
        /// Why it needs one.
        needs: String,
    },
}
