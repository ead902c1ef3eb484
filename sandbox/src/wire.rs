//! How a call's answer goes over the wire, or does not.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::CONTENT_TYPE;

use super::answer::Rendered;

/// How a call ends on the wire.
pub(super) enum Ending {
    Whole(Rendered),
    /// Half of the body, and then the line is cut.
    Half(Rendered),
    Cut,
}

/// Why a connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cuts the line")]
pub(super) struct Cut;

pub(super) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Cut>;

/// A page of HTML.
pub(super) fn html(status: u16, title: &str) -> Rendered {
    let body = format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    );
    Rendered { status, content_type: "text/html", headers: Vec::new(), body: body.into_bytes() }
}

/// A status alone.
pub(super) fn bare(status: u16) -> Rendered {
    Rendered { status, content_type: "text/plain", headers: Vec::new(), body: Vec::new() }
}

/// Half of the body, as if it were all.
pub(super) fn truncated(mut rendered: Rendered) -> Rendered {
    rendered.body.truncate(rendered.body.len() / 2);
    rendered
}

/// The whole answer.
pub(super) fn respond(rendered: Rendered) -> hyper::Response<Body> {
    let Rendered { status, content_type, headers, body } = rendered;
    let full =
        Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync();
    build(status, content_type, &headers, full)
}

/// Announces the whole body, sends half of it, and cuts the line.
pub(super) fn respond_half(rendered: Rendered) -> hyper::Response<Body> {
    let Rendered { status, content_type, mut headers, body } = rendered;
    headers.push(("content-length", body.len().to_string()));
    let mut half = body;
    half.truncate(half.len() / 2);
    let sent = futures::stream::once(async { Ok(Frame::data(Bytes::from(half))) });
    // Hyper writes what it has when there is nothing more to be had; without a pause the cut would
    // swallow the half.
    let cut = futures::stream::once(async {
        tokio::task::yield_now().await;
        Err(Cut)
    });
    let frames = futures::StreamExt::chain(sent, cut);
    build(status, content_type, &headers, StreamBody::new(frames).boxed_unsync())
}

fn build(
    status: u16,
    content_type: &str,
    headers: &[(&'static str, String)],
    body: Body,
) -> hyper::Response<Body> {
    let mut response = hyper::Response::builder()
        .status(status)
        .header("server", "nginx")
        .header(CONTENT_TYPE, content_type);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    // Every status and header here is one of ours and well-formed.
    response.body(body).unwrap_or_else(|_| {
        hyper::Response::new(
            Full::default().map_err(|never: Infallible| match never {}).boxed_unsync(),
        )
    })
}
