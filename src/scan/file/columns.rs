//! Which column of a file is which field: by REST API name, or by the name that Marketo's screens
//! show.

use super::super::rows::ColumnUse;
use super::super::rows::Kind;
use crate::dedupe::KeySpec;
use crate::lead::AUDIT_FIELDS;
use crate::table::{Row, shown};

/// The field by which partitions are told apart.
const PARTITION: &str = "leadPartitionId";

/// Fields beyond those of the audit that are kept of a file, since a person who decides about a
/// group misses them.
const KEPT: &[&str] = &[
    "phone",
    "mobilePhone",
    "title",
    "department",
    "leadSource",
    "leadScore",
    "leadStatus",
    "leadRole",
    "rating",
    "sfdcId",
    "sfdcAccountId",
    "emailInvalid",
    "emailInvalidCause",
    "unsubscribedReason",
    "marketingSuspendedCause",
    "doNotCallReason",
    "blackListedCause",
    "middleName",
    "salutation",
    "address",
    "city",
    "state",
    "postalCode",
    "country",
    "website",
    "industry",
    "mainPhone",
];

/// The names that Marketo's screens give to fields; a smart list export has them as headers.
const DISPLAY_NAMES: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Lead ID", "id"),
    ("Person ID", "id"),
    ("Marketo ID", "id"),
    ("Marketo Person ID", "id"),
    ("Email Address", "email"),
    ("Email", "email"),
    ("First Name", "firstName"),
    ("Last Name", "lastName"),
    ("Company Name", "company"),
    ("Company", "company"),
    ("Created At", "createdAt"),
    ("Created", "createdAt"),
    ("Created Date", "createdAt"),
    ("Updated At", "updatedAt"),
    ("Updated", "updatedAt"),
    ("Original Source Type", "originalSourceType"),
    ("Original Source Info", "originalSourceInfo"),
    ("Lead Partition Id", "leadPartitionId"),
    ("Person Partition Id", "leadPartitionId"),
    ("Lead Partition", "leadPartitionId"),
    ("Person Partition", "leadPartitionId"),
    ("Partition", "leadPartitionId"),
    ("SFDC Type", "sfdcType"),
    ("SFDC Id", "sfdcId"),
    ("SFDC Account Id", "sfdcAccountId"),
    ("SFDC Lead Id", "sfdcLeadId"),
    ("SFDC Contact Id", "sfdcContactId"),
    ("Unsubscribed", "unsubscribed"),
    ("Unsubscribed Reason", "unsubscribedReason"),
    ("Marketing Suspended", "marketingSuspended"),
    ("Marketing Suspended Cause", "marketingSuspendedCause"),
    ("Do Not Call", "doNotCall"),
    ("Do Not Call Reason", "doNotCallReason"),
    ("Black Listed", "blackListed"),
    ("Block Listed", "blackListed"),
    ("Blocklisted", "blackListed"),
    ("Black Listed Cause", "blackListedCause"),
    ("Email Invalid", "emailInvalid"),
    ("Email Invalid Cause", "emailInvalidCause"),
    ("Phone Number", "phone"),
    ("Phone", "phone"),
    ("Mobile Phone Number", "mobilePhone"),
    ("Mobile Phone", "mobilePhone"),
    ("Main Phone", "mainPhone"),
    ("Job Title", "title"),
    ("Title", "title"),
    ("Person Source", "leadSource"),
    ("Lead Source", "leadSource"),
    ("Source", "leadSource"),
    ("Person Score", "leadScore"),
    ("Lead Score", "leadScore"),
    ("Score", "leadScore"),
    ("Person Status", "leadStatus"),
    ("Lead Status", "leadStatus"),
    ("Person Role", "leadRole"),
    ("Lead Role", "leadRole"),
    ("Person Rating", "rating"),
    ("Lead Rating", "rating"),
    ("Middle Name", "middleName"),
    ("Postal Code", "postalCode"),
];

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    /// By the field's own kind.
    Of(Kind),
    /// A time.
    Time,
}

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) uses: Vec<ColumnUse>,
    pub(super) cells: Vec<Cells>,
    pub(super) id: usize,
    /// How many cells a row must have: the id and the fields of the key are among them.
    pub(super) at_least: usize,
    /// Those that make the key.
    pub(super) of_key: Vec<usize>,
    /// The one whose addresses are the keys, where it is so; and its place among the values that
    /// are kept.
    pub(super) of_address: Option<(usize, usize)>,
}

impl Columns {
    /// An id, and every field of the key, must be there. `more` are fields that the configuration
    /// names.
    pub(super) fn found(header: &Row, key: &KeySpec, more: &[String]) -> Result<Self, String> {
        let uses = uses(header, key, more)?;
        let place =
            |wanted: &str| uses.iter().position(|column| column.field.as_deref() == Some(wanted));
        let missing = |what: &str, names: &str| {
            let found: Vec<_> = uses.iter().map(|column| shown(&column.header)).collect();
            format!("has no column for {what} ({names}); it has: {}", found.join(", "))
        };
        let id = place("id").ok_or_else(|| missing("the id", "`id` or `Id`"))?;
        let mut last = id;
        for field in &key.fields {
            let shown_as = DISPLAY_NAMES
                .iter()
                .find(|(_, known)| known == field)
                .map_or(field.as_str(), |(name, _)| name);
            last = last.max(place(field).ok_or_else(|| {
                missing(
                    &format!("`{field}`, which makes leads the same"),
                    &format!("`{field}` or `{shown_as}`"),
                )
            })?);
        }
        let cells: Vec<Cells> = uses
            .iter()
            .map(|column| cells_of(column.field.as_deref().unwrap_or_default()))
            .collect();
        let makes_key = |field: &str| {
            key.fields.iter().any(|named| named == field)
                || key.within_partition && field == PARTITION
        };
        let of_key = (0..uses.len())
            .filter(|place| {
                let field = uses.get(*place).and_then(|column| column.field.as_deref());
                field.is_some_and(makes_key) && *place != id
            })
            .collect();
        let of_address = key
            .only_address()
            .and_then(place)
            .filter(|place| cells.get(*place) == Some(&Cells::Of(Kind::Text)))
            .map(|place| {
                let before = uses.iter().enumerate().take(place);
                (
                    place,
                    before.filter(|(place, column)| column.field.is_some() && *place != id).count(),
                )
            });
        Ok(Self { uses, cells, id, at_least: last + 1, of_key, of_address })
    }

    /// The fields that are kept, in the order of the columns.
    pub(super) fn fields(&self) -> Vec<String> {
        self.uses.iter().filter_map(|column| column.field.clone()).collect()
    }
}

/// The columns of a header. No two of them may be one field that the audit needs; of other fields
/// the first column is kept.
fn uses(header: &Row, key: &KeySpec, more: &[String]) -> Result<Vec<ColumnUse>, String> {
    let mut uses: Vec<ColumnUse> = Vec::with_capacity(header.len());
    for cell in header.cells() {
        let header = String::from_utf8_lossy(cell).trim().to_owned();
        let mut field = field_of(&header, key, more);
        if let Some(twice) = uses.iter().find(|column| field.is_some() && column.field == field) {
            let name = field.take().unwrap_or_default();
            let matters = AUDIT_FIELDS.contains(&name.as_str()) || key.fields.contains(&name);
            if !matters {
                uses.push(ColumnUse { header, field });
                continue;
            }
            return Err(format!(
                "both `{}` and `{}` are the field `{name}`",
                shown(&twice.header),
                shown(&header)
            ));
        }
        uses.push(ColumnUse { header, field });
    }
    Ok(uses)
}

fn cells_of(field: &str) -> Cells {
    match field {
        "leadPartitionId" | "leadScore" => Cells::Of(Kind::Number),
        "unsubscribed" | "marketingSuspended" | "doNotCall" | "blackListed" | "emailInvalid" => {
            Cells::Of(Kind::Flag)
        }
        "createdAt" | "updatedAt" => Cells::Time,
        _ => Cells::Of(Kind::Text),
    }
}

/// The field that a header stands for: a REST API name, or a display name.
fn field_of(header: &str, key: &KeySpec, more: &[String]) -> Option<String> {
    let rest = AUDIT_FIELDS.iter().chain(KEPT).copied();
    let named = key.fields.iter().chain(more).map(String::as_str);
    if let Some(field) = rest.chain(named).find(|field| field.eq_ignore_ascii_case(header)) {
        return Some(field.to_owned());
    }
    let plain = |name: &str| {
        name.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let header = plain(header);
    let known = DISPLAY_NAMES.iter().find(|(name, _)| plain(name) == header)?;
    Some(known.1.to_owned())
}
