//! `merge.*`: how far one run of `merge` goes, and how fast.

use super::{Error, Limits};

/// `merge.*`
#[derive(Debug, Clone)]
pub struct MergeSettings {
    /// Most groups that one run merges.
    pub max_groups: usize,
    /// A run stops after so many failed groups in a row.
    pub stop_after_errors: usize,
    /// Groups that are merged at once, where that was set.
    pub concurrency: Option<usize>,
    /// `merge.crm = "none"`: no Salesforce is connected, so that its ids need not be shown.
    pub no_crm: bool,
}

impl Default for MergeSettings {
    fn default() -> Self {
        Self { max_groups: 500, stop_after_errors: 10, concurrency: None, no_crm: false }
    }
}

impl MergeSettings {
    /// How many groups are merged at once: three unless it was set, and never more than calls may
    /// be in flight.
    pub fn at_once(&self, limits: &Limits) -> usize {
        const USUAL: usize = 3;
        self.concurrency.unwrap_or(USUAL).min(limits.concurrency)
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
            _ => Ok(()),
        }
    }
}
