//! What a policy names of the instance: fields, partitions and static lists, checked and found
//! before anything is planned by it.

use std::collections::BTreeMap;

use super::context::{Merge, MergeClient};
use super::error::Error;
use crate::cancel::unless_stopped;
use crate::dedupe::{Policy, nearest_of};

impl<M: MergeClient> Merge<'_, M> {
    /// Refuses a policy that names a field that the instance does not have, or compares one in a
    /// way that its type does not allow: a slip of the pen would cost its values.
    pub fn check_rules(&self, policy: &Policy) -> Result<(), Error> {
        let unknown = policy.unknown_fields(&self.facts);
        if !unknown.is_empty() {
            let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
            return Err(Error::UnknownFields { what: unknown.join(". ") });
        }
        let conditions = policy.skip_rules.when.iter();
        let unfit: Vec<String> = conditions
            .filter_map(|condition| condition.unfit(&self.facts.fields))
            .map(|unfit| format!("`skip.when`: {unfit}"))
            .collect();
        if unfit.is_empty() { Ok(()) } else { Err(Error::Rules { what: unfit.join(". ") }) }
    }

    /// The policy with the ids of the partitions and static lists that it names: a call for the
    /// partitions, where one is given by name, and one for each 300 lists, where there is any. What
    /// was found before is not asked for again.
    pub(super) async fn with_names_found(&self, mut policy: Policy) -> Result<Policy, Error> {
        let rules = &mut policy.skip_rules;
        let is_id = |name: &String| name.trim().parse::<u64>().is_ok();
        if rules.partition_ids.is_empty() && !rules.partitions.iter().all(is_id) {
            let reading = self.marketo.lead_partitions();
            let Some(known) = unless_stopped(&self.stop, reading).await? else {
                return Ok(policy);
            };
            let known = known.into_iter().map(|known| (known.id, known.name)).collect();
            let named: Vec<&String> = rules.partitions.iter().filter(|name| !is_id(name)).collect();
            rules.partition_ids = found("skip.partitions", "lead partition", &named, &known)?;
        }
        if rules.list_ids.is_empty() && !rules.lists.is_empty() {
            let reading = self.marketo.static_lists();
            let Some(known) = unless_stopped(&self.stop, reading).await? else {
                return Ok(policy);
            };
            let known = known.into_iter().map(|list| (list.id, list.name)).collect();
            let named: Vec<&String> = rules.lists.iter().collect();
            rules.list_ids = found("skip.lists", "static list", &named, &known)?;
        }
        Ok(policy)
    }
}

/// What these names are on the instance, by id: each is a name, or else an id. Several things of
/// one name are all meant.
fn found(
    place: &str,
    what: &str,
    named: &[&String],
    known: &BTreeMap<u64, String>,
) -> Result<BTreeMap<u64, String>, Error> {
    let mut all = BTreeMap::new();
    for name in named {
        let name = name.trim();
        let by_name = known.iter().filter(|(_, known)| known.trim().eq_ignore_ascii_case(name));
        let mut meant: Vec<(&u64, &String)> = by_name.collect();
        if meant.is_empty() {
            meant.extend(name.parse().ok().and_then(|id: u64| known.get_key_value(&id)));
        }
        if meant.is_empty() {
            let near = nearest_of(name, known.values().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(Error::Rules {
                what: format!(
                    "`{place}` names the {what} `{name}`, and this API user sees none of that name or id{near}"
                ),
            });
        }
        all.extend(meant.into_iter().map(|(id, name)| (*id, name.clone())));
    }
    Ok(all)
}
