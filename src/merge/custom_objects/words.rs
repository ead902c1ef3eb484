//! Why rows of custom objects stay where they are, in words. Pure.

use crate::lead::LeadId;
use crate::marketo::{self, CustomObjectType, ObjectField};

/// What a person may do about rows that cannot move.
const REMEDY: &str = "a merge would leave them behind: link or delete them in Marketo first";

/// Why no row of an object can be linked to another lead, from what describe tells of its link.
pub(in crate::merge) fn fixed_by(
    object: &CustomObjectType,
    link: Option<ObjectField>,
) -> Option<String> {
    let field = &object.link_field;
    let why = match link {
        None => format!("Marketo does not describe its link `{field}`"),
        Some(link) if link.crm_managed => "the CRM manages them".to_owned(),
        Some(link) if !link.updateable => {
            format!("Marketo says that their link `{field}` cannot be changed")
        }
        // Linked to another lead, a row might get the key of one that is there.
        Some(_) if object.dedupe_fields.is_empty() => {
            "Marketo does not say by which fields they are told apart".to_owned()
        }
        Some(_) => return None,
    };
    Some(why)
}

/// What a person may do about rows that a merge has left behind.
const LEFT_BEHIND: &str =
    "they are linked to a record that was merged: link or delete them in Marketo";

/// Why rows of a loser stay where they are, said after the merge.
pub(in crate::merge) fn after_the_merge(stays: &str) -> String {
    match stays.strip_suffix(REMEDY) {
        Some(why) => format!("{why}{LEFT_BEHIND}"),
        None => stays.to_owned(),
    }
}

fn rows_of(object: &CustomObjectType, lead: LeadId, count: usize) -> String {
    let kind = if object.bridges.is_empty() {
        "custom object".to_owned()
    } else {
        format!("custom object (bridge to {})", object.bridges.join(", "))
    };
    let rows = if count == 1 { "row" } else { "rows" };
    format!("{count} {rows} of the {kind} `{}` on lead {lead}", object.name)
}

pub(super) fn cannot_move(
    object: &CustomObjectType,
    lead: LeadId,
    count: usize,
    why: &str,
) -> String {
    format!(
        "{} cannot be linked to another lead, since {why}; {REMEDY}",
        rows_of(object, lead, count)
    )
}

pub(super) fn collides(object: &CustomObjectType, lead: LeadId, count: usize) -> String {
    let key: Vec<String> = object
        .dedupe_fields
        .iter()
        .filter(|field| **field != object.link_field)
        .map(|field| format!("`{field}`"))
        .collect();
    let same = match key.as_slice() {
        [] => "a lead can have one row alone".to_owned(),
        key => format!("another lead of this group has a row with the same {}", key.join(" and ")),
    };
    format!(
        "{} cannot be linked to another lead: {same}, and Marketo would refuse the second one or put it in the first one's place; {REMEDY}",
        rows_of(object, lead, count)
    )
}

pub(super) fn too_many(object: &CustomObjectType, lead: LeadId) -> String {
    format!(
        "lead {lead} has more rows of the custom object `{}` than Marketo shows at once; {REMEDY}",
        object.name
    )
}

pub(super) fn not_said(object: &CustomObjectType) -> String {
    format!(
        "a row of the custom object `{}` does not show the lead that it hangs on, so that nobody can tell whether a merge \
         would leave it behind; look at the leads in Marketo, and merge this group there by hand",
        object.name
    )
}

pub(super) fn has_rows(object: &CustomObjectType, field: &str, count: usize) -> String {
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    format!(
        "the custom object `{}` has {rows} with a value of `{field}` that leads of this group hold, and Marketo does \
         not tell on which of them they hang, so that a merge could leave them behind; look at the leads in Marketo, and \
         merge this group there by hand",
        object.name
    )
}

pub(super) fn cannot_be_asked(object: &CustomObjectType, field: &str) -> String {
    format!(
        "the custom object `{}` is linked to leads by `{field}`, one of these leads has a comma in it, and Marketo cannot be \
         asked for such a value, so that nobody can tell whether a merge would leave rows behind; look at the leads in \
         Marketo, and merge this group there by hand",
        object.name
    )
}

pub(super) fn cannot_be_read(object: &CustomObjectType, error: &marketo::Error) -> String {
    format!(
        "the rows of the custom object `{}` cannot be read ({}), so that nobody can tell whether a merge would leave some \
         behind; {}",
        object.name,
        said(error),
        mend(error)
    )
}

pub(super) fn not_shown(error: &marketo::Error) -> String {
    format!(
        "Marketo does not show this API user which custom objects there are ({}), so that nobody can tell \
         whether a merge would leave rows behind; {}",
        said(error),
        mend(error)
    )
}

/// What Marketo said, with its code and the request.
pub(in crate::merge) fn said(error: &marketo::Error) -> String {
    let request = error.request_id().map(|id| format!(", request {id}")).unwrap_or_default();
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => {
            format!("Marketo: {}{request}", format!("{code} {message}").trim())
        }
        _ => error.to_string(),
    }
}

/// What to do about it.
pub(in crate::merge) fn mend(error: &marketo::Error) -> String {
    match error.permission() {
        Some(permission) => format!(
            "give its role the permission {permission} (Admin > Users & Roles > Roles), or merge the group in Marketo by hand"
        ),
        None => "run `mkto-audit doctor`, or merge the group in Marketo by hand".to_owned(),
    }
}
