//! `merge.*`: how far one run of `merge` goes, and how fast.

use std::path::PathBuf;

use super::value::RawValue;
use super::{Error, Limits};
use crate::merge::{Brakes, Hours, Share};

/// `merge.*`
#[derive(Debug, Clone)]
pub struct MergeSettings {
    /// Most groups that one run merges.
    pub max_groups: usize,
    /// A run stops after so many failed groups in a row.
    pub stop_after_errors: usize,
    /// Groups that are merged at once, where that was set.
    pub concurrency: Option<usize>,
    /// When merges may leave.
    pub hours: Option<Hours>,
    /// The file whose appearance stops a run.
    pub stop_file: Option<PathBuf>,
    /// How many of Marketo's calls of a day are left to others; none: they are not counted.
    pub leave_calls: u64,
    /// `merge.crm = "none"`: no Salesforce is connected, so that its ids need not be shown.
    pub no_crm: bool,
    /// `merge.custom_objects = "leave"`: rows of custom objects are not linked to the record that
    /// stays.
    pub leave_rows: bool,
}

impl Default for MergeSettings {
    fn default() -> Self {
        Self {
            max_groups: 500,
            stop_after_errors: 10,
            concurrency: None,
            hours: None,
            stop_file: None,
            leave_calls: 5_000,
            no_crm: false,
            leave_rows: false,
        }
    }
}

impl MergeSettings {
    /// How many groups are merged at once: three unless it was set, and never more than calls may
    /// be in flight.
    pub fn at_once(&self, limits: &Limits) -> usize {
        const USUAL: usize = 3;
        self.concurrency.unwrap_or(USUAL).min(limits.concurrency)
    }

    /// What ends a run before its plan does.
    pub fn brakes(&self, limits: &Limits) -> Brakes {
        let share = Share { quota: limits.quota, left_to_others: self.leave_calls };
        Brakes::default()
            .hours(self.hours.clone())
            .stop_file(self.stop_file.clone())
            .share((self.leave_calls > 0).then_some(share))
    }

    pub(super) fn check(&self, limits: &Limits) -> Result<(), Error> {
        let most = limits.concurrency;
        match self.concurrency {
            Some(merges) if merges > most => Err(Error::at(
                "`merge.concurrency`",
                format!(
                    "is {merges}, and `limits.concurrency` lets {most} calls be in flight at once; make it at most {most}, or raise that limit"
                ),
            )),
            _ if self.leave_calls >= limits.quota => Err(Error::at(
                "`merge.leave_calls`",
                format!(
                    "leaves {} of the {} calls that `limits.quota` names to others, and none for a merge",
                    self.leave_calls, limits.quota
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Calls that are left to others; `0` switches it off.
pub(super) fn leave_calls(value: &RawValue) -> Result<u64, String> {
    if value.text()? == "0" { Ok(0) } else { value.number() }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment, Flags};

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut environment: Environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        environment.insert("HOME".into(), "/nowhere".into());
        Config::load(&Flags::default(), &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn no_more_groups_are_merged_at_once_than_calls_may_be_in_flight() {
        let at_once = |variables: &[(&str, &str)]| {
            load(variables).map(|config| config.merge.at_once(&config.limits))
        };
        let (calls, merges) = ("MKTO_AUDIT__LIMITS__CONCURRENCY", "MKTO_AUDIT__MERGE__CONCURRENCY");
        assert_eq!(at_once(&[]), Ok(3));
        assert_eq!(at_once(&[(calls, "2")]), Ok(2), "what nobody set follows the limit");
        assert_eq!(at_once(&[(calls, "8"), (merges, "8")]), Ok(8));
        let refused = at_once(&[(calls, "2"), (merges, "3")]).unwrap_err();
        assert!(refused.contains("at most 2"), "{refused}");
    }

    #[test]
    fn some_of_the_calls_are_left_for_a_merge() {
        let (quota, leave) = ("MKTO_AUDIT__LIMITS__QUOTA", "MKTO_AUDIT__MERGE__LEAVE_CALLS");
        assert!(load(&[(quota, "100"), (leave, "99")]).is_ok());
        assert!(load(&[(leave, "0")]).is_ok());
        assert!(load(&[(quota, "100"), (leave, "100")]).unwrap_err().contains("none for a merge"));
    }
}
