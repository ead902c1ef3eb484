//! The wire to Marketo: connection pools, requests as they came but for what concerns a single hop.
//!
//! Two pools: one for requests that pass through or stream, and one for calls, whose body leaves by
//! a deadline or never as a whole ([`deadline_body`]), on connections that come about in time.
//!
//! Never: follows a redirect, adds a header, or logs a target, whose query may hold people's data.

use std::io::Read as _;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use url::Url;

use super::deadline::{LeaveBy, MARGIN};
use super::error_chain::in_words;
use super::{CertificateFault, is_loopback};

mod connector;
mod deadline_body;

use connector::{Connector, InTime};
use deadline_body::DeadlineBody;

/// What travels: a body of known or unknown length, or why it broke off.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// How long a connection for a call may take to come about, its name and TLS included. It is part
/// of the time within which a call leaves, so it is less than [`MARGIN`].
const CONNECT_TIME: Duration = Duration::from_secs(8);

/// How long a connection for what passes through may take.
const PATIENT_CONNECT_TIME: Duration = Duration::from_secs(20);

/// The longest answer to a call that is accepted.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The buffer of a connection for calls: small, so that few bytes of a body wait unsent, and large
/// enough for the head of any answer.
const CALL_BUFFER: usize = 64 * 1024;

/// What concerns one hop alone, beside what `Connection` names (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Marketo's addresses, and the connections to them.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    base: Origin,
    identity: Origin,
    /// For what passes through, and for files.
    patient: Connections,
    /// For calls, which leave by a deadline.
    calls: Connections,
}

type Connections = Client<InTime<HttpsConnector<Connector>>, Body>;

#[derive(Debug, Clone)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    prefix: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// Nothing was sent, and nothing will be: the certificate is not to be trusted.
    Untrusted(CertificateFault),
    /// It was sent, and no whole answer came.
    Lost(String),
    /// It was sent, and no answer came in time.
    Late,
}

/// An answer, all of it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    /// Loads the system's certificates; connects to nothing yet.
    pub(crate) fn new(base_url: &Url, identity_url: &Url) -> Result<Self, String> {
        let (base, identity) = (Origin::of(base_url)?, Origin::of(identity_url)?);
        let through_proxies = !is_loopback(base_url) && !is_loopback(identity_url);
        let connector = Connector::new(through_proxies, None)?;
        for origin in [&base, &identity] {
            connector.check(&origin.address("/".to_owned())?)?;
        }
        let patient = connections(connector, PATIENT_CONNECT_TIME, None)?;
        let in_time = Connector::new(through_proxies, Some(MARGIN))?;
        let calls = connections(in_time, CONNECT_TIME, Some(CALL_BUFFER))?;
        Ok(Self { base, identity, patient, calls })
    }

    /// Sends a request on, and gives the answer as soon as its head is there.
    pub(crate) async fn forward(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        self.send(&self.patient, request).await
    }

    async fn send(
        &self,
        client: &Connections,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let target = self.target(request.uri()).map_err(NoAnswer::NotSent)?;
        *request.uri_mut() = target;
        // The version is each hop's own, and so is the host.
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().remove(HOST);
        without_hop_by_hop(request.headers_mut());
        let mut response = client.request(request).await.map_err(|error| {
            if let Some(why) = CertificateFault::among(&error) {
                return NoAnswer::Untrusted(why);
            }
            let words = in_words(&error);
            if error.is_connect() { NoAnswer::NotSent(words) } else { NoAnswer::Lost(words) }
        })?;
        *response.version_mut() = Version::HTTP_11;
        without_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// Makes a call, if its body can leave in time, and waits for the whole answer, no longer than
    /// this. Gives also when the body left; of a call without one that is not known.
    pub(crate) async fn exchange(
        &self,
        request: Request<Bytes>,
        leave_by: LeaveBy,
        patience: Duration,
    ) -> (Option<Instant>, Result<Whole, NoAnswer>) {
        let (head, bytes) = request.into_parts();
        let has_body = !bytes.is_empty();
        let (body, left_at) = DeadlineBody::new(bytes, leave_by);
        let request = Request::from_parts(head, body.boxed_unsync());
        let asking = async {
            let response = self.send(&self.calls, request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await;
            let body =
                body.map_err(|error| NoAnswer::Lost(format!("the answer broke off: {error}")))?;
            let mut headers = head.headers;
            let body = decoded(&mut headers, body.to_bytes()).map_err(NoAnswer::Lost)?;
            Ok(Whole { status: head.status, headers, body })
        };
        let too_late = async {
            while !leave_by.is_over() {
                // Slept by a clock that stands still while the machine sleeps, so that it is asked
                // again.
                tokio::time::sleep(leave_by.remaining() + Duration::from_millis(1)).await;
            }
            if !has_body || left_at.get().is_some() {
                std::future::pending::<()>().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout(patience, asking) => answer.unwrap_or(Err(NoAnswer::Late)),
            // A connection that does not take the body would not say so.
            () = too_late => Err(NoAnswer::Late),
        };
        // Asked in this order: what has not left by then never does, not all of it.
        let is_over = leave_by.is_over();
        match (left_at.get(), answer) {
            said @ (_, Err(NoAnswer::Untrusted(_))) => said,
            (None, Err(_)) if has_body && is_over => {
                (None, Err(NoAnswer::NotSent("the call could not leave in time".to_owned())))
            }
            said => said,
        }
    }

    /// Where a target of a caller's is at Marketo's.
    fn target(&self, uri: &Uri) -> Result<Uri, String> {
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (origin, rest) = match target.strip_prefix("/identity") {
            Some(rest) if rest.starts_with('/') => (&self.identity, rest),
            _ => (&self.base, target),
        };
        origin.address(format!("{}{rest}", origin.prefix))
    }
}

/// A pool of connections that come about within this time, each of which buffers no more than this
/// before it is sent or read.
fn connections(
    connector: Connector,
    within: Duration,
    buffer: Option<usize>,
) -> Result<Connections, String> {
    let mut client = Client::builder(TokioExecutor::new());
    if let Some(buffer) = buffer {
        client.http1_max_buf_size(buffer);
    }
    Ok(client
        .pool_timer(TokioTimer::new())
        // Marketo's own servers close idle connections; one that is not used for a while is not
        // trusted.
        .pool_idle_timeout(Duration::from_secs(20))
        .http1_preserve_header_case(true)
        .build(InTime::new(tls(connector)?, within)))
}

/// Speaks TLS over what a connector makes where the address asks for it, with the system's
/// certificates.
fn tls<C>(connector: C) -> Result<HttpsConnector<C>, String> {
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("the system's certificates cannot be read: {error}"))?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

impl Origin {
    fn of(url: &Url) -> Result<Self, String> {
        let uri: Uri =
            url.as_str().parse().map_err(|error| format!("`{url}` cannot be used: {error}"))?;
        let missing = || format!("`{url}` has no host");
        Ok(Self {
            scheme: uri.scheme().cloned().ok_or_else(missing)?,
            authority: uri.authority().cloned().ok_or_else(missing)?,
            prefix: url.path().trim_end_matches('/').to_owned(),
        })
    }

    fn address(&self, target: String) -> Result<Uri, String> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .map_err(|_unshown| "the target is no path".to_owned())
    }
}

/// Takes out what concerns the hop that a message came by.
pub(crate) fn without_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| name != CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The body of an answer, unpacked where it came compressed; then its headers say so no more.
fn decoded(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, String> {
    if headers.get(CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes() != b"gzip") {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let limit = ANSWER_BYTES as u64 + 1;
    flate2::read::MultiGzDecoder::new(&*body)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|error| format!("the answer cannot be unpacked: {error}"))?;
    if plain.len() > ANSWER_BYTES {
        return Err("the answer is too large".to_owned());
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(plain.into())
}

#[cfg(test)]
mod tests;
