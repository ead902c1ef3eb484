//! A group: the leads of one key; and whether they look like one person at all.

use super::key::{Key, normalise};
use super::person::{Skip, several_people};
use crate::lead::{Birth, Lead, LeadId};

/// Two or more leads with one key, by creation, then by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub key: Key,
    /// The leads.
    pub leads: Vec<Lead>,
    /// What is known of their births, and of those of leads that were merged into them before; by
    /// time, then by id.
    pub births: Vec<Birth>,
}

/// Mailboxes that stand for a role and are read by whoever has it, or, as placeholders, for nobody.
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "anonymous",
    "billing",
    "careers",
    "contact",
    "customerservice",
    "donotreply",
    "enquiries",
    "events",
    "finance",
    "hello",
    "help",
    "helpdesk",
    "hr",
    "info",
    "information",
    "inquiries",
    "invoices",
    "it",
    "jobs",
    "kontakt",
    "mail",
    "marketing",
    "media",
    "na",
    "news",
    "newsletter",
    "nobody",
    "noemail",
    "nomail",
    "none",
    "noreply",
    "null",
    "office",
    "orders",
    "payments",
    "postmaster",
    "press",
    "purchasing",
    "reception",
    "recruiting",
    "sales",
    "security",
    "service",
    "shop",
    "support",
    "team",
    "test",
    "unknown",
    "webmaster",
];

/// What stands between the words of an address.
const SEPARATORS: &[char] = &['.', '-', '_'];

/// Where a role may sit, beside the codes of countries.
const REGIONS: &[&str] = &["apac", "dach", "emea", "global", "intl", "latam"];

impl Group {
    /// Puts the leads in order.
    pub fn new(key: Key, mut leads: Vec<Lead>) -> Self {
        sort_by_creation(&mut leads);
        Self { key, leads, births: Vec::new() }
    }

    /// The same group, with the births of its leads from the activity log.
    #[must_use]
    pub fn with_births(mut self, mut births: Vec<Birth>) -> Self {
        births.sort_by_key(|birth| (birth.at, birth.born_as, birth.lead));
        self.births = births;
        self
    }

    /// What the activity log says of how this lead came to be.
    pub fn birth_of(&self, lead: LeadId) -> Option<&Birth> {
        self.births.iter().find(|birth| birth.lead == lead && !birth.of_a_merged_lead())
    }

    /// How many leads a perfect merge would remove.
    pub fn excess(&self) -> usize {
        self.leads.len().saturating_sub(1)
    }

    /// Why these may be several people behind one mailbox; `None` where nothing speaks for it.
    pub fn likely_shared(&self) -> Option<String> {
        likely_shared(&self.leads, &Skip::default())
    }
}

/// Earliest first; leads without a creation time last; equal ones by id.
pub(super) fn sort_by_creation(leads: &mut [Lead]) {
    leads.sort_by_key(|lead| {
        let created = lead.created_at();
        (created.is_none(), created, lead.id)
    });
}

pub(super) fn likely_shared(leads: &[Lead], skip: &Skip) -> Option<String> {
    let emails = || leads.iter().filter_map(|lead| normalise(lead.email()?));
    emails().find_map(|email| not_a_persons(&email)).or_else(|| several_people(leads, skip))
}

/// Why an address is not that of one person, where it is not.
fn not_a_persons(email: &str) -> Option<String> {
    match email.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
            is_role(local).then(|| format!("`{email}` is the mailbox of a role, not of a person"))
        }
        _ => Some(format!("`{email}` is no email address")),
    }
}

/// `info`, `no-reply`, `support+de`, `sales2`, `sales-emea`: a role, and where it sits.
fn is_role(local: &str) -> bool {
    let name =
        local.split('+').next().unwrap_or(local).trim_end_matches(|c: char| c.is_ascii_digit());
    let squashed: String = name.chars().filter(|c| !SEPARATORS.contains(c)).collect();
    if ROLES.contains(&squashed.as_str()) {
        return true;
    }
    let mut parts = name.split(SEPARATORS);
    let role = parts.next().is_some_and(|first| ROLES.contains(&first));
    role && parts.all(|part| part.len() <= 2 || REGIONS.contains(&part) || ROLES.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::Skip;
    use crate::lead::Lead;

    fn likely_shared(leads: &[Lead]) -> Option<String> {
        super::likely_shared(leads, &Skip::default())
    }

    fn lead(id: u64, email: &str, first: &str, last: &str) -> Lead {
        Lead::new(id).with("email", email).with("firstName", first).with("lastName", last)
    }

    #[test]
    fn two_people_behind_one_mailbox_are_seen() {
        let leads = [
            lead(1, "us@example.com", "Ada", "Lovelace"),
            lead(2, "us@example.com", "Alan", "Turing"),
        ];
        assert_eq!(
            likely_shared(&leads).unwrap(),
            "leads 1 and 2 have different first and last names"
        );
    }

    #[test]
    fn one_name_in_two_spellings_is_one_person() {
        for (first, last) in [
            ("ADA", "lovelace"),
            ("Lovelace", "Ada"),
            ("Ada", "King"),
            ("", ""),
            ("Ada ", "Lovelace"),
            ("Ádà", "Love-lace"),
            ("-", "?"),
        ] {
            let leads = [
                lead(1, "ada@example.com", "Ada", "Lovelace"),
                lead(2, "ada@example.com", first, last),
            ];
            assert_eq!(likely_shared(&leads), None, "{first} {last}");
        }
    }

    #[test]
    fn first_names_that_differ_are_two_people_unless_a_last_name_can_tell() {
        let shared = |a: (&str, &str), b: (&str, &str)| {
            let email = "us@example.com";
            likely_shared(&[lead(1, email, a.0, a.1), lead(2, email, b.0, b.1)]).is_some()
        };
        assert!(shared(("Ada", ""), ("Alan", "")));
        assert!(shared(("Ada", "Lovelace"), ("Alan", "")));
        for (a, b) in [
            (("Rob", ""), ("Robert", "Smith")),
            (("A.", ""), ("Ada", "")),
            (("Ada Lovelace", ""), ("Ada", "")),
            (("Lovelace", ""), ("Ada", "Lovelace")),
            (("", ""), ("Ada", "")),
        ] {
            assert!(!shared(a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn the_mailbox_of_a_role_is_no_person() {
        for email in [
            "info@example.com",
            "Sales@example.com",
            "support+de@example.com",
            "noreply2@example.com",
            "none@example.com",
            "no-email@example.com",
            "do-not-reply@example.com",
            "sales-emea@example.com",
            "info.de@example.com",
        ] {
            assert!(
                likely_shared(&[lead(1, email, "", ""), lead(2, email, "", "")]).is_some(),
                "{email}"
            );
        }
        for email in ["information.ada@example.com", "salesman@example.com", "it.ada@example.com"] {
            assert_eq!(likely_shared(&[lead(1, email, "", "")]), None, "{email}");
        }
    }

    #[test]
    fn what_is_no_address_may_stand_for_anybody() {
        for email in ["n/a", "unknown", "@example.com", "ada@"] {
            assert!(
                likely_shared(&[lead(1, email, "", ""), lead(2, email, "", "")]).is_some(),
                "{email}"
            );
        }
    }
}
