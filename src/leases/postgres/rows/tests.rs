//! Whatever is asked of it in whatever order, a Postgres answers as the rules do.

use std::time::Duration;

use mkto_testing::cluster::Cluster;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::super::{ConnectOptions, Connected, PostgresAddress, connect};
use super::*;
use crate::leases::leaving::Leaving;
use crate::leases::tests::rounds::{TERMS, Told, answers_as_the_rules_do, turns};

/// Each case takes some hundred statements.
const CASES: u32 = 50;

/// The tables of a real server, whose clock is the test's.
struct Server {
    runtime: Runtime,
    connected: Connected,
}

impl Server {
    fn new(address: &str) -> Self {
        let address: PostgresAddress = address.parse().unwrap();
        let options =
            ConnectOptions { config: address.config().clone(), tls: address.tls().unwrap() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connected = runtime.block_on(connect(&options)).unwrap();
        Self { runtime, connected }
    }

    fn empty(&self) {
        let sql = "TRUNCATE mkto_audit_leases.key_state, mkto_audit_leases.share; \
                   UPDATE mkto_audit_leases.store SET last = 0";
        self.runtime.block_on(self.connected.client.batch_execute(sql)).unwrap();
    }
}

impl Told for Server {
    fn batch(&mut self, guard: i64, now: Duration, batch: &Batch) -> BatchResult {
        let Connected { client, statements } = &mut self.connected;
        let time = Time { now, clock: 0 };
        self.runtime.block_on(async {
            let db = client.transaction().await.unwrap();
            let store = db.query_one(&statements.store, &[]).await.unwrap();
            let result = statements.carry_out_at(&db, guard, time, &store, batch, TERMS).await;
            db.commit().await.unwrap();
            result.unwrap()
        })
    }

    fn content(&mut self) -> State {
        let Connected { client, statements } = &mut self.connected;
        let keys = "SELECT key FROM mkto_audit_leases.key_state";
        self.runtime.block_on(async {
            let db = client.transaction().await.unwrap();
            let store = db.query_one(&statements.store, &[]).await.unwrap();
            let keys = db.query(keys, &[]).await.unwrap();
            let keys = keys.iter().map(|row| row.get::<_, &[u8]>(0).try_into().unwrap());
            let left = Leaving { instance: LeaseKey::of_limits("instance"), rests: Vec::new() };
            let all = Batch {
                complete: keys.map(LeaseKey::from_bytes).collect(),
                left: Some(left),
                ..Batch::default()
            };
            statements.load(&db, 0, &store, &all).await.unwrap()
        })
    }
}

#[test]
fn a_postgres_answers_every_batch_as_the_rules_do() {
    let Some(cluster) = Cluster::start() else { return };
    let server = std::cell::RefCell::new(Server::new(&cluster.database()));
    let config = Config { cases: CASES, ..Config::with_source_file(file!()) };
    let played = TestRunner::new(config).run(&turns(), |turns| {
        let mut server = server.borrow_mut();
        server.empty();
        answers_as_the_rules_do(&mut *server, &turns)
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
}
