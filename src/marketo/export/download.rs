//! The file of an export as it arrives: the one answer of Marketo's that is no envelope, and too
//! large to be held.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use hyper::{Request, Response, StatusCode};
use tokio::time::timeout;

use crate::marketo::call::Call;
use crate::marketo::deadline::MARGIN;
use crate::marketo::error_chain::in_words;
use crate::marketo::failure::{CallFailure, judge};
use crate::marketo::meaning::code_of;
use crate::marketo::pacer::Slot;
use crate::marketo::transport::{Body, NoAnswer, Whole};
use crate::marketo::{Client, Error, InFlight, Moment, Result};

/// The longest refusal that is read in place of a file.
const REFUSAL_BYTES: usize = 1024 * 1024;

/// So long without a byte, in Marketo's time, and the line is taken as cut.
const SILENCE: Duration = Duration::from_secs(60);

/// A file under way. While it lives it is one of the calls that run at once.
#[derive(Debug)]
pub struct Download {
    call: String,
    from: u64,
    body: Incoming,
    silence: Duration,
    _slot: Slot,
}

impl Download {
    /// Which byte comes first: the one that was asked for, or 0 where the server begins anew.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The next piece; none at the end of what the server sends, which is not always the end of the
    /// file. A cut line is an [`Error::Unavailable`], and the rest can be asked for.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let cut = |what| Error::Unavailable { call: self.call.clone(), what, attempts: 1 };
        loop {
            match timeout(self.silence, self.body.frame()).await {
                Ok(None) => return Ok(None),
                // Trailers are no part of the file.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => return Ok(Some(piece)),
                    Err(_trailers) => {}
                },
                Ok(Some(Err(error))) => return Err(cut(in_words(&error))),
                Err(_elapsed) => return Err(cut("nothing came any more".to_owned())),
            }
        }
    }
}

impl Client {
    /// Opens a file from a byte on. The limits of the API apply to this call as to any other.
    pub(super) async fn download(&self, call: &Call, from: u64) -> Result<Option<Download>> {
        let silence = self.patience(SILENCE + MARGIN);
        let own = self.own();
        let opened = own.until_settled(|headers, slot| async move {
            let left = Moment::now();
            let answer = match call.request(headers) {
                Ok(request) => {
                    let sent = self.transport().forward(ranged(request, from));
                    timeout(silence, sent).await.unwrap_or(Err(NoAnswer::Late))
                }
                Err(what) => Err(NoAnswer::NotSent(what)),
            };
            let in_flight = InFlight::begun_at(left.instant(), call.limit, self.clock());
            let not_a_file = |reply| match judge(call, (left, in_flight), reply) {
                Ok(_success) => {
                    CallFailure::unavailable("an answer in place of the file".to_owned())
                }
                Err(failure) => failure,
            };
            match answer {
                Ok(response) => match opened(call, response, from, (silence, slot)).await {
                    Opened::File(download) => Ok(Some(download)),
                    Opened::Nothing => Ok(None),
                    Opened::NoFile(reply) => Err(not_a_file(reply)),
                },
                Err(why) => Err(not_a_file(Err(why))),
            }
        });
        opened.await.map_err(|failure| self.error(call.name(), failure))
    }
}

/// What came when a file was asked for.
enum Opened {
    File(Download),
    /// There is none: not ready, unknown, or no longer kept (404 in plain text).
    Nothing,
    /// Something else.
    NoFile(std::result::Result<Whole, NoAnswer>),
}

/// A request for the rest of a file, in the very bytes that the checksum is of.
fn ranged(request: Request<Bytes>, from: u64) -> Request<Body> {
    let mut request =
        request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
    let headers = request.headers_mut();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if from > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes={from}-"))
    {
        headers.insert(RANGE, range);
    }
    request
}

async fn opened(
    call: &Call,
    response: Response<Incoming>,
    from: u64,
    (silence, slot): (Duration, Slot),
) -> Opened {
    let status = response.status();
    let has_file = is_file(response.headers());
    let begins = match status {
        StatusCode::OK => Some(0),
        StatusCode::PARTIAL_CONTENT => begins_at(response.headers()).filter(|first| *first == from),
        _ => None,
    };
    if let Some(from) = begins
        && has_file
    {
        let body = response.into_body();
        return Opened::File(Download { call: call.name(), from, body, silence, _slot: slot });
    }
    if has_file && matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        // A part that begins elsewhere; it may be as large as the file, and is not read.
        return Opened::NoFile(Err(NoAnswer::Lost(
            "another part of the file than was asked for".to_owned(),
        )));
    }
    let (head, body) = response.into_parts();
    let body = match timeout(silence, Limited::new(body, REFUSAL_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        // What cannot be read says no more than the status does.
        _ if status != StatusCode::OK => Bytes::new(),
        Ok(Err(error)) => return Opened::NoFile(Err(NoAnswer::Lost(in_words(&*error)))),
        Err(_elapsed) => return Opened::NoFile(Err(NoAnswer::Late)),
    };
    if status == StatusCode::NOT_FOUND && code_of(&body).is_none() {
        return Opened::Nothing;
    }
    Opened::NoFile(Ok(Whole { status, headers: head.headers, body }))
}

/// The first byte that `Content-Range: bytes a-b/total` announces.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// Whether what comes is a file, and neither an envelope nor a page of a gateway's.
fn is_file(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    !kind.contains("json") && !kind.contains("html")
}
