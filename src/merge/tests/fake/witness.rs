//! What the log of the Marketo in memory tells.

use chrono::{DateTime, Utc};

use super::{Fake, refused};
use crate::lead::LeadId;
use crate::marketo::{LeadChange, MergeRecord, ReadHistory, ReadUsage, Result, Since, Usage};

impl ReadUsage for Fake {
    async fn usage_today(&self) -> Result<Usage> {
        self.arrive().await;
        let mut world = self.world();
        world.usage_asked += 1;
        match world.refuses_usage {
            Some(code) => Err(refused("GET /rest/v1/stats/usage.json", code)),
            None => Ok(Usage { total: world.calls_of_all, by_user: Vec::new() }),
        }
    }
}

impl ReadHistory for Fake {
    async fn merges_since(
        &self,
        since: DateTime<Utc>,
        leads: &[LeadId],
    ) -> Result<Vec<MergeRecord>> {
        self.arrive().await;
        let world = self.world();
        if world.denies_merges {
            return Err(refused("GET /rest/v1/activities.json", "603"));
        }
        let concerns = |record: &&MergeRecord| {
            record.at.is_none_or(|at| at >= since)
                && std::iter::once(&record.winner)
                    .chain(&record.losers)
                    .any(|lead| leads.contains(lead))
        };
        Ok(world.recorded.iter().filter(concerns).cloned().collect())
    }

    /// Its tokens count the changes that were read.
    async fn consent_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> Result<(Vec<LeadChange>, String)> {
        self.arrive().await;
        let world = self.world();
        if world.denies_log {
            return Err(refused("GET /rest/v1/activities/leadchanges.json", "603"));
        }
        let (from, read) = match since {
            Since::Time(time) => (Some(time), 0),
            Since::Token(token) => (None, token.parse().expect("a token of this fake")),
        };
        let concerns = |change: &&LeadChange| {
            fields.contains(&change.field)
                && from.is_none_or(|from| change.at.is_none_or(|at| at >= from))
        };
        let changes = world.changes.iter().skip(read).filter(concerns).cloned().collect();
        Ok((changes, world.changes.len().to_string()))
    }

    async fn value_changes_since(
        &self,
        since: Since,
        fields: &[String],
    ) -> Result<(Vec<LeadChange>, String)> {
        self.consent_changes_since(since, fields).await
    }
}
