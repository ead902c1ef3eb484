//! What is counted, and shown to Prometheus under `/-/metrics`. No label holds anything of a
//! person.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};

use super::refusals::Refusals;
use crate::guard::engine::quota::Allowance;
use crate::guard::engine::{ApiUser, Event, Observer, Standing};
use crate::marketo::Kind;

/// All metrics, shared by all tasks.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    writes: Writes,
    calls: Calls,
    limits: Limits,
    watched: Watched,
}

/// Of guarded writes.
#[derive(Debug)]
struct Writes {
    records: Family<ByOutcome, Counter>,
    batches: Histogram,
    coalesced: Counter,
    prevented: Counter,
    create_duplicate: Counter,
    in_doubt: Counter,
    broken_off: Counter,
    queue: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

/// Of calls to Marketo.
#[derive(Debug)]
struct Calls {
    too_many: Counter,
    passed: Family<ByStatus, Counter>,
    upstream: Family<ByKind, Histogram>,
    today: Gauge,
    budget: Gauge,
}

/// Of the limits that guards share.
#[derive(Debug)]
struct Limits {
    guards: Gauge,
    calls: Gauge,
    at_once: Gauge,
    nothing_for: Gauge<f64, AtomicU64>,
}

/// What shadow mode saw, by API user: the login of an API-only user, or a name made of the token's
/// hash.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    raced: Family<ByUser, Counter>,
    calls: Family<ByUser, Counter>,
    records: Family<ByUser, Counter>,
    unseen: Family<ByUser, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUser {
    user: String,
}

/// How a record's write ended: in small letters, as Marketo writes a status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

/// The page's metrics while they are made.
struct Page(Registry);

impl Page {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

impl Writes {
    fn new(page: &mut Page) -> Self {
        let sizes = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0];
        let combined = "Records that were combined with another record of the same key";
        let waited = "Records that waited because another write of the same key was under way";
        let lost = "Records whose answer from Marketo was lost; the guard looked them up to learn the outcome";
        let fault = "Records whose outcome is unknown because of a bug in the guard (see its log)";
        let counter = Counter::default;
        Self {
            records: page.add("records", "Records written, by outcome", Family::default()),
            batches: page.add(
                "batch_records",
                "Records in each call that wrote to Marketo",
                Histogram::new(sizes),
            ),
            coalesced: page.add("coalesced", combined, counter()),
            prevented: page.add("races_prevented", waited, counter()),
            create_duplicate: page.add(
                "create_duplicate",
                "Records sent with the action createDuplicate",
                counter(),
            ),
            in_doubt: page.add("unclear", lost, counter()),
            broken_off: page.add("broken_off", fault, counter()),
            queue: page.add("queue_records", "Records waiting to be sent", Gauge::default()),
            oldest: page.seconds(
                "queue_oldest",
                "How long the oldest waiting record has waited",
                Gauge::default(),
            ),
        }
    }

    /// Records that one row of Marketo's stands for: the first created the lead, and the others
    /// updated it.
    fn written(&self, status: &str, records: usize) {
        let others = (records as u64).saturating_sub(1);
        match status {
            "created" => {
                self.count("created", 1);
                self.count("updated", others);
            }
            "updated" => self.count("updated", records as u64),
            _ => self.count("skipped", records as u64),
        }
        self.coalesced.inc_by(others);
    }

    fn count(&self, outcome: &'static str, records: u64) {
        if records > 0 {
            self.records.get_or_create(&ByOutcome { outcome }).inc_by(records);
        }
    }
}

impl Calls {
    fn new(page: &mut Page) -> Self {
        let too_many =
            "Calls that Marketo refused with 606 (rate limit) or 615 (concurrency limit)";
        let passed = "Requests passed through unchanged, by HTTP status of Marketo's answer";
        let took = || Histogram::new(exponential_buckets(0.01, 2.0, 14));
        let took: Family<ByKind, Histogram> = Family::new_with_constructor(took);
        let used = "Calls made today, in Marketo's day (US Central)";
        let budget = "Calls that may be made in a day (limits.daily_calls)";
        Self {
            too_many: page.add("too_many", too_many, Counter::default()),
            passed: page.add("passed", passed, Family::default()),
            upstream: page.seconds("upstream", "How long Marketo took to answer a call", took),
            today: page.add("quota_used", used, Gauge::default()),
            budget: page.add("quota_budget", budget, Gauge::default()),
        }
    }
}

impl Limits {
    fn new(page: &mut Page) -> Self {
        let guards = "Guards that share the limits of this instance";
        let calls = "Calls in a window that this guard may make, of limits.calls";
        let at_once = "Calls that this guard may have in flight, of limits.concurrency";
        let nothing = "How long no call could leave because other guards hold all of the limits; 0 while calls can leave";
        Self {
            guards: page.add("guards", guards, Gauge::default()),
            calls: page.add("part_calls", calls, Gauge::default()),
            at_once: page.add("part_at_once", at_once, Gauge::default()),
            nothing_for: page.seconds("waiting_for_part", nothing, Gauge::default()),
        }
    }
}

impl Watched {
    fn new(page: &mut Page) -> Self {
        let raced = "Shadow mode: records written while another write of the same key was under way, by API user";
        let calls = "Shadow mode: lead writes that passed, by API user";
        let records = "Shadow mode: records in those lead writes, by API user";
        let unseen = "Shadow mode: lead writes whose records were not looked at (too large or compressed), by API user";
        Self {
            raced: page.add("would_have_raced", raced, Family::default()),
            calls: page.add("watched_calls", calls, Family::default()),
            records: page.add("watched_records", records, Family::default()),
            unseen: page.add("unwatched_calls", unseen, Family::default()),
        }
    }

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
}

/// The engine's observer: counts events, and tells the log of refusals.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) metrics: Arc<Metrics>,
    pub(super) refusals: Arc<Refusals>,
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        let (writes, refusals) = (&self.metrics.writes, &self.refusals);
        match *event {
            Event::Waiting(records) => drop(writes.prevented.inc_by(records as u64)),
            Event::Batch(records) => {
                writes.batches.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
            }
            Event::Written { status, records } => writes.written(status, records),
            Event::Refused(records) => writes.count("refused", records as u64),
            Event::Open(records) => writes.count("open", records as u64),
            Event::InDoubt(records) => drop(writes.in_doubt.inc_by(records as u64)),
            // They were counted as waiting, or wait for a guard that counts its own.
            Event::HeldElsewhere => {}
            Event::BrokenOff => drop(writes.broken_off.inc()),
            Event::TooMany => self.metrics.too_many(),
            Event::Answered { kind, took } => self.metrics.answered(kind, took),
            Event::TokenRefused { user, code } => refusals.token_refused(user, code),
            Event::ReadingDenied { user } => refusals.reading_denied(user),
            Event::SeveralLeads { user, key } => refusals.several_have_it(user, key),
        }
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut page = Page(Registry::with_prefix("mkto_guard"));
        Self {
            writes: Writes::new(&mut page),
            calls: Calls::new(&mut page),
            limits: Limits::new(&mut page),
            watched: Watched::new(&mut page),
            registry: page.0,
        }
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
        self.writes.queue.set(whole(queue.waiting as u64));
        self.writes.oldest.set(queue.oldest.as_secs_f64());
        self.calls.today.set(whole(calls_today));
        self.calls.budget.set(whole(budget));
        self.limits.calls.set(whole(allowed.share.calls as u64));
        self.limits.at_once.set(whole(allowed.share.at_once as u64));
        self.limits.guards.set(whole(allowed.guards as u64));
        self.limits.nothing_for.set(allowed.nothing_for.as_secs_f64());
        let mut page = String::new();
        // Writing to a text cannot fail; a page that is not whole would be no page at all.
        encode(&mut page, &self.registry).map_or_else(|_| String::new(), |()| page)
    }

    pub(super) fn create_duplicate(&self, records: usize) {
        self.writes.create_duplicate.inc_by(records as u64);
    }

    pub(super) fn too_many(&self) {
        self.calls.too_many.inc();
    }

    pub(super) fn passed(&self, status: u16) {
        self.calls.passed.get_or_create(&ByStatus { status }).inc();
    }

    /// Marketo took so long to answer a call.
    pub(super) fn answered(&self, kind: Kind, took: Duration) {
        let kind = match kind {
            Kind::Read => "read",
            Kind::Write => "write",
        };
        self.calls.upstream.get_or_create(&ByKind { kind }).observe(took.as_secs_f64());
    }
}
