//! How long Marketo is given beyond what it promises.

use std::time::Duration;

/// How long Marketo's log may take to name a merge after its call is over.
pub(super) const LOG_LAG: Duration = Duration::from_secs(5 * 60);

/// For how long a read may show a lead as it was before a write, in Marketo's time. Adobe gives no
/// bound; where it is over, a read is believed.
pub(super) const READ_LAG: Duration = Duration::from_secs(8 * 60);
