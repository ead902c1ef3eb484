//! By what the rows of a custom object are linked to leads. Pure.

use crate::marketo::{CustomObjectType, Schema};

/// By what the rows of a custom object belong to a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// By the lead's id: a row belongs to this lead and no other.
    Id,
    /// By this field of the lead, by its REST name: a row hangs on one of the leads that hold its
    /// value.
    Field(String),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// By what the rows of this object belong to a lead. Relations name the lead's field by its REST
/// name or as the screens do, in any case.
pub(super) fn classify(relation: &CustomObjectType, schema: &Schema) -> Link {
    let (object, named) = (&relation.name, relation.lead_field.trim());
    let unknown = |what: &str| {
        Link::Unknown(format!(
            "the custom object `{object}` {what}, so that nobody can tell whether a merge would leave rows of it behind; \
             look into it at Marketo (Admin > Marketo Custom Objects), and merge this group there by hand"
        ))
    };
    if named.is_empty() || relation.link_field.trim().is_empty() {
        return unknown("does not say by which field it is linked to leads");
    }
    let letters: String =
        named.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let found = schema.field_named(named);
    match (letters.as_str(), found) {
        ("id" | "leadid" | "personid", None) | (_, Some("id")) => Link::Id,
        ("id" | "leadid" | "personid", Some(field)) => unknown(&format!(
            "is linked to leads by `{named}`, which can mean the lead's id and the field `{field}`"
        )),
        (_, Some(field)) => Link::Field(field.to_owned()),
        ("email" | "emailaddress", None) if schema.fields.contains_key("email") => {
            Link::Field("email".to_owned())
        }
        _ => unknown(&format!(
            "is linked to leads by `{named}`, which is not one field that this API user can read"
        )),
    }
}
