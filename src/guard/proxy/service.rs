//! Puts a proxy together, routes each request, and answers for the proxy itself under `/-/`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::classify::{Route, classify};
use super::forward::{Forwarder, Limits};
use super::handler::WriteHandler;
use super::identity::ApiUsers;
use super::metrics::Metrics;
use super::min_rate::Timeouts;
use super::response::{Answer, Body, MadeUp};
use super::sender::CallerSender;
use super::settings::{Mode, ProxySettings};
use super::shadow::Shadow;
use crate::guard::engine::admission::Admission;
use crate::guard::engine::quota::Quota;
use crate::guard::engine::{Engine, EngineSettings, FairQueue, Standing};
use crate::leases::SharedLeases;
use crate::marketo::{Client, in_words};

/// A running proxy, shared by its connections.
#[derive(Debug)]
pub(super) struct Service {
    forwarder: Arc<Forwarder>,
    writes: Writes,
    quota: Arc<Quota>,
    leases: SharedLeases,
    timeouts: Timeouts,
    max_wait: Duration,
}

#[derive(Debug)]
enum Writes {
    Guarded(WriteHandler),
    Watched(Arc<Shadow>),
}

impl Service {
    /// Puts a proxy together; calls nothing yet. Needs a runtime.
    pub(super) fn new(settings: ProxySettings, leases: SharedLeases) -> Result<Self, String> {
        let ProxySettings { max_wait, mode, .. } = settings;
        let clock = settings.marketo.clock;
        let timeouts = Timeouts::at(clock);
        let metrics = Arc::new(Metrics::new());
        let client = Client::new(settings.marketo.clone()).map_err(|error| error.to_string())?;
        let turns = Arc::new(FairQueue::new(client.pacer()));
        let of_instance = (settings.instance.as_str(), &settings.marketo);
        let quota = Arc::new(Quota::new(leases.clone(), Arc::clone(&turns), of_instance));
        let lasting = quota.lasting();
        let admission = Admission::new(settings.queue);
        let limits = Arc::new(Limits { admission, turns: Arc::clone(&turns), lasting });
        let forwarder = Arc::new(Forwarder {
            client: client.clone(),
            users: ApiUsers::default(),
            metrics: Arc::clone(&metrics),
            limits: (mode != Mode::Shadow).then(|| Arc::clone(&limits)),
            stall: timeouts.stall,
            clock,
            made_up: MadeUp(settings.now),
        });
        let writes = if mode == Mode::Shadow {
            let file = settings.tally.ok_or("shadow mode needs a file for its counts")?;
            let shadow = Shadow::new(file, settings.now, metrics, settings.instance);
            Writes::Watched(Arc::new(shadow))
        } else {
            let rules = EngineSettings {
                look_first: mode == Mode::Strict,
                on_duplicates: settings.on_duplicates,
                winner: settings.winner,
                clock,
                observer: metrics,
                ..EngineSettings::default()
            };
            Writes::Guarded(WriteHandler {
                engine: Engine::start(CallerSender(client), leases.clone(), turns, rules),
                forwarder: Arc::clone(&forwarder),
                limits,
                instance: settings.instance,
                create_duplicate: settings.create_duplicate,
                body_time: timeouts.body,
                max_wait,
            })
        };
        Ok(Self { forwarder, writes, quota, leases, timeouts, max_wait })
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
                // It ends by itself. A panic in it is in the log already.
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
                self.page(request.uri().path(), is_stopping).await.into_response()
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

    /// The proxy's own pages, under `/-/`.
    async fn page(&self, path: &str, is_stopping: bool) -> Answer {
        match path {
            "/-/healthz" => Answer::http(StatusCode::OK, "ok\n"),
            "/-/readyz" if is_stopping => {
                Answer::http(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
            }
            "/-/readyz" => self.ready().await,
            "/-/metrics" => Answer {
                status: StatusCode::OK,
                content_type: HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                ),
                body: Bytes::from(self.metrics().await),
            },
            _ => Answer::http(
                StatusCode::NOT_FOUND,
                "the guard has /-/healthz, /-/readyz and /-/metrics\n",
            ),
        }
    }

    async fn ready(&self) -> Answer {
        if let Err(error) = self.leases.ready().await {
            tracing::warn!(error = in_words(&error), "not ready");
            let what = "the lease store cannot be reached\n";
            return Answer::http(StatusCode::SERVICE_UNAVAILABLE, what);
        }
        if matches!(self.writes, Writes::Guarded(_))
            && let Some(why) = self.quota.why_nothing_leaves()
        {
            return Answer::http(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
        }
        let refused = self.forwarder.metrics.refusals.refused_token();
        Answer::http(StatusCode::OK, format!("ready\n{refused}"))
    }

    async fn metrics(&self) -> String {
        let standing = match &self.writes {
            Writes::Guarded(handler) => handler.engine.standing().await,
            // Nothing waits, and nothing is limited.
            Writes::Watched(_) => Standing::default(),
        };
        self.forwarder.metrics.page(standing, self.quota.today(), self.quota.portion())
    }
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
