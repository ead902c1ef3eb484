//! Which fields make leads the same, and so the key of a lead.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::match_key::KeyKind;
use crate::lead::Lead;

/// The number of the rule by which keys are computed: it changes with what is a key, so that stored
/// keys of an older rule are computed anew.
const RULE: &str = "#3";

/// Which fields make two leads the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// All of them must have a value, and equal ones.
    pub fields: Vec<String>,
    /// Whether the leads must be in one partition too.
    pub within_partition: bool,
    /// What the instance's schema says of them, where that is more than their names say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kinds: BTreeMap<String, KeyKind>,
}

impl Default for KeySpec {
    fn default() -> Self {
        Self::new(vec!["email".to_owned()], false)
    }
}

impl KeySpec {
    /// Leads that agree in all of these fields are the same.
    pub fn new(fields: Vec<String>, within_partition: bool) -> Self {
        Self { fields, within_partition, kinds: BTreeMap::new() }
    }

    /// The same, with the data types of the fields by the schema, where it has them.
    #[must_use]
    pub fn by_schema<'s>(self, data_type: impl Fn(&str) -> Option<&'s str>) -> Self {
        let kind = |field: &str| data_type(field).map(KeyKind::of_type);
        self.with_kinds(kind)
    }

    /// The same, with what was known of the fields when the keys of this signature were computed:
    /// for commands that have the cache and not the instance. A signature of other fields or of an
    /// older rule says nothing.
    #[must_use]
    pub fn as_stored(self, signature: &str) -> Self {
        let parts = signature
            .strip_suffix(RULE)
            .map(|rest| rest.strip_suffix("@partition").unwrap_or(rest))
            .into_iter()
            .flat_map(|fields| fields.split('+'));
        let kinds: BTreeMap<&str, KeyKind> = parts
            .filter_map(|part| {
                let (field, name) = part.split_once(':')?;
                let kinds = [KeyKind::Email, KeyKind::Number, KeyKind::Flag];
                Some((field, kinds.into_iter().find(|kind| kind.name() == Some(name))?))
            })
            .collect();
        self.with_kinds(|field| kinds.get(field).copied())
    }

    fn with_kinds(mut self, kind: impl Fn(&str) -> Option<KeyKind>) -> Self {
        self.kinds = self
            .fields
            .iter()
            .filter(|field| KeyKind::standard(field) == KeyKind::Text)
            .filter_map(|field| Some((field.clone(), kind(field)?)))
            .filter(|(_, kind)| *kind != KeyKind::Text)
            .collect();
        self
    }

    /// How the values of a field compare.
    pub fn kind(&self, field: &str) -> KeyKind {
        self.kinds.get(field).copied().unwrap_or_else(|| KeyKind::standard(field))
    }

    /// The one field whose value alone is the key, by the rule for addresses; none where the key is
    /// made otherwise.
    pub(crate) fn only_address(&self) -> Option<&str> {
        match self.fields.as_slice() {
            [field] if !self.within_partition && self.kind(field) == KeyKind::Email => Some(field),
            _ => None,
        }
    }

    /// The lead's key; none where one of the fields is empty, or where the partition counts and is
    /// not known.
    pub fn key_of(&self, lead: &Lead) -> Option<Key> {
        let mut parts = Vec::with_capacity(self.fields.len() + 1);
        for field in &self.fields {
            parts.push(self.kind(field).key(lead.value(field)?)?.into());
        }
        if parts.is_empty() {
            return None;
        }
        if self.within_partition {
            parts.push(format!("partition {}", lead.partition()?));
        }
        Key::of_parts(&parts)
    }

    /// Names the rule, so that a stored key can be told from one of another rule.
    pub fn signature(&self) -> String {
        let fields = self.fields.iter().map(|field| match self.kinds.get(field) {
            Some(kind) => format!("{field}:{}", kind.name().unwrap_or_default()),
            None => field.clone(),
        });
        let fields: Vec<String> = fields.collect();
        let partition = if self.within_partition { "@partition" } else { "" };
        format!("{}{partition}{RULE}", fields.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::KeySpec;
    use crate::lead::Lead;

    fn spec(fields: &[&str]) -> KeySpec {
        KeySpec::new(fields.iter().map(|field| (*field).to_owned()).collect(), false)
    }

    #[test]
    fn a_lead_without_a_value_has_no_key() {
        assert_eq!(KeySpec::default().key_of(&Lead::new(1)), None);
        assert_eq!(KeySpec::default().key_of(&Lead::new(1).with("email", "null")), None);
        assert_eq!(KeySpec::new(vec![], true).key_of(&Lead::new(1)), None);
    }

    #[test]
    fn a_key_of_two_fields_needs_both() {
        let spec = spec(&["email", "region"]);
        let lead = Lead::new(1).with("email", "ada@example.com");
        assert_eq!(spec.key_of(&lead), None);
        assert_eq!(
            spec.key_of(&lead.with("region", "EU")).unwrap().to_string(),
            "ada@example.com + EU"
        );
    }

    #[test]
    fn within_a_partition_the_partition_is_part_of_the_key() {
        let spec = KeySpec { within_partition: true, ..KeySpec::default() };
        let lead = Lead::new(1).with("email", "ada@example.com");
        let (one, two) = (lead.clone().with("leadPartitionId", 1), lead.with("leadPartitionId", 2));
        assert_ne!(spec.key_of(&one), spec.key_of(&two));
        assert_eq!(spec.key_of(&one).unwrap().to_string(), "ada@example.com + partition 1");
    }

    #[test]
    fn where_the_partition_counts_a_lead_of_an_unknown_one_has_no_key() {
        let spec = KeySpec { within_partition: true, ..KeySpec::default() };
        assert_eq!(spec.key_of(&Lead::new(1).with("email", "ada@example.com")), None);
    }

    #[test]
    fn ids_that_differ_by_case_alone_are_two() {
        let spec = spec(&["sfdcContactId"]);
        let key = |id: &str| spec.key_of(&Lead::new(1).with("sfdcContactId", id));
        assert_ne!(key("003A000001abcDE"), key("003A000001ABCde"));
    }

    #[test]
    fn a_field_is_an_email_where_the_schema_says_so_and_not_by_its_name() {
        let named = spec(&["workEmail"]);
        let key = |spec: &KeySpec, text: &str| spec.key_of(&Lead::new(1).with("workEmail", text));
        assert_ne!(key(&named, "Ada@x.com"), key(&named, "ada@x.com"));
        let known = named.clone().by_schema(|_| Some("email"));
        assert_eq!(key(&known, "Ada@x.com"), key(&known, "ada@x.com"));
        assert_eq!(known.signature(), "workEmail:email#3");
        assert_ne!(known.signature(), named.signature());
        // Whatever a schema says of it, `email` is one; so that its signature never changes.
        let email = KeySpec::default().by_schema(|_| Some("string"));
        assert_eq!(email, KeySpec::default());
    }

    #[test]
    fn what_the_schema_said_is_known_again_by_the_signature() {
        let plain =
            KeySpec { within_partition: true, ..spec(&["email", "workEmail", "age", "name"]) };
        let known = plain.clone().by_schema(|field| match field {
            "workEmail" => Some("email"),
            "age" => Some("integer"),
            "name" => Some("string"),
            _ => None,
        });
        assert_eq!(known.signature(), "email+workEmail:email+age:number+name@partition#3");
        assert_eq!(plain.clone().as_stored(&known.signature()), known);
        for foreign in ["", "email#2", "other:email#3", "workEmail:email#2"] {
            assert_eq!(plain.clone().as_stored(foreign), plain, "{foreign}");
        }
    }

    #[test]
    fn a_plan_of_an_older_version_is_read_and_keeps_its_digest() {
        let old = r#"{"fields":["email"],"within_partition":false}"#;
        let read: KeySpec = serde_json::from_str(old).unwrap();
        assert_eq!(read, KeySpec::default());
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
