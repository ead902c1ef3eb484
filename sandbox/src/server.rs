//! HTTP: connections in, calls through the gate, faults, answers out.
//!
//! The work of a call runs in a task of its own: a caller that hangs up does not stop it, as it
//! does not stop Marketo's. Hyper is used bare since a framework always answers, and a sandbox must
//! be able to cut the line.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Answer, Refused, Rendered, refused};
use super::chance::{Chance, Drawn};
use super::extract::jobs::Jobs;
use super::gate::{Gate, Tokens, api_user};
use super::import::Imports;
use super::meddle::{self, Meddling, Script};
use super::merge::Refusals;
use super::options::{Fault, Options};
use super::request::{Received, Request};
use super::routes;
use super::world::World;

mod wire;

use wire::{Body, Cut, Ending, bare, html, respond, respond_half, truncated};

/// Longer URIs are answered with 414, larger bodies with 413.
const URI_BYTES: usize = 8_192;
const BODY_BYTES: usize = 1_048_576;

/// The same for the file of an import.
const IMPORT_BYTES: usize = 10 * 1_048_576;

/// How long at most the work of a call whose answer was lost still takes, in Marketo's time; its
/// own limit is 90 s.
const LOST_WORK: Duration = Duration::from_secs(60);

/// How long at most a slow call takes, in Marketo's time.
const SLOW: Duration = Duration::from_secs(40);

/// One instance, shared by all its connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    world: Mutex<World>,
    gate: Mutex<Gate>,
    tokens: Mutex<Tokens>,
    chance: Mutex<Chance>,
    jobs: Mutex<Jobs>,
    imports: Mutex<Imports>,
    script: Mutex<Script>,
    refusals: Mutex<Refusals>,
    /// How many there are who hold up the writes that have arrived.
    pub(super) holds: watch::Sender<usize>,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Shared {
    pub(super) fn new(options: Options, world: World) -> Self {
        let gate = Mutex::new(Gate::new(&options));
        let chance = Mutex::new(Chance::new(options.seed, &options.faults));
        let refusals = Refusals::new(options.seed, options.knobs.share("refused_merges"));
        let jobs = Jobs::new(options.daily_export, options.knobs.clock_speed())
            .with_checksums(options.knobs.is("export_checksum", "present"));
        let jobs = Mutex::new(jobs);
        Self {
            client_id: format!("sandbox-client-{}", options.seed),
            client_secret: format!("sandbox-secret-{}", options.seed),
            options,
            world: Mutex::new(world),
            gate,
            tokens: Mutex::default(),
            chance,
            jobs,
            imports: Mutex::default(),
            script: Mutex::default(),
            refusals: Mutex::new(refusals),
            holds: watch::Sender::new(0),
        }
    }

    /// Waits while writes are held up.
    pub(super) async fn let_go(&self) {
        // It fails only where the sender is gone, which is `self`.
        drop(self.holds.subscribe().wait_for(|holds| *holds == 0).await);
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        world.cause = None;
        world
    }

    /// The world, whose changes are this call's.
    pub(super) fn world_for(&self, request: &Request) -> MutexGuard<'_, World> {
        let mut world = self.world();
        world.cause = Some(meddle::cause(request));
        world
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    pub(super) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refusals)
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        lock(&self.gate)
    }

    /// Taken before the world wherever both are.
    pub(super) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Taken before the world wherever both are.
    pub(super) fn imports(&self) -> MutexGuard<'_, Imports> {
        lock(&self.imports)
    }

    pub(super) fn chance(&self) -> MutexGuard<'_, Chance> {
        lock(&self.chance)
    }
}

/// A panic in one call must not end the instance for the others.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The instance's clock: the machine's.
#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox looks at a clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

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
    let request_id = format!("{:x}#{arrived_ms:x}", shared.chance().request_number());
    let endpoint = received.endpoint();
    let user = match let_in(&shared, &received, &endpoint) {
        Ok(user) => user,
        Err(refused) => {
            shared.gate().count_error(&refused.code);
            return Ending::Whole(Answer::from(refused).render(&request_id));
        }
    };
    let drawn = shared.chance().draw(&endpoint);
    let request = (received, user, request_id);
    let work = work(Arc::clone(&shared), request, endpoint, drawn);
    // In a task of its own: a caller that hangs up drops this future, and not the work.
    tokio::spawn(work).await.unwrap_or_else(|_panicked| Ending::Whole(bare(500)))
}

/// Token, then limits. Gives the API user.
fn let_in(shared: &Shared, received: &Received, endpoint: &str) -> Result<String, Refused> {
    if received.query.contains("access_token=") {
        return Err(refused("603", "Access denied: the token belongs in the Authorization header"));
    }
    let user = lock(&shared.tokens).check(received.authorization.as_deref(), Instant::now())?;
    shared.gate().enter(Instant::now(), now(), &user, endpoint.to_owned())?;
    Ok(user)
}

async fn work(
    shared: Arc<Shared>,
    (received, user, request_id): (Received, String, String),
    endpoint: String,
    Drawn { fault, beside }: Drawn,
) -> Ending {
    let _slot = Slot(&shared);
    let takes = match fault {
        Some(Fault::Lost604 | Fault::Lost502 | Fault::LateMerge) => some_time(&shared, LOST_WORK),
        Some(Fault::Slow) => some_time(&shared, SLOW),
        _ => shared.options.answer_delay,
    };
    let path = format!("{} {}", received.method, received.path);
    let request = received.into_request(request_id.clone(), user, takes);
    let say = |code: &'static str, message: &str| {
        shared.gate().count_error(code);
        Ending::Whole(Answer::from(refused(code, message)).render(&request_id))
    };
    match fault {
        Some(Fault::BadGateway) => Ending::Whole(html(502, "Bad Gateway")),
        Some(Fault::ServerError) => Ending::Whole(html(500, "Internal Server Error")),
        Some(Fault::CutBefore) => Ending::Cut,
        Some(Fault::TimedOut) => say("604", "Request timed out"),
        Some(Fault::SystemError) => say("611", "System error"),
        Some(Fault::Rate) => say("606", "Max rate limit '100' exceeded with in '20' secs"),
        Some(Fault::Concurrency) => say("615", "Concurrent access limit reached"),
        Some(Fault::TokenInvalid) => say("601", "Access token invalid"),
        Some(Fault::TokenExpired) => say("602", "Access token expired"),
        Some(fault @ (Fault::Lost604 | Fault::Lost502)) => {
            work_later(Arc::clone(&shared), request, endpoint, path, beside);
            if fault == Fault::Lost604 {
                say("604", "Request timed out")
            } else {
                Ending::Whole(html(502, "Bad Gateway"))
            }
        }
        Some(Fault::IgnoredMerge) => Ending::Whole(Answer::Rows(Vec::new()).render(&request_id)),
        Some(Fault::LateMerge) => {
            work_later(Arc::clone(&shared), request, endpoint, path, beside);
            Ending::Whole(Answer::Rows(Vec::new()).render(&request_id))
        }
        _ => {
            let answer = at_work(&shared, &request, (&endpoint, &path), fault, beside).await;
            if let Some(code) = answer.error_code() {
                shared.gate().count_error(code);
            }
            let rendered = answer.render(&request_id);
            match fault {
                Some(Fault::CutAfter) => Ending::Cut,
                Some(Fault::Html) => Ending::Whole(html(200, "We will be right back")),
                Some(Fault::Truncated) => Ending::Whole(truncated(rendered)),
                Some(Fault::HalfFile) => Ending::Half(rendered),
                _ => Ending::Whole(rendered),
            }
        }
    }
}

/// A call's place among those in flight, given back however it ends.
struct Slot<'a>(&'a Shared);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.gate().leave();
    }
}

/// Does the work of a call, and lets others do meanwhile what they do.
async fn at_work(
    shared: &Shared,
    request: &Request,
    (endpoint, path): (&str, &str),
    fault: Option<Fault>,
    beside: Vec<Fault>,
) -> Answer {
    let due = shared.script().arrive(endpoint, path);
    meddle::perform(shared, endpoint, request, due.before);
    let no_result = beside.contains(&Fault::NoResult);
    *lock(&request.meddling) =
        Meddling { endpoint: endpoint.to_owned(), ordered: due.during, drawn: beside };
    let answer = routes::dispatch(shared, request, endpoint, fault).await;
    // Of a call that reads, or that was refused before it came to it.
    meddle::during(shared, request, &[]);
    meddle::perform(shared, endpoint, request, due.after);
    if no_result { answer.without_result() } else { answer }
}

/// Does the work of a call that was answered already: it has looked up when it arrived, and writes
/// much later.
fn work_later(
    shared: Arc<Shared>,
    request: Request,
    endpoint: String,
    path: String,
    beside: Vec<Fault>,
) {
    tokio::spawn(async move {
        drop(at_work(&shared, &request, (&endpoint, &path), None, beside).await);
    });
}

/// Some part of a span of Marketo's time, on this machine's clock.
fn some_time(shared: &Shared, most: Duration) -> Duration {
    let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let some = Duration::from_millis(most_ms / 4 + shared.chance().below(most_ms * 3 / 4));
    shared.options.knobs.wall(some)
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
    let (token, left) =
        lock(&shared.tokens).issue(&user, Instant::now(), life, shared.options.seed);
    answer(
        200,
        json!({"access_token": token, "token_type": "bearer", "expires_in": left, "scope": user}),
    )
}
