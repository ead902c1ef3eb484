//! The lease store that the configuration names, opened.

use super::{Context, Failure};
use crate::config::LeaseStore;
use crate::leases::{SharedLeases, Terms};
use crate::marketo::Clock;

/// Opens `guard.leases`. A store that can be shared and cannot be opened is a reason not to start;
/// a Postgres that is merely away is not, since nothing is written until it is back. Needs a
/// runtime.
pub(super) fn open(context: &Context) -> Result<SharedLeases, Failure> {
    open_if_shared(context, false)
}

/// The same for a run that ends before what it wrote has: where leases were to be kept in memory
/// they are kept in a file, which protects the keys of a run that was killed.
pub(super) fn open_shared(context: &Context) -> Result<SharedLeases, Failure> {
    open_if_shared(context, true)
}

fn open_if_shared(context: &Context, shared: bool) -> Result<SharedLeases, Failure> {
    let config = &context.config;
    let terms = Terms::at(Clock::sped_up(config.clock_speed));
    match &config.guard.leases {
        LeaseStore::Memory if !shared => Ok(SharedLeases::memory(terms)),
        LeaseStore::Memory | LeaseStore::Sqlite => {
            let path = config.leases_file()?;
            SharedLeases::sqlite(&path, terms).map_err(|error| Failure::Usage {
                what: error.to_string(),
                hint: Some(if shared { OF_THE_FILE } else { OF_ONE_GUARD }.to_owned()),
            })
        }
        LeaseStore::Postgres(address) => {
            SharedLeases::postgres(address, terms).map_err(|error| Failure::Usage {
                what: format!("the lease store cannot be spoken to safely: {error}"),
                hint: Some(OF_A_SERVER.to_owned()),
            })
        }
    }
}

const OF_THE_FILE: &str = "give this user the right to read and write that file";
const OF_ONE_GUARD: &str = "give this user the right to read and write that file; where one guard alone \
    writes, guard.leases = \"memory\" needs none";
const OF_A_SERVER: &str = "add ?sslmode=disable to guard.leases where the network is trusted";
