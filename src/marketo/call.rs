//! One call of the API, before it is sent: verb, target, body, and how long Marketo lets it run.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request};
use url::{Url, form_urlencoded};

use super::meaning::Kind;

/// Longer URIs are refused with 414 from 8 KB on; such a query travels in a form body.
const URI_BYTES: usize = 7_000;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Body,
    /// How long Marketo lets it run.
    pub(super) limit: Duration,
    /// Whether a success without a result is no answer: what is missing from a list of leads counts
    /// as gone.
    pub(super) needs_result: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    /// None at all, and said so: Marketo answers 400 to a POST without a length.
    Empty,
    Json(Vec<u8>),
    /// As somebody else wrote it; the path then is the whole target, byte for byte.
    Given(Bytes),
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Read,
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: Body::Empty,
            limit: Duration::from_secs(30),
            needs_result: false,
        }
    }

    pub(super) fn post(path: impl Into<String>, body: Body, limit: Duration) -> Self {
        Self { kind: Kind::Write, method: Method::POST, body, limit, ..Self::get(path) }
    }

    /// A write in the words of somebody else.
    pub(super) fn given(method: Method, target: String, body: Bytes, limit: Duration) -> Self {
        Self { method, ..Self::post(target, Body::Given(body), limit) }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    #[must_use]
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// A success without a result is not taken for an empty one: it is asked for again, and is an
    /// error in the end.
    #[must_use]
    pub(super) fn needing_result(mut self) -> Self {
        self.needs_result = true;
        self
    }

    /// As errors and log lines name it: without the query, which may hold people's data.
    pub(super) fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// As it leaves, with these headers beside its own.
    pub(super) fn request(&self, headers: HeaderMap) -> Result<Request<Bytes>, String> {
        let (mut method, mut target) = (self.method.clone(), self.path.clone());
        let (mut body, mut content_type) = (Bytes::new(), None);
        match &self.body {
            Body::Given(given) => body = given.clone(),
            Body::Empty | Body::Json(_) => {
                let query = self.query();
                if let Body::Json(json) = &self.body {
                    (body, content_type) = (json.clone().into(), Some("application/json"));
                }
                target = escaped(&target);
                if self.kind == Kind::Read && query.len() > URI_BYTES {
                    target.push_str("?_method=GET");
                    (method, body) = (Method::POST, query.into());
                    content_type = Some("application/x-www-form-urlencoded");
                } else if !query.is_empty() {
                    target = format!("{target}?{query}");
                }
            }
        }
        let is_empty_post = method == Method::POST && body.is_empty();
        let mut request = Request::new(body);
        *request.uri_mut() =
            target.parse().map_err(|_unshown| "the target is no path".to_owned())?;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        if method == Method::GET {
            headers.remove(CONTENT_TYPE);
        } else if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if is_empty_post {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.method_mut() = method;
        Ok(request)
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// A path with what no path may hold escaped.
fn escaped(path: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost") else { return path.to_owned() };
    url.set_path(path);
    url.path().to_owned()
}
