//! What others do to leads while a call runs: they change, opt out, delete and merge.
//!
//! A test orders it for the Nth call of an endpoint, or a fault draws it from the seed for a lead
//! that the call touches or one with the same email. Everything done is written down, so that a
//! test can tell lawful changes from losses.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::activities::log::What;
use super::merge;
use super::options::Fault;
use super::request::Request;
use super::schema;
use super::server::{Shared, lock, now};
use super::world;

mod script;

pub(super) use script::Script;

/// What somebody does to leads, past the API.
pub enum Meanwhile {
    /// Changes values.
    Change {
        /// Whose.
        lead: u64,
        /// By REST name.
        fields: Value,
    },
    /// Unsubscribes.
    OptOut {
        /// Who.
        lead: u64,
    },
    /// Deletes.
    Delete {
        /// Whom.
        lead: u64,
    },
    /// Merges.
    Merge {
        /// Who is asked to survive.
        winner: u64,
        /// Who is not.
        losers: Vec<u64>,
    },
    /// Anything.
    Run(Box<dyn FnOnce(&Screens<'_>) + Send>),
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change { lead, fields } => {
                write!(f, "Change {{ lead: {lead}, fields: {fields} }}")
            }
            Self::OptOut { lead } => write!(f, "OptOut {{ lead: {lead} }}"),
            Self::Delete { lead } => write!(f, "Delete {{ lead: {lead} }}"),
            Self::Merge { winner, losers } => {
                write!(f, "Merge {{ winner: {winner}, losers: {losers:?} }}")
            }
            Self::Run(_) => f.write_str("Run(…)"),
        }
    }
}

/// The moment of a call at which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before it is looked at.
    Before,
    /// When it has been accepted, and before its work is done. What a read shows has been read by
    /// then.
    During,
    /// When its work is done, and before it is answered.
    After,
}

/// What was done to leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Values were changed.
    Change,
    /// An opt-out was set.
    OptOut,
    /// The lead was deleted.
    Delete,
    /// The lead took in others.
    Merge,
}

/// One thing that was done to leads while a call ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Meddled {
    /// The call, by `METHOD /path/{id}`.
    pub at_call: String,
    /// The call's request id.
    pub request_id: String,
    /// What was done.
    pub what: Deed,
    /// To whom; of a merge who was asked to survive.
    pub lead: u64,
    /// Whom a merge took away.
    pub losers: Vec<u64>,
    /// The new values.
    pub fields: Map<String, Value>,
    /// The lead's values before that, as the API showed them, nulls left out.
    pub before: Map<String, Value>,
}

/// What is to happen while a call runs.
#[derive(Debug, Default)]
pub(super) struct Meddling {
    /// `METHOD /path/{id}`
    pub(super) endpoint: String,
    pub(super) ordered: Vec<Meanwhile>,
    pub(super) drawn: Vec<Fault>,
}

/// Marketo's screens, in the hands of somebody who does not know of the call that runs.
#[derive(Debug)]
pub struct Screens<'a> {
    shared: &'a Shared,
    at_call: String,
    request_id: String,
}

impl<'a> Screens<'a> {
    pub(super) fn new(shared: &'a Shared, at_call: &str, request: &Request) -> Self {
        Self { shared, at_call: at_call.to_owned(), request_id: request.call_id.clone() }
    }

    /// Changes a lead's values; whether it lives.
    pub fn change(&self, lead: u64, fields: &Value) -> bool {
        self.set(lead, fields, Deed::Change)
    }

    /// Unsubscribes a lead, and no other one; whether it lives.
    pub fn opt_out(&self, lead: u64) -> bool {
        self.set(lead, &json!({"unsubscribed": true}), Deed::OptOut)
    }

    /// Deletes a lead; whether it lived.
    pub fn delete(&self, lead: u64) -> bool {
        let Some(before) = self.fields(lead) else { return false };
        self.shared.world().delete(lead, now(), What::DeleteLead);
        self.note(Deed::Delete, lead, &[], Map::new(), before);
        true
    }

    /// Merges leads; whether all of them lived.
    pub fn merge(&self, winner: u64, losers: &[u64]) -> bool {
        let Some(before) = self.fields(winner) else { return false };
        let merged =
            merge::by_hand(&mut self.shared.world(), &self.shared.options.knobs, winner, losers);
        if merged {
            self.note(Deed::Merge, winner, losers, Map::new(), before);
        }
        merged
    }

    /// Puts a lead in, and gives its id.
    pub fn put(&self, fields: &Value) -> u64 {
        world::put(&mut self.shared.world(), fields, now())
    }

    /// The next call of this endpoint goes wrong in this way, as [`super::Sandbox::fail_next`]
    /// orders it.
    pub fn fail_next(&self, endpoint: &str, fault: Fault) {
        self.shared.chance().order(endpoint.to_owned(), fault);
    }

    /// A living lead's values, as the API shows them, nulls left out.
    pub fn fields(&self, lead: u64) -> Option<Map<String, Value>> {
        let world = self.shared.world();
        world.lead(lead).map(super::shown_fields)
    }

    fn set(&self, lead: u64, fields: &Value, deed: Deed) -> bool {
        let Some(before) = self.fields(lead) else { return false };
        world::change(&mut self.shared.world(), lead, fields, now());
        self.note(deed, lead, &[], fields.as_object().cloned().unwrap_or_default(), before);
        true
    }

    fn note(
        &self,
        what: Deed,
        lead: u64,
        losers: &[u64],
        fields: Map<String, Value>,
        before: Map<String, Value>,
    ) {
        let (at_call, request_id) = (self.at_call.clone(), self.request_id.clone());
        let losers = losers.to_vec();
        self.shared.script().note(Meddled {
            at_call,
            request_id,
            what,
            lead,
            losers,
            fields,
            before,
        });
    }

    fn perform(&self, meanwhile: Meanwhile) {
        match meanwhile {
            Meanwhile::Change { lead, fields } => drop(self.change(lead, &fields)),
            Meanwhile::OptOut { lead } => drop(self.opt_out(lead)),
            Meanwhile::Delete { lead } => drop(self.delete(lead)),
            Meanwhile::Merge { winner, losers } => drop(self.merge(winner, &losers)),
            Meanwhile::Run(run) => run(self),
        }
    }
}

/// Does what somebody was ordered to do at this call.
pub(super) fn perform(shared: &Shared, endpoint: &str, request: &Request, ordered: Vec<Meanwhile>) {
    let screens = Screens::new(shared, endpoint, request);
    for meanwhile in ordered {
        screens.perform(meanwhile);
    }
}

/// Lets happen what is to happen while this call runs, once; it touches these leads.
pub(super) fn during(shared: &Shared, request: &Request, touched: &[u64]) {
    let Meddling { endpoint, ordered, drawn } = std::mem::take(&mut *lock(&request.meddling));
    perform(shared, &endpoint, request, ordered);
    let screens = Screens::new(shared, &endpoint, request);
    for fault in drawn {
        meddle(&screens, fault, touched);
    }
}

/// Does what a fault stands for to a lead that the call touches, or to one with the same email.
fn meddle(screens: &Screens<'_>, fault: Fault, touched: &[u64]) {
    let shared = screens.shared;
    let near = near(shared, touched);
    let pick = |among: &[u64]| {
        let place = usize::try_from(shared.chance().below(among.len() as u64)).unwrap_or_default();
        among.get(place).copied()
    };
    let Some(lead) = pick(&near) else { return };
    let number = shared.chance().request_number();
    match fault {
        Fault::MeddleChange => {
            let fields = changes(number);
            let place =
                usize::try_from(shared.chance().below(fields.len() as u64)).unwrap_or_default();
            if let Some((field, value)) = fields.get(place) {
                screens.change(lead, &json!({ *field: value }));
            }
        }
        Fault::MeddleOptOut => {
            let place =
                usize::try_from(shared.chance().below(OPT_OUTS.len() as u64)).unwrap_or_default();
            if let Some(field) = OPT_OUTS.get(place) {
                screens.set(lead, &json!({ *field: true }), Deed::OptOut);
            }
        }
        Fault::MeddleDelete => drop(screens.delete(lead)),
        Fault::MeddleMerge => {
            let others: Vec<u64> = near.into_iter().filter(|other| *other != lead).collect();
            if let Some(loser) = pick(&others) {
                screens.merge(lead, &[loser]);
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

/// What a change of a lead is put down to.
pub(super) fn cause(request: &Request) -> Arc<str> {
    format!("{} /{} {}", request.method, request.segments.join("/"), request.call_id).into()
}
