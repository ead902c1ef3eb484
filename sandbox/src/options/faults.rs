//! What goes wrong, each by a name and at a rate.

use std::collections::BTreeMap;

use super::error::OptionError;

/// Something that goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// HTTP 502 with a page of HTML, before anything is done.
    BadGateway,
    /// HTTP 500, before anything is done.
    ServerError,
    /// The connection is cut before anything is done.
    CutBefore,
    /// The connection is cut after the work is done.
    CutAfter,
    /// 604 at once, and the work is done seconds later all the same.
    Lost604,
    /// HTTP 502 at once, and the work is done seconds later all the same.
    Lost502,
    /// 604, and nothing is done.
    TimedOut,
    /// The answer takes long.
    Slow,
    /// 606 though the rate is not reached: another integration took it.
    Rate,
    /// 615 though few calls run here.
    Concurrency,
    /// 611, before anything is done.
    SystemError,
    /// 601, the token is refused.
    TokenInvalid,
    /// 602, the token has expired.
    TokenExpired,
    /// The work is done, and the answer is HTTP 200 with a page of HTML.
    Html,
    /// The work is done, and the answer is half of its JSON.
    Truncated,
    /// A merge of several losers stops half-way with 611.
    PartialMerge,
    /// A merge that is answered with success, and never is done.
    IgnoredMerge,
    /// A merge that is answered with success, and is done seconds later.
    LateMerge,
    /// Half of an export's file, and then the connection is cut.
    HalfFile,
    /// An export's file whose bytes are not those of the checksum.
    BadChecksum,
    /// 404 for the file of an export that is complete.
    NoFile,
    /// An export that is put in the queue, and fails when it has run.
    FailedExport,
    /// While the call runs, somebody changes a lead that it touches, or one with the same email.
    MeddleChange,
    /// While the call runs, such a lead opts out.
    MeddleOptOut,
    /// While the call runs, somebody deletes such a lead.
    MeddleDelete,
    /// While the call runs, somebody merges two such leads.
    MeddleMerge,
    /// A read by filter shows a lead as it was before its last change, or one that was merged away;
    /// once a change.
    StaleRead,
    /// A read by filter leaves out a lead that lives.
    MissingRead,
    /// A read of leads succeeds without a `result`.
    NoResult,
}

const FAULTS: &[(&str, Fault)] = &[
    ("502", Fault::BadGateway),
    ("500", Fault::ServerError),
    ("cut_before", Fault::CutBefore),
    ("cut_after", Fault::CutAfter),
    ("lost_604", Fault::Lost604),
    ("lost_502", Fault::Lost502),
    ("604", Fault::TimedOut),
    ("slow", Fault::Slow),
    ("606", Fault::Rate),
    ("615", Fault::Concurrency),
    ("611", Fault::SystemError),
    ("601", Fault::TokenInvalid),
    ("602", Fault::TokenExpired),
    ("html", Fault::Html),
    ("truncated", Fault::Truncated),
    ("partial_merge", Fault::PartialMerge),
    ("ignored_merge", Fault::IgnoredMerge),
    ("late_merge", Fault::LateMerge),
    ("half_file", Fault::HalfFile),
    ("bad_checksum", Fault::BadChecksum),
    ("no_file", Fault::NoFile),
    ("failed_export", Fault::FailedExport),
    ("meddle_change", Fault::MeddleChange),
    ("meddle_opt_out", Fault::MeddleOptOut),
    ("meddle_delete", Fault::MeddleDelete),
    ("meddle_merge", Fault::MeddleMerge),
    ("stale_read", Fault::StaleRead),
    ("missing_read", Fault::MissingRead),
    ("no_result", Fault::NoResult),
];

impl Fault {
    /// Every fault's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAULTS.iter().map(|(name, _)| *name)
    }

    /// Whether it comes beside any other, since it leaves the answer's way alone.
    pub(crate) fn comes_beside(self) -> bool {
        matches!(
            self,
            Self::MeddleChange
                | Self::MeddleOptOut
                | Self::MeddleDelete
                | Self::MeddleMerge
                | Self::StaleRead
                | Self::MissingRead
                | Self::NoResult
        )
    }

    /// The fault of this name.
    pub fn named(name: &str) -> Result<Self, OptionError> {
        FAULTS.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault).ok_or_else(|| {
            let known: Vec<&str> = Self::names().collect();
            OptionError::Unknown { what: "fault", name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// How often each fault occurs, as a share of the calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    pub(crate) rates: BTreeMap<Fault, f64>,
}
