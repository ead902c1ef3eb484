//! What can go wrong with a call, by what it means for the data.

use tokio::time::Instant;

use super::Untrusted;

/// Why a call has no result. Facts as fields, never a token, a secret, a body or a value of a lead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Marketo read the call and refused it. Nothing was done.
    #[error("Marketo refused {call}: {code} {message}{}", request(request_id.as_ref()))]
    Refused {
        /// Method and path, without query.
        call: String,
        /// Marketo's code.
        code: String,
        /// Marketo's words.
        message: String,
        /// Marketo's id of the call.
        request_id: Option<String>,
    },
    /// The call left, and no answer that can be trusted came: it may have been done, or be under way still.
    #[error("it is unclear whether Marketo did {call}: {what}{}", request(request_id.as_ref()))]
    Unclear {
        /// Method and path, without query.
        call: String,
        /// What was seen in place of an answer.
        what: String,
        /// Marketo's id of the call, where it came.
        request_id: Option<String>,
        /// When the call left; Marketo's time limit counts from here.
        sent_at: Instant,
    },
    /// A read that kept failing, or a call that could not be sent at all. Nothing was changed.
    #[error("{call} did not succeed after {attempts} attempts: {what}")]
    Unavailable {
        /// Method and path, without query.
        call: String,
        /// What was seen last.
        what: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The other side's certificate is not to be trusted. Nothing was sent.
    #[error("{call} was not sent: the TLS certificate of {host} cannot be trusted, {}", why.what())]
    Untrusted {
        /// Method and path, without query.
        call: String,
        /// Who was to be spoken to.
        host: String,
        /// What is wrong with it.
        why: Untrusted,
    },
    /// The client id or the secret is wrong, or the token is refused again right after it was renewed.
    #[error("Marketo does not accept the credentials at {url}: {what}")]
    Credentials {
        /// The identity endpoint, without query.
        url: String,
        /// Marketo's words.
        what: String,
    },
    /// 603: the API user lacks the permission, or this machine's address is not on the allow-list. Nothing was done.
    #[error("Marketo denies {call}: 603 {message}{}", request(request_id.as_ref()))]
    Permission {
        /// Method and path, without query.
        call: String,
        /// Marketo's words.
        message: String,
        /// Marketo's id of the call.
        request_id: Option<String>,
    },
    /// 607, or this program's own budget: no more calls today. Nothing was done.
    #[error("{call} was not made: {which}")]
    Quota {
        /// Method and path, without query.
        call: String,
        /// Which quota or budget, and when it is filled again.
        which: String,
    },
    /// A reading answer that is not what Marketo documents. Nothing was changed.
    #[error("the answer to {call} cannot be understood: {what}{}", request(request_id.as_ref()))]
    Answer {
        /// Method and path, without query.
        call: String,
        /// What is wrong with it.
        what: String,
        /// Marketo's id of the call, where it came.
        request_id: Option<String>,
    },
    /// A value that holds a comma, at which Marketo splits the values of a filter. Nothing was asked.
    #[error("a value of `{field}` holds a comma, and Marketo cannot be asked for such a value")]
    CannotAsk {
        /// The field that was to be looked up.
        field: String,
    },
    /// Its caller withdrew the call before it left. Nothing was done.
    #[error("{call} was not made: {why}")]
    Withheld {
        /// Method and path, without query.
        call: String,
        /// The caller's reason.
        why: String,
    },
    /// What is spent today cannot be counted, so nothing is. The call was not made.
    #[error("{call} was not made, since nobody could count it: {what}")]
    Uncounted {
        /// Method and path, without query.
        call: String,
        /// What went wrong, with the file.
        what: String,
    },
    /// The client could not be built from its settings.
    #[error("{what}")]
    Setup {
        /// What is wrong.
        what: String,
    },
}

/// Whether a call that failed may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was done.
    NotDone,
    /// It may have been done, or be under way: look before anything is sent again.
    Unclear,
}

impl Error {
    /// What the failure means for the data.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unclear { .. } => Outcome::Unclear,
            Self::Refused { .. }
            | Self::Unavailable { .. }
            | Self::Untrusted { .. }
            | Self::Credentials { .. }
            | Self::Permission { .. }
            | Self::Quota { .. }
            | Self::Answer { .. }
            | Self::CannotAsk { .. }
            | Self::Withheld { .. }
            | Self::Uncounted { .. }
            | Self::Setup { .. } => Outcome::NotDone,
        }
    }

    /// Marketo's code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Permission { .. } => Some("603"),
            _ => None,
        }
    }

    /// Whether the whole run should stop, since the next call would fare no better.
    pub fn stops_the_run(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::Untrusted { .. }
                | Self::Permission { .. }
                | Self::Quota { .. }
                | Self::Uncounted { .. }
                | Self::Setup { .. }
        )
    }
}

fn request(id: Option<&String>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}
