//! How long Marketo is given beyond what it promises.

use std::time::Duration;

/// How long Marketo's log may take to name a merge after its call is over.
pub(super) const LOG_LAG: Duration = Duration::from_secs(5 * 60);
