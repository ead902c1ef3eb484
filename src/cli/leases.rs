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
        LeaseStore::Memory | LeaseStore::Sqlite => match SharedLeases::sqlite(&config.leases_file()?, terms) {
            Ok(leases) => Ok(leases),
            Err(error) => Err(Failure::Usage {
                what: error.to_string(),
                hint: Some(
                    if shared {
                        "mend the rights of that file"
                    } else {
                        "mend the rights of that file; or guard.leases = \"memory\" where one guard alone writes"
                    }
                    .to_owned(),
                ),
            }),
        },
        LeaseStore::Postgres(address) => match SharedLeases::postgres(address, terms) {
            Ok(leases) => Ok(leases),
            Err(error) => Err(Failure::Usage {
                what: format!("the lease store cannot be spoken to safely: {error}"),
                hint: Some("add ?sslmode=disable to guard.leases where the network is trusted".to_owned()),
            }),
        },
    }
}
