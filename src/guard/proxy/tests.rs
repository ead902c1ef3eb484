//! What befalls a record between the board and its call, on a clock that the test turns; nothing is
//! sent anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::caller::{Caller, Ending, Waiting};
use super::incoming::{Incoming, read};
use super::route::Verb;
use super::user::ApiUser;
use super::{CreateDuplicate, Mode, OnDuplicates, Proxy, ProxySettings};
use crate::guard::lease::{
    Claim, Lease, LeaseError, LeaseKey, Leases, Leaving, Shared, SharedLeases, Terms, to_send,
};
use crate::marketo::{Clock, OneRun, SYNC_LIMIT, Slot, Spending, Spent, Uncounted};

const ADA: &str = "ada@example.com";

fn key() -> BTreeSet<LeaseKey> {
    LeaseKey::of("test", "email", ADA).into_iter().collect()
}

/// One call at a time, to an address where nobody answers.
fn settings(spending: Arc<dyn Spending>) -> ProxySettings {
    let nowhere: url::Url = "http://127.0.0.1:9".parse().unwrap();
    ProxySettings {
        base_url: nowhere.clone(),
        identity_url: nowhere,
        instance: "test".to_owned(),
        mode: Mode::Serialize,
        create_duplicate: CreateDuplicate::Pass,
        on_duplicates: OnDuplicates::Error,
        winner: crate::dedupe::WinnerOrder(Vec::new()),
        unsent: Terms::default().unsent,
        queue: 10,
        max_wait: Duration::from_secs(120),
        calls: 1_000,
        window: Duration::from_secs(1),
        concurrency: 1,
        daily_calls: 1_000_000,
        spending,
        clock: Clock::real(),
        tally: None,
        now: || DateTime::UNIX_EPOCH,
    }
}

fn proxy<L: Leases>(leases: L) -> Arc<Proxy<L>> {
    Proxy::start(settings(Arc::new(OneRun::default())), leases).unwrap()
}

fn incoming() -> Incoming {
    let body = json!({"input": [{"email": ADA}]}).to_string();
    read(Verb::Sync, &Method::POST, "/rest/v1/leads.json", body.as_bytes(), "test").unwrap()
}

/// A caller writes this address.
fn write<L: Leases>(proxy: &Arc<Proxy<L>>) -> Waiting {
    let incoming = incoming();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer t"))]);
    let place = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let user = ApiUser::named("crm");
    let (caller, waiting) =
        Caller::new(user.clone(), incoming.envelope, headers, 1, [place(), place()]);
    let attend = proxy.board().enter(&caller, incoming.records);
    if attend {
        proxy.attend(user);
    }
    waiting
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A proxy with a record that waited for another guard to write its key, has got the right, and
/// stands in line for the one place among the calls, which is somebody else's.
async fn with_a_right_in_line() -> (Arc<Proxy<SharedLeases>>, Waiting, Slot) {
    let proxy = proxy(SharedLeases::memory(Terms::default()));
    let of_another_guard = proxy.leases.acquire(&key()).await.unwrap();
    let waiting = write(&proxy);
    seconds(1).await;
    let place = proxy.turns.next(&ApiUser::named("web")).await.unwrap();
    proxy.leases.release(of_another_guard).await.unwrap();
    seconds(1).await;
    (proxy, waiting, place)
}

async fn is_free(proxy: &Proxy<SharedLeases>) -> bool {
    !proxy.leases.try_acquire(&key()).await.unwrap().is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_right_is_kept_however_long_its_record_stands_in_line() {
    let (proxy, _waiting, _place) = with_a_right_in_line().await;
    seconds(600).await;
    assert!(!is_free(&proxy).await, "another guard has got the key, whose turn it is not");
}

#[tokio::test(start_paused = true)]
async fn a_right_that_nobody_waits_for_any_more_is_given_back_before_its_turn() {
    let (proxy, waiting, _place) = with_a_right_in_line().await;
    drop(waiting);
    seconds(Terms::default().unsent.as_secs() / 2).await;
    assert!(is_free(&proxy).await);
    assert_eq!(proxy.board().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_lost_in_line_is_asked_for_anew_before_its_turn() {
    let (proxy, _waiting, place) = with_a_right_in_line().await;
    // As after a suspension of the machine.
    tokio::time::advance(Duration::from_secs(100)).await;
    seconds(600).await;
    assert!(!is_free(&proxy).await, "nobody has asked for it anew");
    drop(place);
    assert_eq!(proxy.board().waiting(), 1, "it stands in its line");
}

/// Leases whose first owner panics as soon as it has renewed its right, and may have sent its call.
struct Faulty {
    leases: SharedLeases,
    is_sound: AtomicBool,
}

impl Leases for Faulty {
    async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        self.leases.acquire(keys).await
    }

    async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        self.leases.try_acquire(keys).await
    }

    async fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> Result<(), LeaseError> {
        self.leases.renew(leases, span).await?;
        assert!(self.is_sound.swap(true, Ordering::SeqCst), "as it was meant to");
        Ok(())
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        self.leases.release(leases).await
    }

    async fn ready(&self) -> Result<(), LeaseError> {
        Ok(())
    }

    async fn share(&self, claim: Claim) -> Result<Shared, LeaseError> {
        self.leases.share(claim).await
    }

    async fn leave(&self, leaving: Leaving) -> Result<(), LeaseError> {
        self.leases.leave(leaving).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_task_panics_is_open_and_its_key_protected_as_long_as_marketo_may_be_writing_it()
 {
    let leases =
        Faulty { leases: SharedLeases::memory(Terms::default()), is_sound: AtomicBool::new(false) };
    let proxy = proxy(leases);
    let start = Instant::now();
    // A caller that would wait for longer is told at once.
    assert_eq!(write(&proxy).within(Duration::from_secs(3_600)).await, Ending::Open);
    assert!(start.elapsed() < Duration::from_secs(3_600));
    assert!(proxy.metrics.page(proxy.standing()).contains("mkto_guard_broken_off_total 1\n"));
    let behind = write(&proxy);
    // Its turn comes when the right has ended; then nobody answers where it is sent to.
    let Ending::Answered(refused) = behind.within(Duration::from_secs(600)).await else { panic!() };
    assert!(String::from_utf8_lossy(&refused.body).contains("\"608\""));
    assert!(start.elapsed() >= to_send(SYNC_LIMIT, Clock::real()), "{:?}", start.elapsed());
    assert_eq!(proxy.board().behind_others(&incoming().records), 0, "its key is in nobody's way");
}

/// Counts no first call, but panics.
#[derive(Debug, Default)]
struct Miscounting {
    is_sound: AtomicBool,
    counts: OneRun,
}

impl Spending for Miscounting {
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted> {
        assert!(self.is_sound.swap(true, Ordering::SeqCst), "as it was meant to");
        self.counts.spend_call(a_day)
    }

    fn unspend_call(&self) {
        self.counts.unspend_call();
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted> {
        self.counts.charge_bytes(bytes)
    }

    fn spent(&self) -> Result<Spent, Uncounted> {
        self.counts.spent()
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_whose_attendant_panicked_is_attended_to_again() {
    let settings = settings(Arc::new(Miscounting::default()));
    let proxy = Proxy::start(settings, SharedLeases::memory(Terms::default())).unwrap();
    let waiting = write(&proxy);
    let ending = waiting.within(Duration::from_secs(600)).await;
    assert!(matches!(ending, Ending::Answered(_)), "{ending:?}");
}
