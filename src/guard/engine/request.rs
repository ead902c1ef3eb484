//! A lead write as the engine takes it: the records, their match keys, and everything else that
//! writes must agree in to share a call. Pure.
//!
//! Values are kept as the bytes that came, so that no number changes on its way. Of a name that is
//! given twice the last counts, for the key and for what is sent alike.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::record::{Endpoint, Members, RawRecord, raw};
use crate::dedupe::KeyKind;
use crate::leases::LeaseKey;

/// Whose write it is. Fairness and counts go by it: the login of an API-only user, or whatever a
/// face calls its writers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ApiUser(Arc<str>);

impl ApiUser {
    /// The user of this name.
    pub(crate) fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ApiUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiUser({self})")
    }
}

/// What Sync Leads is asked to do; Push Lead and Submit Form always do the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Insert where no lead matches, else update.
    CreateOrUpdate,
    /// Insert, or 1005 where a lead matches.
    CreateOnly,
    /// Update, or 1004 where no lead matches.
    UpdateOnly,
    /// Insert whatever there is.
    CreateDuplicate,
    /// A word that is none of these: Marketo refuses it.
    Unknown,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::CreateOrUpdate | Self::Unknown => "createOrUpdate",
            Self::CreateOnly => "createOnly",
            Self::UpdateOnly => "updateOnly",
            Self::CreateDuplicate => "createDuplicate",
        }
    }
}

/// What a write is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Every record is written.
    #[default]
    Write,
    /// A record whose lead holds all of it already is not written.
    WriteChanges,
    /// It is looked up what would be done; nothing is written.
    Preview,
}

/// How the records of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteMode {
    /// As the caller asked.
    AsAsked,
    /// By `createOnly`: no lead had the key.
    Create,
    /// By `updateOnly` with the id of the lead that has the key.
    Update,
}

/// Everything of a write but its records. Writes that agree in it may leave as one call.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// Which of the endpoints.
    pub(crate) endpoint: Endpoint,
    /// What is asked for.
    pub(crate) action: Action,
    /// The field that is looked up; `email` where none is named.
    pub(crate) lookup: String,
    /// How the values of that field compare, as far as whoever asks knows the schema.
    pub(crate) kind: KeyKind,
    /// What it is for.
    pub(crate) goal: Goal,
    /// Whether a partition is named that limits the match: what Marketo does then depends on where
    /// the lead is.
    pub(crate) in_partition: bool,
    /// The members beside `input`.
    pub(crate) members: Members,
    /// Members for calls that may create.
    pub(crate) only_on_create: Members,
}

/// A write, ready for the engine.
#[derive(Debug)]
pub(crate) struct WriteRequest<O> {
    /// Whose turn it takes.
    pub(crate) user: ApiUser,
    /// What the sender needs to act for the writer: credentials, headers. The engine never looks
    /// into it.
    pub(crate) origin: O,
    /// Writes of equal origin, as far as a call shows it, have the same.
    pub(crate) fingerprint: [u8; 32],
    /// What is asked for.
    pub(crate) envelope: Envelope,
    /// In the order of the answer.
    pub(crate) records: Vec<Record>,
    /// Held until the last record has its outcome.
    pub(crate) admitted: Vec<OwnedSemaphorePermit>,
}

/// One record of a write.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// As it is to be sent.
    pub(crate) raw: RawRecord,
    /// The match key: an email without regard to case, any other value with it; none where it is
    /// empty (law 1).
    pub(crate) key: Option<String>,
    /// The leases that writing it takes: on the key, and on an email that it sets.
    pub(crate) leases: Arc<BTreeSet<LeaseKey>>,
    /// Its size in a body.
    pub(crate) bytes: usize,
}

impl Envelope {
    /// Sync Leads with this action by this field.
    pub(crate) fn sync(action: Action, lookup: &str) -> Self {
        let members = [("action", action.word()), ("lookupField", lookup)];
        Self {
            endpoint: Endpoint::SyncLeads,
            action,
            lookup: lookup.to_owned(),
            kind: KeyKind::standard(lookup),
            goal: Goal::Write,
            in_partition: false,
            members: members.map(|(name, value)| (name.to_owned(), raw(value))).into(),
            only_on_create: Members::new(),
        }
    }

    /// The match key of a value of the field that is looked up; an empty one is none. Everything of
    /// a write is keyed by one kind, the leads that are found too.
    pub(super) fn key_of(&self, value: &Value) -> Option<String> {
        self.kind.key(value).map(String::from)
    }

    /// What writes must agree in to share a call.
    pub(super) fn agreement(&self, fingerprint: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let own: [&[u8]; 3] = [
            fingerprint,
            self.endpoint.name().as_bytes(),
            &[self.goal as u8, self.kind as u8, u8::from(self.in_partition)],
        ];
        let pairs = |members: &Members| -> Vec<String> {
            members.iter().flat_map(|(name, raw)| [name.clone(), raw.get().to_owned()]).collect()
        };
        let (members, on_create) = (pairs(&self.members), pairs(&self.only_on_create));
        let members = members.iter().map(String::as_bytes);
        let on_create = on_create.iter().map(String::as_bytes);
        for part in own.into_iter().chain(members).chain([&b""[..]]).chain(on_create) {
            // Lengths first, so that no two lists of parts run together into the same bytes.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Whether records of one key may become one record: what is left is what each of them would
    /// have left, one after another.
    pub(super) fn coalesces(&self) -> bool {
        self.endpoint == Endpoint::SyncLeads
            && matches!(self.action, Action::CreateOrUpdate | Action::UpdateOnly)
    }

    /// Whether a record that was written twice comes to what one comes to that was written once.
    /// `createOnly` is refused the second time, and forms and pushes are events, which start
    /// campaigns.
    pub(super) fn is_idempotent(&self) -> bool {
        self.endpoint == Endpoint::SyncLeads && self.action != Action::CreateOnly
    }

    /// The most that the members beside the records take in a body.
    pub(super) fn bytes(&self) -> usize {
        let members = self.members.iter().chain(&self.only_on_create);
        200 + members.map(|(name, value)| name.len() + value.get().len() + 8).sum::<usize>()
    }

    /// The body of a call with these records.
    pub(crate) fn body<'a>(
        &self,
        mode: WriteMode,
        records: impl IntoIterator<Item = &'a RawRecord>,
    ) -> Vec<u8> {
        let mut members = self.members.clone();
        let mut in_other_words = |action: &str, lookup: &str| {
            members.insert("action".to_owned(), raw(action));
            members.insert("lookupField".to_owned(), raw(lookup));
        };
        match mode {
            WriteMode::AsAsked => {}
            WriteMode::Create => in_other_words("createOnly", &self.lookup),
            WriteMode::Update => in_other_words("updateOnly", "id"),
        }
        if mode != WriteMode::Update {
            members.extend(self.only_on_create.clone());
        }
        body(&members, records)
    }
}

fn body<'a>(members: &Members, records: impl IntoIterator<Item = &'a RawRecord>) -> Vec<u8> {
    let mut body = Vec::from(*b"{");
    for (name, value) in members {
        body.extend(raw(name).get().bytes());
        body.push(b':');
        body.extend(value.get().bytes());
        body.push(b',');
    }
    body.extend(b"\"input\":[");
    for (position, record) in records.into_iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend(record.json());
    }
    body.extend(b"]}");
    body
}

impl Record {
    /// A record as it came in the `input` of a write.
    pub(crate) fn of_json(json: Box<RawValue>, envelope: &Envelope, instance: &str) -> Self {
        let bytes = json.get().len() + 1;
        let (raw, fields) = RawRecord::read(json, envelope.endpoint);
        let keys: [&str; 2] = [&envelope.lookup, "email"];
        let is_key = |name: &str| keys.iter().any(|key| name.eq_ignore_ascii_case(key));
        let value = |json: &RawValue| serde_json::from_str(json.get()).ok();
        let keys = fields.iter().filter(|(name, _)| is_key(name));
        let leases = keys
            .filter_map(|(name, json)| LeaseKey::of_value(instance, name, &value(json)?))
            .collect();
        let key = fields.get(&envelope.lookup);
        let key = key.and_then(|json| envelope.key_of(&value(json)?));
        Self { raw, key, leases: Arc::new(leases), bytes }
    }

    /// A record of these values.
    pub(crate) fn of_fields(
        fields: &serde_json::Map<String, Value>,
        envelope: &Envelope,
        instance: &str,
    ) -> Self {
        Self::of_json(raw(fields), envelope, instance)
    }

    /// What is looked up for it; none where it has no key, or one that Marketo cannot be asked for.
    pub(super) fn searchable_key(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| !key.contains(','))
    }

    /// Takes away what nobody sees of the key: blanks and marks without width around it would hide
    /// the lead from the next look-up, and from the next writer who leaves them out.
    pub(super) fn show_key(raw_record: &mut RawRecord, envelope: &Envelope) {
        let lookup = &envelope.lookup;
        let Some(value @ Value::String(_)) = raw_record.value(lookup) else { return };
        let text = value.as_str().map(str::to_lowercase);
        let key = envelope.key_of(&value).filter(|key| Some(key.to_lowercase()) != text);
        if let Some(key) = key {
            raw_record.set(lookup, &raw(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Action, Envelope, Goal, RawRecord, Record, WriteMode, raw};

    fn record(envelope: &Envelope, fields: &serde_json::Value) -> Record {
        Record::of_fields(fields.as_object().unwrap(), envelope, "test")
    }

    #[test]
    fn writes_agree_only_where_origin_and_purpose_and_every_member_agree() {
        let usual = || Envelope::sync(Action::CreateOrUpdate, "email");
        let partition = || [("partitionName".to_owned(), raw("EU"))].into();
        let agreement = usual().agreement(&[0; 32]);
        assert_eq!(agreement, usual().agreement(&[0; 32]));
        assert_ne!(agreement, usual().agreement(&[1; 32]));
        let others = [
            Envelope::sync(Action::UpdateOnly, "email"),
            Envelope::sync(Action::CreateOrUpdate, "externalPersonId"),
            Envelope { goal: Goal::Preview, ..usual() },
            Envelope { members: partition(), ..usual() },
            Envelope { only_on_create: partition(), ..usual() },
        ];
        for other in others {
            assert_ne!(agreement, other.agreement(&[0; 32]), "{other:?}");
        }
    }

    #[test]
    fn a_later_record_of_the_key_wins_field_by_field_and_can_be_addressed_by_its_id() {
        let envelope = Envelope {
            only_on_create: [("partitionName".to_owned(), raw("EU"))].into(),
            ..Envelope::sync(Action::CreateOrUpdate, "email")
        };
        let earlier = record(&envelope, &json!({"email": "a@example.com", "x": 1, "y": 1}));
        let later = record(&envelope, &json!({"email": "a@example.com", "y": null}));
        let both = earlier.raw.then(&later.raw);
        let body =
            |mode, record: &RawRecord| String::from_utf8(envelope.body(mode, [record])).unwrap();
        assert_eq!(
            body(WriteMode::Create, &both),
            r#"{"action":"createOnly","lookupField":"email","partitionName":"EU","input":[{"email":"a@example.com","x":1,"y":null}]}"#
        );
        assert_eq!(
            body(WriteMode::Update, &both.addressed_to("email", 7)),
            r#"{"action":"updateOnly","lookupField":"id","input":[{"id":7,"x":1,"y":null}]}"#
        );
    }

    #[test]
    fn what_nobody_sees_of_a_key_is_taken_away() {
        let envelope = Envelope::sync(Action::CreateOrUpdate, "email");
        let mut record = record(&envelope, &json!({"email": "\u{feff}Ada@example.com\u{200b} "}));
        Record::show_key(&mut record.raw, &envelope);
        assert_eq!(record.raw.values()["email"], "ada@example.com");
        assert_eq!(record.key.as_deref(), Some("ada@example.com"));
    }
}
