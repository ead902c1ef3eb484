//! HTTP: connections in, calls through the limits and the faults, answers out.
//!
//! The work of a call runs in a task of its own: a caller that hangs up does not stop it, as it
//! does not stop Marketo's. Hyper is used bare since a framework always answers, and a sandbox must
//! be able to cut the line.

use std::future::Future;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::answer::{Answer, Refused, Rendered, refused};
use super::clock::now;
use super::faults;
use super::instance::Shared;
use super::limits::api_user;
use super::request::Received;
use super::wire::{Body, Cut, Ending, bare, respond, respond_half};

/// Longer URIs are answered with 414, larger bodies with 413.
const URI_BYTES: usize = 8_192;
const BODY_BYTES: usize = 1_048_576;

/// The same for the file of an import.
const IMPORT_BYTES: usize = 10 * 1_048_576;

/// Serves until the shutdown comes; connections under way are dropped then.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        // A connection that failed before it began concerns its caller alone.
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Cut> {
    let ending = match receive(request).await {
        Ok(received) => call(shared, received).await,
        Err(status) => Ending::Whole(bare(status)),
    };
    match ending {
        Ending::Whole(rendered) => Ok(respond(rendered)),
        Ending::Half(rendered) => Ok(respond_half(rendered)),
        Ending::Cut => Err(Cut),
    }
}

async fn receive(request: hyper::Request<Incoming>) -> Result<Received, u16> {
    let (parts, body) = request.into_parts();
    let header =
        |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let path_and_query = parts.uri.path_and_query().map_or("", |both| both.as_str());
    if path_and_query.len() > URI_BYTES {
        return Err(414);
    }
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    let most = if content_type.starts_with("multipart/") { IMPORT_BYTES } else { BODY_BYTES };
    let body = Limited::new(body, most).collect().await.map_err(|_too_large| 413_u16)?.to_bytes();
    Ok(Received {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
        content_type,
        has_length: parts.headers.contains_key(CONTENT_LENGTH),
        authorization: header(AUTHORIZATION),
        range: header(RANGE),
    })
}

async fn call(shared: Arc<Shared>, received: Received) -> Ending {
    if received.path == "/identity/oauth/token" {
        return Ending::Whole(token(&shared, &received));
    }
    let arrived_ms = now().timestamp_millis();
    let request_id = format!("{:x}#{arrived_ms:x}", shared.faults().request_number());
    let endpoint = received.endpoint();
    let user = match let_in(&shared, &received, &endpoint) {
        Ok(user) => user,
        Err(refused) => {
            shared.limits().count_error(&refused.code);
            return Ending::Whole(Answer::from(refused).render(&request_id));
        }
    };
    let drawn = shared.faults().draw(&endpoint);
    let request = (received, user, request_id);
    let work = faults::work(Arc::clone(&shared), request, endpoint, drawn);
    // In a task of its own: a caller that hangs up drops this future, and not the work.
    tokio::spawn(work).await.unwrap_or_else(|_panicked| Ending::Whole(bare(500)))
}

/// Token, then limits. Gives the API user.
fn let_in(shared: &Shared, received: &Received, endpoint: &str) -> Result<String, Refused> {
    if received.query.contains("access_token=") {
        return Err(refused("603", "Access denied: the token belongs in the Authorization header"));
    }
    let user = shared.tokens().check(received.authorization.as_deref(), Instant::now())?;
    shared.limits().enter(Instant::now(), now(), &user, endpoint.to_owned())?;
    Ok(user)
}

fn token(shared: &Shared, received: &Received) -> Rendered {
    let mut given = std::collections::BTreeMap::new();
    for text in [received.query.as_bytes(), received.body.as_slice()] {
        given.extend(url::form_urlencoded::parse(text).into_owned());
    }
    let is = |name: &str, wanted: &str| given.get(name).is_some_and(|value| value == wanted);
    let answer = |status, body: serde_json::Value| Rendered {
        status,
        content_type: "application/json;charset=UTF-8",
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    if !is("grant_type", "client_credentials") {
        return answer(
            400,
            json!({"error": "unsupported_grant_type", "error_description": "Unsupported grant type"}),
        );
    }
    let user = given.get("client_id").and_then(|id| api_user(&shared.client_id, id));
    let Some(user) = user else {
        let description = format!(
            "No client with requested id: {}",
            given.get("client_id").map_or("", String::as_str)
        );
        return answer(401, json!({"error": "invalid_client", "error_description": description}));
    };
    if !is("client_secret", &shared.client_secret) {
        return answer(
            401,
            json!({"error": "unauthorized", "error_description": "Bad client credentials"}),
        );
    }
    let life = shared.options.knobs.token_life();
    let (token, left) = shared.tokens().issue(&user, Instant::now(), life, shared.options.seed);
    answer(
        200,
        json!({"access_token": token, "token_type": "bearer", "expires_in": left, "scope": user}),
    )
}
