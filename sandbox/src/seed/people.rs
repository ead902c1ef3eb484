//! People: a name, a company and an address that no other person of the instance has.
//!
//! Decides who somebody is, never how their record came about.

use std::collections::HashMap;

use super::names::{COMPANIES, CULTURES, Culture, ROLES, ROOTS, Spelled};
use super::rng::SeededRng;

/// Somebody who has, or had, one record or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) company: &'static str,
    pub(super) country: &'static str,
    /// The address in its plain form: lower case, no blanks.
    pub(super) email: String,
}

/// Draws people and remembers which addresses are given out.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// How often an address was asked for; a number is appended from the second time.
    given_out: HashMap<String, u32>,
}

impl Register {
    /// A person with an address of their own.
    pub(super) fn person(&mut self, rng: &mut SeededRng) -> Person {
        let culture = rng.pick(CULTURES);
        let (first, last) = (rng.pick(culture.given), rng.pick(culture.family));
        let company = rng.pick(COMPANIES);
        let local = local_part(first.1, last.1, rng);
        let root = rng.pick(ROOTS);
        let domain =
            if rng.percent(70) { format!("{}.{root}", company.1) } else { (*root).to_owned() };
        Person {
            first: rarely_null(first.0, rng),
            last: rarely_null(last.0, rng),
            company: company.0,
            country: culture.country,
            email: self.unique(&local, &domain),
        }
    }

    /// A mailbox that belongs to a company, for people who share it.
    pub(super) fn role_mailbox(&mut self, rng: &mut SeededRng) -> String {
        let domain = format!("{}.{}", rng.pick(COMPANIES).1, rng.pick(ROOTS));
        let role = rng.word(ROLES);
        self.unique(role, &domain)
    }

    /// Someone else who uses the address of `person`: another first and another last name.
    pub(super) fn sharer(person: &Person, rng: &mut SeededRng) -> Person {
        let other = |table: &'static [Spelled], not: &str, rng: &mut SeededRng| loop {
            let name = rng.pick(table).0;
            if name != not {
                break name;
            }
        };
        let culture: &Culture = rng.pick(CULTURES);
        Person {
            first: other(culture.given, person.first, rng),
            last: other(culture.family, person.last, rng),
            ..person.clone()
        }
    }

    /// The address `local@domain`, with a number in it when the plain one is taken. A role stays a
    /// role: the number goes to the domain's first label, where `info2@` would look like a person.
    fn unique(&mut self, local: &str, domain: &str) -> String {
        let plain = format!("{local}@{domain}");
        let taken = self.given_out.entry(plain.clone()).or_insert(0);
        *taken += 1;
        match *taken {
            1 => plain,
            count if ROLES.contains(&local) => format!("{local}@site{count}.{domain}"),
            count => format!("{local}.{count}@{domain}"),
        }
    }
}

fn local_part(first: &str, last: &str, rng: &mut SeededRng) -> String {
    match rng.below(20) {
        0..=11 => format!("{first}.{last}"),
        12..=14 => format!("{}{last}", first.get(..1).unwrap_or(first)),
        15..=17 => format!("{last}.{first}"),
        18 => format!("{first}_{last}"),
        _ => format!("{first}.{last}+news"),
    }
}

/// People whose form or import wrote `null` for a name are in every large instance.
fn rarely_null(name: &'static str, rng: &mut SeededRng) -> &'static str {
    let without_name = rng.word(&["null", "NULL", "Null", "N/A", "-"]);
    if rng.permille(3) { without_name } else { name }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_people_have_the_same_address_whatever_its_case() {
        let (mut register, mut rng) = (Register::default(), SeededRng::new(3));
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            let email = register.person(&mut rng).email;
            assert!(seen.insert(email.to_lowercase()), "{email} was given out twice");
        }
        for _ in 0..2_000 {
            assert!(seen.insert(register.role_mailbox(&mut rng)));
        }
    }

    #[test]
    fn every_address_is_ascii_and_at_a_reserved_domain() {
        let (mut register, mut rng) = (Register::default(), SeededRng::new(4));
        for _ in 0..2_000 {
            let email = register.person(&mut rng).email;
            assert!(email.is_ascii());
            assert!(ROOTS.iter().any(|root| {
                email.ends_with(&format!("@{root}")) || email.ends_with(&format!(".{root}"))
            }));
        }
    }

    #[test]
    fn who_shares_a_mailbox_has_another_first_and_another_last_name() {
        let (mut register, mut rng) = (Register::default(), SeededRng::new(5));
        for _ in 0..500 {
            let one = register.person(&mut rng);
            let other = Register::sharer(&one, &mut rng);
            assert_eq!(one.email, other.email);
            assert_ne!(one.first, other.first);
            assert_ne!(one.last, other.last);
        }
    }
}
