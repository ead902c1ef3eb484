//! A lead write as the engine takes it: the records, their match keys, and everything else that
//! writes must agree in to share a call. Pure.
//!
//! Values are kept as the bytes that came, so that no number changes on its way. If a name is given
//! twice, the last value counts, for the key and for the call.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::record::{Endpoint, Members, RawRecord, parsed, raw};
use crate::dedupe::KeyKind;
use crate::leases::LeaseKey;

/// Whose write it is. Fairness and counts go by it: the login of an API-only user, or whatever a
/// face calls its writers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ApiUser(Arc<str>);

impl ApiUser {
    pub(crate) fn named(name: &str) -> Self {
        Self(name.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The action of Sync Leads; Push Lead and Submit Form always do the first.
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Every record is written.
    #[default]
    Write,
    /// A record is written unless its lead holds all of it already.
    WriteChanges,
    /// Nothing is written; a look-up tells what would be done.
    Preview,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteMode {
    AsAsked,
    /// By `createOnly`: no lead had the key.
    Create,
    /// By `updateOnly` with the id of the lead that has the key.
    Update,
}

/// All of a write except its records. Writes that agree in it may leave as one call.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) endpoint: Endpoint,
    pub(crate) action: Action,
    /// The field that is looked up; `email` where none is named.
    pub(crate) lookup: String,
    /// How the values of that field compare, as far as the schema is known.
    pub(crate) kind: KeyKind,
    pub(crate) goal: Goal,
    /// Whether a partition is named, so that it matters to Marketo where a lead is.
    pub(crate) in_partition: bool,
    /// The members beside `input`.
    pub(crate) members: Members,
    /// Members for calls that may create.
    pub(crate) only_on_create: Members,
}

#[derive(Debug)]
pub(crate) struct WriteRequest<O> {
    /// Whose turn it takes.
    pub(crate) user: ApiUser,
    /// The sender needs it to act for the writer: credentials, headers. The engine never looks into
    /// it.
    pub(crate) origin: O,
    /// The same for all writes whose calls show the same origin.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) envelope: Envelope,
    /// In the order of the answer.
    pub(crate) records: Vec<Record>,
    /// Held until the last record has its outcome.
    pub(crate) admitted: Vec<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) raw: RawRecord,
    /// The match key: an email without regard to case, any other value with it; none where it is
    /// empty (law 1).
    pub(crate) key: Option<String>,
    /// The keys to be leased for it: its match key, and an email that it sets.
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

    /// The match key of a value of the field that is looked up; an empty value has none. Records
    /// and found leads are keyed alike.
    pub(super) fn key_of(&self, value: &Value) -> Option<String> {
        self.kind.key(value).map(String::from)
    }

    /// Writes with the same may share a call.
    pub(super) fn agreement(&self, fingerprint: &[u8; 32]) -> [u8; 32] {
        let own: [&[u8]; 3] = [
            fingerprint,
            self.endpoint.name().as_bytes(),
            &[self.goal as u8, self.kind as u8, u8::from(self.in_partition)],
        ];
        let (members, on_create) = (pairs(&self.members), pairs(&self.only_on_create));
        digest(own.into_iter().chain(members).chain([&b""[..]]).chain(on_create))
    }

    /// Whether records of one key may become one record: the lead then ends as if they had been
    /// written one after another.
    pub(super) fn coalesces(&self) -> bool {
        self.endpoint == Endpoint::SyncLeads
            && matches!(self.action, Action::CreateOrUpdate | Action::UpdateOnly)
    }

    /// Whether to write a record twice has the same effect as once. `createOnly` is refused the
    /// second time. Forms and pushes are events, which start campaigns.
    pub(super) fn is_idempotent(&self) -> bool {
        self.endpoint == Endpoint::SyncLeads && self.action != Action::CreateOnly
    }

    /// The most bytes of a body that the members beside the records take.
    pub(super) fn bytes(&self) -> usize {
        let members = self.members.iter().chain(&self.only_on_create);
        200 + members.map(|(name, value)| name.len() + value.get().len() + 8).sum::<usize>()
    }

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
        let records: Vec<_> = records.into_iter().map(RawRecord::json).collect();
        members.insert("input".to_owned(), raw(&records));
        raw(&members).get().into()
    }
}

fn pairs(members: &Members) -> impl Iterator<Item = &[u8]> {
    members.iter().flat_map(|(name, json)| [name.as_bytes(), json.get().as_bytes()])
}

pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths first, so that no two lists of parts run together into the same bytes.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Record {
    /// A record as it came in the `input` of a write.
    pub(crate) fn of_json(json: Box<RawValue>, envelope: &Envelope, instance: &str) -> Self {
        let bytes = json.get().len() + 1;
        let raw = RawRecord::read(json, envelope.endpoint);
        let keys: [&str; 2] = [&envelope.lookup, "email"];
        let is_key = |name: &str| keys.iter().any(|key| name.eq_ignore_ascii_case(key));
        let keys = raw.fields().filter(|(name, _)| is_key(name));
        let leases =
            keys.filter_map(|(name, json)| LeaseKey::of_value(instance, name, &parsed(json)?));
        let leases = Arc::new(leases.collect());
        let key = raw.value(&envelope.lookup).and_then(|value| envelope.key_of(&value));
        Self { raw, key, leases, bytes }
    }

    pub(crate) fn of_fields(
        fields: &serde_json::Map<String, Value>,
        envelope: &Envelope,
        instance: &str,
    ) -> Self {
        Self::of_json(raw(fields), envelope, instance)
    }

    /// The key that is looked up; none where it has none, or one that Marketo cannot be asked for.
    pub(super) fn searchable_key(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| !key.contains(','))
    }

    /// Removes the blanks and the marks without width around the key. They would hide the lead from
    /// the next look-up, and from the next writer who leaves them out.
    pub(super) fn show_key(raw_record: &mut RawRecord, envelope: &Envelope) {
        let lookup = &envelope.lookup;
        let Some(value @ Value::String(_)) = raw_record.value(lookup) else { return };
        let text = value.as_str().map(str::to_lowercase);
        let key = envelope.key_of(&value).filter(|key| Some(key.to_lowercase()) != text);
        if let Some(key) = key {
            raw_record.set(lookup, &key.into());
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
            r#"{"action":"createOnly","input":[{"email":"a@example.com","x":1,"y":null}],"lookupField":"email","partitionName":"EU"}"#
        );
        assert_eq!(
            body(WriteMode::Update, &both.addressed_to("email", 7)),
            r#"{"action":"updateOnly","input":[{"id":7,"x":1,"y":null}],"lookupField":"id"}"#
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
