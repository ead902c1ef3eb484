//! What Marketo's log of activities tells of a merge: whether, how late, and by which request; and
//! whether the losers are listed among deleted leads.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::answers::Answers;
use super::merged::Merged;
use super::{Asked, Probe, ProbeClient, Step, Trouble};
use crate::dedupe::{Answer, Question};
use crate::lead::LeadId;
use crate::marketo::MergeRecord;
use crate::terminal::about;

/// Between two looks at the log.
const LOOK: Duration = Duration::from_secs(10);

/// So many looks for the losers among the deleted leads.
const LOOKS_AT_DELETED: usize = 6;

/// More pages than a log of some minutes has.
const PAGES: usize = 1_000;

impl<M: ProbeClient> Probe<'_, M> {
    pub(super) async fn witness(
        &mut self,
        asked: &Asked,
        merged: &Merged,
        since: DateTime<Utc>,
        answers: &mut Answers,
    ) -> Step<()> {
        let until = merged.left_at + self.settings.clock.wall(asked.wait);
        let record = loop {
            let looked_at = Instant::now();
            let records = match self.marketo.merges_since(since, &[merged.winner]).await {
                Ok(records) => records,
                Err(error) => return no_log(Trouble::from(error), answers),
            };
            let is_it = |record: &MergeRecord| {
                merged.losers.iter().all(|loser| record.losers.contains(loser))
            };
            if let Some(record) = records.into_iter().find(is_it) {
                break Some(record);
            }
            if looked_at >= until {
                break None;
            }
            self.pause(LOOK).await?;
        };
        let waited = about(asked.wait);
        match record {
            None => {
                let detail = format!("waited {waited}");
                answers.add(Answer::found(Question::MergeLog, "not_seen").with(detail));
                let why = format!("Marketo's log did not show the merge within {waited}");
                answers.why_not(Question::LogRequest, why);
            }
            Some(record) => {
                let late = about(merged.left_at.elapsed());
                let detail = format!("seen {late} after the merge left");
                answers.add(Answer::found(Question::MergeLog, "shown").with(detail));
                answers.add(of_request(&record, merged.request_id.as_deref()));
            }
        }
        self.deletions(since, &merged.losers, answers).await
    }

    /// Looks for the losers among the deleted leads for a while: the two logs need not be equally
    /// late.
    async fn deletions(
        &self,
        since: DateTime<Utc>,
        losers: &[LeadId],
        answers: &mut Answers,
    ) -> Step<()> {
        let question = Question::Deletions;
        for look in 1..=LOOKS_AT_DELETED {
            match self.among_deleted(since, losers).await {
                Ok(true) => {
                    answers.found(question, "listed");
                    return Ok(());
                }
                Ok(false) if look == LOOKS_AT_DELETED => answers.found(question, "not_seen"),
                Ok(false) => self.pause(LOOK).await?,
                Err(Trouble::Here(why)) => {
                    answers.fail(question, why);
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Whether all of these leads are among the deleted ones.
    async fn among_deleted(&self, since: DateTime<Utc>, leads: &[LeadId]) -> Step<bool> {
        let mut token = self.marketo.paging_token(since).await?;
        let mut open: Vec<LeadId> = leads.to_vec();
        for _ in 0..PAGES {
            let page = self.marketo.deleted_leads(&token).await?;
            open.retain(|lead| {
                !page.activities.iter().any(|row| row.lead == *lead || row.primary == Some(*lead))
            });
            if open.is_empty() || !page.more {
                break;
            }
            token = page.next;
        }
        Ok(open.is_empty())
    }
}

/// Nothing of the log can be read.
fn no_log(trouble: Trouble, answers: &mut Answers) -> Step<()> {
    let Trouble::Here(why) = trouble else { return Err(trouble) };
    for question in [Question::MergeLog, Question::LogRequest, Question::Deletions] {
        answers.fail(question, why.clone());
    }
    Ok(())
}

/// Whether the log names the request whose answer we have.
fn of_request(record: &MergeRecord, ours: Option<&str>) -> Answer {
    let question = Question::LogRequest;
    let Some(ours) = ours else {
        let why = "the answer to the merge was lost, and with it Marketo's id of the request";
        return Answer::why_not(question, why);
    };
    let found = match record.request_id.as_deref() {
        Some(id) if id == ours => "ours",
        Some(_) => "another",
        None => "absent",
    };
    let named = |what: &str, value: Option<&String>| {
        let value = value.map_or_else(|| "not named".to_owned(), |value| format!("`{value}`"));
        format!("{what} {value}")
    };
    let detail = format!(
        "{}, {}",
        named("user", record.user.as_ref()),
        named("method", record.method.as_ref())
    );
    Answer::found(question, found).with(detail)
}
