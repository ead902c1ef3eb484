//! Reads that lag behind, or that leave a lead out.

use std::time::Duration;

use crate::clock::now;
use crate::instance::Shared;
use crate::options::Fault;
use crate::request::Request;
use crate::schema::Field;
use crate::world::World;
use crate::world::record::Record;

/// For how long at most a read lags behind, in Marketo's time.
const LAGS: Duration = Duration::from_secs(300);

/// What is wrong with a read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lag {
    stale: bool,
    missing: bool,
}

impl Lag {
    pub(super) fn of(request: &Request) -> Self {
        let drawn = &request.meddling.lock().drawn;
        Self {
            stale: drawn.contains(&Fault::StaleRead),
            missing: drawn.contains(&Fault::MissingRead),
        }
    }

    /// Leaves out a lead that lives.
    pub(super) fn leave_one_out(self, shared: &Shared, ids: &mut Vec<u64>) {
        if self.missing && !ids.is_empty() {
            ids.remove(pick(shared, ids.len()));
        }
    }

    /// A lead that the filter found, or would have found, as it was before its last change. Each
    /// state comes once.
    pub(super) fn stale(
        self,
        shared: &Shared,
        world: &mut World,
        ids: &[u64],
        (number, _): (u16, &Field),
        values: &[String],
        after: u64,
    ) -> Option<Record> {
        if !self.stale {
            return None;
        }
        let within =
            chrono::Duration::from_std(shared.options.knobs.wall(LAGS)).unwrap_or_default();
        let asked_for = |record: &Record| {
            record.text_of(number).is_some_and(|held| {
                values.iter().any(|value| held.to_lowercase() == value.to_lowercase())
            })
        };
        let mut stale: Vec<u64> = world
            .past
            .stale(now(), within)
            .filter(|record| record.id > after && (ids.contains(&record.id) || asked_for(record)))
            .map(|record| record.id)
            .collect();
        stale.sort_unstable();
        let id = stale.get(pick(shared, stale.len()))?;
        world.past.take_stale(*id)
    }
}

fn pick(shared: &Shared, among: usize) -> usize {
    usize::try_from(shared.faults().below(among as u64)).unwrap_or_default()
}
