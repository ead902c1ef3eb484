//! What others do to leads while a call runs: they change, opt out, delete and merge.
//!
//! A test orders it for the Nth call of an endpoint, or a fault draws it from the seed for a lead
//! that the call touches or one with the same email. Everything done is written down, so that a
//! test can tell lawful changes from losses.

use serde_json::{Map, Value, json};

use super::clock::now;
use super::instance::Shared;
use super::merge::fold;
use super::options::Fault;
use super::request::Request;
use super::schema;
use super::view::shown_fields;
use super::world::by_hand;
use super::world::log::What;
use super::world::objects;

pub(super) mod screens;
pub(super) mod script;

use screens::{Actions, Deed, Meanwhile, Meddled, Meddling, Screens};

/// Somebody at work on the instance while a call runs.
#[derive(Debug)]
struct Hands<'a> {
    shared: &'a Shared,
    at_call: &'a str,
    request_id: &'a str,
}

impl<'a> Hands<'a> {
    fn new(shared: &'a Shared, at_call: &'a str, request: &'a Request) -> Self {
        Self { shared, at_call, request_id: &request.call_id }
    }

    fn note(
        &self,
        what: Deed,
        lead: u64,
        losers: &[u64],
        fields: Map<String, Value>,
        before: Map<String, Value>,
    ) {
        self.shared.script().note(Meddled {
            at_call: self.at_call.to_owned(),
            request_id: self.request_id.to_owned(),
            what,
            lead,
            losers: losers.to_vec(),
            fields,
            before,
        });
    }
}

impl Actions for Hands<'_> {
    fn set(&self, lead: u64, fields: &Value, deed: Deed) -> bool {
        let Some(before) = self.fields(lead) else { return false };
        by_hand::change(&mut self.shared.world(), lead, fields, now());
        self.note(deed, lead, &[], fields.as_object().cloned().unwrap_or_default(), before);
        true
    }

    fn delete(&self, lead: u64) -> bool {
        let Some(before) = self.fields(lead) else { return false };
        self.shared.world().delete(lead, now(), What::DeleteLead);
        self.note(Deed::Delete, lead, &[], Map::new(), before);
        true
    }

    fn merge(&self, winner: u64, losers: &[u64]) -> bool {
        let Some(before) = self.fields(winner) else { return false };
        let merged =
            fold::by_hand(&mut self.shared.world(), &self.shared.options.knobs, winner, losers);
        if merged {
            self.note(Deed::Merge, winner, losers, Map::new(), before);
        }
        merged
    }

    fn put(&self, fields: &Value) -> u64 {
        by_hand::put(&mut self.shared.world(), fields, now())
    }

    fn put_row(&self, object: &str, row: &Value) -> String {
        let row = row.as_object().cloned().unwrap_or_default();
        objects::put_object_row(&mut self.shared.world(), object, row)
    }

    fn fail_next(&self, endpoint: &str, fault: Fault) {
        self.shared.faults().order(endpoint.to_owned(), fault);
    }

    fn fields(&self, lead: u64) -> Option<Map<String, Value>> {
        let world = self.shared.world();
        world.lead(lead).map(shown_fields)
    }
}

/// Does what somebody was ordered to do at this call.
pub(super) fn perform(shared: &Shared, endpoint: &str, request: &Request, ordered: Vec<Meanwhile>) {
    let hands = Hands::new(shared, endpoint, request);
    for meanwhile in ordered {
        Screens::of(&hands).perform(meanwhile);
    }
}

/// Lets happen what is to happen while this call runs, once; it touches these leads.
pub(super) fn during(shared: &Shared, request: &Request, touched: &[u64]) {
    let Meddling { endpoint, ordered, drawn } = std::mem::take(&mut *request.meddling.lock());
    perform(shared, &endpoint, request, ordered);
    let hands = Hands::new(shared, &endpoint, request);
    for fault in drawn {
        meddle(&hands, fault, touched);
    }
}

/// Does what a fault stands for to a lead that the call touches, or to one with the same email.
fn meddle(hands: &Hands<'_>, fault: Fault, touched: &[u64]) {
    let shared = hands.shared;
    let near = near(shared, touched);
    let pick = |among: &[u64]| {
        let place = usize::try_from(shared.faults().below(among.len() as u64)).unwrap_or_default();
        among.get(place).copied()
    };
    let Some(lead) = pick(&near) else { return };
    let number = shared.faults().request_number();
    match fault {
        Fault::MeddleChange => {
            let fields = changes(number);
            let place =
                usize::try_from(shared.faults().below(fields.len() as u64)).unwrap_or_default();
            if let Some((field, value)) = fields.get(place) {
                hands.set(lead, &json!({ *field: value }), Deed::Change);
            }
        }
        Fault::MeddleOptOut => {
            let place =
                usize::try_from(shared.faults().below(OPT_OUTS.len() as u64)).unwrap_or_default();
            if let Some(field) = OPT_OUTS.get(place) {
                hands.set(lead, &json!({ *field: true }), Deed::OptOut);
            }
        }
        Fault::MeddleDelete => drop(hands.delete(lead)),
        Fault::MeddleMerge => {
            let others: Vec<u64> = near.into_iter().filter(|other| *other != lead).collect();
            if let Some(loser) = pick(&others) {
                hands.merge(lead, &[loser]);
            }
        }
        _ => {}
    }
}

/// The opt-outs that people set meanwhile.
const OPT_OUTS: &[&str] = &[
    "unsubscribed",
    "marketingSuspended",
    "doNotCall",
    "blackListed",
    "emailInvalid",
    "emailOptOut",
];

/// The values that people set meanwhile, in the form in which Marketo keeps them.
fn changes(number: u32) -> [(&'static str, Value); 6] {
    [
        ("firstName", json!(format!("Changed{number}"))),
        ("lastName", json!(format!("Changed{number}"))),
        ("title", json!(format!("Title {number}"))),
        ("company", json!(format!("Company {number}"))),
        ("phone", json!(format!("+1 (555) 010-{:04}", number % 10_000))),
        ("email", json!(format!("moved-{number}@example.org"))),
    ]
}

/// The living leads among these and those with the same email, by id.
fn near(shared: &Shared, touched: &[u64]) -> Vec<u64> {
    let world = shared.world();
    let Some((email, _)) = schema::find("email") else { return Vec::new() };
    let mut near: Vec<u64> = touched
        .iter()
        .filter_map(|id| world.lead(*id))
        .flat_map(|record| {
            let mates = record
                .text_of(email)
                .map(|address| world.find(email, &address))
                .unwrap_or_default();
            std::iter::once(record.id).chain(mates)
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near
}
