//! The instance's clock: the machine's.

use chrono::{DateTime, Utc};

/// The time of day at Marketo.
#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox looks at a clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
