//! When two companies are different ones.

use std::collections::BTreeSet;

use super::placeholder::Placeholders;
use super::word::fold;
use crate::lead::Lead;

/// Words that say in which legal form a company exists, or that come and go with its name.
const FORMS: &[&str] = &[
    "ab",
    "ag",
    "aps",
    "as",
    "asa",
    "asia",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "cv",
    "de",
    "doo",
    "dr",
    "eg",
    "ek",
    "europe",
    "ev",
    "gbr",
    "gesellschaft",
    "gmbh",
    "ggmbh",
    "group",
    "groep",
    "gruppe",
    "grupo",
    "holding",
    "holdings",
    "inc",
    "incorporated",
    "international",
    "kft",
    "kg",
    "kgaa",
    "kk",
    "lda",
    "limited",
    "limitada",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "mbh",
    "nv",
    "ohg",
    "oy",
    "oyj",
    "plc",
    "pte",
    "pty",
    "pvt",
    "private",
    "sa",
    "sarl",
    "sas",
    "se",
    "sl",
    "slu",
    "sp",
    "spa",
    "spzoo",
    "srl",
    "sro",
    "the",
    "ug",
    "und",
    "and",
    "et",
    "y",
    "e",
    "zoo",
    "ooo",
    "oao",
    "zao",
    "ao",
    "uk",
    "usa",
    "us",
];

/// What a lead says of its company.
pub(super) struct Company {
    words: BTreeSet<String>,
    joined: String,
    initials: String,
}

impl Company {
    pub(super) fn of(lead: &Lead, placeholders: &Placeholders) -> Self {
        let text = lead.company().filter(|text| !placeholders.is_no_name(text)).unwrap_or_default();
        // Dots within a legal form: S.A.R.L., B.V.
        let all = fold(&text.replace('.', ""));
        let bare: Vec<String> =
            all.iter().filter(|word| !FORMS.contains(&word.as_str())).cloned().collect();
        let words = if bare.is_empty() { all } else { bare };
        let initials = words.iter().filter_map(|word| word.chars().next()).collect();
        Self { joined: words.concat(), initials, words: words.into_iter().collect() }
    }

    /// One text for all spellings.
    pub(super) fn signature(&self) -> String {
        self.words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Both are filled, and neither is a part, an abbreviation or a spelling of the other.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        if self.joined.is_empty() || other.joined.is_empty() {
            return false;
        }
        let abbreviates = |a: &Self, b: &Self| {
            b.words.len() > 1 && a.joined.chars().count() > 1 && a.joined == b.initials
        };
        let alike = self.joined == other.joined
            || self.words.is_subset(&other.words)
            || other.words.is_subset(&self.words)
            || abbreviates(self, other)
            || abbreviates(other, self);
        !alike
    }
}

#[cfg(test)]
mod tests {
    use super::Company;
    use crate::dedupe::person::placeholder::Placeholders;
    use crate::lead::Lead;

    fn differ(a: &str, b: &str) -> bool {
        let company =
            |name: &str| Company::of(&Lead::new(1).with("company", name), &Placeholders::with(&[]));
        assert_eq!(
            company(a).differs_from(&company(b)),
            company(b).differs_from(&company(a)),
            "{a} {b}"
        );
        company(a).differs_from(&company(b))
    }

    #[test]
    fn a_company_is_known_in_every_legal_form() {
        for (a, b) in [
            ("Acme", "ACME GmbH"),
            ("Acme Ltd", "Acme, Inc."),
            ("Acme B.V.", "Acme BV"),
            ("Acme", "Acme Group"),
            ("Müller AG", "Mueller"),
            ("Smith & Co. KG", "Smith"),
            ("Example Widgets", "Example Widgets Germany"),
            ("Example Widget Makers", "EWM"),
            ("Acme", ""),
            ("Acme", "[Not Provided]"),
            ("Acme", "n/a"),
            ("The Acme Company", "acme"),
            ("Ltd", "ltd."),
            ("Acme S.A.R.L.", "Acme"),
            ("Data-Base", "Database"),
        ] {
            assert!(!differ(a, b), "{a} {b}");
        }
        for (a, b) in
            [("A Ltd", "B Ltd"), ("Acme GmbH", "Widgets GmbH"), ("Acme North", "Acme South")]
        {
            assert!(differ(a, b), "{a} {b}");
        }
    }
}
