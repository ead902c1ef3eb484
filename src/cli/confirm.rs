//! Consent on a terminal: before a merge that nobody has seen as a plan, a person types how many
//! records will vanish.
//!
//! Never: asks where no person is, so scripts go on as they do; takes anything but the number for
//! consent.

use std::io::{BufRead, IsTerminal, Write};

use super::Ui;
use crate::dedupe::Plan;

/// What is about to happen, for the question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vanishing<'a> {
    pub(super) groups: usize,
    pub(super) records: usize,
    pub(super) instance: &'a str,
}

impl<'a> Vanishing<'a> {
    /// What a plan takes away.
    pub(super) fn of(plan: &Plan, instance: &'a str) -> Self {
        let records = plan.groups.iter().map(|group| group.losers.len()).sum();
        Self { groups: plan.groups.len(), records, instance }
    }

    fn question(self) -> String {
        let Self { groups, records, instance } = self;
        format!(
            "{} will be merged on {instance}: {} will vanish, and that can't be undone.\n\
             `mkto-audit merge` without --confirm shows them first. To go on, type {records}: ",
            counted(groups, "group"),
            counted(records, "record"),
        )
    }
}

/// Whether the merge may go on. It may wherever nobody can be asked, and where there is nothing to
/// merge.
pub(super) fn agrees(ui: &mut Ui, vanishing: Vanishing<'_>) -> bool {
    if vanishing.records == 0 || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal()
    {
        return true;
    }
    let agreed = ask(&mut std::io::stdin().lock(), &mut std::io::stderr().lock(), vanishing);
    if !agreed {
        ui.note("nothing was merged");
    }
    agreed
}

/// Asks once. An answer that cannot be read is none.
fn ask(input: &mut impl BufRead, output: &mut impl Write, vanishing: Vanishing<'_>) -> bool {
    let mut typed = String::new();
    let asked = write!(output, "{}", vanishing.question()).and_then(|()| output.flush());
    asked.and_then(|()| input.read_line(&mut typed)).is_ok()
        && typed.trim() == vanishing.records.to_string()
}

pub(super) use crate::terminal::counted_of as counted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_records_that_vanish_is_consent() {
        let vanishing = Vanishing {
            groups: 19,
            records: 27,
            instance: "111-aaa-111.mktorest.com (profile acme)",
        };
        for (typed, agreed) in [
            ("27\n", true),
            (" 27 \r\n", true),
            ("27", true),
            ("19\n", false),
            ("y\n", false),
            ("yes\n", false),
            ("\n", false),
            ("", false),
        ] {
            let mut said = Vec::new();
            assert_eq!(ask(&mut typed.as_bytes(), &mut said, vanishing), agreed, "{typed:?}");
            let said = String::from_utf8(said).unwrap();
            assert!(said.starts_with("19 groups will be merged on 111-aaa-111.mktorest.com (profile acme): 27 records will vanish"), "{said}");
            assert!(said.ends_with("type 27: "), "{said}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        let said = Vanishing { groups: 1, records: 1, instance: "x" }.question();
        assert!(said.starts_with("1 group will be merged on x: 1 record will vanish"), "{said}");
    }
}
