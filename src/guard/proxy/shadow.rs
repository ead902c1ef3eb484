//! Shadow mode: everything passes as it comes, streamed and unlimited, and what would have raced is
//! counted.
//!
//! A write *would have raced* when its last part comes while another with one of its keys has not
//! been answered yet, or when one call has a key twice: that is what Marketo's documentation warns
//! of. What is looked at is a copy, made while the body passes, and kept no longer. The counts go
//! to the metrics, and to a file for `guard report`, which is there from the start on; the log has
//! a line a minute of them (`summary`).
//!
//! Never: holds up a write or frames it anew, or copies without bound. What does not fit is counted
//! as not looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::{holding, stalling};
use super::forward::Forwarder;
use super::metrics::Watched as Counters;
use super::parse::parse;
use super::response::Body;
use crate::guard::engine::{ApiUser, Endpoint, Record};
use crate::guard::race_counts::RaceCounts;
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
    counters: Counters,
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
        counters: Counters,
        instance: String,
    ) -> Self {
        Self {
            under_way: Mutex::default(),
            seen: Mutex::new(RaceCounts::new(now())),
            untold: Mutex::default(),
            counters,
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
        self.counters.count(user, records.len() as u64, raced);
        self.seen.lock().count((self.now)(), &user.to_string(), records.len() as u64, raced);
        UnderWay { shadow: Arc::clone(self), user: user.clone(), keys }
    }

    /// Writes the counts down every now and then, until it is told to stop, and then once more. The
    /// file is there from the start, so that `guard report` knows that it is watched.
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

    /// Tells the log what would have raced, if a minute is over, or at the end.
    pub(super) fn tell(&self, at_the_end: bool) {
        let due = self.untold.lock().due(Instant::now(), at_the_end);
        summary::tell(&due);
    }

    /// Writes the counts down.
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
        let body = stalling(body, forwarder.stall);
        let body = if head.headers.contains_key(CONTENT_ENCODING) {
            glance.look_away();
            body
        } else {
            Watched { body, glance: Some(glance) }.boxed_unsync()
        };
        let response = forwarder.pass_once(&head, body).await;
        response.map(|body| holding(body, Some(under_way)))
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

/// A body on its way to Marketo, of which somebody keeps a copy until all of it has come.
struct Watched {
    body: Body,
    glance: Option<Glance>,
}

/// What is looked at of a write while it passes.
#[derive(Debug)]
struct Glance {
    shadow: Arc<Shadow>,
    user: ApiUser,
    endpoint: Endpoint,
    copy: Vec<u8>,
    /// Room for the copy.
    room: Option<OwnedSemaphorePermit>,
    /// Where the write is noted as soon as it is one; its answer holds on to it.
    under_way: Arc<Mutex<Option<UnderWay>>>,
}

impl Glance {
    /// Copies a part of the body, as far as there is room; otherwise it is not looked at.
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

    /// All of it is there, and the last part of it leaves now.
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
        self.shadow.counters.count_unseen(&self.user);
        self.shadow.seen.lock().count_unseen((self.shadow.now)(), &self.user.to_string());
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(part) = frame.data_ref() {
                    self.glance = self.glance.take().and_then(|glance| glance.take_down(part));
                }
            }
            // The caller broke off: it is no write.
            Some(Err(_broken)) => self.glance = None,
            None => {}
        }
        // Whoever knows the length of a body does not ask for what comes after its last part.
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(glance) = self.glance.take()
        {
            glance.look();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
            Counters::default(),
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
