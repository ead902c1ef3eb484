//! The way to Marketo: one connection pool, requests as they came but for what concerns a single
//! hop.
//!
//! Never: follows a redirect, decompresses, adds a header, or logs a target, whose query may hold
//! people's data.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use url::Url;

use super::answer::Body;
use super::prompt::Prompt;
use crate::guard::lease::{LeaveBy, MARGIN};
use crate::marketo::{Untrusted, is_loopback};

mod way;

use way::Way;

/// Answers to writes and look-ups are small; more than this is none.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What a connection for guarded calls gathers: little of a body that is not on the wire yet, and
/// any head of an answer.
const PROMPT_BUFFER: usize = 64 * 1024;

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
pub(super) struct Upstream {
    base: Origin,
    identity: Origin,
    /// For what passes.
    client: Connections,
    /// For calls that are guarded.
    prompt: Connections,
}

type Connections = Client<HttpsConnector<Way>, Body>;

#[derive(Debug, Clone)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    prefix: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// Nothing was sent, and nothing will be: the certificate is not to be trusted.
    Untrusted(Untrusted),
    /// It was sent, and no whole answer came.
    Lost(String),
    /// It was sent, and no answer came in time.
    Late,
}

/// An answer, all of it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Upstream {
    /// Loads the system's certificates; connects to nothing yet.
    pub(super) fn new(base_url: &Url, identity_url: &Url) -> Result<Self, String> {
        let (base, identity) = (Origin::of(base_url)?, Origin::of(identity_url)?);
        let through_proxies = !is_loopback(base_url) && !is_loopback(identity_url);
        let way = Way::new(through_proxies, None)?;
        for origin in [&base, &identity] {
            way.check(&origin.address("/".to_owned())?)?;
        }
        let prompt = connections(Way::new(through_proxies, Some(MARGIN))?, Some(PROMPT_BUFFER))?;
        Ok(Self { base, identity, client: connections(way, None)?, prompt })
    }

    /// Sends a request on, and gives the answer as soon as its head is there.
    pub(super) async fn forward(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        self.send(&self.client, request).await
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
            if let Some(why) = Untrusted::among(&error) {
                return NoAnswer::Untrusted(why);
            }
            let words = in_words(&error);
            if error.is_connect() { NoAnswer::NotSent(words) } else { NoAnswer::Lost(words) }
        })?;
        *response.version_mut() = Version::HTTP_11;
        without_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// Sends a request on, if its body can leave in time, and waits for the whole answer, no longer
    /// than this. Also when the body left.
    pub(super) async fn ask(
        &self,
        request: Request<Bytes>,
        leave_by: LeaveBy,
        patience: Duration,
    ) -> (Option<Instant>, Result<Whole, NoAnswer>) {
        let (head, bytes) = request.into_parts();
        let has_body = !bytes.is_empty();
        let (body, left_at) = Prompt::new(bytes, leave_by);
        let request = Request::from_parts(head, body.boxed_unsync());
        let asking = async {
            let response = self.send(&self.prompt, request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await;
            let body =
                body.map_err(|error| NoAnswer::Lost(format!("the answer broke off: {error}")))?;
            Ok(Whole { status: head.status, headers: head.headers, body: body.to_bytes() })
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

/// A pool of connections, each of which gathers no more than this before it is sent or read.
fn connections(way: Way, buffer: Option<usize>) -> Result<Connections, String> {
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
        .build(tls(way)?))
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
pub(super) fn without_hop_by_hop(headers: &mut HeaderMap) {
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

/// What went wrong on the wire, with its causes.
fn in_words(error: &hyper_util::client::legacy::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push(cause.to_string());
        source = cause.source();
    }
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::Request;
    use hyper::body::Bytes;
    use hyper::header::{HeaderMap, HeaderValue};
    use tokio::io::AsyncReadExt as _;
    use url::Url;

    use super::{NoAnswer, Upstream, Whole, without_hop_by_hop};
    use crate::guard::lease::{LeaveBy, MARGIN};

    #[tokio::test]
    async fn paths_stay_byte_for_byte_and_the_token_endpoint_has_its_own_place() {
        let base = Url::parse("https://base.example.com/tenant/").unwrap();
        let identity = Url::parse("https://id.example.com/identity").unwrap();
        let upstream = Upstream::new(&base, &identity).unwrap();
        let target = |path: &str| upstream.target(&path.parse().unwrap()).unwrap().to_string();
        assert_eq!(
            target("/rest/v1//leads.json?filterValues=O'Brien%2B1@example.com&x=a|b"),
            "https://base.example.com/tenant/rest/v1//leads.json?filterValues=O'Brien%2B1@example.com&x=a|b"
        );
        assert_eq!(
            target("/identity/oauth/token?a=b"),
            "https://id.example.com/identity/oauth/token?a=b"
        );
        assert_eq!(target("/identityx"), "https://base.example.com/tenant/identityx");
    }

    /// What a server got of a call that has to leave by then, and what its sender takes that for.
    async fn sent(leave_by: LeaveBy) -> (String, Result<Whole, NoAnswer>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let upstream = Upstream::new(&base, &base).unwrap();
        let mut request = Request::new(Bytes::from_static(b"{\"input\":[]}"));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = "/rest/v1/leads.json".parse().unwrap();
        let asked =
            tokio::spawn(
                async move { upstream.ask(request, leave_by, Duration::from_secs(20)).await },
            );
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut got = vec![0; 4096];
        let mut length = 0;
        while !got[..length].ends_with(b"}") {
            match connection.read(&mut got[length..]).await.unwrap() {
                0 => break,
                more => length += more,
            }
        }
        drop(connection);
        (String::from_utf8_lossy(&got[..length]).into_owned(), asked.await.unwrap().1)
    }

    #[tokio::test]
    async fn a_call_that_could_not_leave_in_time_does_not_leave_and_is_known_not_to_have() {
        let (got, asked) = sent(LeaveBy::within(MARGIN)).await;
        assert!(
            got.ends_with("{\"input\":[]}") && matches!(asked, Err(NoAnswer::Lost(_))),
            "{asked:?}"
        );
        let leave_by = LeaveBy::within(Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let (got, asked) = sent(leave_by).await;
        assert!(
            !got.contains("input") && matches!(asked, Err(NoAnswer::NotSent(_))),
            "{got} {asked:?}"
        );
    }

    #[tokio::test]
    async fn a_call_that_crawls_out_of_this_machine_never_arrives_whole_after_its_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let upstream = Upstream::new(&base, &base).unwrap();
        let body = vec![b' '; 8 * 1024 * 1024];
        let length = body.len();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = "/rest/v1/leads.json".parse().unwrap();
        let leave_by = LeaveBy::within(Duration::from_millis(200));
        let asking = upstream.ask(request, leave_by, Duration::from_secs(600));
        let taking = async { listener.accept().await.unwrap().0 };
        let ((left_at, asked), mut connection) = tokio::join!(asking, taking);
        assert!(left_at.is_none() && matches!(asked, Err(NoAnswer::NotSent(_))), "{asked:?}");
        // Only now is it taken.
        let mut got = Vec::new();
        // It is cut off one way or the other.
        drop(connection.read_to_end(&mut got).await);
        assert!(got.len() < length, "{} bytes", got.len());
    }

    #[test]
    fn what_concerns_one_hop_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, x-hop"), ("x-hop", "1"), ("te", "trailers"), ("x-end", "2")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        without_hop_by_hop(&mut headers);
        assert_eq!(
            headers.keys().map(hyper::header::HeaderName::as_str).collect::<Vec<_>>(),
            ["x-end"]
        );
    }
}
