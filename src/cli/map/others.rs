//! Merges that others made: what the cache tells of them, and what Marketo's log does.
//!
//! The cache knows of a merged lead by its New Lead activity, which a merge moves to the winner and
//! whose first id stays. That tells who went into whom, and neither when nor by whom.

use chrono::{NaiveDate, NaiveTime};

use super::{ByWhom, Context, Failure, MapRow, MergeRecord};
use crate::cache::Cache;

/// Merges that the births in the cache tell of; none where there is no cache.
pub(super) fn cached(context: &Context) -> Result<Vec<MapRow>, Failure> {
    let path = context.config.cache_file()?;
    if !path.exists() {
        return Ok(Vec::new());
    }
    let cache = Cache::open_existing(&path, &context.config.instance_name())?;
    let row = |birth: crate::lead::Birth| MapRow {
        loser_id: birth.born_as,
        winner_id: birth.lead,
        survivor_id: birth.lead,
        loser_created_at: Some(birth.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        winner_created_at: None,
        merged_at: None,
        by: ByWhom::others(),
        run: None,
        request_id: None,
    };
    Ok(cache.births_of_merged_leads()?.into_iter().map(row).collect())
}

/// The same, and the merges that Marketo's log has of this time; the log is the better witness.
pub(super) async fn since(context: &mut Context, since: NaiveDate) -> Result<Vec<MapRow>, Failure> {
    let client = context.client()?;
    let since = since.and_time(NaiveTime::MIN).and_utc();
    let reading = client.all_merges_since(since);
    let records: Vec<MergeRecord> = context.or_stop(reading).await??;
    let mut rows: Vec<MapRow> = records.iter().flat_map(rows_of).collect();
    let known: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.loser_id).collect();
    rows.extend(cached(context)?.into_iter().filter(|row| !known.contains(&row.loser_id)));
    Ok(rows)
}

fn rows_of(record: &MergeRecord) -> Vec<MapRow> {
    let row = |loser: &u64| MapRow {
        loser_id: *loser,
        winner_id: record.winner,
        survivor_id: record.winner,
        loser_created_at: None,
        winner_created_at: None,
        merged_at: record.at,
        by: ByWhom::others(),
        run: None,
        request_id: record.request_id.clone(),
    };
    record.losers.iter().map(row).collect()
}
