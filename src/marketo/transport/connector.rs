//! How a connection to Marketo is made: direct, or through the proxy that the environment names,
//! as every other command does it (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in capitals or not).
//!
//! Never: sends what is meant for this machine by way of a proxy, or a request to the proxy itself:
//! it tunnels, and sees neither tokens nor people.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

/// The socket's send buffer on a connection for calls. It holds what was handed over and is not
/// confirmed yet; a megabyte still arrives within a second on a line with a round trip of 100 ms.
const SEND_BUFFER: usize = 64 * 1024;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections, without the TLS to Marketo.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    direct: HttpConnector,
    /// Speaks TLS with the proxy where its address asks for it.
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Option<Arc<Matcher>>,
}

impl Connector {
    /// Loads the system's certificates, and reads the environment. On Linux a connection is cut
    /// when sent data stays unacknowledged for as long as `unconfirmed` (`TCP_USER_TIMEOUT`), so
    /// that nothing arrives later. The send buffer is small, so that a slow line is noticed.
    pub(super) fn new(
        through_proxies: bool,
        unconfirmed: Option<Duration>,
    ) -> Result<Self, String> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_send_buffer_size(unconfirmed.map(|_| SEND_BUFFER));
        #[cfg(any(target_os = "android", target_os = "linux"))]
        direct.set_tcp_user_timeout(unconfirmed);
        #[cfg(not(any(target_os = "android", target_os = "linux")))]
        let _unknown_here = unconfirmed;
        let to_proxy = super::tls(direct.clone())?;
        let proxies = through_proxies.then(|| Arc::new(Matcher::from_system()));
        Ok(Self { direct, to_proxy, proxies })
    }

    /// Whether the way to an address can be gone; an error where a proxy is named that is none of
    /// HTTP.
    pub(super) fn check(&self, address: &Uri) -> Result<(), String> {
        match self.proxy_for(address) {
            Some(proxy) if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) => {
                let scheme = proxy.uri().scheme_str().unwrap_or_default();
                Err(format!(
                    "the proxy that the environment names is of the kind `{scheme}`; use an http:// one"
                ))
            }
            _ => Ok(()),
        }
    }

    fn proxy_for(&self, address: &Uri) -> Option<Intercept> {
        self.proxies.as_ref()?.intercept(address)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.direct.poll_ready(context).map_err(Error::from)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let Some(proxy) = self.proxy_for(&address) else {
            let connecting = self.direct.call(address);
            return Box::pin(async { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let connecting = tunnel.call(address);
        Box::pin(async { Ok(connecting.await?) })
    }
}

/// A connector that gives up after some time, the name, TCP and TLS included.
#[derive(Debug, Clone)]
pub(super) struct InTime<C> {
    inner: C,
    within: Duration,
}

impl<C> InTime<C> {
    pub(super) fn new(inner: C, within: Duration) -> Self {
        Self { inner, within }
    }
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri>,
    C::Error: Into<Error>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = self.inner.call(address);
        let within = self.within;
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_elapsed) => Err("no connection in time".into()),
            }
        })
    }
}
