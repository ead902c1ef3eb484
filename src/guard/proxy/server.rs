//! Connections in, answers out, and an end that loses nothing: on shutdown no connection is taken
//! any more, those under way are answered, and calls in flight are brought to their outcome.
//!
//! A caller that is slow to send its head or its body, or to take its answer, is cut off.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Body};
use super::line::Line;
use super::metrics::Standing;
use super::route::{Route, route};
use super::{Proxy, ProxySettings};
use crate::guard::lease::{Leases, in_full};

/// Connections at once; more wait to be accepted. Far more than one API user may have waiting, so
/// that a flood of calls gets its 606 and everybody else is still let in.
const CONNECTIONS: u64 = 10_000;

/// Files that are not connections of callers: those to Marketo, the stores, the log.
const OTHER_FILES: u64 = 100;

/// Most headers, and most bytes of a head.
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 64 * 1024;

/// How long TLS may take to agree.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Why the proxy could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the guard cannot be started: {what}")]
pub struct ServeError {
    /// What stands in the way.
    what: String,
}

/// Serves on the listener until the shutdown comes, and until what was under way then has ended.
/// Needs a runtime.
pub async fn serve<L: Leases>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    settings: ProxySettings,
    leases: L,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let proxy = Proxy::start(settings, leases).map_err(|what| ServeError { what })?;
    let stopping = CancellationToken::new();
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections_at_once()));
    if let Some(shadow) = &proxy.shadow {
        proxy.tasks.spawn(Arc::clone(shadow).keep(stopping.clone()));
    }
    let sharing = proxy.share_limits().await;
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        // A connection that failed before it began concerns its caller alone.
        let Ok((stream, place)) = accepted else { continue };
        let (proxy, tls, stopping) = (Arc::clone(&proxy), tls.clone(), stopping.clone());
        let watcher = connections.watcher();
        tokio::spawn(async move {
            drop(stream.set_nodelay(true));
            match tls {
                None => attend(proxy, stream, stopping, watcher).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => attend(proxy, stream, stopping, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                    Err(_elapsed) => tracing::debug!("TLS did not come about in time"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    stopping.cancel();
    tracing::info!("stopping: no new connections; calls under way are brought to their end");
    // Whoever waits for an answer has it by then; what is left takes its time with a body.
    let drained = proxy.settings.max_wait + proxy.patience.stall;
    if tokio::time::timeout(drained, connections.shutdown()).await.is_err() {
        tracing::warn!("callers that are too slow are cut off");
    }
    proxy.tasks.close();
    proxy.tasks.wait().await;
    // Until here there were calls for it.
    if let Some(sharing) = sharing {
        proxy.leave_limits(sharing).await;
    }
    if let Some(shadow) = &proxy.shadow {
        shadow.save().await;
        shadow.tell(true);
    }
    Ok(())
}

/// As many as the system lets this process have, after asking it for all that it may.
fn connections_at_once() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS + OTHER_FILES;
    let mut files = limit.current.unwrap_or(wanted);
    if files < wanted {
        let more = limit.maximum.map_or(wanted, |most| most.min(wanted));
        let raised = Rlimit { current: Some(more), maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            files = more;
        }
    }
    // A sixteenth of a very small limit is still better than none.
    let connections = files.saturating_sub(OTHER_FILES).max(files / 16).clamp(1, CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    match listener.accept().await {
        Ok((stream, _)) => Ok((stream, place)),
        Err(error) => {
            // Out of file descriptors, most likely: they come back when callers leave.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(error)
        }
    }
}

async fn attend<L: Leases>(
    proxy: Arc<Proxy<L>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stopping: CancellationToken,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let patience = proxy.patience;
    let service = service_fn(move |request| {
        let (proxy, stopping) = (Arc::clone(&proxy), stopping.clone());
        async move { Ok::<_, Infallible>(answer(&proxy, request, &stopping).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(Line::new(stream, patience.stall)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer<L: Leases>(
    proxy: &Arc<Proxy<L>>,
    request: Request<Incoming>,
    stopping: &CancellationToken,
) -> Response<Body> {
    if let Some(refused) = refused(&request) {
        return refused.into_response();
    }
    match route(request.method(), request.uri()) {
        Route::Own => own(proxy, request.uri().path(), stopping).await,
        Route::Token => proxy.pass_token(request).await,
        Route::Write(verb) => match &proxy.shadow {
            Some(shadow) => proxy.watch(shadow, verb, request).await,
            None => proxy.guard(verb, request).await,
        },
        Route::Pass => proxy.pass(request).await,
    }
}

/// What cannot be passed on as it came: a tunnel, a target that is no path, a body in a coding that
/// one hop cannot undo.
fn refused(request: &Request<Incoming>) -> Option<Answer> {
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return Some(Answer::http(StatusCode::BAD_REQUEST, "the target is no path\n"));
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    codings
        .any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        .then(|| Answer::http(StatusCode::NOT_IMPLEMENTED, "the only transfer coding is chunked\n"))
}

/// The proxy's own pages.
async fn own<L: Leases>(
    proxy: &Proxy<L>,
    path: &str,
    stopping: &CancellationToken,
) -> Response<Body> {
    let answer = match path {
        "/-/healthz" => Answer::http(StatusCode::OK, "ok\n"),
        "/-/readyz" if stopping.is_cancelled() => {
            Answer::http(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        }
        "/-/readyz" => match proxy.leases.ready().await {
            Ok(()) => match proxy.why_nothing_leaves() {
                None => Answer::http(StatusCode::OK, format!("ready\n{}", proxy.refused_token())),
                Some(why) => Answer::http(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            Err(error) => {
                tracing::warn!(error = in_full(&error), "not ready");
                Answer::http(StatusCode::SERVICE_UNAVAILABLE, "the lease store cannot be reached\n")
            }
        },
        "/-/metrics" => Answer {
            status: StatusCode::OK,
            content_type: HeaderValue::from_static(
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
            body: Bytes::from(proxy.metrics.page(proxy.standing())),
        },
        _ => Answer::http(
            StatusCode::NOT_FOUND,
            "the guard has /-/healthz, /-/readyz and /-/metrics\n",
        ),
    };
    answer.into_response()
}

impl<L: Leases> Proxy<L> {
    pub(super) fn standing(&self) -> Standing {
        let part = *self.portion();
        let board = self.board();
        Standing {
            part: part.may_use(),
            guards: part.guards(),
            no_part: part.nothing_for(tokio::time::Instant::now()),
            queue: board.waiting(),
            oldest: board.oldest().map_or(Duration::ZERO, |caller| caller.since.elapsed()),
            calls_today: self.turns.made_today(),
            budget: self.settings.daily_calls,
        }
    }
}
