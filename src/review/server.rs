//! The page, live on this machine: it shows a plan, takes decisions at once, and approves.
//!
//! For: `mkto-audit review`. Other users of the machine and other sites in the same browser are
//! kept out: it listens on loopback alone, and every answer with a person in it takes a word that
//! one tab has (`access`). Never: merges, or calls Marketo; nothing here can.

mod access;
mod answer;
mod api;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::model::Reviewed;
use super::page::{SCRIPT, STYLE, served};
use crate::accept::accept;
use access::Access;
pub use access::Token;
use answer::{Refusal, html, script, style};
use api::Api;

/// Connections at once; a browser opens six.
const CONNECTIONS: usize = 32;

/// Most headers, and most bytes of a head.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;

/// How long a head may take to come, and how long answers may take once the server is to end.
const HEAD_TIME: Duration = Duration::from_secs(10);
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The path of the page. The root is not it: who only guesses the port is told what to do.
const PAGE: &str = "/review";

/// Why the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Nobody used it for so long.
    Idle,
}

/// A review of one plan, by one person.
#[derive(Debug)]
pub struct Review {
    api: Api,
    access: Access,
    page: String,
    used_at: Mutex<Instant>,
}

impl Review {
    /// A review of this plan whose decisions are `by`, to be served under this address. The address
    /// is checked by the caller to be a loopback one.
    pub fn new(
        plan: Arc<dyn Reviewed>,
        by: String,
        address: SocketAddr,
    ) -> Result<Self, askama::Error> {
        Ok(Self {
            api: Api::new(plan, by),
            access: Access::new(address),
            page: served()?,
            used_at: Mutex::new(Instant::now()),
        })
    }

    /// A link that opens the page once, in one browser. The word in it is in the part that a
    /// browser sends to nobody.
    pub fn link(&self) -> String {
        format!("http://{}{PAGE}#{}", self.access.address(), self.access.issue().as_str())
    }

    /// Serves on the listener until the shutdown comes or nobody used it for `idle`. Needs a
    /// runtime.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        idle: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Ended {
        let connections = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::pin!(shutdown);
        let ended = loop {
            let idle_at = *self.used_at.lock() + idle;
            let accepted = tokio::select! {
                () = &mut shutdown => break Ended::Stopped,
                () = tokio::time::sleep_until(idle_at) => {
                    if *self.used_at.lock() + idle <= Instant::now() {
                        break Ended::Idle;
                    }
                    continue;
                }
                accepted = accept(&listener, &places) => accepted,
            };
            // A connection that failed before it began concerns its caller alone.
            let Ok((stream, place)) = accepted else { continue };
            let (review, watcher) = (Arc::clone(&self), connections.watcher());
            tokio::spawn(async move {
                drop(stream.set_nodelay(true));
                let service = service_fn(move |request| {
                    let review = Arc::clone(&review);
                    async move { Ok::<_, Infallible>(review.answer(request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .max_headers(HEADERS)
                    .max_buf_size(HEAD_BYTES)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(place);
            });
        };
        drop(listener);
        // A decision that is being written gets its answer; an idle connection is closed at once.
        drop(tokio::time::timeout(LAST_ANSWERS, connections.shutdown()).await);
        ended
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.routed(request).await.unwrap_or_else(Refusal::into_response)
    }

    async fn routed(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        self.access.check_place(&request)?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET, PAGE) => Ok(html(StatusCode::OK, self.page.clone())),
            (&Method::GET, "/review.css") => Ok(style(STYLE)),
            (&Method::GET, "/review.js") => Ok(script(SCRIPT)),
            (&Method::GET, "/") => Err(Refusal::page(access::NO_LINK)),
            (&Method::POST, "/api/session") => {
                let session = self.access.enter(request.headers())?;
                *self.used_at.lock() = Instant::now();
                Ok(answer::json(&serde_json::json!({ "session": session.as_str() })))
            }
            (_, path) if path.starts_with("/api/") => {
                self.access.check_session(&request)?;
                *self.used_at.lock() = Instant::now();
                self.api.answer(request).await
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "There is nothing here.")),
        }
    }
}
