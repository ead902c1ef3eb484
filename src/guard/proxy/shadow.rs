//! Shadow mode: everything passes as it comes, streamed and unlimited, and what would have raced is
//! counted.
//!
//! A write *would have raced* when its last part comes while another with one of its keys has not
//! been answered yet, or when one call has a key twice: Marketo's documentation warns of both. A
//! copy of the body is looked at, made while the body passes, and then dropped. The counts go to
//! the metrics, and to a file for `guard report`, which is there from the start. The log has a line
//! a minute of them (`summary`).
//!
//! Never: holds up a write or frames it anew, or copies without bound. A write that does not fit is
//! counted as not looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::{holding, stalling, telling};
use super::forward::Forwarder;
use super::metrics::Metrics;
use super::parse::parse;
use super::response::Body;
use crate::guard::engine::{ApiUser, Endpoint, Record};
use crate::guard::race_counts::{Counts, RaceCounts};
use crate::leases::LeaseKey;

mod summary;

use summary::Summary;

/// A body above Marketo's limit is refused by Marketo; nobody looks at it.
const BODY_BYTES: usize = 1_048_576;

/// Bytes of all copies together.
const ROOM: usize = 64 * BODY_BYTES;

/// How often it is looked whether there are new counts, and how often they are written down at
/// most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The writes that are under way, and the counts.
#[derive(Debug)]
pub(super) struct Shadow {
    under_way: Mutex<BTreeMap<LeaseKey, Vec<ApiUser>>>,
    seen: Mutex<RaceCounts>,
    untold: Mutex<Summary>,
    metrics: Arc<Metrics>,
    room: Arc<Semaphore>,
    file: PathBuf,
    now: fn() -> DateTime<Utc>,
    /// The name of the instance, which keys go by.
    instance: String,
}

/// A write that is under way until this is dropped.
#[derive(Debug)]
struct UnderWay {
    shadow: Arc<Shadow>,
    user: ApiUser,
    keys: Vec<LeaseKey>,
}

impl Shadow {
    pub(super) fn new(
        file: PathBuf,
        now: fn() -> DateTime<Utc>,
        metrics: Arc<Metrics>,
        instance: String,
    ) -> Self {
        Self {
            under_way: Mutex::default(),
            seen: Mutex::new(RaceCounts::new(now())),
            untold: Mutex::default(),
            metrics,
            room: Arc::new(Semaphore::new(ROOM)),
            file,
            now,
            instance,
        }
    }

    /// Notes that a write begins, and counts what it overlaps with.
    fn begin(self: &Arc<Self>, user: &ApiUser, records: &[Record]) -> UnderWay {
        let mut raced = 0;
        let mut keys = Vec::new();
        let mut under_way = self.under_way.lock();
        for record in records {
            let mut overlaps = false;
            for key in record.leases.iter() {
                let others = under_way.entry(*key).or_default();
                if let Some(other) = others.last() {
                    tracing::debug!(%user, %other, %key, "two writes of one key would have raced");
                    // One key of a record tells of it.
                    if !overlaps {
                        self.untold.lock().note(user, other, *key);
                    }
                    overlaps = true;
                }
                others.push(user.clone());
                keys.push(*key);
            }
            raced += u64::from(overlaps);
        }
        drop(under_way);
        self.count(user, Counts { calls: 1, records: records.len() as u64, raced, unseen: 0 });
        UnderWay { shadow: Arc::clone(self), user: user.clone(), keys }
    }

    fn count(&self, user: &ApiUser, counts: Counts) {
        self.metrics.watched(user, counts);
        self.seen.lock().count((self.now)(), user.as_str(), counts);
    }

    /// Saves the counts now and then until it is told to stop, and then once more. The file is
    /// there from the start, so that `guard report` knows that somebody watches.
    pub(super) async fn keep(self: Arc<Self>, stopping: CancellationToken) {
        self.write_down(RaceCounts::new((self.now)())).await;
        let mut saved = None;
        loop {
            let stopped = tokio::time::timeout(LOOK_EVERY, stopping.cancelled()).await.is_ok();
            let now = Instant::now();
            if stopped
                || saved.is_none_or(|saved| now - saved >= SAVE_EVERY)
                    && !self.seen.lock().is_empty()
            {
                self.save().await;
                saved = Some(now);
            }
            self.tell(stopped);
            if stopped {
                return;
            }
        }
    }

    /// Logs what would have raced, if a minute is over, or at the end.
    pub(super) fn tell(&self, at_the_end: bool) {
        let due = self.untold.lock().due(Instant::now(), at_the_end);
        summary::tell(&due);
    }

    pub(super) async fn save(&self) {
        let seen = std::mem::replace(&mut *self.seen.lock(), RaceCounts::new((self.now)()));
        if !seen.is_empty() {
            self.write_down(seen).await;
        }
    }

    async fn write_down(&self, seen: RaceCounts) {
        let (file, counts) = (self.file.clone(), seen.clone());
        let saved = tokio::task::spawn_blocking(move || counts.add_to(&file)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "the counts are kept in memory, to be written down later");
            self.seen.lock().add(&seen);
        }
    }

    /// Passes a write on as it comes, and counts it.
    pub(super) async fn watch(
        self: &Arc<Self>,
        forwarder: &Forwarder,
        endpoint: Endpoint,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let user = forwarder.users.of(request.headers());
        let (head, body) = request.into_parts();
        let under_way = Arc::default();
        let glance = Glance {
            shadow: Arc::clone(self),
            user,
            endpoint,
            copy: Vec::new(),
            room: None,
            under_way: Arc::clone(&under_way),
        };
        let mut body = stalling(body, forwarder.stall);
        if head.headers.contains_key(CONTENT_ENCODING) {
            glance.look_away();
        } else {
            body = glance.at(body);
        }
        let response = forwarder.pass_once(&head, body).await;
        response.map(|body| holding(body, under_way))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.shadow.under_way.lock();
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

/// A look at a write while it passes.
#[derive(Debug)]
struct Glance {
    shadow: Arc<Shadow>,
    user: ApiUser,
    endpoint: Endpoint,
    copy: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    /// The note that the write is under way, from when it has come; its answer keeps the note.
    under_way: Arc<Mutex<Option<UnderWay>>>,
}

impl Glance {
    /// The body on its way to Marketo. A copy is kept until all of it has come.
    fn at(self, body: Body) -> Body {
        let mut glance = Some(self);
        telling(body, move |frame, is_last| {
            match frame.map(|frame| frame.as_ref().map(Frame::data_ref)) {
                Some(Ok(Some(part))) => {
                    glance = glance.take().and_then(|glance| glance.take_down(part));
                }
                // The caller broke off: it is no write.
                Some(Err(_broken)) => glance = None,
                Some(Ok(None)) | None => {}
            }
            if is_last && let Some(glance) = glance.take() {
                glance.look();
            }
        })
    }

    /// Copies a part of the body if there is room; otherwise the write is not looked at.
    fn take_down(mut self, part: &[u8]) -> Option<Self> {
        let more =
            u32::try_from(part.len()).ok().filter(|_| self.copy.len() + part.len() <= BODY_BYTES);
        let room =
            more.and_then(|more| Arc::clone(&self.shadow.room).try_acquire_many_owned(more).ok());
        let Some(more) = room else {
            self.look_away();
            return None;
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        self.copy.extend_from_slice(part);
        Some(self)
    }

    /// The whole body has come, and its last part leaves now.
    fn look(self) {
        let Ok(write) = parse(self.endpoint, &self.copy, &self.shadow.instance) else {
            // Marketo refuses it.
            return;
        };
        let under_way = self.shadow.begin(&self.user, &write.records);
        *self.under_way.lock() = Some(under_way);
    }

    /// It cannot be looked at.
    fn look_away(self) {
        self.shadow.count(&self.user, Counts { calls: 1, unseen: 1, ..Counts::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(shadow: &Arc<Shadow>) -> Glance {
        Glance {
            shadow: Arc::clone(shadow),
            user: ApiUser::named("crm"),
            endpoint: Endpoint::SyncLeads,
            copy: Vec::new(),
            room: None,
            under_way: Arc::default(),
        }
    }

    #[test]
    fn what_is_copied_is_bounded_for_each_body_and_for_all_together() {
        let shadow = Arc::new(Shadow::new(
            PathBuf::from("nowhere"),
            || DateTime::UNIX_EPOCH,
            Arc::new(Metrics::new()),
            "test".to_owned(),
        ));
        let largest = vec![b' '; BODY_BYTES];
        let too_large = glance(&shadow).take_down(&largest).unwrap();
        assert!(too_large.take_down(b" ").is_none(), "of one body no more is kept");
        let room_for = ROOM / BODY_BYTES;
        let mut kept: Vec<Glance> =
            (0..room_for + 9).filter_map(|_| glance(&shadow).take_down(&largest)).collect();
        assert_eq!(kept.len(), room_for, "of all together so much is kept");
        kept.pop();
        assert!(
            glance(&shadow).take_down(&largest).is_some(),
            "what is not kept any more makes room"
        );
        assert_eq!(shadow.seen.lock().by_user()["crm"].unseen, 10);
    }
}
