//! Answers: each under the same strict headers, a refusal in words that a person can act on.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::review::card::Card;

/// Only what this server hands out itself, in no frame, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

pub(super) fn html(status: StatusCode, page: String) -> Response<Full<Bytes>> {
    answer(status, "text/html; charset=utf-8", page.into())
}

pub(super) fn style(text: &'static str) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, "text/css; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

pub(super) fn script(text: &'static str) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, "text/javascript; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

pub(super) fn json(document: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(document) {
        Ok(body) => answer(StatusCode::OK, "application/json", body.into()),
        Err(error) => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    words: String,
    /// The groups that it is about, as they are by now.
    cards: Vec<Card>,
    /// Whether a person sees it as a page of its own.
    is_page: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), cards: Vec::new(), is_page: false }
    }

    /// Somebody decided about these groups after the page had shown them.
    pub(super) fn stale(words: String, cards: Vec<Card>) -> Self {
        Self { cards, ..Self::new(StatusCode::CONFLICT, words) }
    }

    pub(super) fn forbidden(words: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, words)
    }

    /// A refusal as a page of its own; its words are ours.
    pub(super) fn page(words: &'static str) -> Self {
        Self { is_page: true, ..Self::forbidden(words) }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let Self { status, words, cards, is_page } = self;
        if is_page {
            let page = format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
                 <title>Not from here</title><h1>This page cannot be used from here</h1>\
                 <p>{words}</p></html>\n"
            );
            return html(status, page);
        }
        let mut body = serde_json::json!({ "error": words });
        if let Some(body) = body.as_object_mut().filter(|_| !cards.is_empty()) {
            body.insert("cards".to_owned(), serde_json::json!(cards));
        }
        let body = body.to_string();
        answer(status, "application/json", body.into())
    }
}
