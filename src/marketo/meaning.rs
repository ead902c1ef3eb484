//! What Marketo's codes mean, and what may be done after a call went wrong: one table, by the kind
//! of call. Some codes stand for several things, which only the text tells apart.
//!
//! Adobe says of the 6xx codes that the call was not executed, and yet 604 is a call that *ran* too
//! long, and 611 and 713 leave open where it broke. A read costs little to repeat; a write that is
//! repeated is how duplicates are made. So after everything that is not a plain "no" a write is
//! unclear, and somebody has to look.

use serde_json::Value;

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

/// What a code and its text say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// 600 to 602, or a bare HTTP 401: the token is missing, wrong or expired.
    TokenRefused,
    /// 603: the permission is missing.
    Denied,
    /// 1003 by its text: a filter found over 1,000 leads.
    TooManyMatches,
    /// 1003 otherwise.
    InvalidData,
    /// 1004: nobody matches.
    NotFound,
    /// 1005: somebody matches already.
    Exists,
    /// 1006: the instance has no such field, or it may not be read.
    UnknownField,
    /// 1007: several match.
    SeveralMatch,
    /// 1008 to 1010: the lead is in a partition that was not named, or is not the API user's.
    Partition,
    /// 1011: the field cannot be looked up by.
    NotSearchable,
    /// 1029 by its text: too many export jobs are in the queue.
    QueueFull,
    /// 1029 by its text: the job is in the queue already.
    AlreadyQueued,
    /// 1029 by its text: the day's bytes of export are used up.
    ExportQuota,
    /// 1037: the member is at that status already, or past it.
    StatusReached,
    /// Anything else.
    Other,
}

impl Meaning {
    /// What a code means with this text.
    pub(crate) fn of(code: &str, message: &str) -> Self {
        let says = |words: &str| message.to_lowercase().contains(words);
        match code {
            "600" | "601" | "602" | "HTTP 401" => Self::TokenRefused,
            "603" => Self::Denied,
            "1003" if says("too many results") => Self::TooManyMatches,
            "1003" => Self::InvalidData,
            "1004" => Self::NotFound,
            "1005" => Self::Exists,
            "1006" => Self::UnknownField,
            "1007" => Self::SeveralMatch,
            "1008" | "1009" | "1010" => Self::Partition,
            "1011" => Self::NotSearchable,
            "1029" if says("already") => Self::AlreadyQueued,
            "1029" if says("too many") => Self::QueueFull,
            "1029" if says("quota") => Self::ExportQuota,
            "1037" => Self::StatusReached,
            _ => Self::Other,
        }
    }

    /// What the first reason of a record's row means; none where it has no reason.
    pub(crate) fn of_row(row: &Value) -> Option<Self> {
        let reason = row.get("reasons").or_else(|| row.get("reason"))?.get(0)?;
        let message = reason.get("message").and_then(Value::as_str).unwrap_or_default();
        Some(Self::of(&code_text(reason.get("code")?), message))
    }
}

/// A code, which is a text by Adobe's documentation; a number is accepted too.
pub(crate) fn code_text(code: &Value) -> String {
    code.as_str().map_or_else(|| code.to_string(), str::to_owned)
}

/// The first error's code of an answer, where it is one of Marketo's.
pub(crate) fn code_of(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    Some(code_text(document.get("errors")?.get(0)?.get("code")?))
}

/// Whether a merge that is refused with this code was refused for its leads: a person account of
/// Salesforce (712), no default record type for them (714), a lead that cannot be taken (1003), is
/// gone (1004, 1013), is in a partition that may not be written (1008), or belongs to the CRM
/// (1018); and what the CRM and personalised URLs forbid (1076 to 1079) or are too many losers
/// (1080).
pub(super) fn is_of_a_group(code: &str) -> bool {
    matches!(
        code,
        "712"
            | "714"
            | "1003"
            | "1004"
            | "1008"
            | "1013"
            | "1018"
            | "1076"
            | "1077"
            | "1078"
            | "1079"
            | "1080"
    )
}

/// Whether Marketo's code for a record that it does not write, or for a call of that one record, is
/// about that record: the codes from 1000 on, but for a field that the instance does not have
/// (1006) or cannot look up by (1011), which every other record would meet as well.
pub(crate) fn is_of_a_record(code: &str) -> bool {
    let is_of_records =
        code.len() == 4 && code.starts_with("10") && code.bytes().all(|byte| byte.is_ascii_digit());
    is_of_records
        && !matches!(Meaning::of(code, ""), Meaning::UnknownField | Meaning::NotSearchable)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use super::{Kind, Meaning, code_of, of_code, of_status};

    #[test]
    fn codes_that_stand_for_several_things_are_told_apart_by_their_text() {
        for (code, message, meaning) in [
            ("1003", "Too many results match the filter", Meaning::TooManyMatches),
            ("1003", "Invalid value for field 'a' and value 'b'", Meaning::InvalidData),
            ("1003", "", Meaning::InvalidData),
            ("1029", "Too many jobs (10) in queue", Meaning::QueueFull),
            ("1029", "Export daily quota 500MB exceeded.", Meaning::ExportQuota),
            ("1029", "Job already queued", Meaning::AlreadyQueued),
            ("1029", "words", Meaning::Other),
            ("601", "Access token invalid", Meaning::TokenRefused),
            ("HTTP 401", "", Meaning::TokenRefused),
            ("603", "Access denied", Meaning::Denied),
            ("1004", "", Meaning::NotFound),
            ("1005", "", Meaning::Exists),
            ("1006", "", Meaning::UnknownField),
            ("1007", "", Meaning::SeveralMatch),
            ("1009", "", Meaning::Partition),
            ("610", "", Meaning::Other),
        ] {
            assert_eq!(Meaning::of(code, message), meaning, "{code} {message}");
        }
    }

    #[test]
    fn codes_are_read_as_text_and_as_numbers_in_rows_and_in_answers() {
        for code in [json!("1005"), json!(1005)] {
            for member in ["reasons", "reason"] {
                let row = json!({"status": "skipped", member: [{"code": code}]});
                assert_eq!(Meaning::of_row(&row), Some(Meaning::Exists), "{row}");
            }
            let answer = json!({"success": false, "errors": [{"code": code, "message": "x"}]});
            assert_eq!(code_of(answer.to_string().as_bytes()).as_deref(), Some("1005"));
        }
        assert_eq!(Meaning::of_row(&json!({"id": 7, "status": "updated"})), None);
        assert_eq!(code_of(b"<html>"), None);
    }

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
