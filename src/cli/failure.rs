//! Why a command failed: the one error type that knows exit codes and hints.

use super::Exit;
use crate::{cache, config, guard, leases, ledger, marketo, merge, probe, review, scan};

/// A command's failure. Each source keeps its own words; this type adds the exit code and the next
/// step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A setting is wrong or missing.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A call to Marketo failed.
    #[error(transparent)]
    Marketo(#[from] marketo::Error),
    /// The ledger could not be opened, read or written.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The records to be written are not as they must be.
    #[error(transparent)]
    Input(#[from] guard::InputError),
    /// The field to look up by is not one.
    #[error("leads cannot be looked up by `{field}` on this instance")]
    LookupField {
        /// The field asked for.
        field: String,
        /// Those that can.
        known: String,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The file to be read is not as it must be, or the instance lacks what a scan needs.
    #[error(transparent)]
    Scan(scan::Error),
    /// A plan cannot be carried out.
    #[error("{what}")]
    Plan {
        /// Which, and why.
        what: String,
    },
    /// A plan cannot be shown, decided about, approved or carried out as it was asked for.
    #[error(transparent)]
    Review(review::Error),
    /// A flag's value, or flags that do not go together.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// The rights to the keys cannot be had.
    #[error(transparent)]
    Leases(leases::LeaseError),
    /// The proxy could not be started.
    #[error(transparent)]
    Guard(#[from] guard::ServeError),
    /// What a guard saw in shadow mode cannot be read.
    #[error(transparent)]
    RaceCounts(#[from] guard::RaceCountsError),
    /// The demo did not end as it must: a defect of this program.
    #[error("the demo went wrong: {lost}")]
    Demo {
        /// What was lost, or arose.
        lost: String,
    },
    /// Output could not be written.
    #[error("the output could not be written")]
    Output(#[source] std::io::Error),
    /// A file that was named for the output could not be written; what was there before is still
    /// there.
    #[error("{} could not be written; what was there before is unchanged", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What stood in the way.
        source: std::io::Error,
    },
    /// A signal came before anything was changed.
    #[error("stopped as asked; nothing was changed at Marketo")]
    Stopped,
    /// Whoever read the output has seen enough.
    #[error("the reader closed the pipe")]
    BrokenPipe,
    /// The program could not start its threads or its clock.
    #[error("the program could not start")]
    Runtime(#[source] std::io::Error),
}

impl Failure {
    /// The exit code of the contract.
    pub fn exit(&self) -> Exit {
        match self {
            // Each of them is mended by another flag, setting or command, and nothing was called.
            Self::Config(_)
            | Self::Usage { .. }
            | Self::Plan { .. }
            | Self::Review(_)
            | Self::Input(_)
            | Self::Scan(
                scan::Error::File(_)
                | scan::Error::UnknownField { .. }
                | scan::Error::NoNewLeadType,
            )
            | Self::LookupField { .. }
            | Self::Cache(cache::Error::Missing { .. } | cache::Error::OtherInstance { .. })
            | Self::Ledger(ledger::Error::OtherInstance { .. } | ledger::Error::NameTaken { .. }) => {
                Exit::Usage
            }
            Self::Marketo(error) | Self::Scan(scan::Error::Marketo(error)) => exit_of(error),
            Self::BrokenPipe => Exit::Done,
            Self::Stopped => Exit::Stopped,
            Self::Scan(
                scan::Error::Export { .. } | scan::Error::NoBeginning | scan::Error::Cache(_),
            )
            | Self::Demo { .. }
            | Self::Guard(_)
            | Self::Leases(_)
            | Self::RaceCounts(_)
            | Self::Cache(_)
            | Self::Ledger(_)
            | Self::Output(_)
            | Self::File { .. }
            | Self::Runtime(_) => Exit::Failed,
        }
    }

    /// What to do next, where something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Marketo(error) => hint_of(error),
            Self::Usage { hint, .. } => hint.clone(),
            Self::File { .. } => {
                Some("name a file in a folder that you may write to, on a disk with room".to_owned())
            }
            Self::Scan(scan::Error::File(_)) => {
                Some("nothing was changed; mend the file, or make the export anew".to_owned())
            }
            Self::Scan(scan::Error::UnknownField { .. }) => {
                Some("correct scan.fields, match.key, winner.order or the rule of `fields`".to_owned())
            }
            Self::Scan(scan::Error::Export { .. } | scan::Error::NoBeginning) => Some(
                "what was read before is kept; set scan.strategy to `pages`, which reads the same leads without a file"
                    .to_owned(),
            ),
            Self::Leases(_) => {
                Some("mend the store that guard.leases names, and run the same command again".to_owned())
            }
            Self::Stopped => Some("run the same command again".to_owned()),
            Self::Input(_) => Some("nothing was sent; mend the file and run it again".to_owned()),
            Self::LookupField { known, .. } => Some(format!("--lookup-field takes one of {known}")),
            // The messages of the stores and of plans end with what to do.
            Self::Cache(_)
            | Self::Scan(_)
            | Self::Ledger(_)
            | Self::Plan { .. }
            | Self::Review(_)
            | Self::Demo { .. }
            | Self::Guard(_)
            | Self::RaceCounts(_)
            | Self::Output(_)
            | Self::BrokenPipe
            | Self::Runtime(_) => None,
        }
    }
}

impl From<guard::Error> for Failure {
    fn from(error: guard::Error) -> Self {
        match error {
            guard::Error::Marketo(error) => error.into(),
            guard::Error::Leases(error) => Self::Leases(error),
            guard::Error::LookupField { field, known } => Self::LookupField { field, known },
        }
    }
}

/// Writing to a closed pipe is no failure of ours.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Output(error)
        }
    }
}

impl From<scan::Error> for Failure {
    fn from(error: scan::Error) -> Self {
        match error {
            scan::Error::Marketo(error) => error.into(),
            scan::Error::Cache(error) => error.into(),
            other => Self::Scan(other),
        }
    }
}

impl From<merge::Error> for Failure {
    fn from(error: merge::Error) -> Self {
        match error {
            merge::Error::Marketo(error) => Self::Marketo(error),
            merge::Error::Ledger(error) => Self::Ledger(error),
            merge::Error::Leases(error) => Self::Leases(error),
            merge::Error::UnknownFields { what } => Self::Usage {
                what,
                hint: Some(
                    "correct the name in the configuration; a REST API name is written in its exact case"
                        .to_owned(),
                ),
            },
            rules @ merge::Error::Rules { .. } => {
                Self::Usage { what: rules.to_string(), hint: None }
            }
            finding @ merge::Error::NoSuchFinding { .. } => {
                Self::Usage { what: finding.to_string(), hint: None }
            }
            plan @ (merge::Error::NoSuchPlan { .. }
            | merge::Error::UnusablePlan { .. }
            | merge::Error::UnusableProfile { .. }) => {
                Self::Plan { what: plan.to_string() }
            }
        }
    }
}

impl From<probe::Error> for Failure {
    fn from(error: probe::Error) -> Self {
        match error {
            probe::Error::Marketo(error) => error.into(),
            probe::Error::Ledger(error) => error.into(),
        }
    }
}

impl From<review::Error> for Failure {
    fn from(error: review::Error) -> Self {
        match error {
            review::Error::Ledger(error) => error.into(),
            review::Error::Plan(error) => error.into(),
            other => Self::Review(other),
        }
    }
}

/// The exit code of a call's failure.
pub(super) fn exit_of(error: &marketo::Error) -> Exit {
    use marketo::Error as E;
    match error {
        E::Credentials { .. } | E::Permission { .. } => Exit::Refused,
        E::Quota { .. } => Exit::Stopped,
        E::Setup { .. } => Exit::Usage,
        E::Refused { .. }
        | E::Unclear { .. }
        | E::Unavailable { .. }
        | E::Untrusted { .. }
        | E::Answer { .. }
        | E::CannotAsk { .. }
        | E::Withheld { .. }
        | E::Uncounted { .. } => Exit::Failed,
    }
}

fn hint_of(error: &marketo::Error) -> Option<String> {
    use marketo::Error as E;
    let hint = match error {
        E::Credentials { .. } => {
            "check MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET (Marketo: Admin > LaunchPoint > View Details), then run `mkto-audit doctor`"
        }
        E::Permission { .. } => {
            "run `mkto-audit doctor`: it names the permission that is missing (Marketo: Admin > Users & Roles; or the IP allow-list, Admin > Web Services)"
        }
        E::Quota { .. } => {
            "run the same command again when the quota is filled up; it goes on where it stopped"
        }
        E::Unavailable { .. } => "nothing was changed; try again later, or run `mkto-audit doctor`",
        E::Untrusted { why, .. } => why.mend(),
        E::Unclear { .. } => {
            "run the same command again: it looks what happened before it sends anything"
        }
        E::Uncounted { .. } => {
            "free some space, or mend the rights of that file; deleting it forgets what was spent today"
        }
        E::Withheld { .. } => "run the same command again: it looks before it sends anything",
        E::Refused { .. } | E::Answer { .. } | E::CannotAsk { .. } | E::Setup { .. } => {
            return None;
        }
    };
    Some(hint.to_owned())
}
