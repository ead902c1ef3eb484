//! Which spelling of an email address the survivor keeps: one that can be mailed, where there is
//! one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::FieldChange;
use crate::dedupe::address::{can_be_mailed, clean};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::key::normalise;
use crate::dedupe::visible::is_invisible;
use crate::lead::Lead;

/// The field that is mailed to.
const EMAIL: &str = "email";

/// Has the survivor keep the address in the spelling that can be mailed, where the leads spell it
/// differently. Gives words for the plan where that cannot be; an error where a merge would destroy
/// the only spelling that can be mailed.
pub(super) fn keep_mailable(
    in_order: &[&Lead],
    facts: &FieldFacts,
    changes: &mut Vec<FieldChange>,
    expected: &mut BTreeMap<String, Value>,
) -> Result<Option<String>, String> {
    let Some(winner) = in_order.first() else { return Ok(None) };
    let raw = |lead: &Lead| lead.value(EMAIL).and_then(Value::as_str).map(str::to_owned);
    let planned = changes.iter().position(|change| change.name == EMAIL);
    let written =
        planned.and_then(|place| changes.get(place)).and_then(|change| change.after.as_str());
    let Some(stays) = written.map(str::to_owned).or_else(|| raw(winner)) else { return Ok(None) };
    let cleaned = clean(&stays);
    if cleaned == stays {
        return Ok(None);
    }
    let spelled = format!("its email is spelled with {}", what_is_wrong(&stays));
    if !can_be_mailed(&cleaned) {
        return Ok(Some(format!(
            "{spelled}, and stays so, since it is no valid address without that either"
        )));
    }
    let same_address =
        |text: &String| normalise(text) == normalise(&cleaned) && clean(text) == *text;
    let from = in_order.iter().find(|lead| raw(lead).as_ref().is_some_and(same_address));
    if !facts.is_writeable(EMAIL) || facts.not_taken.contains(EMAIL) {
        let why = "and `email` cannot be written on this instance";
        return match from {
            Some(lead) => Err(format!(
                "{spelled} on lead {}, {why}: a merge would destroy the address of lead {}, which can be mailed; \
                 correct the email of lead {} in Marketo first",
                winner.id, lead.id, winner.id
            )),
            None => Ok(Some(format!("{spelled}, {why}"))),
        };
    }
    let after = from.and_then(|lead| raw(lead)).unwrap_or(cleaned);
    let change = FieldChange {
        name: EMAIL.to_owned(),
        before: winner.value(EMAIL).cloned().unwrap_or(Value::Null),
        after: Value::String(after.clone()),
        from: from.map(|lead| lead.id),
    };
    expected.insert(EMAIL.to_owned(), Value::String(after));
    if let Some(planned) = planned.and_then(|place| changes.get_mut(place)) {
        *planned = change;
    } else {
        changes.push(change);
        changes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(Some(format!("{spelled}, which is taken away")))
}

/// What hides in a spelling, in words.
fn what_is_wrong(stays: &str) -> &'static str {
    if stays.chars().any(|c| is_invisible(c) || c.is_control()) {
        "marks that nobody sees"
    } else if stays.contains(char::is_whitespace) && !stays.contains('<') {
        "blanks"
    } else {
        "marks around it"
    }
}
