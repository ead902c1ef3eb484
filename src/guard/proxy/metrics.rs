//! What is counted, and shown to Prometheus under `/-/metrics`. No label holds anything of a
//! person.

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

use super::refusals::Refusals;
use crate::guard::engine::quota::Allowance;
use crate::guard::engine::{ApiUser, Event, Observer, Standing};
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
    part_calls: Gauge,
    part_at_once: Gauge,
    guards: Gauge,
    no_part: Gauge<f64, AtomicU64>,
    watched: Watched,
}

/// What shadow mode saw, by API user: the login of an API-only user, or a name made of the token's
/// hash.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    calls: Family<ByUser, Counter>,
    records: Family<ByUser, Counter>,
    raced: Family<ByUser, Counter>,
    unseen: Family<ByUser, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUser {
    user: String,
}

impl Watched {
    /// A call was looked at.
    pub(super) fn count(&self, user: &ApiUser, records: u64, raced: u64) {
        let user = ByUser { user: user.to_string() };
        self.calls.get_or_create(&user).inc();
        self.records.get_or_create(&user).inc_by(records);
        // Also where it is none: a rate needs a beginning.
        self.raced.get_or_create(&user).inc_by(raced);
    }

    /// A call passed that could not be looked at.
    pub(super) fn count_unseen(&self, user: &ApiUser) {
        self.unseen.get_or_create(&ByUser { user: user.to_string() }).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "would_have_raced",
            "Shadow mode: records written while another write of the same key was under way, by API user",
            self.raced.clone(),
        );
        registry.register(
            "watched_calls",
            "Shadow mode: lead writes that passed, by API user",
            self.calls.clone(),
        );
        registry.register(
            "watched_records",
            "Shadow mode: records in those lead writes, by API user",
            self.records.clone(),
        );
        registry.register(
            "unwatched_calls",
            "Shadow mode: lead writes whose records were not looked at (too large or compressed), by API user",
            self.unseen.clone(),
        );
    }
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

/// The engine's observer: counts events, and tells the log of refusals.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) metrics: Arc<Metrics>,
    pub(super) refusals: Arc<Refusals>,
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        let metrics = &self.metrics;
        match *event {
            Event::Waiting(records) => drop(metrics.prevented.inc_by(records as u64)),
            Event::Batch(records) => {
                metrics.batches.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
            }
            Event::Written { status, records } => metrics.written(status, records),
            Event::Refused(records) => metrics.count(Ended::Refused, records as u64),
            Event::Open(records) => metrics.count(Ended::Open, records as u64),
            Event::InDoubt(records) => drop(metrics.unclear.inc_by(records as u64)),
            // They were counted as waiting, or wait for a guard that counts its own.
            Event::HeldElsewhere => {}
            Event::BrokenOff => drop(metrics.broken_off.inc()),
            Event::TooMany => metrics.crowded(),
            Event::Answered { kind, took } => metrics.upstream(kind, took),
            Event::TokenRefused { user, code } => self.refusals.token_refused(user, code),
            Event::ReadingDenied { user } => self.refusals.reading_denied(user),
            Event::SeveralLeads { user, key } => self.refusals.several_have_it(user, key),
        }
    }
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
            upstream: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.01, 2.0, 14))
            }),
            queue: Gauge::default(),
            oldest: Gauge::default(),
            calls_today: Gauge::default(),
            budget: Gauge::default(),
            part_calls: Gauge::default(),
            part_at_once: Gauge::default(),
            guards: Gauge::default(),
            no_part: Gauge::default(),
            watched: Watched::default(),
        };
        let mut registry = Registry::with_prefix("mkto_guard");
        metrics.register_writes(&mut registry);
        metrics.register_calls(&mut registry);
        metrics.register_limits(&mut registry);
        metrics.watched.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register_writes(&self, registry: &mut Registry) {
        registry.register("records", "Records written, by outcome", self.writes.clone());
        registry.register(
            "batch_records",
            "Records in each call that wrote to Marketo",
            self.batches.clone(),
        );
        registry.register(
            "coalesced",
            "Records that were combined with another record of the same key",
            self.coalesced.clone(),
        );
        registry.register(
            "races_prevented",
            "Records that waited because another write of the same key was under way",
            self.prevented.clone(),
        );
        registry.register(
            "create_duplicate",
            "Records sent with the action createDuplicate",
            self.create_duplicate.clone(),
        );
        registry.register(
            "unclear",
            "Records whose answer from Marketo was lost; the guard looked them up to learn the outcome",
            self.unclear.clone(),
        );
        registry.register(
            "broken_off",
            "Records whose outcome is unknown because of a bug in the guard (see its log)",
            self.broken_off.clone(),
        );
        registry.register("queue_records", "Records waiting to be sent", self.queue.clone());
        registry.register_with_unit(
            "queue_oldest",
            "How long the oldest waiting record has waited",
            Unit::Seconds,
            self.oldest.clone(),
        );
    }

    fn register_calls(&self, registry: &mut Registry) {
        registry.register(
            "too_many",
            "Calls that Marketo refused with 606 (rate limit) or 615 (concurrency limit)",
            self.too_many.clone(),
        );
        registry.register(
            "passed",
            "Requests passed through unchanged, by HTTP status of Marketo's answer",
            self.passed.clone(),
        );
        registry.register_with_unit(
            "upstream",
            "How long Marketo took to answer a call",
            Unit::Seconds,
            self.upstream.clone(),
        );
        registry.register(
            "quota_used",
            "Calls made today, in Marketo's day (US Central)",
            self.calls_today.clone(),
        );
        registry.register(
            "quota_budget",
            "Calls that may be made in a day (limits.daily_calls)",
            self.budget.clone(),
        );
    }

    fn register_limits(&self, registry: &mut Registry) {
        registry.register(
            "guards",
            "Guards that share the limits of this instance",
            self.guards.clone(),
        );
        registry.register(
            "part_calls",
            "Calls in a window that this guard may make, of limits.calls",
            self.part_calls.clone(),
        );
        registry.register(
            "part_at_once",
            "Calls that this guard may have in flight, of limits.concurrency",
            self.part_at_once.clone(),
        );
        registry.register_with_unit(
            "waiting_for_part",
            "How long no call could leave because other guards hold all of the limits; 0 while calls can leave",
            Unit::Seconds,
            self.no_part.clone(),
        );
    }

    /// The counters of shadow mode.
    pub(super) fn watched(&self) -> Watched {
        self.watched.clone()
    }

    /// The page of Prometheus.
    pub(super) fn page(
        &self,
        queue: Standing,
        calls_today: u64,
        budget: u64,
        allowed: Allowance,
    ) -> String {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.queue.set(whole(queue.waiting as u64));
        self.oldest.set(queue.oldest.as_secs_f64());
        self.calls_today.set(whole(calls_today));
        self.budget.set(whole(budget));
        self.part_calls.set(whole(allowed.share.calls as u64));
        self.part_at_once.set(whole(allowed.share.at_once as u64));
        self.guards.set(whole(allowed.guards as u64));
        self.no_part.set(allowed.nothing_for.as_secs_f64());
        let mut page = String::new();
        // Writing to a text cannot fail; a page that is not whole would be no page at all.
        encode(&mut page, &self.registry).map_or_else(|_| String::new(), |()| page)
    }

    /// Records that one row of Marketo's stands for.
    fn written(&self, status: &str, records: usize) {
        let outcome = match status {
            "created" => Ended::Created,
            "updated" => Ended::Updated,
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

    pub(super) fn create_duplicate(&self, records: usize) {
        self.create_duplicate.inc_by(records as u64);
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
