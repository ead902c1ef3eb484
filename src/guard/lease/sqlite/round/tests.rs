//! Whatever is asked of it in whatever order, the file answers as the book of rules does.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::super::MIGRATIONS;
use super::carry_out;
use crate::boot_clock::Moment;
use crate::guard::lease::LeaseKey;
use crate::guard::lease::book::{Entries, Held, Place};
use crate::guard::lease::share::Claim;
use crate::guard::lease::table::{Results, Round, Ticket};
use crate::guard::lease::tests::rounds::{TERMS, Told, answers_as_the_book_does, turns};
use crate::marketo::Share;

/// A file of leases in memory, on a machine that is not started anew.
struct File(Connection);

impl File {
    fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        for migration in MIGRATIONS {
            db.execute_batch(migration).unwrap();
        }
        Self(db)
    }

    fn rows<T>(&self, sql: &str, of: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let mut rows = self.0.prepare_cached(sql).unwrap();
        rows.query_map([], |row| of(row)).unwrap().map(Result::unwrap).collect()
    }
}

impl Told for File {
    fn round(&mut self, owner: i64, now: Duration, round: &Round) -> Results {
        let moment =
            Moment { boot: "first".to_owned(), millis: i64::try_from(now.as_millis()).unwrap() };
        carry_out(&self.0, owner, &moment, round, TERMS).unwrap()
    }

    fn content(&mut self) -> Entries {
        let number = |row: &rusqlite::Row<'_>, column| row.get(column).map(i64::unsigned_abs);
        let moment =
            |row: &rusqlite::Row<'_>, column| number(row, column).map(Duration::from_millis);
        let leases = self.rows("SELECT key, fence, ends_at FROM lease", |row| {
            let held = Held { fence: number(row, 1)?, ends_at: moment(row, 2)? };
            Ok((LeaseKey::from_bytes(row.get(0)?), held))
        });
        let owners = self
            .rows("SELECT id, alive_until FROM owner", |row| Ok((row.get(0)?, moment(row, 1)?)));
        let mut places: BTreeMap<Ticket, Place> = BTreeMap::new();
        for (ticket, owner, key) in self.rows("SELECT ticket, owner, key FROM place", |row| {
            Ok((Ticket(row.get(0)?), row.get(1)?, LeaseKey::from_bytes(row.get(2)?)))
        }) {
            places
                .entry(ticket)
                .or_insert_with(|| Place { owner, keys: [].into() })
                .keys
                .insert(key);
        }
        let claims = self.rows("SELECT * FROM share", |row| {
            let number = |column| row.get::<_, i64>(column).map(super::number);
            let claim = Claim {
                share: Share { calls: number(2)?, at_once: number(3)? },
                wants: Share { calls: number(4)?, at_once: number(5)? },
                ends_at: moment(row, 6)?,
            };
            Ok(((LeaseKey::from_bytes(row.get(0)?), row.get(1)?), claim))
        });
        let last = self.rows("SELECT last FROM number", |row| number(row, 0));
        Entries {
            leases: leases.into_iter().collect(),
            places,
            owners: owners.into_iter().collect(),
            last: last[0],
            claims: claims.into_iter().collect(),
        }
    }
}

proptest! {
    #[test]
    fn a_file_of_leases_answers_every_round_as_the_book_does(turns in turns()) {
        answers_as_the_book_does(&mut File::new(), &turns)?;
    }
}
