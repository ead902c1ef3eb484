//! What is counted, and shown to Prometheus under `/-/metrics`. No label holds anything of a person.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use serde_json::Value;

use crate::marketo::Kind;

/// The counters, shared by all tasks.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    writes: Family<ByOutcome, Counter>,
    batches: Histogram,
    coalesced: Counter,
    prevented: Counter,
    create_duplicate: Counter,
    unclear: Counter,
    broken_off: Counter,
    too_many: Counter,
    passed: Family<ByStatus, Counter>,
    upstream: Family<ByKind, Histogram>,
    queue: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    calls_today: Gauge,
    budget: Gauge,
}

/// How a record's write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ended {
    Created,
    Updated,
    Skipped,
    Refused,
    Open,
}

impl EncodeLabelValue for Ended {
    /// In small letters, as Marketo writes a status.
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Open => "open",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: Arc<str>,
}

/// What stands at the moment of looking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) queue: usize,
    pub(super) oldest: Duration,
    pub(super) calls_today: u64,
    pub(super) budget: u64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            writes: Family::default(),
            batches: Histogram::new([1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0]),
            coalesced: Counter::default(),
            prevented: Counter::default(),
            create_duplicate: Counter::default(),
            unclear: Counter::default(),
            broken_off: Counter::default(),
            too_many: Counter::default(),
            passed: Family::default(),
            upstream: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 2.0, 14))),
            queue: Gauge::default(),
            oldest: Gauge::default(),
            calls_today: Gauge::default(),
            budget: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("mkto_guard");
        metrics.register_writes(&mut registry);
        metrics.register_calls(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register_writes(&self, registry: &mut Registry) {
        registry.register("records", "Records of lead writes by how they ended", self.writes.clone());
        registry.register("batch_records", "Records in each call that was written", self.batches.clone());
        registry.register(
            "coalesced",
            "Records that left as a part of another of their key",
            self.coalesced.clone(),
        );
        registry.register(
            "races_prevented",
            "Records that came while another write of their key was under way, and waited for it",
            self.prevented.clone(),
        );
        registry.register(
            "create_duplicate",
            "Records that were sent by createDuplicate",
            self.create_duplicate.clone(),
        );
        registry.register(
            "unclear",
            "Records whose answer was lost, and that were settled by looking",
            self.unclear.clone(),
        );
        registry.register(
            "broken_off",
            "Records whose outcome is open by a fault of the guard, which the log tells of",
            self.broken_off.clone(),
        );
        registry.register("queue_records", "Records that wait for their call", self.queue.clone());
        registry.register_with_unit(
            "queue_oldest",
            "How long the first of them has waited",
            Unit::Seconds,
            self.oldest.clone(),
        );
    }

    fn register_calls(&self, registry: &mut Registry) {
        registry.register(
            "too_many",
            "Calls that Marketo turned away with 606 or 615",
            self.too_many.clone(),
        );
        registry.register(
            "passed",
            "Requests that passed through, by Marketo's HTTP status",
            self.passed.clone(),
        );
        registry.register_with_unit(
            "upstream",
            "How long Marketo took to answer",
            Unit::Seconds,
            self.upstream.clone(),
        );
        registry.register(
            "quota_used",
            "Calls made today, or since the guard was started today",
            self.calls_today.clone(),
        );
        registry.register(
            "quota_budget",
            "Calls that it may make a day (limits.daily_calls)",
            self.budget.clone(),
        );
    }

    /// The page of Prometheus.
    pub(super) fn page(&self, standing: Standing) -> String {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.queue.set(whole(standing.queue as u64));
        self.oldest.set(standing.oldest.as_secs_f64());
        self.calls_today.set(whole(standing.calls_today));
        self.budget.set(whole(standing.budget));
        let mut page = String::new();
        // Writing to a text cannot fail; a page that is not whole would be no page at all.
        encode(&mut page, &self.registry).map_or_else(|_| String::new(), |()| page)
    }

    /// Records that one row of Marketo's stands for.
    pub(super) fn written(&self, row: &Value, records: usize) {
        let outcome = match row.get("status").and_then(Value::as_str) {
            Some("created") => Ended::Created,
            Some("updated") => Ended::Updated,
            _ => Ended::Skipped,
        };
        let others = (records as u64).saturating_sub(1);
        if outcome == Ended::Created {
            self.count(Ended::Created, 1);
            self.count(Ended::Updated, others);
        } else {
            self.count(outcome, records as u64);
        }
        self.coalesced.inc_by(others);
    }

    pub(super) fn refused(&self, records: usize) {
        self.count(Ended::Refused, records as u64);
    }

    pub(super) fn open(&self, records: usize) {
        self.count(Ended::Open, records as u64);
    }

    pub(super) fn batch(&self, records: usize) {
        self.batches.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    }

    pub(super) fn prevented(&self, records: usize) {
        self.prevented.inc_by(records as u64);
    }

    pub(super) fn create_duplicate(&self, records: usize) {
        self.create_duplicate.inc_by(records as u64);
    }

    pub(super) fn unclear(&self, records: usize) {
        self.unclear.inc_by(records as u64);
    }

    pub(super) fn broken_off(&self) {
        self.broken_off.inc();
    }

    pub(super) fn crowded(&self) {
        self.too_many.inc();
    }

    pub(super) fn passed(&self, status: u16) {
        self.passed.get_or_create(&ByStatus { status }).inc();
    }

    pub(super) fn upstream(&self, kind: Kind, took: Duration) {
        let kind = match kind {
            Kind::Read => "read",
            Kind::Write => "write",
        };
        self.upstream.get_or_create(&ByKind { kind: kind.into() }).observe(took.as_secs_f64());
    }

    fn count(&self, outcome: Ended, records: u64) {
        if records > 0 {
            self.writes.get_or_create(&ByOutcome { outcome }).inc_by(records);
        }
    }
}
