//! What cells say: the words that stand for something, and a field's value as text.

use serde_json::Value;

use crate::dedupe::{Choice, Decisions};
use crate::lead::LeadId;
use crate::review::card::{Card, CardField, CardRole};

/// Empties a field.
pub(in crate::review) const BLANK: &str = "(blank)";

/// Stands for the value that the record to keep holds itself.
pub(in crate::review) const OWN: &str = "(own)";

/// Excel holds no more than 32,767 characters in a cell.
const LONGEST: usize = 32_000;

/// The number of a group, as a person counts.
pub(in crate::review) fn number(card: &Card) -> u64 {
    card.place + 1
}

/// Yes or no.
pub(in crate::review) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Reads yes and no, also as spreadsheets in some languages write true and false.
pub(in crate::review) fn read_yes_no(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "x" | "wahr" | "vrai" | "verdadero" | "vero" => Some(true),
        "no" | "n" | "false" | "0" | "falsch" | "faux" | "falso" => Some(false),
        _ => None,
    }
}

/// The lead that stays: as decided, also where that has no effect, else as planned.
pub(in crate::review) fn kept(card: &Card) -> Option<LeadId> {
    let planned = || card.leads.iter().find(|lead| lead.role == CardRole::Winner);
    card.decisions.winner.or_else(|| planned().map(|lead| lead.id))
}

/// Whether the lead takes part, as decided.
pub(in crate::review) fn is_included(decisions: &Decisions, id: LeadId) -> bool {
    !decisions.left_out.contains(&id)
}

/// Whether a field holds yes or no.
pub(in crate::review) fn is_flag(field: &CardField) -> bool {
    field.data_type.eq_ignore_ascii_case("boolean")
        || field.values.iter().chain([&field.after]).any(Value::is_boolean)
}

/// A value as a cell shows it; nothing for none.
pub(in crate::review) fn value_text(field: &CardField, value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(flag) => yes_no(*flag).to_owned(),
        Value::String(text) if is_flag(field) => {
            read_yes_no(text).map_or_else(|| text.clone(), |flag| yes_no(flag).to_owned())
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    without_controls(short(text, LONGEST))
}

/// The same, with the word for a blank in place of nothing.
pub(in crate::review) fn value_or_blank(field: &CardField, value: &Value) -> String {
    let text = value_text(field, value);
    if text.trim().is_empty() { BLANK.to_owned() } else { text }
}

/// The value that a lead of the card holds.
pub(in crate::review) fn held<'a>(card: &Card, field: &'a CardField, id: LeadId) -> &'a Value {
    let place = card.leads.iter().position(|lead| lead.id == id);
    place.and_then(|place| field.values.get(place)).unwrap_or(&Value::Null)
}

/// At most so many characters.
pub(in crate::review) fn short(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Control characters, which no spreadsheet shows and XML cannot hold, become the replacement
/// character.
pub(in crate::review) fn without_controls(text: String) -> String {
    let unseen = |c: char| {
        c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(unseen) { text.replace(unseen, "\u{fffd}") } else { text }
}

/// The warnings of a card, one after the other: why somebody must decide, what has no effect, and
/// what was decided in an earlier plan.
pub(in crate::review) fn warnings(card: &Card) -> String {
    let refused = card.refused.as_ref().map(|why| format!("What is decided has no effect: {why}"));
    let told = refused.iter().chain(&card.said_before);
    let told = told.chain(&card.objection).chain(&card.warnings);
    sentences(told.map(String::as_str))
}

/// Texts as sentences, each once.
pub(in crate::review) fn sentences<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut told: Vec<String> = Vec::new();
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        let end = if text.ends_with(['.', '!', '?', ':', ';']) { "" } else { "." };
        let mut letters = text.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        let sentence = format!("{}{}{end}", first.unwrap_or_default(), letters.as_str());
        if !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    told.join(" ")
}

/// What becomes of the group as things stand.
pub(in crate::review) fn as_it_stands(card: &Card) -> String {
    let part = card.leads.iter().filter(|lead| lead.role != CardRole::LeftOut).count();
    match card.decisions.choice {
        _ if card.refused.is_some() => "Decision without effect".to_owned(),
        Some(Choice::Merge) | None if card.merges => format!("Merges {part} records into 1"),
        Some(Choice::Skip) => "Left alone in this plan".to_owned(),
        Some(Choice::Hold) => "On hold".to_owned(),
        Some(Choice::NotSame) => "Left alone: not the same".to_owned(),
        Some(Choice::Merge) | None => "Waits for a decision".to_owned(),
    }
}

/// The first and last name of the lead that stays, else of the first that has one.
pub(in crate::review) fn person(card: &Card) -> String {
    let name = |lead: &crate::review::card::CardLead| {
        let names = [lead.first_name.as_deref(), lead.last_name.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        names.join(" ").trim().to_owned()
    };
    card.leads.iter().map(name).find(|name| !name.is_empty()).unwrap_or_default()
}
