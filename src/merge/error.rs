//! Why a merge run could not go on.

use crate::leases::LeaseError;
use crate::{ledger, marketo};

/// Why a run could not go on. What it had done by then is in its [`super::Report`] and in the
/// ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed in a way that the next one would not survive either.
    #[error(transparent)]
    Marketo(#[from] marketo::Error),
    /// The ledger failed; without it nothing may be sent.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The keys of what is to be merged cannot be leased.
    #[error(transparent)]
    Leases(#[from] LeaseError),
    /// The ledger has no such plan.
    #[error("the ledger has no plan {id}; `mkto-audit plan list` names those that are kept")]
    NoSuchPlan {
        /// The id that was asked for.
        id: String,
    },
    /// A rule, an order or a key names a field that the instance does not have.
    #[error("{what}. Nothing was planned or changed")]
    UnknownFields {
        /// Each place with its field.
        what: String,
    },
    /// A skip rule names something that the instance does not have, or that cannot be compared.
    #[error("{what}. Nothing was planned or changed")]
    Rules {
        /// The rule, and what is wrong with it.
        what: String,
    },
    /// The ledger has no open finding with this number.
    #[error("no finding {id} is open; `mkto-audit merge` names those that are")]
    NoSuchFinding {
        /// The number that was asked for.
        id: ledger::FindingId,
    },
    /// What was measured of the instance cannot be used. Nothing was planned or changed.
    #[error("the profile that probe {probe} measured cannot be used: {what}")]
    UnusableProfile {
        /// The run of `probe`.
        probe: u64,
        /// Why not.
        what: String,
    },
    /// A plan in the ledger is not what it was when it was made, or not for this program.
    #[error(
        "plan {id} in the ledger cannot be carried out: {what}; make a new one with `mkto-audit merge`"
    )]
    UnusablePlan {
        /// The plan.
        id: String,
        /// Why not.
        what: String,
    },
}
