//! What can go wrong with a call, by what it means for the data.

use super::meaning::{Meaning, is_of_a_group};
use super::{CertificateFault, InFlight, permission};

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
    /// The call left, and no answer that can be trusted came: it may have been done, or be under
    /// way still.
    #[error("it is unclear whether Marketo did {call}: {what}{}", request(request_id.as_ref()))]
    Unclear {
        /// Method and path, without query.
        call: String,
        /// What was seen in place of an answer.
        what: String,
        /// Marketo's id of the call, where it came.
        request_id: Option<String>,
        /// When it left, and when it must be over.
        in_flight: Box<InFlight>,
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
        why: CertificateFault,
    },
    /// The client id or the secret is wrong, or the token is refused again right after it was
    /// renewed.
    #[error("Marketo does not accept the credentials at {url}: {what}")]
    Credentials {
        /// The identity endpoint, without query.
        url: String,
        /// Marketo's words.
        what: String,
    },
    /// 603: the API user lacks the permission, or this machine's address is not on the allow-list.
    /// Nothing was done.
    #[error("Marketo denies {call}: 603 {message}{}{}", request(request_id.as_ref()), needs(call))]
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
    /// A value that holds a comma, at which Marketo splits the values of a filter. Nothing was
    /// asked.
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

    /// What Marketo's refusal means; none where it is no refusal.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused { code, message, .. } => Some(Meaning::of(code, message)),
            Self::Permission { .. } => Some(Meaning::Denied),
            _ => None,
        }
    }

    /// The call in doubt, where it is one.
    pub fn in_flight(&self) -> Option<InFlight> {
        match self {
            Self::Unclear { in_flight, .. } => Some(**in_flight),
            _ => None,
        }
    }

    /// Marketo's words, where it said no.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } | Self::Permission { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Marketo's id of the call, where it came.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. }
            | Self::Permission { request_id, .. }
            | Self::Unclear { request_id, .. }
            | Self::Answer { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// The permission that the API user lacks, where Marketo denied the call.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Permission { call, .. } => permission::of_call(call),
            _ => None,
        }
    }

    /// Whether a refusal is the merged group's own: another group may be merged all the same, and
    /// this one is refused again until something about it changes. Everything else says nothing
    /// about the group, or would refuse every other group as well. Never true of a call that is no
    /// merge: one Sync Leads call carries the records of many groups.
    pub fn concerns_the_group_alone(&self) -> bool {
        match self {
            Self::Refused { call, code, .. } => {
                call.ends_with("/merge.json") && is_of_a_group(code)
            }
            _ => false,
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

fn needs(call: &str) -> String {
    permission::of_call(call)
        .map(|permission| {
            format!("; it needs the permission {permission} (Admin > Users & Roles > Roles)")
        })
        .unwrap_or_default()
}

fn request(id: Option<&String>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &str, code: &str) -> Error {
        Error::Refused {
            call: call.to_owned(),
            code: code.to_owned(),
            message: "words".to_owned(),
            request_id: Some("a#1".to_owned()),
        }
    }

    #[test]
    fn a_refusal_is_the_groups_own_where_another_group_could_still_be_merged() {
        const MERGE: &str = "POST /rest/v1/leads/7/merge.json";
        for code in [
            "712", "714", "1003", "1004", "1008", "1013", "1018", "1076", "1077", "1078", "1079",
            "1080",
        ] {
            assert!(refused(MERGE, code).concerns_the_group_alone(), "{code}");
            assert!(
                !refused("POST /rest/v1/leads.json", code).concerns_the_group_alone(),
                "{code}"
            );
        }
        for code in [
            "603", "605", "607", "609", "610", "612", "613", "616", "703", "1029", "1035",
            "HTTP 404",
        ] {
            assert!(!refused(MERGE, code).concerns_the_group_alone(), "{code}");
        }
        let denied =
            Error::Permission { call: MERGE.to_owned(), message: String::new(), request_id: None };
        assert!(!denied.concerns_the_group_alone() && denied.stops_the_run());
    }

    #[test]
    fn a_no_is_shown_with_code_words_request_and_the_permission_that_it_asks_for() {
        let error = refused("GET /rest/v1/leads.json", "610");
        assert_eq!(
            error.to_string(),
            "Marketo refused GET /rest/v1/leads.json: 610 words (request a#1)"
        );
        assert_eq!(
            (error.code(), error.message(), error.request_id()),
            (Some("610"), Some("words"), Some("a#1"))
        );
        let denied = Error::Permission {
            call: "GET /rest/v1/activities/leadchanges.json".to_owned(),
            message: "Access denied".to_owned(),
            request_id: Some("a#2".to_owned()),
        };
        assert_eq!(
            denied.to_string(),
            "Marketo denies GET /rest/v1/activities/leadchanges.json: 603 Access denied (request a#2); it needs the \
             permission Read-Only Activity (Admin > Users & Roles > Roles)"
        );
        assert_eq!(denied.permission(), Some("Read-Only Activity"));
    }
}
