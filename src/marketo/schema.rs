//! The fields of leads on an instance, and which of them a name means.
//!
//! Marketo names a field in several ways: by its REST name in calls, by its name on the screens in
//! exports, activities and the relationships of custom objects. Never: takes a name for a field
//! where it could mean two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{number, text};

/// The fields of leads on this instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// By REST API name.
    pub fields: BTreeMap<String, Field>,
    /// The fields by which leads can be looked up.
    pub searchable: Vec<String>,
}

impl Schema {
    /// What Describe2 answers.
    pub(super) fn read(row: &Value) -> Self {
        let searchable = row
            .get("searchableFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            // A combination of several fields cannot be used as a filter.
            .filter_map(|fields| match fields.as_array().map(Vec::as_slice) {
                Some([Value::String(field)]) => Some(field.clone()),
                _ => None,
            })
            .collect();
        let fields = row
            .get("fields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|field| {
                let flag = |name: &str| field.get(name).and_then(Value::as_bool).unwrap_or(false);
                let facts = Field {
                    display_name: text(field, "displayName"),
                    data_type: text(field, "dataType"),
                    length: field
                        .get("length")
                        .and_then(number)
                        .and_then(|length| u32::try_from(length).ok()),
                    updateable: flag("updateable"),
                    crm_managed: flag("crmManaged"),
                };
                (text(field, "name"), facts)
            })
            .collect();
        Self { fields, searchable }
    }

    /// Marketo's data type of a field.
    pub fn data_type(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(|field| field.data_type.as_str())
    }

    /// The REST name of the field that is meant by a name: its REST name or its name on the
    /// screens, whatever the case, blanks or underscores. None where no field or several are meant.
    pub fn field_named(&self, name: &str) -> Option<&str> {
        if let Some((exact, _)) = self.fields.get_key_value(name.trim()) {
            return Some(exact);
        }
        let wanted = letters(name);
        if wanted.is_empty() {
            return None;
        }
        let by_rest = self.fields.keys().filter(|known| letters(known) == wanted);
        let by_rest: Vec<&str> = by_rest.map(String::as_str).collect();
        if !by_rest.is_empty() {
            return the_one(&by_rest);
        }
        let on_screen =
            self.fields.iter().filter(|(_, field)| letters(&field.display_name) == wanted);
        the_one(&on_screen.map(|(known, _)| known.as_str()).collect::<Vec<_>>())
    }
}

fn the_one<'a>(meant: &[&'a str]) -> Option<&'a str> {
    match meant {
        [one] => Some(one),
        _ => None,
    }
}

/// A name without what its spellings differ in.
fn letters(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// One field of leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// As Marketo's screens and exports name it, for example `Email Address`.
    pub display_name: String,
    /// Marketo's data type: `string`, `email`, `integer`, `float`, `boolean`, `date`, `datetime`,
    /// `score`, ….
    pub data_type: String,
    /// Marketo's longest value of a text field, as Describe2 gives it; none where it gives none.
    pub length: Option<u32>,
    /// Whether Sync Leads may write it.
    pub updateable: bool,
    /// Whether the CRM owns it.
    pub crm_managed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, &str)]) -> Schema {
        let field = |(name, label): &(&str, &str)| {
            let facts = Field {
                display_name: (*label).to_owned(),
                data_type: "string".to_owned(),
                length: None,
                updateable: true,
                crm_managed: false,
            };
            ((*name).to_owned(), facts)
        };
        Schema { fields: fields.iter().map(field).collect(), searchable: Vec::new() }
    }

    #[test]
    fn a_field_is_known_by_both_its_names_in_any_spelling_and_never_where_two_are_meant() {
        let schema = schema(&[
            ("id", "Id"),
            ("email", "Email Address"),
            ("doNotCall", "Do Not Call"),
            ("secondaryEmail", "Other Email"),
            ("otherEmail2", "Other Email"),
            ("region_c", "Region"),
            ("regionc", "Region (old)"),
        ]);
        for (name, field) in [
            ("id", Some("id")),
            ("Id", Some("id")),
            ("ID", Some("id")),
            ("email", Some("email")),
            ("EMAIL", Some("email")),
            (" Email Address ", Some("email")),
            ("email address", Some("email")),
            ("Email_Address", Some("email")),
            ("EmailAddress", Some("email")),
            ("Do Not Call", Some("doNotCall")),
            ("DoNotCall", Some("doNotCall")),
            ("Other Email", None),
            ("region_c", Some("region_c")),
            ("Region_C", None),
            ("Region", Some("region_c")),
            ("No Such Field", None),
            ("", None),
        ] {
            assert_eq!(schema.field_named(name), field, "{name}");
        }
    }
}
