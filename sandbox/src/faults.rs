//! The work of a call, and what goes wrong with it: before the work, in its place, or after it.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, refused};
use super::instance::Shared;
use super::meddle;
use super::meddle::screens::Meddling;
use super::options::Fault;
use super::request::{Received, Request};
use super::routes;
use super::wire::{Ending, html, truncated};

pub(super) mod draw;

use draw::Drawn;

/// How long at most the work of a call whose answer was lost still takes, in Marketo's time; its
/// own limit is 90 s.
const LOST_WORK: Duration = Duration::from_secs(60);

/// How long at most a slow call takes, in Marketo's time.
const SLOW: Duration = Duration::from_secs(40);

/// Does what a call is for, or lets it go wrong in the way that was drawn; how it ends.
pub(super) async fn work(
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
        shared.limits().count_error(code);
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
                shared.limits().count_error(code);
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
        self.0.limits().leave();
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
    *request.meddling.lock() =
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
    let some = Duration::from_millis(most_ms / 4 + shared.faults().below(most_ms * 3 / 4));
    shared.options.knobs.wall(some)
}
