//! One call of the API, before it is sent: verb, path, query, body, and how long Marketo lets it
//! run.

use std::time::Duration;

use super::classify::Kind;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) method: &'static str,
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
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Read,
            method: "GET",
            path: path.into(),
            query: Vec::new(),
            body: Body::Empty,
            limit: Duration::from_secs(30),
            needs_result: false,
        }
    }

    pub(super) fn post(path: impl Into<String>, body: Body, limit: Duration) -> Self {
        Self { kind: Kind::Write, method: "POST", body, limit, ..Self::get(path) }
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
        format!("{} {}", self.method, self.path)
    }
}
