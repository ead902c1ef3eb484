//! Tasks, and what each of them is in charge of, so that it is known when one of them panics.

use std::collections::HashMap;

use tokio::task::{AbortHandle, Id, JoinSet};

/// Running tasks, each with its charge. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Tasks<T, C> {
    running: JoinSet<T>,
    charges: HashMap<Id, C>,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended<T, C> {
    /// It returned this.
    Returned(T),
    /// It panicked; this was in its charge.
    Panicked(C),
}

impl<T, C> Default for Tasks<T, C> {
    fn default() -> Self {
        Self { running: JoinSet::new(), charges: HashMap::new() }
    }
}

impl<T: Send + 'static, C> Tasks<T, C> {
    /// Starts a task. Needs a runtime.
    pub(super) fn spawn(
        &mut self,
        charge: C,
        task: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        let handle = self.running.spawn(task);
        self.charges.insert(handle.id(), charge);
        handle
    }

    /// Waits for the next task that ends; none where none is running. Tasks that were aborted end
    /// unseen.
    pub(super) async fn next(&mut self) -> Option<Ended<T, C>> {
        loop {
            match self.running.join_next_with_id().await? {
                Ok((id, returned)) => {
                    self.charges.remove(&id);
                    return Some(Ended::Returned(returned));
                }
                Err(error) => {
                    let charge = self.charges.remove(&error.id());
                    if let Some(charge) = charge.filter(|_| error.is_panic()) {
                        return Some(Ended::Panicked(charge));
                    }
                }
            }
        }
    }

    /// Whether no task is running.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Tasks};

    #[tokio::test]
    async fn a_panic_is_told_with_its_charge_and_what_was_aborted_is_not() {
        let mut tasks = Tasks::<u32, &str>::default();
        tasks.spawn("aborted", std::future::pending()).abort();
        tasks.spawn("panics", async { panic!("as it was meant to") });
        assert_eq!(tasks.next().await, Some(Ended::Panicked("panics")));
        tasks.spawn("returns", async { 7 });
        assert_eq!(tasks.next().await, Some(Ended::Returned(7)));
        assert_eq!(tasks.next().await, None);
        assert!(tasks.is_empty() && tasks.charges.is_empty());
    }
}
