//! Cards made by hand.

use serde_json::{Value, json};

use crate::dedupe::{ChosenValue, Decisions, Risk};
use crate::lead::LeadId;
use crate::review::card::{Card, CardField, CardLead, CardRole};

/// A field with the value of each lead.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) data_type: &'static str,
    pub(super) values: Vec<Value>,
    /// The place of the lead whose value a rule takes.
    pub(super) ruled: usize,
}

pub(super) fn field(name: &'static str, data_type: &'static str, values: Vec<Value>) -> Field {
    Field { name, data_type, values, ruled: 0 }
}

/// The card of a group, with what is decided about it. The first lead is the winner of the plan.
pub(super) fn card(
    place: u64,
    key: &str,
    ids: &[LeadId],
    fields: &[Field],
    decisions: Decisions,
) -> Card {
    let winner = decisions.winner.or_else(|| ids.first().copied());
    let mut leads: Vec<CardLead> =
        ids.iter().map(|id| lead(*id, key, winner, &decisions)).collect();
    leads.sort_by_key(|lead| (lead.role != CardRole::Winner, lead.role == CardRole::LeftOut));
    let at = |id: LeadId| ids.iter().position(|other| *other == id).unwrap();
    let fields: Vec<CardField> = fields
        .iter()
        .map(|field| {
            let value = |id: LeadId| field.values[at(id)].clone();
            let (after, rule) = match decisions.values.get(field.name) {
                Some(ChosenValue::From(id)) => (value(*id), "decided"),
                Some(ChosenValue::Typed(value)) => (value.clone(), "decided"),
                None => (field.values[field.ruled].clone(), "winner"),
            };
            CardField {
                name: field.name.to_owned(),
                label: field.name.to_owned(),
                data_type: field.data_type.to_owned(),
                values: leads.iter().map(|lead| value(lead.id)).collect(),
                after,
                rule: rule.to_owned(),
                conflict: true,
                may_choose: field.name != "createdAt",
            }
        })
        .collect();
    Card {
        place,
        key: key.to_owned(),
        stored_key: format!("email={key}"),
        risk: Risk::Amber,
        warnings: Vec::new(),
        objection: None,
        cause: None,
        cause_in_words: "two calls at once: neither saw the other".to_owned(),
        consent: None,
        leads,
        dropped: fields.len(),
        fields,
        equal: 12,
        why: "oldest record".to_owned(),
        merges: !decisions.is_left_alone(),
        past: None,
        decisions,
        said_before: None,
        decision_number: 0,
        refused: None,
    }
}

fn lead(id: LeadId, key: &str, winner: Option<LeadId>, decisions: &Decisions) -> CardLead {
    let role = match id {
        _ if decisions.left_out.contains(&id) => CardRole::LeftOut,
        _ if Some(id) == winner => CardRole::Winner,
        _ => CardRole::Loser,
    };
    CardLead {
        id,
        role,
        link: Some(format!("https://app.example.com/#PD{id}")),
        email: Some(key.to_owned()),
        first_name: Some("Ada".to_owned()),
        last_name: Some("=Lovelace()".to_owned()),
        company: Some("Łódź & Söhne".to_owned()),
        created_at: Some("2026-01-31T08:00:00Z".to_owned()),
    }
}

/// Ada's two records differ in four fields.
pub(super) fn ada(decisions: Decisions) -> Card {
    let fields = [
        field("city", "string", vec![json!("London"), json!("Washington, D.C.")]),
        field("leadScore", "score", vec![json!(9), json!(152)]),
        field("title", "string", vec![json!("=1+1"), json!(null)]),
        field("postalCode", "string", vec![json!("01234"), json!("3/4")]),
        field("unsubscribed", "boolean", vec![json!(false), json!(true)]),
    ];
    card(0, "ada@example.com", &[6333, 6334], &fields, decisions)
}

/// Bo has three records.
pub(super) fn bo(decisions: Decisions) -> Card {
    let mut city = field("city", "string", vec![json!("Łódź"), json!("Wrocław"), json!("Kraków")]);
    city.ruled = 1;
    let when =
        field("birthday", "date", vec![json!("1990-02-01"), json!(null), json!("1990-01-02")]);
    card(1, "bo@example.com", &[70, 71, 72], &[city, when], decisions)
}

/// Both, with nothing decided.
pub(super) fn both() -> [Card; 2] {
    [ada(Decisions::default()), bo(Decisions::default())]
}
