//! What has to be read of a group to choose its winner by the configured rules, on an instance that
//! may lack some of the fields.

use std::collections::BTreeSet;

use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;

use super::Proxy;
use super::call::{Order, Refusal, Said};
use super::caller::Caller;
use crate::dedupe::WinnerRule;
use crate::guard::lease::Leases;
use crate::lead::AUDIT_FIELDS;
use crate::marketo::Kind;

impl<L: Leases> Proxy<L> {
    /// The fields to ask for; asked of Marketo once, with the token of the caller that needs them
    /// first.
    pub(super) async fn winner_fields(
        &self,
        caller: &Caller,
    ) -> Result<&BTreeSet<String>, Refusal> {
        self.winner_fields
            .get_or_try_init(|| async {
                let order = Order {
                    user: &caller.user,
                    headers: &caller.headers,
                    kind: Kind::Read,
                    method: Method::GET,
                    target: "/rest/v1/leads/describe2.json".to_owned(),
                    content_type: None,
                    body: Bytes::new(),
                    limit: std::time::Duration::from_secs(30),
                };
                match self.call(&order, &mut [], None).await {
                    Said::Rows(said) => Ok(self.of_those_that_there_are(said.rows.first())),
                    Said::Refused(refusal) => Err(refusal),
                    Said::Unclear { .. } | Said::RightsLost => {
                        Err(self.refusal("608", "API Temporarily Unavailable"))
                    }
                }
            })
            .await
    }

    fn of_those_that_there_are(&self, described: Option<&Value>) -> BTreeSet<String> {
        let rows =
            described.and_then(|row| row.get("fields")?.as_array()).map_or(&[][..], Vec::as_slice);
        let there_are = rows.iter().filter_map(|row| row.get("name")?.as_str());
        let rules = &self.settings.winner.0;
        let all = rules.contains(&WinnerRule::MostComplete);
        let decides = |name: &str| {
            rules.iter().any(|rule| matches!(rule, WinnerRule::Max(field) if field == name))
        };
        there_are
            .filter(|name| all || AUDIT_FIELDS.contains(name) || decides(name))
            .map(str::to_owned)
            .collect()
    }
}
