//! Whatever is asked of it in whatever order, a Postgres answers as the book of rules does.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tokio_postgres::Row;

use super::super::{Connected, PostgresAddress, Way, connect};
use super::key;
use crate::guard::lease::book::{Entries, Held, Place};
use crate::guard::lease::share::Claim;
use crate::guard::lease::table::{Results, Round, Ticket};
use crate::guard::lease::tests::cluster::Cluster;
use crate::guard::lease::tests::rounds::{TERMS, Told, answers_as_the_book_does, turns};
use crate::marketo::Share;

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
        let way = Way { config: address.config().clone(), tls: address.tls().unwrap() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connected = runtime.block_on(connect(&way)).unwrap();
        Self { runtime, connected }
    }

    fn empty(&self) {
        let sql = "TRUNCATE mkto_audit_leases.lease, mkto_audit_leases.place, mkto_audit_leases.owner, mkto_audit_leases.share; \
                   ALTER SEQUENCE mkto_audit_leases.number RESTART";
        self.runtime.block_on(self.connected.client.batch_execute(sql)).unwrap();
    }

    fn rows<T>(&self, sql: &str, of: impl Fn(&Row) -> T) -> Vec<T> {
        self.runtime
            .block_on(self.connected.client.query(sql, &[]))
            .unwrap()
            .iter()
            .map(of)
            .collect()
    }
}

impl Told for Server {
    fn round(&mut self, owner: i64, now: Duration, round: &Round) -> Results {
        let Connected { client, statements } = &mut self.connected;
        self.runtime.block_on(async {
            let transaction = client.transaction().await.unwrap();
            let now = i64::try_from(now.as_millis()).unwrap();
            let results =
                statements.carry_out_at(&transaction, owner, now, round, TERMS).await.unwrap();
            transaction.commit().await.unwrap();
            results
        })
    }

    fn content(&mut self) -> Entries {
        let moment =
            |row: &Row, column| Duration::from_millis(row.get::<_, i64>(column).unsigned_abs());
        let leases = self.rows("SELECT key, fence, ends_at FROM mkto_audit_leases.lease", |row| {
            let fence = row.get::<_, i64>(1).unsigned_abs();
            (key(row.get(0)).unwrap(), Held { fence, ends_at: moment(row, 2) })
        });
        let owners = self.rows("SELECT id, alive_until FROM mkto_audit_leases.owner", |row| {
            (row.get(0), moment(row, 1))
        });
        let mut places: BTreeMap<Ticket, Place> = BTreeMap::new();
        for (ticket, owner, key) in self
            .rows("SELECT ticket, owner, key FROM mkto_audit_leases.place", |row| {
                (Ticket(row.get(0)), row.get(1), key(row.get(2)).unwrap())
            })
        {
            places
                .entry(ticket)
                .or_insert_with(|| Place { owner, keys: [].into() })
                .keys
                .insert(key);
        }
        let claims = self.rows("SELECT * FROM mkto_audit_leases.share", |row| {
            let number = |column| usize::try_from(row.get::<_, i64>(column)).unwrap();
            let claim = Claim {
                share: Share { calls: number(2), at_once: number(3) },
                wants: Share { calls: number(4), at_once: number(5) },
                ends_at: moment(row, 6),
            };
            ((key(row.get(0)).unwrap(), row.get(1)), claim)
        });
        let last = self.rows("SELECT last_value, is_called FROM mkto_audit_leases.number", |row| {
            if row.get(1) { row.get::<_, i64>(0).unsigned_abs() } else { 0 }
        });
        Entries {
            leases: leases.into_iter().collect(),
            places,
            owners: owners.into_iter().collect(),
            last: last[0],
            claims: claims.into_iter().collect(),
        }
    }
}

#[test]
fn a_postgres_answers_every_round_as_the_book_does() {
    let Some(cluster) = Cluster::start() else { return };
    let server = std::cell::RefCell::new(Server::new(&cluster.database()));
    let config = Config { cases: CASES, ..Config::with_source_file(file!()) };
    let played = TestRunner::new(config).run(&turns(), |turns| {
        let mut server = server.borrow_mut();
        server.empty();
        answers_as_the_book_does(&mut *server, &turns)
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
}
