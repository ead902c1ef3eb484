//! Writers as they are found in the wild: each sends an upsert, and none knows of the others.

use futures::StreamExt;

use super::people::{WRITERS, record};
use crate::marketo::{Client, RecordStatus, Result, SyncAction, SyncLeads, SyncRequest};

/// How many people sign up at the same time.
const AT_ONCE: usize = 5;

/// Three upserts for each person, all on the way together; how many Marketo says it created.
pub(super) async fn race(client: &Client, people: usize) -> Result<usize> {
    let mut created = 0;
    let sign_up = |person: usize| async move {
        let calls = (0..WRITERS).map(|writer| upsert(client, person, writer));
        futures::future::try_join_all(calls).await
    };
    let mut sign_ups = futures::stream::iter((0..people).map(sign_up)).buffered(AT_ONCE);
    while let Some(answers) = sign_ups.next().await {
        created += answers?.into_iter().filter(|created| *created).count();
    }
    Ok(created)
}

async fn upsert(client: &Client, person: usize, writer: usize) -> Result<bool> {
    let request = SyncRequest {
        action: SyncAction::CreateOrUpdate,
        lookup_field: "email".to_owned(),
        partition: None,
        input: vec![record("race", person, writer)],
    };
    let results = client.sync_leads(&request).await?;
    Ok(results.first().is_some_and(|result| result.status == RecordStatus::Created))
}
