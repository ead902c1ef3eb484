//! Shadow mode: everything passes as it comes, at once and unlimited, and what would have raced is counted.
//!
//! A write *would have raced* when it comes while another with one of its keys has not been answered yet, or when one
//! call has a key twice: that is what Marketo's documentation warns of. The counts go to a file, for `guard report`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio_util::sync::CancellationToken;

use super::Proxy;
use super::answer::{Body, whole};
use super::incoming::{self, Record};
use super::route::Verb;
use super::stream::{beginning, continued, holding, stalling};
use super::user::ApiUser;
use crate::guard::lease::{LeaseKey, Leases};
use crate::guard::tally::Tally;

/// A body above Marketo's limit is refused by Marketo; it passes uncounted.
const BODY_BYTES: u64 = 1_048_576;

/// How often the counts are written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The writes that are under way, and the counts.
#[derive(Debug)]
pub(super) struct Shadow {
    under_way: Mutex<BTreeMap<LeaseKey, Vec<ApiUser>>>,
    seen: Mutex<Tally>,
    file: PathBuf,
    now: fn() -> DateTime<Utc>,
}

/// A write that is under way until this is dropped.
#[derive(Debug)]
struct UnderWay {
    shadow: Arc<Shadow>,
    user: ApiUser,
    keys: Vec<LeaseKey>,
}

impl Shadow {
    pub(super) fn new(file: PathBuf, now: fn() -> DateTime<Utc>) -> Self {
        Self { under_way: Mutex::default(), seen: Mutex::new(Tally::new(now())), file, now }
    }

    /// Notes that a write begins, and counts what it overlaps with.
    fn begin(self: &Arc<Self>, user: &ApiUser, records: &[Record]) -> UnderWay {
        let mut raced = 0;
        let mut keys = Vec::new();
        let mut under_way = self.under_way();
        for record in records {
            let mut overlaps = false;
            for key in &record.leases {
                let others = under_way.entry(*key).or_default();
                if let Some(other) = others.last() {
                    tracing::warn!(%user, %other, %key, "two writes of one key would have raced");
                    overlaps = true;
                }
                others.push(user.clone());
                keys.push(*key);
            }
            raced += u64::from(overlaps);
        }
        drop(under_way);
        self.seen().count((self.now)(), &user.to_string(), records.len() as u64, raced);
        UnderWay { shadow: Arc::clone(self), user: user.clone(), keys }
    }

    /// Writes the counts down every now and then, until it is told to stop, and then once more.
    pub(super) async fn keep(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(SAVE_EVERY, stopping.cancelled()).await.is_ok();
            self.save().await;
            if stopped {
                return;
            }
        }
    }

    /// Writes the counts down.
    pub(super) async fn save(&self) {
        let seen = std::mem::replace(&mut *self.seen(), Tally::new((self.now)()));
        if seen.is_empty() {
            return;
        }
        let (file, counts) = (self.file.clone(), seen.clone());
        let saved = tokio::task::spawn_blocking(move || counts.add_to(&file)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "the counts are kept in memory, to be written down later");
            self.seen().add(&seen);
        }
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<LeaseKey, Vec<ApiUser>>> {
        // Counts, which a panic elsewhere can leave too high at worst.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Tally> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.shadow.under_way();
        for key in &self.keys {
            let Some(users) = under_way.get_mut(key) else { continue };
            if let Some(place) = users.iter().position(|user| *user == self.user) {
                users.remove(place);
            }
            if users.is_empty() {
                under_way.remove(key);
            }
        }
    }
}

impl<L: Leases> Proxy<L> {
    /// Passes a write on as it comes, and counts it.
    pub(super) async fn watch(
        &self,
        shadow: &Arc<Shadow>,
        verb: Verb,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let user = self.users.of(request.headers());
        let (head, body) = request.into_parts();
        let (read, rest) = match beginning(stalling(body, self.patience.stall), BODY_BYTES).await {
            Ok(body) => body,
            // The caller broke off: there is nobody to answer.
            Err(error) => {
                tracing::debug!(error, "a body did not come");
                return super::answer::Answer::http(hyper::StatusCode::BAD_REQUEST, "").into_response();
            }
        };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let under_way = match &rest {
            None => incoming::read(verb, &head.method, target, &read, &self.settings.instance)
                .ok()
                .map(|incoming| shadow.begin(&user, &incoming.records)),
            Some(_) => None,
        };
        let body = match rest {
            None => whole(read),
            Some(rest) => continued(read, rest),
        };
        let response = self.pass_once(&head, body).await;
        response.map(|body| holding(body, under_way))
    }
}
