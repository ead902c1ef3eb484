//! The metrics for Prometheus under `/-/metrics`, counted as the engine's observer. No label holds
//! anything of a person.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};
use tokio::time::Instant;

use super::refusals::Refusals;
use crate::guard::engine::quota::Portion;
use crate::guard::engine::{ApiUser, Event, Observer, Standing};
use crate::guard::race_counts::Counts;
use crate::marketo::Kind;

/// The one label of a metric, and its value.
type Label = [(&'static str, Cow<'static, str>); 1];
type Counters = Family<Label, Counter>;
type Number = Gauge<u64, AtomicU64>;
type Seconds = Gauge<f64, AtomicU64>;

/// All metrics, shared by all tasks.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    // Of guarded writes.
    records: Counters,
    batches: Histogram,
    coalesced: Counter,
    prevented: Counter,
    pub(super) create_duplicate: Counter,
    in_doubt: Counter,
    broken_off: Counter,
    queue: Number,
    oldest: Seconds,
    // Of calls to Marketo.
    pub(super) too_many: Counter,
    passed: Counters,
    upstream: Family<Label, Histogram>,
    today: Number,
    budget: Number,
    // Of the limits that guards share.
    guards: Number,
    calls: Number,
    at_once: Number,
    nothing_for: Seconds,
    // What shadow mode saw, by API user: the login of an API-only user, or a name made of the
    // token's hash.
    raced: Counters,
    watched_calls: Counters,
    watched_records: Counters,
    unwatched_calls: Counters,
    /// Told of in the log, and by `readyz`.
    pub(super) refusals: Refusals,
}

struct Page(Registry);

impl Page {
    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.with(name, help, M::default())
    }

    fn with<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

impl Observer for Metrics {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Waiting(records) => drop(self.prevented.inc_by(records as u64)),
            Event::Batch(records) => {
                self.batches.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
            }
            Event::Written { status, records } => self.written(status, records),
            Event::Refused(records) => self.count("refused", records as u64),
            Event::Open(records) => self.count("open", records as u64),
            Event::InDoubt(records) => drop(self.in_doubt.inc_by(records as u64)),
            // They were counted as waiting, or wait for a guard that counts its own.
            Event::HeldElsewhere => {}
            Event::BrokenOff => drop(self.broken_off.inc()),
            Event::TooMany => drop(self.too_many.inc()),
            Event::Answered { kind, took } => self.answered(kind, took),
            Event::TokenRefused { user, code } => self.refusals.token_refused(user, code),
            Event::ReadingDenied { user } => self.refusals.reading_denied(user),
            Event::SeveralLeads { user, key } => self.refusals.several_have_it(user, key),
        }
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut page = Page(Registry::with_prefix("mkto_guard"));
        let sizes = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0];
        let sent = "Records in each call that wrote to Marketo";
        let combined = "Records that were combined with another record of the same key";
        let waited = "Records that waited because another write of the same key was under way";
        let on_purpose = "Records sent with the action createDuplicate";
        let lost = "Records whose answer from Marketo was lost; the guard looked them up to learn the outcome";
        let fault = "Records whose outcome is unknown because of a bug in the guard (see its log)";
        let oldest = "How long the oldest waiting record has waited";
        let too_many =
            "Calls that Marketo refused with 606 (rate limit) or 615 (concurrency limit)";
        let passed = "Requests passed through unchanged, by HTTP status of Marketo's answer";
        let took = || Histogram::new(exponential_buckets(0.01, 2.0, 14));
        let took: Family<Label, Histogram> = Family::new_with_constructor(took);
        let used = "Calls made today, in Marketo's day (US Central)";
        let budget = "Calls that may be made in a day (limits.daily_calls)";
        let guards = "Guards that share the limits of this instance";
        let calls = "Calls in a window that this guard may make, of limits.calls";
        let at_once = "Calls that this guard may have in flight, of limits.concurrency";
        let nothing = "How long no call could leave because other guards hold all of the limits; 0 while calls can leave";
        let raced = "Shadow mode: records written while another write of the same key was under way, by API user";
        let watched = "Shadow mode: lead writes that passed, by API user";
        let unwatched = "Shadow mode: lead writes whose records were not looked at (too large or compressed), by API user";
        Self {
            records: page.add("records", "Records written, by outcome"),
            batches: page.with("batch_records", sent, Histogram::new(sizes)),
            coalesced: page.add("coalesced", combined),
            prevented: page.add("races_prevented", waited),
            create_duplicate: page.add("create_duplicate", on_purpose),
            in_doubt: page.add("unclear", lost),
            broken_off: page.add("broken_off", fault),
            queue: page.add("queue_records", "Records waiting to be sent"),
            oldest: page.seconds("queue_oldest", oldest, Seconds::default()),
            too_many: page.add("too_many", too_many),
            passed: page.add("passed", passed),
            upstream: page.seconds("upstream", "How long Marketo took to answer a call", took),
            today: page.add("quota_used", used),
            budget: page.add("quota_budget", budget),
            guards: page.add("guards", guards),
            calls: page.add("part_calls", calls),
            at_once: page.add("part_at_once", at_once),
            nothing_for: page.seconds("waiting_for_part", nothing, Seconds::default()),
            raced: page.add("would_have_raced", raced),
            watched_calls: page.add("watched_calls", watched),
            watched_records: page
                .add("watched_records", "Shadow mode: records in those lead writes, by API user"),
            unwatched_calls: page.add("unwatched_calls", unwatched),
            refusals: Refusals::default(),
            registry: page.0,
        }
    }

    pub(super) fn page(
        &self,
        queue: Standing,
        (today, budget): (u64, u64),
        part: Portion,
    ) -> String {
        let share = part.may_use();
        self.queue.set(queue.waiting as u64);
        self.oldest.set(queue.oldest.as_secs_f64());
        self.today.set(today);
        self.budget.set(budget);
        self.calls.set(share.calls as u64);
        self.at_once.set(share.at_once as u64);
        self.guards.set(part.guards() as u64);
        self.nothing_for.set(part.nothing_for(Instant::now()).as_secs_f64());
        let mut page = String::new();
        // Writing to a text cannot fail; a page that is not whole would be no page at all.
        encode(&mut page, &self.registry).map_or_else(|_| String::new(), |()| page)
    }

    /// Counts records that one row of Marketo's stands for: the first created the lead, and the
    /// others updated it. The outcomes are in small letters, as Marketo writes a status.
    fn written(&self, status: &str, records: usize) {
        let (all, others) = (records as u64, (records as u64).saturating_sub(1));
        match status {
            "created" => {
                self.count("created", 1);
                self.count("updated", others);
            }
            "updated" => self.count("updated", all),
            _ => self.count("skipped", all),
        }
        self.coalesced.inc_by(others);
    }

    fn count(&self, outcome: &'static str, records: u64) {
        if records > 0 {
            self.records.get_or_create(&by("outcome", outcome)).inc_by(records);
        }
    }

    /// Counts calls that shadow mode saw. One that was not looked at has a counter of its own.
    pub(super) fn watched(&self, user: &ApiUser, counts: Counts) {
        let user = by("user", user.to_string());
        if counts.unseen > 0 {
            self.unwatched_calls.get_or_create(&user).inc_by(counts.unseen);
            return;
        }
        self.watched_calls.get_or_create(&user).inc_by(counts.calls);
        self.watched_records.get_or_create(&user).inc_by(counts.records);
        // Also where it is none: a rate needs a beginning.
        self.raced.get_or_create(&user).inc_by(counts.raced);
    }

    pub(super) fn passed(&self, status: u16) {
        self.passed.get_or_create(&by("status", status.to_string())).inc();
    }

    /// Marketo took so long to answer a call.
    pub(super) fn answered(&self, kind: Kind, took: Duration) {
        let kind = match kind {
            Kind::Read => "read",
            Kind::Write => "write",
        };
        self.upstream.get_or_create(&by("kind", kind)).observe(took.as_secs_f64());
    }
}

fn by(name: &'static str, value: impl Into<Cow<'static, str>>) -> Label {
    [(name, value.into())]
}
