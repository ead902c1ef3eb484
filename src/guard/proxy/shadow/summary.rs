//! A summary for the log of writes that would have raced: one line a minute for each pair of API
//! users, whatever the traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::guard::engine::ApiUser;
use crate::leases::LeaseKey;

/// Between two summaries; the first one comes at once.
const PAUSE: Duration = Duration::from_secs(60);

/// Keys that a line names.
const NAMED: usize = 3;

/// The races that the log does not have yet.
#[derive(Debug, Default)]
pub(super) struct Summary {
    raced: Pairs,
    told: Option<Instant>,
}

/// By the user that came later, and the one whose write was under way.
pub(super) type Pairs = BTreeMap<(ApiUser, ApiUser), Raced>;

/// Records of a pair of users.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Raced {
    records: u64,
    keys: BTreeSet<LeaseKey>,
}

impl Summary {
    /// A record of this user's would have raced with another's.
    pub(super) fn note(&mut self, user: &ApiUser, other: &ApiUser, key: LeaseKey) {
        let raced = self.raced.entry((user.clone(), other.clone())).or_default();
        raced.records += 1;
        if raced.keys.len() < NAMED {
            raced.keys.insert(key);
        }
    }

    /// The races to be logged now, if a minute is over since the last time, or at the end.
    pub(super) fn due(&mut self, now: Instant, at_the_end: bool) -> Pairs {
        let waits = self.told.is_some_and(|told| now - told < PAUSE) && !at_the_end;
        if waits || self.raced.is_empty() {
            return Pairs::new();
        }
        self.told = Some(now);
        std::mem::take(&mut self.raced)
    }
}

pub(super) fn tell(raced: &Pairs) {
    for ((user, other), raced) in raced {
        let keys: Vec<String> = raced.keys.iter().map(ToString::to_string).collect();
        tracing::warn!(
            %user,
            %other,
            records = raced.records,
            keys = keys.join(" "),
            remedy = "guard --mode serialize",
            "writes of one key were under way at once, and would have raced: each may have made a duplicate"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> LeaseKey {
        LeaseKey::of("test", "email", name).unwrap()
    }

    #[test]
    fn a_thousand_races_are_one_line_a_minute_for_each_pair_of_users() {
        let (mut summary, start) = (Summary::default(), Instant::now());
        let (crm, web) = (ApiUser::named("crm"), ApiUser::named("web"));
        let told = |summary: &mut Summary, second, end| {
            let due = summary.due(start + Duration::from_secs(second), end).into_iter();
            due.map(|((user, other), raced)| {
                format!("{user} {other} {} {}", raced.records, raced.keys.len())
            })
            .collect::<Vec<_>>()
        };
        assert!(told(&mut summary, 0, false).is_empty());
        summary.note(&crm, &web, key("a"));
        assert_eq!(told(&mut summary, 1, false), ["crm web 1 1"], "the first one at once");
        (0..1_000).for_each(|number| summary.note(&crm, &web, key(&number.to_string())));
        summary.note(&web, &web, key("a"));
        assert!(told(&mut summary, 60, false).is_empty());
        assert_eq!(told(&mut summary, 61, false), ["crm web 1000 3", "web web 1 1"]);
        summary.note(&web, &crm, key("b"));
        assert_eq!(told(&mut summary, 62, true), ["web crm 1 1"], "nothing is lost at the end");
    }
}
