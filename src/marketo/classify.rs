//! What may be done after a call went wrong: one table, by the kind of call.
//!
//! Adobe says of the 6xx codes that the call was not executed, and yet 604 is a call that *ran* too
//! long, and 611 and 713 leave open where it broke. A read costs little to repeat; a write that is
//! repeated is how duplicates are made. So after everything that is not a plain "no" a write is
//! unclear, and somebody has to look.

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The token is no good: a new one, and the call again.
    RenewToken,
    /// Too many calls: wait, slow down, and the call again. It was turned away before it was
    /// executed.
    SlowDown,
    /// Not now: wait, and the call again.
    TryAgain,
    /// No, for good.
    Refuse,
    /// The permission is missing.
    Deny,
    /// No more calls today.
    Quota,
    /// It may have been done.
    Unclear,
}

/// The verdict on a code of Marketo's.
pub(crate) fn of_code(kind: Kind, code: &str) -> Verdict {
    let doubtful = match kind {
        Kind::Read => Verdict::TryAgain,
        Kind::Write => Verdict::Unclear,
    };
    match code {
        "601" | "602" => Verdict::RenewToken,
        "600" | "603" => Verdict::Deny,
        "606" | "615" => Verdict::SlowDown,
        "607" => Verdict::Quota,
        "500" | "502" | "604" | "608" | "611" | "614" | "713" | "719" => doubtful,
        "605" | "609" | "610" | "612" | "613" | "616" => Verdict::Refuse,
        _ if matches!(code.len(), 3 | 4) && code.starts_with(['1', '7']) => Verdict::Refuse,
        // A code that nobody documented says nothing about what was done.
        _ => match kind {
            Kind::Read => Verdict::Refuse,
            Kind::Write => Verdict::Unclear,
        },
    }
}

/// The verdict on an answer of another HTTP status than 200, with the code that Marketo says along
/// with it, where it does: 601 and its like are understood whatever the status.
pub(crate) fn of_http(kind: Kind, status: u16, code: Option<&str>) -> Verdict {
    let by_status = match status {
        // Unauthorised, in whose words ever: nothing was done, and only a new token can help.
        401 => Verdict::RenewToken,
        _ => of_status(kind, status),
    };
    let Some(by_code) = code.map(|code| of_code(kind, code)) else { return by_status };
    let turned_away =
        matches!(by_code, Verdict::RenewToken | Verdict::SlowDown | Verdict::Deny | Verdict::Quota);
    // What broke on the way (5xx) may have been done whatever the code says, unless it never came
    // in.
    if turned_away || by_status == Verdict::Refuse { by_code } else { by_status }
}

/// The verdict on an HTTP status other than 200: a 4xx or a redirect was turned away at the door.
pub(crate) fn of_status(kind: Kind, status: u16) -> Verdict {
    match (status, kind) {
        (429, _) => Verdict::SlowDown,
        // A gateway that gave up waiting says nothing about what Marketo did.
        (408 | 499, Kind::Read) => Verdict::TryAgain,
        (408 | 499, Kind::Write) => Verdict::Unclear,
        (300..=499, _) => Verdict::Refuse,
        (_, Kind::Read) => Verdict::TryAgain,
        (_, Kind::Write) => Verdict::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Kind, of_code, of_status};

    #[test]
    fn the_table_is_what_was_decided() {
        let mut table = String::new();
        for code in [
            "500", "502", "600", "601", "602", "603", "604", "605", "606", "607", "608", "609",
            "610", "611", "612", "613", "614", "615", "616", "699", "702", "712", "713", "714",
            "719", "1003", "1004", "1076", "1080", "x",
        ] {
            writeln!(
                table,
                "{code:>8} {:?} / {:?}",
                of_code(Kind::Read, code),
                of_code(Kind::Write, code)
            )
            .unwrap();
        }
        for status in [204, 302, 400, 404, 408, 413, 414, 429, 500, 502, 503] {
            writeln!(
                table,
                "HTTP {status} {:?} / {:?}",
                of_status(Kind::Read, status),
                of_status(Kind::Write, status)
            )
            .unwrap();
        }
        insta::with_settings!({snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"), prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("marketo_verdicts", table);
        });
    }
}
