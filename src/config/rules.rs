//! The rules of merges: what the configuration says of them, and the policy that it comes to.
//!
//! For: `winner.*`, `fields.*`, `bundles.*`, `cause.*` and `skip.*`, checked against each other,
//! and the files that they name, read when a plan needs them. Never: reads such a file for a
//! command that plans nothing.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::value::RawValue;
use super::{Config, Error};
use crate::dedupe::{
    Cause, CauseRules, Condition, EmailPattern, FieldRule, Holds, Listed, NamedIds, Policy,
    ReadFile, SharedList, SkipRules, WinnerOrder, WinnerRule,
};

/// `skip.*`, but for what is the same in a policy.
#[derive(Debug, Clone, Default)]
pub(super) struct SkipSettings {
    pub(super) partitions: Vec<String>,
    pub(super) lists: Vec<String>,
    pub(super) emails: Vec<EmailPattern>,
    pub(super) file: Option<PathBuf>,
    pub(super) changed_within: Option<Duration>,
    pub(super) when: Vec<Condition>,
}

/// What the families of keys below `cause.CAUSE` begin with.
const OF_A_CAUSE: [&str; 2] = ["winner.order", "fields.FIELD"];

pub(super) fn winner_order(value: &RawValue) -> Result<WinnerOrder, String> {
    Ok(WinnerOrder(all(&value.list())?))
}

/// Each of the texts read; the first that cannot be is the error.
pub(super) fn all<T: FromStr>(texts: &[String]) -> Result<Vec<T>, String>
where
    T::Err: std::fmt::Display,
{
    let read = |text: &String| text.parse::<T>().map_err(|error| error.to_string());
    texts.iter().map(read).collect()
}

/// Sets `cause.CAUSE.winner.order` or `cause.CAUSE.fields.FIELD`; `rest` is what follows `cause.`.
pub(super) fn set_of_cause(
    config: &mut Config,
    rest: &str,
    value: &RawValue,
    place: &str,
) -> Result<(), Error> {
    let at = |what: String| Error::at(format!("{place}: `cause.{rest}`"), what);
    let (cause, key) = rest.split_once('.').unwrap_or((rest, ""));
    let cause: Cause = cause.parse().map_err(|unknown| at(format!("{unknown}")))?;
    let rules: &mut CauseRules = config.causes.entry(cause).or_default();
    if key == "winner.order" {
        rules.winner = Some(winner_order(value).map_err(at)?);
    } else if let Some(field) = key.strip_prefix("fields.") {
        let rule: FieldRule = value.parsed().map_err(at)?;
        rules.fields.insert(field.to_owned(), rule);
    } else {
        let likeness = |known: &&str| strsim::jaro_winkler(known, key);
        let near = OF_A_CAUSE.iter().filter(|known| likeness(known) > 0.7);
        let near = near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        return Err(Error::UnknownKey {
            place: place.to_owned(),
            key: format!("cause.{rest}"),
            nearest: near.map(|near| format!("cause.{cause}.{near}")),
        });
    }
    Ok(())
}

impl Config {
    /// Refuses rules that contradict each other.
    pub(super) fn check_rules(&self) -> Result<(), Error> {
        let policy = self.rules();
        let causes = std::iter::once(None).chain(self.causes.keys().copied().map(Some));
        for cause in causes {
            policy.bundles.check(&policy.for_cause(cause).fields).map_err(|(name, why)| {
                let of = cause.map(|cause| format!(" (of `cause.{cause}`)")).unwrap_or_default();
                Error::at(format!("`bundles.{name}`"), format!("{why}{of}"))
            })?;
        }
        let asking = policy.winner_orders().find(|(_, order)| order.asks_for_ids());
        match (asking, &self.winner_ids_file) {
            (Some((place, _)), None) => Err(Error::at(
                format!("`{place}`"),
                "the rule `ids` needs `winner.ids_file`, a file of the ids of the leads to keep",
            )),
            (None, Some(_)) => Err(Error::at(
                "`winner.ids_file`",
                "no winner order goes by it; put the rule `ids` into `winner.order`, for example [\"ids\", \"oldest\"]",
            )),
            _ => Ok(()),
        }
    }

    /// What decides which groups are merged and how, without anything that a flag of `merge` would
    /// allow. Reads the files that its rules name; the time is what `skip.changed_within` counts
    /// from.
    pub fn policy(&self, now: DateTime<Utc>) -> Result<Policy, Error> {
        let mut policy = self.rules_with_ids()?;
        policy.skip_rules = self.skip_rules(now)?;
        Ok(policy)
    }

    /// The general winner order, for who knows no causes. Reads the file of ids.
    pub fn winner_order(&self) -> Result<WinnerOrder, Error> {
        Ok(self.rules_with_ids()?.winner)
    }

    fn rules_with_ids(&self) -> Result<Policy, Error> {
        let mut policy = self.rules();
        if let Some(file) = &self.winner_ids_file {
            let (listed, read) = listed("winner.ids_file", file, Holds::Ids)?;
            policy.winner_ids = Some(read);
            policy = policy.with_winner_ids(&NamedIds::of(listed.ids()));
        }
        Ok(policy)
    }

    /// The people of the do-not-touch file as it is now, for a plan that was made before: who was
    /// put into it since is left alone too.
    pub fn do_not_touch(&self) -> Result<SharedList, Error> {
        let Some(file) = &self.skip_settings.file else { return Ok(SharedList::default()) };
        let (listed, _) = listed("skip.file", file, Holds::IdsAndEmails)?;
        Ok(SharedList::of(listed))
    }

    fn rules(&self) -> Policy {
        Policy {
            key: self.key.clone(),
            winner: self.winner.clone(),
            fields: self.fields.clone(),
            bundles: self.bundles.clone(),
            causes: self.causes.clone(),
            no_crm: self.merge.no_crm,
            leave_rows: self.merge.leave_rows,
            skip: self.skip.clone(),
            ..Policy::default()
        }
    }

    fn skip_rules(&self, now: DateTime<Utc>) -> Result<SkipRules, Error> {
        let settings = &self.skip_settings;
        let mut rules = SkipRules {
            partitions: settings.partitions.clone(),
            lists: settings.lists.clone(),
            emails: settings.emails.clone(),
            changed_since: settings.changed_within.map(|within| before(now, within)),
            when: settings.when.clone(),
            ..SkipRules::default()
        };
        if let Some(file) = &settings.file {
            let (people, read) = listed("skip.file", file, Holds::IdsAndEmails)?;
            rules.file = Some(read);
            rules.in_file = SharedList::of(people);
        }
        Ok(rules)
    }

    /// The fields that conditions and winner orders look at: a scan has to cache them.
    pub fn fields_of_rules(&self) -> impl Iterator<Item = &String> {
        let of_causes = self.causes.values();
        let orders = of_causes.clone().filter_map(|rules| rules.winner.as_ref());
        let orders = std::iter::once(&self.winner).chain(orders);
        let compared = orders.flat_map(|order| &order.0).filter_map(|rule| match rule {
            WinnerRule::Max(field) => Some(field),
            _ => None,
        });
        compared.chain(of_causes.flat_map(|rules| rules.fields.keys()))
    }
}

fn before(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The people of a file that a rule names.
fn listed(key: &str, path: &Path, holds: Holds) -> Result<(Listed, ReadFile), Error> {
    let refuse = |what: String| Error::at(format!("`{key}`: {}", path.display()), what);
    let bytes = std::fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    // A spreadsheet saves "Unicode text" as UTF-16, with a mark at its beginning.
    let encoding = encoding_rs::Encoding::for_bom(&bytes).map_or(encoding_rs::UTF_8, |(of, _)| of);
    let (text, _, broken) = encoding.decode(&bytes);
    if broken {
        return Err(refuse("is not written in UTF-8; save it as UTF-8".to_owned()));
    }
    let listed = Listed::read(&text, holds).map_err(refuse)?;
    let read = ReadFile::new(path.display().to_string(), &bytes, listed.len());
    Ok((listed, read))
}

#[cfg(test)]
mod tests;
