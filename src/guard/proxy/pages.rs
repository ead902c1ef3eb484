//! The proxy's own pages, under `/-/`.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;

use super::metrics::Metrics;
use super::origin::Origin;
use super::refusals::Refusals;
use super::response::Answer;
use crate::guard::engine::quota::Quota;
use crate::guard::engine::{Engine, Standing};
use crate::leases::Leases;
use crate::marketo::in_words;

#[derive(Debug)]
pub(super) struct Pages<L> {
    pub(super) leases: Arc<L>,
    pub(super) quota: Arc<Quota<L>>,
    /// None in shadow mode, where nothing waits and nothing is limited.
    pub(super) engine: Option<Arc<Engine<Origin>>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) refusals: Arc<Refusals>,
}

impl<L: Leases> Pages<L> {
    pub(super) async fn page(&self, path: &str, is_stopping: bool) -> Answer {
        match path {
            "/-/healthz" => Answer::http(StatusCode::OK, "ok\n"),
            "/-/readyz" if is_stopping => {
                Answer::http(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
            }
            "/-/readyz" => self.ready().await,
            "/-/metrics" => Answer {
                status: StatusCode::OK,
                content_type: HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                ),
                body: Bytes::from(self.metrics().await),
            },
            _ => Answer::http(
                StatusCode::NOT_FOUND,
                "the guard has /-/healthz, /-/readyz and /-/metrics\n",
            ),
        }
    }

    async fn ready(&self) -> Answer {
        if let Err(error) = self.leases.ready().await {
            tracing::warn!(error = in_words(&error), "not ready");
            let what = "the lease store cannot be reached\n";
            return Answer::http(StatusCode::SERVICE_UNAVAILABLE, what);
        }
        let is_limited = self.engine.is_some();
        match self.quota.why_nothing_leaves().filter(|_| is_limited) {
            None => {
                Answer::http(StatusCode::OK, format!("ready\n{}", self.refusals.refused_token()))
            }
            Some(why) => Answer::http(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }

    async fn metrics(&self) -> String {
        let standing = match &self.engine {
            Some(engine) => engine.standing().await,
            None => Standing::default(),
        };
        self.metrics.page(standing, self.quota.today(), self.quota.portion())
    }
}
