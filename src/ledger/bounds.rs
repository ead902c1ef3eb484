//! From which call to which a run goes, and from which end to which, for the queries of runs.

/// Each run with the last call and the last end that may be its own.
pub(super) const BOUNDS: &str = "WITH bounded AS (
    SELECT run.*, lead(after_call, 1, 9223372036854775807) OVER (ORDER BY id) AS last_call,
        lead(after_end, 1, 9223372036854775807) OVER (ORDER BY id) AS last_end
    FROM run)";
