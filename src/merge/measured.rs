//! What `probe` measured of the instance, as the ledger keeps it.
//!
//! For: plans, merges and whoever tells about them read it in one way. Never: goes on with a
//! profile that is not what was measured, or that is another instance's.

use super::error::Error;
use crate::dedupe::{InstanceProfile, ProfileName};
use crate::ledger::Ledger;

/// The profile that is in force; none where nothing was measured.
pub fn instance_profile(ledger: &Ledger) -> Result<Option<(ProfileName, InstanceProfile)>, Error> {
    let Some(kept) = ledger.instance_profile()? else { return Ok(None) };
    InstanceProfile::of_kept(kept.probe, &kept.body, &kept.sha256, &kept.instance)
        .map(Some)
        .map_err(|what| Error::UnusableProfile { probe: kept.probe, what })
}
