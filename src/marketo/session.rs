//! Calls with somebody's credentials, in somebody's turns: the client's own calls, and those on
//! behalf of the guard's callers.
//!
//! For: the one function that makes a call, paging, and looking leads up in halves. The guard is
//! given rows as they came. Never: sends a write a second time whose outcome is unclear.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hyper::HeaderMap;
use hyper::Method;
use hyper::body::Bytes;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{Auth, own_headers};
use super::call::{Body, Call};
use super::envelope::Answer;
use super::failure::{CallFailure, judge};
use super::meaning::Meaning;
use super::pacer::Slot;
use super::read::{FILTER_LIMIT, lead};
use super::retry::{Credentials, Turns, until_settled};
use super::{AtAnyTime, BATCH, Client, Error, InFlight, LeaveBy, MARGIN, Moment, Schema, SendGate};
use crate::lead::{Lead, LeadId};

/// How often a call of the client's own is tried that failed in passing.
const ATTEMPTS: u32 = 8;

/// How often a call for somebody is tried who waits for it.
const ATTEMPTS_FOR_CALLER: u32 = 5;

/// Makes calls with somebody's credentials, in somebody's turns.
#[derive(Debug)]
pub(crate) struct Session<'a, T> {
    client: &'a Client,
    auth: Auth,
    turns: &'a T,
}

/// A write in the words of the caller for whom it is made.
#[derive(Debug)]
pub(crate) struct RawWrite {
    pub(crate) method: Method,
    /// Path and query, byte for byte.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    /// How long Marketo lets it run.
    pub(crate) limit: std::time::Duration,
}

/// What Marketo answered to a write. A row for each record is Marketo's to give: where their number
/// is another one, nobody knows which were written, and the call is in doubt.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) request_id: Option<String>,
    pub(crate) rows: Vec<Value>,
    pub(crate) warnings: Vec<Value>,
    pub(crate) in_flight: InFlight,
}

/// Leads that a look-up found.
#[derive(Debug)]
pub(crate) struct Found {
    /// By id, each once, with their values as they came.
    pub(crate) leads: Vec<Lead>,
    /// Of the last answer.
    pub(crate) request_id: Option<String>,
    /// Marketo's clock, where its answers bear a time.
    pub(crate) clock: Option<MarketoTime>,
    /// Since when the leads were so: when the first call for them left.
    pub(crate) since: Moment,
}

/// The time of day that an answer bore. It was written at some moment between these two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MarketoTime {
    pub(crate) date: DateTime<Utc>,
    pub(crate) asked: Instant,
    pub(crate) heard: Instant,
}

impl MarketoTime {
    /// Marketo's time of day at an earlier moment: no earlier than the first, and no later than the
    /// second.
    pub(crate) fn at(&self, then: Instant) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let Self { date, asked, heard } = *self;
        let since =
            |until: Instant| chrono::Duration::from_std(until.saturating_duration_since(then)).ok();
        // What the date leaves out of its second.
        let rest = chrono::Duration::seconds(1);
        Some((date - since(heard)?, date + rest - since(asked)?))
    }
}

impl<T: Turns> Credentials for Session<'_, T> {
    async fn headers(&self) -> Result<HeaderMap, CallFailure> {
        match &self.auth {
            Auth::Borrowed(borrowed) => Ok(borrowed.headers()),
            Auth::Own => {
                let no_token = |error: Error| CallFailure::NoToken(Box::new(error));
                let token = self.client.token().await.map_err(no_token)?;
                own_headers(&token).map_err(CallFailure::unavailable)
            }
        }
    }

    async fn renew(&self, refused: &HeaderMap) -> bool {
        match &self.auth {
            // Its caller's to renew.
            Auth::Borrowed(_) => false,
            Auth::Own => {
                let header = refused.get(hyper::header::AUTHORIZATION);
                let bearer =
                    header.and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
                if let Some(token) = bearer {
                    self.client.refuse_token(&SecretString::from(token)).await;
                }
                true
            }
        }
    }
}

impl<'a, T: Turns> Session<'a, T> {
    pub(super) fn new(client: &'a Client, auth: Auth, turns: &'a T) -> Self {
        Self { client, auth, turns }
    }

    /// Makes a call until it has an answer, is refused, or must not be sent again. The gate is
    /// asked each time before it leaves, and may withdraw it while it waits.
    pub(super) async fn call(
        &self,
        gate: &impl SendGate,
        call: &Call,
    ) -> Result<Answer, CallFailure> {
        // Held while the call is under way: whoever withdraws it waits for its end, and that end
        // counts.
        let under_way = Mutex::new(());
        let under_way = &under_way;
        let answer = self.until_settled(|headers, slot| async move {
            let leave_by = match gate.ask().await {
                Ok(leave_by) => leave_by,
                Err(withheld) => {
                    slot.unused();
                    return Err(CallFailure::Withheld(withheld));
                }
            };
            let _under_way = under_way.lock().await;
            self.attempt(call, headers, slot, leave_by).await
        });
        let withdrawn = async {
            let withheld = gate.withdrawn().await;
            let _at_rest = under_way.lock().await;
            withheld
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            withheld = withdrawn => Err(CallFailure::Withheld(withheld)),
        }
    }

    /// Makes attempts until one has a result, or nothing more is to be tried.
    pub(super) async fn until_settled<R, F: Future<Output = Result<R, CallFailure>>>(
        &self,
        attempt: impl Fn(HeaderMap, Slot) -> F,
    ) -> Result<R, CallFailure> {
        let most = match self.auth {
            Auth::Own => ATTEMPTS,
            Auth::Borrowed(_) => ATTEMPTS_FOR_CALLER,
        };
        until_settled((most, self.client.clock()), self, self.turns, attempt).await
    }

    /// Sends a call once. Its body leaves by then, or within [`MARGIN`], or never as a whole.
    async fn attempt(
        &self,
        call: &Call,
        headers: HeaderMap,
        slot: Slot,
        leave_by: Option<LeaveBy>,
    ) -> Result<Answer, CallFailure> {
        let clock = self.client.clock();
        let request = match call.request(headers) {
            Ok(request) => request,
            Err(what) => {
                slot.unused();
                return Err(CallFailure::unavailable(what));
            }
        };
        let left = Moment::now();
        let leave_by = leave_by.unwrap_or_else(|| LeaveBy::from_now(clock));
        // So that it is Marketo that gives up first.
        let patience = self.client.patience(call.limit + MARGIN);
        let (left_at, reply) = self.client.transport().exchange(request, leave_by, patience).await;
        drop(slot);
        let began = left.instant();
        self.turns.answered(call.kind, began.elapsed());
        let in_flight = match left_at {
            Some(left_at) => InFlight::left_at(left_at, call.limit, clock),
            None => InFlight::begun_at(began, call.limit, clock),
        };
        judge(call, (left, in_flight), reply)
    }

    /// Leads whose `field` has one of these values, all pages. Where Marketo finds over 1,000 the
    /// values are asked for in halves.
    pub(crate) async fn look_up(
        &self,
        field: &str,
        values: &[&str],
        fields: &[&str],
    ) -> Result<Found, CallFailure> {
        if values.iter().any(|value| value.contains(',')) {
            return Err(CallFailure::CannotAsk { field: field.to_owned() });
        }
        let mut leads = BTreeMap::new();
        let (mut request_id, mut clock, mut since) = (None, None, None::<Moment>);
        // A stack of the values still to be asked for.
        let mut chunks: Vec<&[&str]> = values.chunks(BATCH).rev().collect();
        while let Some(chunk) = chunks.pop() {
            let call = Call::get("/rest/v1/leads.json")
                .with("filterType", field)
                .with("filterValues", chunk.join(","))
                .with("fields", fields.join(","))
                .with("batchSize", BATCH.to_string())
                .within(FILTER_LIMIT)
                .needing_result();
            match self.pages(call, lead).await {
                Ok(pages) => {
                    since = Some(since.map_or(pages.since, |first| first.earlier(pages.since)));
                    leads.extend(pages.rows.into_iter().map(|lead| (lead.id, lead)));
                    request_id = pages.request_id.or(request_id);
                    clock = pages.clock.or(clock);
                }
                Err(CallFailure::Refused(refusal))
                    if refusal.meaning == Meaning::TooManyMatches && chunk.len() > 1 =>
                {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([second, first]);
                }
                Err(failure) => return Err(failure),
            }
        }
        let leads: BTreeMap<LeadId, Lead> = leads;
        let since = since.unwrap_or_else(Moment::now);
        Ok(Found { leads: leads.into_values().collect(), request_id, clock, since })
    }

    /// The fields of leads on this instance.
    pub(crate) async fn describe(&self) -> Result<Schema, CallFailure> {
        let call = Call::get("/rest/v1/leads/describe2.json");
        let mut answer = self.call(&AtAnyTime, &call).await?;
        let rows = answer.raw_rows().unwrap_or_default();
        rows.first().map(Schema::read).ok_or_else(|| CallFailure::Unreadable {
            what: "it describes no fields",
            request_id: answer.request_id.clone(),
        })
    }

    /// Writes once, in a caller's words.
    pub(crate) async fn write(
        &self,
        gate: &impl SendGate,
        write: RawWrite,
    ) -> Result<Written, CallFailure> {
        let RawWrite { method, target, body, limit } = write;
        self.written(gate, &Call::given(method, target, body, limit)).await
    }

    /// Writes once, with a body of this program's own.
    pub(crate) async fn write_json(
        &self,
        gate: &impl SendGate,
        path: &str,
        body: Vec<u8>,
        limit: std::time::Duration,
    ) -> Result<Written, CallFailure> {
        self.written(gate, &Call::post(path, Body::Json(body), limit)).await
    }

    async fn written(&self, gate: &impl SendGate, call: &Call) -> Result<Written, CallFailure> {
        let mut answer = self.call(gate, call).await?;
        let came = answer.came;
        match answer.raw_rows() {
            Some(rows) => Ok(Written {
                request_id: answer.request_id,
                rows,
                warnings: answer.warnings,
                in_flight: came.in_flight,
            }),
            None => Err(CallFailure::InDoubt {
                what: "its result is no list".into(),
                code: None,
                request_id: answer.request_id,
                in_flight: came.in_flight,
            }),
        }
    }

    /// All pages of an answer, read: while there is a token there is more, whatever `moreResult`
    /// says.
    pub(super) async fn pages<R>(
        &self,
        mut call: Call,
        row: impl Fn(&Value) -> Option<R> + Copy,
    ) -> Result<Pages<R>, CallFailure> {
        let asked = call.query.len();
        let (mut found, mut token, mut clock) = (Vec::new(), None::<String>, None);
        let mut since = None::<Moment>;
        loop {
            call.query.truncate(asked);
            if let Some(token) = &token {
                call.query.push(("nextPageToken", token.clone()));
            }
            let mut answer = self.call(&AtAnyTime, &call).await?;
            let came = answer.came;
            let heard = Instant::now();
            let since = *since.get_or_insert(came.left);
            let asked = came.in_flight.sent_at();
            clock = came.date.map(|date| MarketoTime { date, asked, heard }).or(clock);
            let request_id = answer.request_id.clone();
            let unreadable =
                |what| CallFailure::Unreadable { what, request_id: request_id.clone() };
            let rows = answer.raw_rows().ok_or_else(|| unreadable("its result is no list"))?;
            let rows: Option<Vec<R>> = rows.iter().map(row).collect();
            let rows = rows.ok_or_else(|| unreadable("a row of it cannot be read"))?;
            let (end, next) = (rows.is_empty(), answer.next());
            found.extend(rows);
            match next {
                None => return Ok(Pages { rows: found, since, clock, request_id }),
                // A token that repeats itself would page for ever; with rows it leaves open what is
                // missing.
                same if same == token && end => {
                    return Ok(Pages { rows: found, since, clock, request_id });
                }
                same if same == token => {
                    return Err(unreadable("its paging token leads nowhere"));
                }
                next => token = next,
            }
        }
    }
}

/// The rows of all pages of an answer.
#[derive(Debug)]
pub(super) struct Pages<R> {
    pub(super) rows: Vec<R>,
    /// When the first call for them left.
    since: Moment,
    clock: Option<MarketoTime>,
    /// Of the last page.
    request_id: Option<String>,
}
