//! From the board to the callers: a line is attended to, its next call put together, its rights
//! taken (`rights`), written, and every record given its outcome.
//!
//! Each call runs in a task of its own, which no caller can stop. The rights to a key are given
//! back when the outcome of its write is known, or when Marketo cannot be writing it any more.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::Value;

use super::Proxy;
use super::answer::written;
use super::board::{Company, Item, Unit};
use super::call::{Answered, Refusal};
use super::caller::{Caller, Outcome};
use super::user::ApiUser;
use crate::guard::lease::Leases;
use crate::marketo::Slot;

/// How often a record is sent before it is said that its outcome stays open.
pub(super) const TRIES: u32 = 5;

/// How long a line rests whose attendant panicked: it may again.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// Refusals that are about the token, the endpoint or the day, so that every record of the call
/// would get the same alone.
const SAME_FOR_ALL: [&str; 9] = ["401", "600", "601", "602", "603", "605", "607", "608", "610"];

/// Reasons that are about the key, so that every record of it would get the same.
const SAME_FOR_KEY: [&str; 6] = ["1004", "1005", "1007", "1008", "1009", "1010"];

impl<L: Leases> Proxy<L> {
    /// Sends somebody to attend to a user's line.
    pub(super) fn attend(self: &Arc<Self>, user: ApiUser) {
        let proxy = Arc::clone(self);
        self.tasks.spawn(async move {
            // What it takes from the board by then breaks off by itself, see `mourn`.
            if AssertUnwindSafe(proxy.attend_to(&user)).catch_unwind().await.is_err() {
                tokio::time::sleep(AFTER_A_PANIC).await;
                if proxy.board().attend_anew(&user) {
                    proxy.attend(user);
                }
            }
        });
    }

    async fn attend_to(self: &Arc<Self>, user: &ApiUser) {
        loop {
            self.turns.gather().await;
            let turn = self.turns.next(user).await;
            let mut given_up = Vec::new();
            let (units, more) = {
                let mut board = self.board();
                (board.take(user, &mut given_up), board.has_more(user))
            };
            self.give_up(given_up).await;
            match turn {
                Ok(slot) if units.is_empty() => slot.unused(),
                Ok(slot) if more => {
                    let proxy = Arc::clone(self);
                    self.tasks.spawn(async move { proxy.carry_out(units, slot).await });
                }
                Ok(slot) => self.carry_out(units, slot).await,
                Err(spent) => self.refuse(units, &self.no_call(spent)).await,
            }
            if !more {
                break;
            }
        }
    }

    async fn carry_out(self: &Arc<Self>, units: Vec<Unit>, slot: Slot) {
        let units = match self.take_rights(units).await {
            Ok(units) => units,
            Err((units, refusal)) => {
                slot.unused();
                return self.refuse(units, &refusal).await;
            }
        };
        if units.is_empty() {
            return slot.unused();
        }
        self.metrics.batch(units.len());
        self.write(units, slot).await;
    }

    /// What Marketo said of each of these units.
    pub(super) async fn answered(self: &Arc<Self>, units: Vec<Unit>, said: Answered) {
        let mut done = Vec::new();
        log(&units, &said);
        for (unit, row) in units.into_iter().zip(said.rows) {
            if unit.items.len() > 1 && is_skipped(&row) && !has_code(&row, &SAME_FOR_KEY) {
                // One of the values is bad: each record by itself, so that it takes no other with
                // it.
                self.again(vec![unit], Company::OwnRecord).await;
                continue;
            }
            self.metrics.written(&row, unit.items.len());
            for (position, item) in unit.items.iter().enumerate() {
                let row = match row.get("id").and_then(Value::as_u64) {
                    Some(id) if position > 0 && !is_skipped(&row) => written(id, "updated"),
                    _ => row.clone(),
                };
                let outcome = Outcome::Row {
                    row,
                    request_id: Arc::clone(&said.request_id),
                    warnings: Arc::clone(&said.warnings),
                };
                item.caller.settle(item.place, outcome);
            }
            done.push(unit);
        }
        self.conclude(done).await;
    }

    /// Marketo refused the call that these units were in: nothing was done. Where several callers
    /// were in it, each is tried apart, so that one cannot fail another.
    pub(super) async fn refused(self: &Arc<Self>, units: Vec<Unit>, refusal: &Refusal) {
        if are_of_several_callers(&units) && !SAME_FOR_ALL.contains(&&*refusal.code) {
            return self.again(units, Company::OwnCaller).await;
        }
        self.refuse(units, refusal).await;
    }

    /// Refuses every record of these units.
    pub(super) async fn refuse(self: &Arc<Self>, units: Vec<Unit>, refusal: &Refusal) {
        self.metrics.refused(units.iter().map(|unit| unit.items.len()).sum());
        for item in units.iter().flat_map(|unit| &unit.items) {
            let Refusal { answer, code, message } = refusal.clone();
            item.caller.settle(item.place, Outcome::Refused { answer, code, message });
        }
        self.conclude(units).await;
    }

    /// Says of every record of these units that its outcome stays open.
    pub(super) async fn leave_open(self: &Arc<Self>, units: Vec<Unit>) {
        self.metrics.open(units.iter().map(|unit| unit.items.len()).sum());
        for item in units.iter().flat_map(|unit| &unit.items) {
            item.caller.settle(item.place, Outcome::Unknown);
        }
        self.conclude(units).await;
    }

    /// Puts the records of these units back to the front of their lines, to be sent anew in no
    /// larger company than this.
    pub(super) async fn again(self: &Arc<Self>, units: Vec<Unit>, company: Company) {
        let mut leases = Vec::new();
        let mut items = Vec::new();
        for unit in units {
            leases.extend(unit.leases);
            items.extend(unit.items);
        }
        self.give_back(leases).await;
        for item in &mut items {
            item.company = item.company.max(company);
        }
        self.put_back(items);
    }

    /// Ends the way of these units: their rights go to the next in line.
    async fn conclude(self: &Arc<Self>, units: Vec<Unit>) {
        let mut leases = Vec::new();
        let mut items = Vec::new();
        for unit in units {
            leases.extend(unit.leases);
            items.extend(unit.items);
        }
        self.give_back(leases).await;
        self.leave(&mut items);
    }

    /// Ends the way of records whose callers are gone.
    pub(super) async fn give_up(self: &Arc<Self>, mut items: Vec<Item>) {
        let leases = items.iter_mut().flat_map(|item| std::mem::take(&mut item.leases)).collect();
        self.give_back(leases).await;
        self.leave(&mut items);
    }

    /// Puts records back to the front of their users' lines, and sends somebody to attend to those.
    pub(super) fn put_back(self: &Arc<Self>, items: impl IntoIterator<Item = Item>) {
        let mut users = BTreeSet::new();
        {
            let mut board = self.board();
            for item in items {
                let user = item.caller.user.clone();
                if board.put_back(item) {
                    users.insert(user);
                }
            }
        }
        for user in users {
            self.attend(user);
        }
    }

    fn leave(self: &Arc<Self>, items: &mut [Item]) {
        let users = self.board().finish(items);
        for user in users {
            self.attend(user);
        }
    }
}

/// One line for the call, and on demand one for each record, by the hash of its key.
fn log(units: &[Unit], said: &Answered) {
    let Some(caller) = units.first().and_then(|unit| unit.items.first()).map(|item| &item.caller)
    else {
        return;
    };
    let with = |wanted: &str| said.rows.iter().filter(|row| status(row) == wanted).count();
    let callers: BTreeSet<*const Caller> =
        units.iter().flat_map(|unit| &unit.items).map(|item| Arc::as_ptr(&item.caller)).collect();
    tracing::info!(
        user = %caller.user,
        call = caller.envelope.verb.name(),
        request_id = %said.request_id,
        callers = callers.len(),
        created = with("created"),
        updated = with("updated"),
        skipped = with("skipped"),
        "written"
    );
    for (unit, row) in units.iter().zip(&said.rows) {
        if let Some(key) = unit.keys().next() {
            tracing::debug!(%key, status = status(row), records = unit.items.len(), "a key was written");
        }
    }
}

fn status(row: &Value) -> &str {
    row.get("status").and_then(Value::as_str).unwrap_or_default()
}

fn are_of_several_callers(units: &[Unit]) -> bool {
    let mut callers = units.iter().flat_map(|unit| &unit.items).map(|item| &item.caller);
    let Some(first) = callers.next() else { return false };
    callers.any(|caller| !Arc::ptr_eq(caller, first))
}

/// Whether a row says that nothing was written.
pub(super) fn is_skipped(row: &Value) -> bool {
    status(row) == "skipped"
}

/// Whether one of a row's reasons has one of these codes. Adobe's definitions name them `reason`,
/// its answers `reasons`.
pub(super) fn has_code(row: &Value, codes: &[&str]) -> bool {
    let reasons = ["reasons", "reason"].iter().find_map(|name| row.get(name)?.as_array());
    let code_of = |reason: &Value| {
        let code = reason.get("code")?;
        Some(code.as_str().map_or_else(|| code.to_string(), str::to_owned))
    };
    reasons.is_some_and(|reasons| {
        reasons.iter().filter_map(code_of).any(|code| codes.contains(&code.as_str()))
    })
}
