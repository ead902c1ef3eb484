//! Puts a proxy together, and routes each request.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::TRANSFER_ENCODING;
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::classify::{Route, classify};
use super::forward::{Forwarder, Limits};
use super::handler::WriteHandler;
use super::identity::ApiUsers;
use super::metrics::{Metrics, Watcher};
use super::min_rate::Timeouts;
use super::pages::Pages;
use super::refusals::Refusals;
use super::response::{Answer, Body, MadeUp};
use super::sender::CallerSender;
use super::settings::{Mode, ProxySettings};
use super::shadow::Shadow;
use crate::guard::engine::admission::Admission;
use crate::guard::engine::quota::{self, Quota};
use crate::guard::engine::{Engine, EngineSettings, FairQueue};
use crate::leases::Leases;
use crate::marketo::{Client, ClientOptions, Pacer, Share};

/// A running proxy, shared by its connections.
#[derive(Debug)]
pub(super) struct Service<L> {
    forwarder: Arc<Forwarder>,
    writes: Writes,
    quota: Arc<Quota<L>>,
    pages: Pages<L>,
    timeouts: Timeouts,
    max_wait: Duration,
}

#[derive(Debug)]
enum Writes {
    Guarded(WriteHandler),
    Watched(Arc<Shadow>),
}

impl<L: Leases> Service<L> {
    /// Puts a proxy together; calls nothing yet. Needs a runtime.
    pub(super) fn new(settings: ProxySettings, leases: L) -> Result<Self, String> {
        let ProxySettings { clock, max_wait, mode, .. } = settings;
        let (leases, timeouts) = (Arc::new(leases), Timeouts::at(clock));
        let (metrics, refusals) = (Arc::new(Metrics::new()), Arc::new(Refusals::default()));
        // Without credentials of its own, and without a pacer: turns are the guard's.
        let options = ClientOptions::new(settings.base_url.clone())
            .identity_url(settings.identity_url.clone())
            .clock(clock);
        let client = Client::new(options).map_err(|error| error.to_string())?;
        let (quota, limits) = limits(&settings, &leases);
        let forwarder = Arc::new(Forwarder {
            client: client.clone(),
            users: ApiUsers::default(),
            metrics: Arc::clone(&metrics),
            refusals: Arc::clone(&refusals),
            limits: (mode != Mode::Shadow).then(|| Arc::clone(&limits)),
            stall: timeouts.stall,
            clock,
            made_up: MadeUp(settings.now),
        });
        let (writes, engine) = if mode == Mode::Shadow {
            let file = settings.tally.ok_or("shadow mode needs a file for its counts")?;
            let shadow = Shadow::new(file, settings.now, metrics.watched(), settings.instance);
            (Writes::Watched(Arc::new(shadow)), None)
        } else {
            let watcher =
                Watcher { metrics: Arc::clone(&metrics), refusals: Arc::clone(&refusals) };
            let rules = EngineSettings {
                look_first: mode == Mode::Strict,
                on_duplicates: settings.on_duplicates,
                winner: settings.winner,
                clock,
                observer: Arc::new(watcher),
                ..EngineSettings::default()
            };
            let (sender, turns) = (CallerSender(client), Arc::clone(&limits.turns));
            let engine = Arc::new(Engine::start(sender, Arc::clone(&leases), turns, rules));
            let handler = WriteHandler {
                engine: Arc::clone(&engine),
                forwarder: Arc::clone(&forwarder),
                limits,
                instance: settings.instance,
                create_duplicate: settings.create_duplicate,
                body_time: timeouts.body,
                max_wait,
            };
            (Writes::Guarded(handler), Some(engine))
        };
        let pages = Pages { leases, quota: Arc::clone(&quota), engine, metrics, refusals };
        Ok(Self { forwarder, writes, quota, pages, timeouts, max_wait })
    }

    /// Starts what goes on beside the requests: counting, or sharing the limits.
    pub(super) async fn start(&self, stopping: &CancellationToken) -> JoinHandle<()> {
        match &self.writes {
            Writes::Watched(shadow) => tokio::spawn(Arc::clone(shadow).keep(stopping.clone())),
            Writes::Guarded(_) => self.quota.start().await,
        }
    }

    /// Brings all writes under way to their end; no connection is left.
    pub(super) async fn finish(&self, background: JoinHandle<()>) {
        match &self.writes {
            Writes::Watched(shadow) => {
                // It ends by itself, and a fault in it is told of by its panic.
                background.await.ok();
                shadow.save().await;
                shadow.tell(true);
            }
            Writes::Guarded(handler) => {
                handler.engine.drain().await;
                // The last calls are over by now.
                self.quota.hand_back(background).await;
            }
        }
    }

    /// Waits until a fault has ended the engine: nothing could be written any more.
    pub(super) async fn failed(&self) {
        match &self.writes {
            Writes::Watched(_) => std::future::pending().await,
            Writes::Guarded(handler) => handler.engine.ended().await,
        }
    }

    /// How slow callers may be.
    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The longest that an answer may take, and the reading of it.
    pub(super) fn longest_answer(&self) -> Duration {
        self.max_wait + self.timeouts.stall
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        stopping: &CancellationToken,
    ) -> Response<Body> {
        if let Some(refused) = refused(&request) {
            return refused.into_response();
        }
        match (classify(request.method(), request.uri()), &self.writes) {
            (Route::Own, _) => {
                let is_stopping = stopping.is_cancelled();
                self.pages.page(request.uri().path(), is_stopping).await.into_response()
            }
            (Route::Token, _) => self.forwarder.pass_token(request).await,
            (Route::Write(endpoint), Writes::Guarded(handler)) => {
                handler.handle(endpoint, request).await
            }
            (Route::Write(endpoint), Writes::Watched(shadow)) => {
                shadow.watch(&self.forwarder, endpoint, request).await
            }
            (Route::Pass, _) => self.forwarder.pass(request).await,
        }
    }
}

/// The limits of the instance, and how calls are held to this guard's share of them.
fn limits<L: Leases>(settings: &ProxySettings, leases: &Arc<L>) -> (Arc<Quota<L>>, Arc<Limits>) {
    let shared = quota::Limits {
        instance: settings.instance.clone(),
        limit: Share { calls: settings.calls.max(1), at_once: settings.concurrency.max(1) },
        window: settings.window,
        a_day: settings.daily_calls,
        clock: settings.clock,
    };
    let pacer = Pacer::new(
        shared.limit.calls,
        shared.window,
        shared.limit.at_once,
        shared.a_day,
        Arc::clone(&settings.spending),
    );
    let turns = Arc::new(FairQueue::new(Arc::new(pacer)));
    let quota = Quota::new(Arc::clone(leases), Arc::clone(&turns), shared);
    let limits =
        Limits { admission: Admission::new(settings.queue), turns, lasting: quota.lasting() };
    (Arc::new(quota), Arc::new(limits))
}

/// The refusal of a request that cannot be passed on: a tunnel, a target that is no path, a body in
/// a coding that one hop cannot undo.
fn refused(request: &Request<Incoming>) -> Option<Answer> {
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return Some(Answer::http(StatusCode::BAD_REQUEST, "the target is no path\n"));
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    codings
        .any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        .then(|| Answer::http(StatusCode::NOT_IMPLEMENTED, "the only transfer coding is chunked\n"))
}
