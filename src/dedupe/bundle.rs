//! Fields that come from one lead together: a bundle. An address that is put together from two
//! leads is nobody's.
//!
//! For: the bundles that a user configures, and the address families that are bundles by default.
//! Never: decides from which lead a bundle comes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::field_fact::FieldFact;
use super::field_rule::{FieldRules, OPT_OUTS};
use super::words::words;

/// The configured bundles by name, each with its fields. A name of a default bundle replaces it;
/// without fields it switches it off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bundles(pub BTreeMap<String, Vec<String>>);

/// What makes a bundle no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBundle {
    /// One field has nothing to travel with.
    #[error("a bundle has two fields or more; an empty list switches a default bundle off")]
    TooFew,
    /// An opt-out has a rule that cannot be changed.
    #[error(
        "`{0}` is an opt-out, which stays true if any record has it; its reason and date travel with it by themselves"
    )]
    OptOut(String),
    /// Two bundles cannot both decide over a field.
    #[error("`{field}` is in the bundle `{other}` too; a field comes from one lead")]
    InTwo {
        /// The field.
        field: String,
        /// The other bundle.
        other: String,
    },
    /// A rule and a bundle cannot both decide over a field.
    #[error("`{0}` has a rule of its own in `fields.{0}` too; take it out of one of the two")]
    Ruled(String),
}

impl Bundles {
    /// Checks the bundles against each other and against the rules. Gives the first that is wrong,
    /// by name.
    pub fn check(&self, rules: &FieldRules) -> Result<(), (String, NoBundle)> {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, fields) in &self.0 {
            let refuse = |why| Err((name.clone(), why));
            let different: BTreeSet<&str> = fields.iter().map(String::as_str).collect();
            if different.len() == 1 {
                return refuse(NoBundle::TooFew);
            }
            for field in different {
                if OPT_OUTS.contains(&field) {
                    return refuse(NoBundle::OptOut(field.to_owned()));
                }
                if rules.0.contains_key(field) {
                    return refuse(NoBundle::Ruled(field.to_owned()));
                }
                if let Some(other) = taken.insert(field, name) {
                    return refuse(NoBundle::InTwo {
                        field: field.to_owned(),
                        other: other.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The configured bundle of a field.
    pub(super) fn of(&self, field: &str) -> Option<&str> {
        let holds =
            |(_, fields): &(&String, &Vec<String>)| fields.iter().any(|known| known == field);
        self.0.iter().find(holds).map(|(name, _)| name.as_str())
    }
}

/// What the last words of an address field say, in Marketo's standard fields (`billingPostalCode`)
/// and in custom ones.
const PARTS: &[(&str, &str)] = &[
    ("street address", "street"),
    ("address line 1", "street"),
    ("address line 2", "street"),
    ("address line 3", "street"),
    ("address 1", "street"),
    ("address 2", "street"),
    ("address 3", "street"),
    ("address1", "street"),
    ("address2", "street"),
    ("address3", "street"),
    ("street 1", "street"),
    ("street 2", "street"),
    ("street1", "street"),
    ("street2", "street"),
    ("house number", "street"),
    ("address", "street"),
    ("street", "street"),
    ("strasse", "street"),
    ("straße", "street"),
    ("city", "city"),
    ("town", "city"),
    ("ort", "city"),
    ("stadt", "city"),
    ("ville", "city"),
    ("ciudad", "city"),
    ("state province", "state"),
    ("state code", "state"),
    ("state", "state"),
    ("province", "state"),
    ("county", "state"),
    ("bundesland", "state"),
    ("postal code", "postal code"),
    ("zip code", "postal code"),
    ("post code", "postal code"),
    ("postalcode", "postal code"),
    ("zipcode", "postal code"),
    ("postcode", "postal code"),
    ("zip", "postal code"),
    ("plz", "postal code"),
    ("country code", "country"),
    ("country name", "country"),
    ("country", "country"),
    ("land", "country"),
    ("pays", "country"),
    ("pais", "country"),
];

/// The address fields of an instance, each with the name of its bundle: `address` for the lead's
/// own, and for each other family its first words, `billing_address`. A family needs a street, a
/// city or a postal code, and one field besides.
pub(super) fn addresses(facts: &BTreeMap<String, FieldFact>) -> BTreeMap<String, String> {
    let mut families: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    for (field, fact) in facts {
        if fact.data_type == "boolean" {
            continue;
        }
        if let Some((family, part)) = part_of(field) {
            families.entry(family).or_default().push((field, part));
        }
    }
    let is_family = |fields: &[(&str, &str)]| {
        let parts: BTreeSet<&str> = fields.iter().map(|(_, part)| *part).collect();
        parts.len() > 1 && ["street", "city", "postal code"].iter().any(|part| parts.contains(part))
    };
    families
        .into_iter()
        .filter(|(_, fields)| is_family(fields))
        .flat_map(|(name, fields)| {
            fields.into_iter().map(move |(field, _)| (field.to_owned(), name.clone()))
        })
        .collect()
}

fn part_of(field: &str) -> Option<(String, &'static str)> {
    let words = words(field);
    let words = words.trim();
    let (rest, part) = PARTS.iter().find_map(|(last, part)| {
        let rest = words.strip_suffix(last)?;
        (rest.is_empty() || rest.ends_with(' ')).then_some((rest.trim(), *part))
    })?;
    let family = if rest.is_empty() {
        "address".to_owned()
    } else {
        format!("{}_address", rest.replace(' ', "_"))
    };
    Some((family, part))
}

#[cfg(test)]
mod tests {
    use super::{Bundles, NoBundle, addresses};
    use crate::dedupe::{FieldFacts, FieldRule, FieldRules};

    #[test]
    fn every_family_of_address_fields_is_a_bundle_of_its_own() {
        let facts = FieldFacts::of_writeable([
            "address",
            "city",
            "state",
            "postalCode",
            "country",
            "billingStreet",
            "billingCity",
            "billingState",
            "billingPostalCode",
            "billingCountry",
            "Shipping_City__c",
            "Shipping_Zip_Code__c",
            "birthCountry",
            "emailAddress",
            "region",
            "capacity",
            "leadState",
            "estate",
        ]);
        let found = addresses(&facts.fields);
        for (field, bundle) in [
            ("address", Some("address")),
            ("postalCode", Some("address")),
            ("country", Some("address")),
            ("billingStreet", Some("billing_address")),
            ("billingCountry", Some("billing_address")),
            ("Shipping_Zip_Code__c", Some("shipping_address")),
            ("birthCountry", None),
            ("emailAddress", None),
            ("region", None),
            ("capacity", None),
            ("leadState", None),
            ("estate", None),
        ] {
            assert_eq!(found.get(field).map(String::as_str), bundle, "{field}");
        }
    }

    #[test]
    fn a_bundle_that_contradicts_something_is_refused() {
        let mut rules = FieldRules::default();
        rules.0.insert("title".to_owned(), FieldRule::Newest);
        let check = |bundles: &[(&str, &[&str])]| {
            let owned = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
            let bundles = bundles.iter().map(|(name, fields)| ((*name).to_owned(), owned(fields)));
            Bundles(bundles.collect()).check(&rules).map_err(|(_, why)| why)
        };
        assert_eq!(check(&[("source", &["leadSource", "sourceDetail"]), ("address", &[])]), Ok(()));
        assert_eq!(check(&[("a", &["phone"])]), Err(NoBundle::TooFew));
        assert_eq!(check(&[("a", &["phone", "phone"])]), Err(NoBundle::TooFew));
        assert_eq!(check(&[("a", &["phone", "title"])]), Err(NoBundle::Ruled("title".to_owned())));
        let opt_out = NoBundle::OptOut("doNotCall".to_owned());
        assert_eq!(check(&[("a", &["phone", "doNotCall"])]), Err(opt_out));
        let in_two = NoBundle::InTwo { field: "phone".to_owned(), other: "a".to_owned() };
        assert_eq!(check(&[("a", &["phone", "fax"]), ("b", &["phone", "city"])]), Err(in_two));
    }
}
