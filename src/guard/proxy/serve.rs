//! Accepts connections, and stops without a loss: after the shutdown no connection is taken any
//! more, requests under way are answered, and calls in flight are brought to their outcome.
//!
//! A caller that is slow to send its head or its body, or to take its answer, is cut off.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::service::Service;
use super::settings::ProxySettings;
use super::write_timeout::WriteTimeout;
use crate::accept::accept;
use crate::leases::SharedLeases;

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

/// Why the proxy could not be started, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the guard cannot run: {what}")]
pub struct ServeError {
    /// What stands in the way.
    what: String,
}

/// Serves on the listener until the shutdown comes, and until what was under way then has ended.
/// Needs a runtime.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    settings: ProxySettings,
    leases: SharedLeases,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let service = Service::new(settings, leases).map_err(|what| ServeError { what })?;
    let service = Arc::new(service);
    let stopping = CancellationToken::new();
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections_at_once()));
    let background = service.start(&stopping).await;
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            () = service.failed() => {
                return Err(ServeError { what: "a fault ended its engine".to_owned() });
            }
            accepted = accept(&listener, &places) => accepted,
        };
        // A connection that failed before it began concerns its caller alone.
        let Ok((stream, place)) = accepted else { continue };
        let (service, tls, stopping) = (Arc::clone(&service), tls.clone(), stopping.clone());
        let watcher = connections.watcher();
        tokio::spawn(async move {
            drop(stream.set_nodelay(true));
            match tls {
                None => attend(service, stream, stopping, watcher).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => attend(service, stream, stopping, watcher).await,
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
    // By then all answers have begun, and those that are left are read slowly.
    if tokio::time::timeout(service.longest_answer(), connections.shutdown()).await.is_err() {
        tracing::warn!("callers that are too slow are cut off");
    }
    service.finish(background).await;
    Ok(())
}

/// As many as this process may have, after it has raised its own limit of files.
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

async fn attend(
    service: Arc<Service>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stopping: CancellationToken,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let timeouts = service.timeouts();
    let service = service_fn(move |request| {
        let (service, stopping) = (Arc::clone(&service), stopping.clone());
        async move { Ok::<_, Infallible>(service.answer(request, &stopping).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream, timeouts.stall)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}
