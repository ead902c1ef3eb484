//! Whatever is asked of it in whatever order, the file answers as the rules do.

use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::leases::backend::BatchResult;
use crate::leases::changes;
use crate::leases::state::Time;
use crate::leases::tests::rounds::{TERMS, Told, answers_as_the_rules_do, turns};

/// A file of leases in memory, on a machine that is not started anew.
struct File(Connection);

impl File {
    fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        for migration in super::super::LEASES.migrations {
            db.execute_batch(migration).unwrap();
        }
        Self(db)
    }

    fn keys(&self) -> Vec<LeaseKey> {
        let mut rows = self.0.prepare_cached("SELECT key FROM key_state").unwrap();
        let keys = rows.query_map([], |row| row.get(0).map(LeaseKey::from_bytes)).unwrap();
        keys.map(Result::unwrap).collect()
    }

    fn load(&self, now: Duration, batch: &Batch) -> State {
        let moment = Moment { boot: "first".to_owned(), millis: millis(now) };
        load(&self.0, &moment, batch).unwrap()
    }
}

impl Told for File {
    fn batch(&mut self, guard: i64, now: Duration, batch: &Batch) -> BatchResult {
        let time = Time { now, clock: 0 };
        let state = self.load(now, batch);
        let (result, changes) = changes::carry_out(state, guard, time, batch, TERMS);
        if let Some(changes) = changes {
            save(&self.0, &changes).unwrap();
        }
        result
    }

    fn content(&mut self) -> State {
        let all = Batch { complete: self.keys().into_iter().collect(), ..Batch::default() };
        let mut state = self.load(Duration::ZERO, &all);
        state.claims = claims(&self.0, LeaseKey::of_limits("instance")).unwrap();
        state
    }
}

proptest! {
    #[test]
    fn a_file_of_leases_answers_every_batch_as_the_rules_do(turns in turns()) {
        answers_as_the_rules_do(&mut File::new(), &turns)?;
    }
}
