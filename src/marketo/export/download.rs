//! The file of an export as it arrives: the one answer of Marketo's that is no envelope, and too
//! large to be held.

use std::time::Duration;

use hyper::body::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE,
};
use reqwest::{Request, Response};
use tokio::time::{Instant, timeout};

use crate::marketo::call::Call;
use crate::marketo::client::MARGIN;
use crate::marketo::envelope::Envelope;
use crate::marketo::failure::{Failure, Reply, describe_transport, failure, not_sent};
use crate::marketo::pacer::Slot;
use crate::marketo::{Client, Error, Result};

/// So long without a byte, in Marketo's time, and the line is taken as cut.
const SILENCE: Duration = Duration::from_secs(60);

/// A file under way. While it lives it is one of the calls that run at once.
#[derive(Debug)]
pub struct Download {
    call: String,
    from: u64,
    response: Response,
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
        match timeout(self.silence, self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(cut(describe_transport(error))),
            Err(_elapsed) => Err(cut("nothing came any more".to_owned())),
        }
    }
}

impl Client {
    /// Opens a file from a byte on. The limits of the API apply to this call as to any other.
    pub(super) async fn download(&self, call: &Call, from: u64) -> Result<Option<Download>> {
        let silence = self.patience(SILENCE + MARGIN);
        self.until_settled(call, |token, slot| async move {
            let request = match self.request(call, &token) {
                Ok(request) => ranged(request, from),
                Err(what) => return Err(not_a_file(call, Reply::NotSent(what))),
            };
            match timeout(silence, self.execute(request)).await {
                Ok(Ok(response)) => answered(call, response, from, silence, slot).await,
                Ok(Err(error)) if error.is_connect() => Err(not_a_file(call, not_sent(error))),
                Ok(Err(error)) => Err(not_a_file(call, Reply::Lost(describe_transport(error)))),
                Err(_elapsed) => Err(not_a_file(call, Reply::Lost("no answer in time".to_owned()))),
            }
        })
        .await
    }
}

/// A request for the rest of a file, as long as that may take, and in the very bytes that the
/// checksum is of.
fn ranged(mut request: Request, from: u64) -> Request {
    *request.timeout_mut() = None;
    let headers = request.headers_mut();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if from > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes={from}-"))
    {
        headers.insert(RANGE, range);
    }
    request
}

/// The file that came; none where there is no file (404 in plain text: not ready, unknown, or no
/// longer kept).
async fn answered(
    call: &Call,
    response: Response,
    from: u64,
    silence: Duration,
    slot: Slot,
) -> Result<Option<Download>, Failure> {
    let status = response.status().as_u16();
    let begins = match status {
        200 => Some(0),
        206 => begins_at(response.headers()).filter(|first| *first == from),
        _ => {
            // What cannot be read says no more than the status does.
            let body =
                timeout(silence, response.bytes()).await.map_or_else(|_elapsed| None, Result::ok);
            let envelope = body.and_then(|body| serde_json::from_slice::<Envelope>(&body).ok());
            let refused = envelope.as_ref().is_some_and(|envelope| envelope.error().is_some());
            if status == 404 && !refused {
                return Ok(None);
            }
            return Err(not_a_file(call, Reply::Status(status, envelope)));
        }
    };
    if let Some(from) = begins
        && is_file(response.headers())
    {
        return Ok(Some(Download { call: call.name(), from, response, silence, _slot: slot }));
    }
    if is_file(response.headers()) {
        // A part that begins elsewhere; it may be as large as the file, and is not read.
        return Err(not_a_file(
            call,
            Reply::NotAnEnvelope("another part of the file than was asked for".to_owned()),
        ));
    }
    // Refusals come in place of the file, as an envelope.
    let body = match timeout(silence, response.bytes()).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(not_a_file(call, Reply::Lost(describe_transport(error)))),
        Err(_elapsed) => return Err(not_a_file(call, Reply::Lost("no answer in time".to_owned()))),
    };
    Err(not_a_file(
        call,
        match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) if !envelope.success => Reply::Envelope(envelope),
            _ => Reply::NotAnEnvelope(format!("{} bytes that are no file", body.len())),
        },
    ))
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

/// What is wrong, where no file came.
fn not_a_file(call: &Call, reply: Reply) -> Failure {
    failure(call, reply, Instant::now())
}
