//! How a connection to Marketo is made: straight, or through the proxy that the environment names,
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

/// How long a connection may take to come about, and a tunnel.
const CONNECT_TIME: Duration = Duration::from_secs(20);

/// What this machine keeps of what is sent on a connection for guarded calls, until the other side
/// has it: a megabyte still takes less than a second to get there where an answer takes a tenth of
/// one.
const SEND_BUFFER: usize = 64 * 1024;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections, without the TLS to Marketo.
#[derive(Debug, Clone)]
pub(super) struct Way {
    straight: HttpConnector,
    /// Speaks TLS with the proxy where its address asks for it.
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Option<Arc<Matcher>>,
}

impl Way {
    /// Loads the system's certificates, and reads the environment. A connection on which what was
    /// sent is not confirmed for as long as `unconfirmed` is cut (on Linux), so that nothing
    /// arrives later than that; and little of what was taken to be sent waits in this machine, so
    /// that what crawls is seen to.
    pub(super) fn new(
        through_proxies: bool,
        unconfirmed: Option<Duration>,
    ) -> Result<Self, String> {
        let mut straight = HttpConnector::new();
        straight.enforce_http(false);
        straight.set_nodelay(true);
        straight.set_connect_timeout(Some(CONNECT_TIME));
        straight.set_send_buffer_size(unconfirmed.map(|_| SEND_BUFFER));
        #[cfg(any(target_os = "android", target_os = "linux"))]
        straight.set_tcp_user_timeout(unconfirmed);
        #[cfg(not(any(target_os = "android", target_os = "linux")))]
        let _unknown_here = unconfirmed;
        let to_proxy = super::tls(straight.clone())?;
        let proxies = through_proxies.then(|| Arc::new(Matcher::from_system()));
        Ok(Self { straight, to_proxy, proxies })
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

impl Service<Uri> for Way {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.straight.poll_ready(context).map_err(Error::from)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let Some(proxy) = self.proxy_for(&address) else {
            let connecting = self.straight.call(address);
            return Box::pin(async { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let connecting = tunnel.call(address);
        Box::pin(async { Ok(tokio::time::timeout(CONNECT_TIME, connecting).await??) })
    }
}
