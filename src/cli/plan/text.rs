//! Plans in words for a terminal. Pure.

use serde_json::Value;

use crate::dedupe::{ChosenValue, Decisions, LeftOut};
use crate::review::card::{Card, CardField, CardRole};
use crate::review::{Blocked, CarriedState, Head, Shown};
use crate::terminal::{counted, harmless, moment};

/// A group: who stays, why, what changes, what is decided.
pub(super) fn group_lines(shown: &Shown) -> Vec<String> {
    let card = &shown.card;
    let past = card.past.as_ref();
    let what =
        past.filter(|past| past.is_fixed).map_or_else(|| what(card), |past| harmless(&past.words));
    let mut lines = vec![format!("{}  {}  {what}", card.key, card.risk)];
    // What may still be merged says what it would come to, and what a run did before.
    lines.extend(
        past.filter(|past| !past.is_fixed).map(|past| format!("    {}", harmless(&past.words))),
    );
    lines.push(format!("    {}", card.why));
    lines.extend(card.objection.iter().map(|why| format!("    a person must decide: {why}")));
    lines.extend(card.refused.iter().map(|why| format!("    cannot be done as decided: {why}")));
    lines.extend(decided(&card.decisions).map(|words| format!("    decided: {words}")));
    lines.extend(card.said_before.iter().map(|words| format!("    {words}")));
    lines.extend(card.consent.iter().map(|words| format!("    {words}")));
    if past.is_some_and(|past| past.is_fixed) {
        return lines;
    }
    lines.push(format!(
        "    {} → 1 · {} dropped · {} equal",
        counted(taking_part(card), "record"),
        counted(card.dropped as u64, "value"),
        card.equal
    ));
    lines.extend(card.fields.iter().map(|field| field_line(card, field)));
    lines
}

fn what(card: &Card) -> String {
    let ids = |role: CardRole| -> String {
        let of_role = card.leads.iter().filter(|lead| lead.role == role);
        of_role.map(|lead| lead.id.to_string()).collect::<Vec<_>>().join(", ")
    };
    let out = ids(CardRole::LeftOut);
    let out = if out.is_empty() { out } else { format!("; {out} left out") };
    let would = if card.merges { "would keep" } else { "not merged as it stands: would keep" };
    format!("{would} {} and merge {} into it{out}", ids(CardRole::Winner), ids(CardRole::Loser))
}

fn taking_part(card: &Card) -> u64 {
    card.leads.iter().filter(|lead| lead.role != CardRole::LeftOut).count() as u64
}

/// The values of a field, record by record, and what stays.
fn field_line(card: &Card, field: &CardField) -> String {
    let held = card.leads.iter().zip(&field.values).filter(|(_, value)| !is_blank(value));
    let held: Vec<String> =
        held.map(|(lead, value)| format!("{} (from {})", shown(value), lead.id)).collect();
    let held = if held.is_empty() { "(blank)".to_owned() } else { held.join(", ") };
    format!(
        "    {}: {held} → {} · rule: {}",
        field.name,
        shown(&field.after),
        harmless(&field.rule)
    )
}

/// What is decided about a group, in words; none where nothing is.
pub(super) fn decided(decisions: &Decisions) -> Option<String> {
    let mut words = Vec::new();
    words.extend(decisions.choice.map(|choice| choice.in_words().to_lowercase()));
    words.extend(decisions.winner.map(|id| format!("keep {id}")));
    words.extend(decisions.left_out.iter().map(|id| format!("leave {id} out")));
    words.extend(decisions.values.iter().map(|(field, value)| match value {
        ChosenValue::From(id) => format!("{field} from {id}"),
        ChosenValue::Typed(value) => format!("{field} = {}", shown(value)),
    }));
    if words.is_empty() {
        return None;
    }
    let note = decisions.note.as_ref().map(|note| format!(" ({})", harmless(note)));
    Some(words.join(", ") + &note.unwrap_or_default())
}

pub(super) fn blocked_lines(blocked: &Blocked) -> Vec<String> {
    let leads: Vec<String> = blocked.leads.iter().map(ToString::to_string).collect();
    vec![
        format!("{}  blocked  {}", blocked.key, leads.join(", ")),
        format!("    {}", blocked.reason),
    ]
}

/// The sums of a plan, its digest in full, and what to do next.
pub(super) fn summary(head: &Head) -> Vec<String> {
    let name = head.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let plan = head.name.as_ref().unwrap_or(&head.plan);
    let mut lines = vec![
        format!("plan {}{name} for {}, made {}", head.plan, head.instance, when(&head.made_at)),
        format!(
            "{}: {} safe, {} to decide, {} decided; {} blocked",
            counted(head.groups, "group"),
            head.safe,
            head.decide,
            head.done,
            head.blocked
        ),
        format!(
            "as it stands {} would disappear, {} be dropped, {} lost",
            counted(head.records, "record"),
            counted(head.dropped_values, "value"),
            counted(head.opt_outs_lost, "opt-out")
        ),
        format!("digest {}", head.digest),
    ];
    if let Some(at) = &head.last_run_at {
        let what = match head.state {
            CarriedState::CarriedOut => "carried out, last on",
            _ => "not carried out to its end, last worked on",
        };
        let prepared = match head.prepared {
            0 => String::new(),
            count => format!(", {count} written to and not merged"),
        };
        let done = format!(
            "{what} {}: {} merged, {} left alone{prepared}, {} failed",
            when(at),
            counted(head.merged, "group"),
            head.left_alone,
            head.failed
        );
        lines.insert(1, done);
    }
    if head.state == CarriedState::CarriedOut && head.records == 0 {
        lines.push(
            "nothing is left to do of it; `mkto-audit plan create` makes a new plan".to_owned(),
        );
        return lines;
    }
    if let Some(profile) = &head.profile {
        lines.push(format!("predictions go by {profile}"));
    }
    match &head.approval {
        Some(approval) => {
            lines.push(format!("approved by {} at {}", approval.by, approval.at));
            lines.push(format!("to carry it out: mkto-audit merge --plan {plan} --confirm"));
        }
        None => lines.push(format!("to approve it: mkto-audit plan approve {plan} --by NAME")),
    }
    lines
}

/// Where a plan would have no groups.
pub(super) fn nothing(left_out: &[LeftOut]) -> String {
    let mut lines: Vec<String> =
        left_out.iter().map(|left| format!("{}  blocked\n    {}", left.key, left.reason)).collect();
    lines.push("nothing to plan: no group fits what was asked for; no plan was kept".to_owned());
    lines.join("\n")
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

pub(super) fn shown(value: &Value) -> String {
    if is_blank(value) { "(blank)".to_owned() } else { harmless(&value.to_string()) }
}

/// A time as a person reads it; as it is where it is none.
fn when(at: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(at)
        .map_or_else(|_no_time| at.to_owned(), |at| moment(at.to_utc()))
}
