//! The writes that wait, and which of them may leave next. Pure: no clock, no I/O.
//!
//! Each record stands in two lines: its API user's, and that of each of its keys. It may leave when
//! it is the first in every line of its keys; so writes of a key leave in the order in which they
//! came, whoever sent them, and a key that is being written holds up no other. A call takes along
//! whatever else may leave by then and agrees with it (group commit): up to 300 records, under 1
//! MB. Records of one key that follow one another become one record in it where the result is the
//! same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::caller::Caller;
use super::incoming::{Record, Shape};
use super::user::ApiUser;
use crate::guard::lease::{Lease, LeaseKey};
use crate::marketo::{BATCH, BODY_BYTES};

/// A record that waits or is on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) caller: Arc<Caller>,
    /// Its place among its caller's records.
    pub(super) place: usize,
    pub(super) record: Record,
    /// Its place among all records that came.
    number: u64,
    /// With whom it may share a call.
    pub(super) company: Company,
    /// How often a call with it left.
    pub(super) tries: u32,
    /// The rights to its keys, where they had to be waited for.
    pub(super) leases: Vec<Lease>,
    /// Whoever keeps those rights, as long as it stands in its line with them.
    kept: Option<DropGuard>,
    /// Told where it ends without an outcome; nobody once it has left the lines of its keys.
    mourner: Option<Mourner>,
}

/// Is told of records whose way broke off.
pub(super) type Mourner = UnboundedSender<BrokenOff>;

/// What is left of a record that ended without an outcome, as one does whose task panicked.
#[derive(Debug)]
pub(super) struct BrokenOff {
    pub(super) caller: Arc<Caller>,
    pub(super) place: usize,
    pub(super) keys: BTreeSet<LeaseKey>,
    number: u64,
}

/// A record has an outcome and leaves the lines of its keys, or it breaks off. Wherever that
/// happens, nothing is locked or waited for here. The rights that it had are not given back: they
/// last as long as Marketo may be writing it.
impl Drop for Item {
    fn drop(&mut self) {
        if let Some(mourner) = self.mourner.take() {
            let keys = std::mem::take(&mut self.record.leases);
            let caller = Arc::clone(&self.caller);
            // Where the whole proxy ends there is nobody to be told, and nobody to tell.
            mourner.send(BrokenOff { caller, place: self.place, keys, number: self.number }).ok();
        }
    }
}

/// With whom a record may share a call, the most sociable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Company {
    /// With everybody who agrees, and as one record with others of its key.
    Anybody,
    /// With everybody who agrees, but as a record of its own.
    OwnRecord,
    /// With records of its own caller alone: a call with others was refused.
    OwnCaller,
    /// With nobody.
    Alone,
}

/// One record of a call, and those that it stands for, in the order in which they came.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) shape: Shape,
    pub(super) items: Vec<Item>,
    pub(super) leases: Vec<Lease>,
}

/// What a record grows by at most where it is addressed by its id instead.
const ID_BYTES: usize = 30;

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Board {
    users: BTreeMap<ApiUser, Line>,
    keys: BTreeMap<LeaseKey, VecDeque<(u64, ApiUser)>>,
    numbers: u64,
    mourner: Option<Mourner>,
}

#[derive(Debug, Default)]
struct Line {
    items: VecDeque<Item>,
    /// Whether somebody is at work on it.
    attended: bool,
}

impl Board {
    /// An empty one, and who is told of records that break off.
    pub(super) fn watched_by(mourner: Mourner) -> Self {
        Self { mourner: Some(mourner), ..Self::default() }
    }

    /// Puts a caller's records at the end of their lines. Whether somebody has to be sent to attend
    /// to its line.
    pub(super) fn enter(&mut self, caller: &Arc<Caller>, records: Vec<Record>) -> bool {
        for (place, record) in records.into_iter().enumerate() {
            self.numbers += 1;
            for key in &record.leases {
                self.keys.entry(*key).or_default().push_back((self.numbers, caller.user.clone()));
            }
            let company = match record.shape {
                Shape::Fields(_) if caller.envelope.coalesces() => Company::Anybody,
                Shape::Fields(_) => Company::OwnRecord,
                Shape::Whole(_) => Company::Alone,
            };
            let item = Item {
                caller: Arc::clone(caller),
                place,
                record,
                number: self.numbers,
                company,
                tries: 0,
                leases: Vec::new(),
                kept: None,
                mourner: self.mourner.clone(),
            };
            self.users.entry(caller.user.clone()).or_default().items.push_back(item);
        }
        self.attend(&caller.user)
    }

    /// Puts a record that was taken back to the front of its user's line; it never left the lines
    /// of its keys. Whether somebody has to be sent to attend to its line.
    pub(super) fn put_back(&mut self, item: Item) -> bool {
        let user = item.caller.user.clone();
        let line = self.users.entry(user.clone()).or_default();
        let before = line.items.partition_point(|waiting| waiting.number < item.number);
        line.items.insert(before, item);
        self.attend(&user)
    }

    /// Takes a record out of its user's line again, if it still stands there; in those of its keys
    /// it keeps its place.
    pub(super) fn withdraw(&mut self, user: &ApiUser, number: u64) -> Option<Item> {
        let items = &mut self.users.get_mut(user)?.items;
        items.remove(items.iter().position(|item| item.number == number)?)
    }

    /// The records of the next call of this user; nothing where none may leave now. `given_up` gets
    /// those whose caller is gone.
    pub(super) fn take(&mut self, user: &ApiUser, given_up: &mut Vec<Item>) -> Vec<Unit> {
        let Some(line) = self.users.get_mut(user) else { return Vec::new() };
        let mut call = Call::default();
        let mut left = VecDeque::with_capacity(line.items.len());
        let mut items = std::mem::take(&mut line.items).into_iter();
        for item in items.by_ref() {
            if call.units.len() >= BATCH {
                left.push_back(item);
                break;
            }
            match call.place_for(&item, &self.keys) {
                None => left.push_back(item),
                Some(_) if !item.caller.may_leave() => given_up.push(item),
                Some(place) => call.add(place, item),
            }
        }
        left.extend(items);
        line.items = left;
        call.units
    }

    /// Whether more of a user's records may leave now; where none may, nobody attends to its line
    /// any more.
    pub(super) fn has_more(&mut self, user: &ApiUser) -> bool {
        let Some(line) = self.users.get_mut(user) else { return false };
        let call = Call::default();
        line.attended = line.items.iter().any(|item| call.place_for(item, &self.keys).is_some());
        let attended = line.attended;
        if line.items.is_empty() {
            self.users.remove(user);
        }
        attended
    }

    /// Takes records that are settled out of the lines of their keys; gives the users whose lines
    /// are to be attended to.
    pub(super) fn finish<'a>(
        &mut self,
        items: impl IntoIterator<Item = &'a mut Item>,
    ) -> Vec<ApiUser> {
        let mut next = BTreeSet::new();
        for item in items {
            item.mourner = None;
            next.extend(self.leave_lines(item.number, &item.record.leases));
        }
        next.into_iter().filter(|user| self.attend(user)).collect()
    }

    /// The same for a record that broke off.
    pub(super) fn bury(&mut self, broken_off: &BrokenOff) -> Vec<ApiUser> {
        let next = self.leave_lines(broken_off.number, &broken_off.keys);
        next.into_iter().filter(|user| self.attend(user)).collect()
    }

    /// Takes a record out of the lines of its keys; gives the users of those that are the first in
    /// them now.
    fn leave_lines(&mut self, number: u64, keys: &BTreeSet<LeaseKey>) -> BTreeSet<ApiUser> {
        let mut next = BTreeSet::new();
        for key in keys {
            let Some(line) = self.keys.get_mut(key) else { continue };
            line.retain(|(waiting, _)| *waiting != number);
            match line.front() {
                Some((_, user)) => drop(next.insert(user.clone())),
                None => drop(self.keys.remove(key)),
            }
        }
        next
    }

    /// Whoever was at work on a user's line broke off. Whether somebody has to be sent to attend to
    /// it.
    pub(super) fn attend_anew(&mut self, user: &ApiUser) -> bool {
        self.has_more(user)
    }

    /// How many of these records would have to wait for another write of their key.
    pub(super) fn behind_others(&self, records: &[Record]) -> usize {
        records
            .iter()
            .filter(|record| record.leases.iter().any(|key| self.keys.contains_key(key)))
            .count()
    }

    /// Records that wait in the lines of users.
    pub(super) fn waiting(&self) -> usize {
        self.users.values().map(|line| line.items.len()).sum()
    }

    /// The caller that has waited longest.
    pub(super) fn oldest(&self) -> Option<&Caller> {
        let firsts = self.users.values().filter_map(|line| line.items.front());
        firsts.min_by_key(|item| item.number).map(|item| &*item.caller)
    }

    fn attend(&mut self, user: &ApiUser) -> bool {
        self.users.get(user).is_some_and(|line| !line.attended) && self.has_more(user)
    }
}

/// A call that is being put together.
#[derive(Default)]
struct Call {
    units: Vec<Unit>,
    /// Which unit has a key, and the number of the last record in it.
    keys: BTreeMap<LeaseKey, (usize, u64)>,
    bytes: usize,
}

#[derive(Clone, Copy)]
enum Place {
    New,
    In(usize),
}

impl Call {
    /// Where a record fits into the call; nowhere if it has to wait.
    fn place_for(
        &self,
        item: &Item,
        lines: &BTreeMap<LeaseKey, VecDeque<(u64, ApiUser)>>,
    ) -> Option<Place> {
        if !self.agrees(item)
            || self.bytes + item.record.bytes + ID_BYTES
                > BODY_BYTES.saturating_sub(envelope_bytes(item))
        {
            // A record that is too large for any call is Marketo's to refuse.
            return (self.units.is_empty() && is_first(item, lines)).then_some(Place::New);
        }
        if is_first(item, lines) {
            return Some(Place::New);
        }
        if item.company != Company::Anybody || !item.leases.is_empty() {
            return None;
        }
        // Right behind the last record of one unit, in the lines of all its keys.
        let mut units = item.record.leases.iter().map(|key| {
            let (unit, last) = self.keys.get(key)?;
            let line = lines.get(key)?;
            let behind = line.iter().position(|(number, _)| number == last)? + 1;
            (line.get(behind)?.0 == item.number).then_some(*unit)
        });
        let first = units.next()??;
        let unit = self.units.get(first)?;
        let sociable = unit.items.iter().all(|other| other.company == Company::Anybody);
        let other = &unit.items.first()?.record;
        // Rights are taken by the widest reading of a key; one record is made of two only by the
        // narrowest.
        let same = other.key.is_some()
            && other.key == item.record.key
            && other.leases == item.record.leases
            && units.all(|unit| unit == Some(first));
        (sociable && same).then_some(Place::In(first))
    }

    fn agrees(&self, item: &Item) -> bool {
        let Some(first) = self.units.first().and_then(|unit| unit.items.first()) else {
            return true;
        };
        let same_caller = Arc::ptr_eq(&first.caller, &item.caller);
        match first.company.max(item.company) {
            Company::Anybody | Company::OwnRecord => {
                first.caller.agreement == item.caller.agreement
            }
            Company::OwnCaller => same_caller,
            Company::Alone => false,
        }
    }

    fn add(&mut self, place: Place, mut item: Item) {
        item.kept = None;
        self.bytes += item.record.bytes + ID_BYTES;
        let unit = match place {
            Place::New => self.units.len(),
            Place::In(unit) => unit,
        };
        for key in &item.record.leases {
            self.keys.insert(*key, (unit, item.number));
        }
        if let Some(unit) = self.units.get_mut(unit) {
            unit.shape = unit.shape.clone().then(&item.record.shape);
            unit.items.push(item);
        } else {
            let leases = std::mem::take(&mut item.leases);
            self.units.push(Unit { shape: item.record.shape.clone(), items: vec![item], leases });
        }
    }
}

/// Whether a record is the first in every line of its keys.
fn is_first(item: &Item, lines: &BTreeMap<LeaseKey, VecDeque<(u64, ApiUser)>>) -> bool {
    let first = |key| {
        lines.get(key).and_then(VecDeque::front).is_some_and(|(number, _)| *number == item.number)
    };
    item.record.leases.iter().all(first)
}

/// What the members beside the records take, at most.
fn envelope_bytes(item: &Item) -> usize {
    let members = item.caller.envelope.members.iter();
    200 + members.map(|(name, value)| name.len() + value.get().len() + 8).sum::<usize>()
}

impl Item {
    /// Its place among all records that came.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// It goes to its line with its rights, which are to be kept until this token is cancelled.
    pub(super) fn waits_with_rights(&mut self) -> CancellationToken {
        let taken_along = CancellationToken::new();
        self.kept = Some(taken_along.clone().drop_guard());
        taken_along
    }
}

impl Unit {
    /// A record by itself, with its rights.
    pub(super) fn of(mut item: Item) -> Self {
        Self {
            shape: item.record.shape.clone(),
            leases: std::mem::take(&mut item.leases),
            items: vec![item],
        }
    }

    /// The keys that writing it takes the rights to.
    pub(super) fn keys(&self) -> impl Iterator<Item = LeaseKey> + '_ {
        self.record().into_iter().flat_map(|record| record.leases.iter().copied())
    }

    /// The record that its key is read from.
    pub(super) fn record(&self) -> Option<&Record> {
        self.items.first().map(|item| &item.record)
    }

    /// What is looked up for it; none where it has no key, or one that Marketo cannot be asked for.
    pub(super) fn key(&self) -> Option<&str> {
        self.record()?.key.as_deref().filter(|key| !key.contains(','))
    }
}

#[cfg(test)]
mod tests;
