//! The first group of a run, shown to whoever watches: it goes alone, and more follow only then.
//!
//! Never: waits for an answer.

use crate::cli::{Context, Ui};
use crate::config::AppUrl;
use crate::lead::LeadId;
use crate::merge::GroupReport;
use crate::terminal::counted_of;

/// Shows the first group.
pub(super) struct First {
    ui: Ui,
    app_url: Option<AppUrl>,
}

impl First {
    /// Where somebody watches.
    pub(super) fn on_a_terminal(context: &Context) -> Option<Self> {
        let (ui, app_url) = (context.ui.clone(), context.config.instance.app_url.clone());
        ui.is_watched().then_some(Self { ui, app_url })
    }

    pub(super) fn show(mut self, report: &GroupReport) {
        let Some(winner) = report.winner else { return };
        let words = in_words(&report.key, winner, report.merged.len(), self.app_url.as_ref());
        self.ui.note(&words);
    }
}

fn in_words(key: &str, winner: LeadId, merged: usize, app_url: Option<&AppUrl>) -> String {
    let gone = counted_of(merged, "record");
    let link = match app_url {
        Some(app_url) => app_url.link_to(winner),
        None => format!(
            "/leadDatabase/loadLeadDetail?leadId={winner} under the address that your browser shows there; set instance.app_url to that, such as https://app-ab12.marketo.com, and the link is whole"
        ),
    };
    format!(
        "the first group is merged: {key} is record {winner}, and {gone} went into it. See it in Marketo: {link}"
    )
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn the_first_group_is_told_with_the_way_to_its_record() {
        let words = in_words("ada@example.com", 12, 2, None);
        assert!(
            words.contains("ada@example.com is record 12, and 2 records went into it"),
            "{words}"
        );
        assert!(
            words.contains("/leadDatabase/loadLeadDetail?leadId=12 under the address"),
            "{words}"
        );
    }
}
