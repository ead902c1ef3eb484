//! What there is to say before a run begins: what earlier runs left open, and what they lost. Pure.

use super::findings;
use crate::cli::Exit;
use crate::ledger::FindingKind;
use crate::merge::Resumed;
use crate::terminal::counted_of;

/// What became of what an earlier run had left open, all of it. An exit code means that nothing
/// more may be done now.
pub(super) fn in_words(resumed: &Resumed) -> (Vec<String>, Option<Exit>) {
    let mut said = Vec::new();
    if resumed.settled > 0 {
        let known = match resumed.open {
            0 => "all is known now".to_owned(),
            _ => format!("what came of {} of them is known now", resumed.settled),
        };
        said.push(format!(
            "an earlier run ended before it knew the outcome of {}; Marketo was asked, and {known}: it had merged {} away",
            counted_of(resumed.settled + resumed.open, "call"),
            counted_of(resumed.removed, "record")
        ));
    }
    said.extend(
        resumed.told.iter().map(|words| format!("of a merge that an earlier run made: {words}")),
    );
    if resumed.given_back > 0 {
        said.push(format!(
            "{} to keep got the former values back: an earlier run had prepared the merges and not made them",
            counted_of(resumed.given_back, "record")
        ));
    }
    if resumed.rows_given_back > 0 {
        said.push(format!(
            "{} of custom objects linked to their records again: an earlier run had prepared the merges and not made them",
            counted_of(resumed.rows_given_back, "row")
        ));
    }
    said.extend(
        resumed.rows_kept.iter().map(|kept| format!("of rows that an earlier run moved: {kept}")),
    );
    said.extend(resumed.unwatched.as_ref().map(ToString::to_string));
    said.extend(resumed.late_rows.in_words());
    let kept =
        |kept: &String| format!("an earlier run prepared a merge and did not make it: {kept}");
    said.extend(resumed.kept.iter().map(kept));
    said.extend(findings::told(&resumed.findings));
    said.extend(
        resumed.alarms.iter().map(|alarm| format!("STOPPED, nothing more was sent: {alarm}")),
    );
    let consent = resumed.findings.iter().any(|(_, finding)| finding.kind == FindingKind::Consent);
    if consent {
        said.push(
            "STOPPED, nothing more was sent: set the opt-outs named above in Marketo, or acknowledge them; the next run looks again"
                .to_owned(),
        );
    }
    if resumed.open > 0 {
        said.push(format!(
            "not clear yet, of an earlier run: {}. Records are gone, and Marketo's log does not say yet who merged them; run the same command again in some minutes",
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::in_words;
    use crate::cli::Exit;
    use crate::ledger::{Finding, FindingId, FindingKind};
    use crate::merge::Resumed;

    #[test]
    fn every_alarm_is_said_whatever_else_stops_the_run() {
        let lost = Finding {
            key: "a@example.com".to_owned(),
            lead: 1,
            field: "doNotCall".to_owned(),
            kind: FindingKind::Consent,
            wanted: json!(true),
            found: json!(false),
        };
        let resumed = Resumed {
            settled: 2,
            removed: 1,
            open: 1,
            alarms: vec!["first".to_owned(), "second".to_owned()],
            findings: vec![(FindingId::from(1), lost)],
            told: vec!["`title` of lead 1 is \"a\"".to_owned()],
            ..Resumed::default()
        };
        let (said, exit) = in_words(&resumed);
        let said = said.join("\n");
        for words in
            ["first", "second", "`doNotCall`", "set the opt-outs", "not clear yet", "`title`"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains("all is known"), "{said}");
        assert_eq!(exit, Some(Exit::Failed));
        let known = Resumed { settled: 2, ..Resumed::default() };
        let (said, exit) = in_words(&known);
        assert!(said.concat().contains("all is known") && exit.is_none(), "{said:?}");
    }
}
