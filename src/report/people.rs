//! What duplicates do to the people behind them: who said stop on one record alone, and who gets
//! mails twice.
//!
//! Never: counts a group that may be several people as one, or says "none" of fields that were not
//! read.

use std::collections::BTreeMap;

use crate::dedupe::{OPT_OUTS, can_be_mailed};
use crate::lead::Lead;

/// Says why a mail does not arrive, and not that somebody wants none.
const BOUNCED: &str = "emailInvalid";

/// Flags that keep mails of marketing from a record.
const NOT_MAILED: [&str; 4] = ["unsubscribed", "marketingSuspended", "blackListed", BOUNCED];

/// People with an opt-out on one record and none on another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptedOut {
    /// How many.
    pub people: u64,
    /// The same by flag; one person can be among several.
    pub by_field: BTreeMap<&'static str, u64>,
}

/// People with two or more records that can be mailed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailedTwice {
    /// How many.
    pub people: u64,
    /// How many mails too many that makes at most for each send: the records that can be mailed,
    /// less one a person.
    pub mails: u64,
}

/// Both, counted group by group.
#[derive(Debug, Default)]
pub(super) struct People {
    opted_out: OptedOut,
    mailed_twice: MailedTwice,
}

impl People {
    /// Counts the records of one person.
    pub(super) fn add(&mut self, leads: &[Lead]) {
        let differs = |flag: &&&str| {
            let set = leads.iter().filter(|lead| lead.flag(flag)).count();
            set > 0 && set < leads.len()
        };
        let mut anywhere = false;
        for flag in OPT_OUTS.iter().filter(|flag| **flag != BOUNCED).filter(differs) {
            *self.opted_out.by_field.entry(flag).or_default() += 1;
            anywhere = true;
        }
        self.opted_out.people += u64::from(anywhere);
        let mailed = leads.iter().filter(|lead| is_mailed(lead)).count() as u64;
        if mailed > 1 {
            self.mailed_twice.people += 1;
            self.mailed_twice.mails += mailed - 1;
        }
    }

    /// What is known where these fields were read: nothing of opt-outs that were not.
    pub(super) fn known(
        self,
        fields: Option<&[String]>,
    ) -> (Option<OptedOut>, Option<MailedTwice>) {
        let is_read =
            |field: &str| fields.is_none_or(|fields| fields.iter().any(|read| read == field));
        let some_opt_out = OPT_OUTS.iter().any(|flag| *flag != BOUNCED && is_read(flag));
        let can_tell = is_read("unsubscribed") && is_read("email");
        (some_opt_out.then_some(self.opted_out), can_tell.then_some(self.mailed_twice))
    }
}

fn is_mailed(lead: &Lead) -> bool {
    lead.email().is_some_and(can_be_mailed) && !NOT_MAILED.iter().any(|flag| lead.flag(flag))
}

#[cfg(test)]
mod tests {
    use super::{MailedTwice, OptedOut, People};
    use crate::lead::Lead;

    fn lead(id: u64) -> Lead {
        Lead::new(id).with("email", "ada@example.com")
    }

    #[test]
    fn an_opt_out_counts_where_another_record_lacks_it_and_only_mailable_records_are_mailed() {
        let mut people = People::default();
        people.add(&[lead(1).with("unsubscribed", true), lead(2), lead(3)]);
        people.add(&[lead(1).with("unsubscribed", true), lead(2).with("doNotCall", true)]);
        people.add(&[lead(1).with("blackListed", true), lead(2).with("blackListed", true)]);
        people.add(&[lead(1).with("emailInvalid", true), lead(2)]);
        people.add(&[Lead::new(1).with("email", "n/a"), Lead::new(2).with("email", "n/a")]);
        let (opted_out, mailed_twice) = people.known(None);
        let by_field = [("doNotCall", 1), ("unsubscribed", 2)].into();
        assert_eq!(opted_out, Some(OptedOut { people: 2, by_field }));
        assert_eq!(mailed_twice, Some(MailedTwice { people: 1, mails: 1 }));
    }

    #[test]
    fn of_fields_that_were_not_read_nothing_is_known() {
        let known = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            let (opted_out, mailed_twice) = People::default().known(Some(&fields));
            (opted_out.is_some(), mailed_twice.is_some())
        };
        assert_eq!(known(&["id", "email"]), (false, false));
        assert_eq!(known(&["email", "doNotCall"]), (true, false));
        assert_eq!(known(&["email", "unsubscribed"]), (true, true));
    }
}
