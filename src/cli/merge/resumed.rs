//! What there is to say before a run begins: what earlier runs left open, and what they lost. Pure.

use serde_json::Value;

use crate::cli::Exit;
use crate::ledger::{Finding, FindingKind};
use crate::merge::Resumed;
use crate::plain::counted_of;

/// What became of what an earlier run had left open, all of it. An exit code means that nothing more may be done now.
pub(super) fn in_words(resumed: &Resumed) -> (Vec<String>, Option<Exit>) {
    let mut said = Vec::new();
    if resumed.settled > 0 {
        let known = match resumed.open {
            0 => "all is known now".to_owned(),
            _ => format!("what came of {} of them is known now", resumed.settled),
        };
        said.push(format!(
            "an earlier run had left {} open; Marketo was asked, and {known}: {} went in merges of that run",
            counted_of(resumed.settled + resumed.open, "call"),
            counted_of(resumed.removed, "record")
        ));
    }
    said.extend(resumed.told.iter().map(|words| format!("of a merge that an earlier run made: {words}")));
    if resumed.given_back > 0 {
        said.push(format!(
            "{} to keep got back the values from before an earlier run, which did not come to the merge",
            counted_of(resumed.given_back, "record")
        ));
    }
    said.extend(resumed.unwatched.as_deref().map(unwatched));
    said.extend(resumed.findings.iter().map(open));
    said.extend(resumed.alarms.iter().map(|alarm| format!("STOPPED, nothing more was sent: {alarm}")));
    let consent = resumed.findings.iter().any(|finding| finding.kind == FindingKind::Consent);
    if consent {
        said.push(
            "STOPPED, nothing more was sent: set the opt-outs named above in Marketo; the next run looks again"
                .to_owned(),
        );
    }
    if resumed.open > 0 {
        said.push(format!(
            "still unclear of an earlier run: {}. Records are gone, and Marketo's log does not say yet who merged them; run the same command again in some minutes",
            counted_of(resumed.open, "call")
        ));
    }
    let exit = if consent || !resumed.alarms.is_empty() {
        Some(Exit::Failed)
    } else {
        (resumed.open > 0).then_some(Exit::Stopped)
    };
    (said, exit)
}

/// That opt-outs of the last seconds may be missing.
pub(super) fn unwatched(why: &str) -> String {
    format!(
        "NOT KNOWN: whether anybody opted out on a record while its merge ran, since Marketo's log of changes cannot be read: {why}"
    )
}

/// Something that a merge lost, or that could not be set back, and nobody has put right.
pub(super) fn open(finding: &Finding) -> String {
    let Finding { lead, field, wanted, found, key, .. } = finding;
    if finding.kind == FindingKind::Merge {
        let what = found.get("what").and_then(Value::as_str).unwrap_or_default();
        let losers = wanted.get("losers").and_then(Value::as_array).into_iter().flatten();
        let losers: Vec<String> = losers.map(ToString::to_string).collect();
        return format!("OPEN: an earlier merge of {} into lead {lead} ({key}): {what}", losers.join(", "));
    }
    format!(
        "OPEN: `{field}` of lead {lead} ({key}) should be {} and is {} since this program merged or wrote to it; put it right in Marketo",
        value_of(wanted),
        value_of(found)
    )
}

fn value_of(value: &Value) -> String {
    if value.is_null() { "(blank)".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{in_words, open};
    use crate::cli::Exit;
    use crate::ledger::{Finding, FindingKind};
    use crate::merge::Resumed;

    fn finding(kind: FindingKind) -> Finding {
        let (field, wanted, found) = match kind {
            FindingKind::Merge => {
                ("", json!({"winner": 1, "losers": [2, 3]}), json!({"what": "all its leads are still there"}))
            }
            _ => ("doNotCall", json!(true), json!(false)),
        };
        let key = "a@example.com".to_owned();
        Finding { key, lead: 1, field: field.to_owned(), kind, wanted, found }
    }

    #[test]
    fn every_alarm_is_said_whatever_else_stops_the_run() {
        let resumed = Resumed {
            settled: 2,
            removed: 1,
            open: 1,
            alarms: vec!["first".to_owned(), "second".to_owned()],
            findings: vec![finding(FindingKind::Consent)],
            told: vec!["`title` of lead 1 is \"a\"".to_owned()],
            ..Resumed::default()
        };
        let (said, exit) = in_words(&resumed);
        let said = said.join("\n");
        for words in ["first", "second", "`doNotCall`", "set the opt-outs", "still unclear", "`title`"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains("all is known"), "{said}");
        assert_eq!(exit, Some(Exit::Failed));
        let known = Resumed { settled: 2, ..Resumed::default() };
        let (said, exit) = in_words(&known);
        assert!(said.concat().contains("all is known") && exit.is_none(), "{said:?}");
    }

    #[test]
    fn a_merge_that_fits_no_outcome_is_named_with_its_leads() {
        assert_eq!(
            open(&finding(FindingKind::Merge)),
            "OPEN: an earlier merge of 2, 3 into lead 1 (a@example.com): all its leads are still there"
        );
    }
}
