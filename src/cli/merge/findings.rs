//! What merges lost and nobody has put right: told by each run, until it is right or a person says
//! why it may stay.

use clap::Args;
use serde_json::Value;

use super::NOT_WITH_A_PLAN;
use crate::cli::{Context, Exit, Failure, Ui, now};
use crate::ledger::{Finding, FindingId, FindingKind, Ledger};
use crate::merge;
use crate::terminal::counted_of;

/// A finding that a person has settled.
#[derive(Debug, Args)]
pub(super) struct Settled {
    /// Close an open finding that cannot be put right, for example since its record was deleted
    #[arg(
        long,
        value_name = "FINDING",
        value_parser = clap::value_parser!(u32).range(1..),
        requires = "reason",
        conflicts_with_all = NOT_WITH_A_PLAN,
        conflicts_with_all = ["plan", "confirm", "dry_run", "json"]
    )]
    acknowledge: Option<u32>,
    /// Why it may be closed; the ledger keeps it
    #[arg(long, value_name = "TEXT", value_parser = not_blank, requires = "acknowledge")]
    reason: Option<String>,
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("it must say something") } else { Ok(text.to_owned()) }
}

/// Closes the finding that was named; none where none was.
pub(super) fn acknowledge(
    context: &mut Context,
    settled: &Settled,
) -> Result<Option<Exit>, Failure> {
    let (Some(number), Some(reason)) = (settled.acknowledge, &settled.reason) else {
        return Ok(None);
    };
    // Whose ledger it is must be known; credentials are not needed.
    context.config.addresses()?;
    let mut ledger = Ledger::open(&context.config.ledger_file()?, &context.config.instance_name())?;
    let id = FindingId::from(number);
    let finding = merge::acknowledge(&mut ledger, id, reason, &now().to_rfc3339())?;
    let left = counted_of(ledger.open_findings()?.len(), "finding");
    context
        .ui
        .print(&format!("finding {id} is closed: {}\nstill open: {left}\n", in_words(&finding)))?;
    Ok(Some(Exit::Done))
}

/// Names everything that a merge lost, or that could not be set back, and nobody has put right.
pub(super) fn tell(ui: &mut Ui, findings: &[(FindingId, Finding)]) {
    for words in told(findings) {
        ui.note(&words);
    }
}

/// The same in words, and how to close what cannot be put right.
pub(super) fn told(findings: &[(FindingId, Finding)]) -> Vec<String> {
    let mut told: Vec<String> = findings
        .iter()
        .map(|(id, finding)| format!("OPEN finding {id}: {}", in_words(finding)))
        .collect();
    if let Some((id, _)) = findings.first() {
        told.push(format!(
            "a finding that cannot be put right, for example since its record was deleted, is closed with a reason: mkto-audit merge --acknowledge {id} --reason TEXT"
        ));
    }
    told
}

fn in_words(finding: &Finding) -> String {
    let Finding { lead, field, wanted, found, key, .. } = finding;
    if finding.kind == FindingKind::Merge {
        let what = found.get("what").and_then(Value::as_str).unwrap_or_default();
        let losers = wanted.get("losers").and_then(Value::as_array).into_iter().flatten();
        let losers: Vec<String> = losers.map(ToString::to_string).collect();
        return format!(
            "an earlier merge of {} into lead {lead} ({key}): {what}",
            losers.join(", ")
        );
    }
    format!(
        "`{field}` of lead {lead} ({key}) should be {} and is {} since this program merged or wrote to it; put it right in Marketo",
        value_of(wanted),
        value_of(found)
    )
}

/// A value in a message.
fn value_of(value: &Value) -> String {
    if value.is_null() { "(blank)".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;
    use crate::ledger::{Finding, FindingId, FindingKind};

    #[test]
    fn a_merge_that_fits_no_outcome_is_named_with_its_leads() {
        let finding = Finding {
            key: "a@example.com".to_owned(),
            lead: 1,
            field: String::new(),
            kind: FindingKind::Merge,
            wanted: json!({"winner": 1, "losers": [2, 3]}),
            found: json!({"what": "all its leads are still there"}),
        };
        let told = told(&[(FindingId::from(4), finding)]);
        assert_eq!(
            told[0],
            "OPEN finding 4: an earlier merge of 2, 3 into lead 1 (a@example.com): all its leads are still there"
        );
        assert!(told[1].ends_with("merge --acknowledge 4 --reason TEXT"), "{told:?}");
    }
}
