//! The spelling of an email address that can be mailed and found.
//!
//! For: exports, forms and pastes leave blanks, marks without width, `mailto:` and brackets in
//! addresses. Marketo stores them as they come, cannot mail them, and does not find them by the
//! address that everybody sees. Never: guesses at an address (a slip in its domain, say), or counts
//! case, in which addresses do not differ.

use std::collections::BTreeMap;

use serde_json::Value;

use super::key::{is_invisible, normalise};
use super::plan::{FieldChange, FieldFacts};
use crate::lead::Lead;

/// The field that is mailed to.
const EMAIL: &str = "email";

/// What stands around an address in mail programs, tables and sentences, and never at its ends.
const AROUND: &[char] = &[
    '"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', ',', ';', ':', '‘', '’', '“', '”', '«',
    '»',
];

/// The address without what was pasted along with it. A text without `@` is no address, and only
/// loses what nobody sees and the blanks around it.
pub(super) fn clean(text: &str) -> String {
    let mut text: String =
        text.chars().filter(|c| !is_invisible(*c) && !c.is_control()).map(narrow).collect();
    loop {
        let next = clean_once(&text);
        if next == text {
            return text;
        }
        text = next;
    }
}

fn clean_once(text: &str) -> String {
    let text = text.trim();
    if !text.contains('@') {
        return text.to_owned();
    }
    let text = bracketed(text).unwrap_or(text);
    if is_quoted(text) {
        // Blanks and marks between quotes are part of such an address.
        return text.trim_end_matches('.').to_owned();
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let text = text.trim_matches(AROUND);
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
            let rest = text.get(7..).unwrap_or_default();
            rest.split('?').next().unwrap_or_default()
        }
        _ => text,
    };
    text.trim_end_matches('.').to_owned()
}

/// The address of `Ada Lovelace <ada@example.com>`.
fn bracketed(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once('<')?;
    let (inside, _) = rest.split_once('>')?;
    inside.contains('@').then_some(inside)
}

/// `"ada lovelace"@example.com`
fn is_quoted(text: &str) -> bool {
    text.strip_prefix('"').and_then(|rest| rest.split_once("\"@")).is_some_and(|(local, domain)| {
        !local.is_empty() && !local.contains('@') && !domain.is_empty() && !domain.contains(AROUND)
    })
}

/// Full-width letters, as East Asian keyboards write them, in their ordinary width.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        _ => c,
    }
}

/// Whether a mail can be sent to it, as far as its form says.
pub(crate) fn can_be_mailed(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let labels = || domain.split('.');
    !local.is_empty()
        && (is_quoted(address)
            || !local.contains(|c: char| {
                c.is_whitespace() || c == '@' || AROUND.contains(&c) && c != '\'' && c != '`'
            }))
        && labels().count() > 1
        && labels().all(|label| {
            !label.is_empty()
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || !c.is_ascii())
        })
}

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

#[cfg(test)]
mod tests;
