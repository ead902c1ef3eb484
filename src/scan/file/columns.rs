//! Which column is which field: by REST API name, or by the name that Marketo's screens show.

use csv::ByteRecord;

use super::{cell, lead};
use crate::dedupe::KeySpec;
use crate::lead::{AUDIT_FIELDS, Lead};

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its header.
    pub header: String,
    /// The field that it becomes; none where it is left out.
    pub field: Option<String>,
}

/// The names that Marketo's screens give to the fields that an audit needs; a smart list export has them as headers.
const DISPLAY_NAMES: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Lead ID", "id"),
    ("Person ID", "id"),
    ("Marketo ID", "id"),
    ("Email Address", "email"),
    ("Email", "email"),
    ("First Name", "firstName"),
    ("Last Name", "lastName"),
    ("Company Name", "company"),
    ("Company", "company"),
    ("Created At", "createdAt"),
    ("Created", "createdAt"),
    ("Updated At", "updatedAt"),
    ("Updated", "updatedAt"),
    ("Original Source Type", "originalSourceType"),
    ("Original Source Info", "originalSourceInfo"),
    ("Lead Partition Id", "leadPartitionId"),
    ("Person Partition Id", "leadPartitionId"),
    ("SFDC Type", "sfdcType"),
    ("SFDC Lead Id", "sfdcLeadId"),
    ("SFDC Contact Id", "sfdcContactId"),
    ("Unsubscribed", "unsubscribed"),
    ("Marketing Suspended", "marketingSuspended"),
    ("Do Not Call", "doNotCall"),
    ("Black Listed", "blackListed"),
    ("Blocklisted", "blackListed"),
];

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Columns {
    uses: Vec<ColumnUse>,
    id: usize,
}

impl Columns {
    /// Reads the header; an id, and every field of the key, must be there.
    pub(super) fn of(header: &ByteRecord, key: &KeySpec) -> Result<Self, String> {
        let mut uses: Vec<ColumnUse> = Vec::with_capacity(header.len());
        for (cell, place) in header.iter().zip(1..) {
            let header = std::str::from_utf8(cell)
                .map_err(|error| format!("the name of column {place} is not UTF-8 ({error})"))?
                .trim()
                .to_owned();
            let field = field_of(&header, key);
            if let Some(twice) = uses.iter().find(|column| field.is_some() && column.field == field) {
                let field = field.unwrap_or_default();
                return Err(format!("both `{}` and `{header}` are the field `{field}`", twice.header));
            }
            uses.push(ColumnUse { header, field });
        }
        let place = |wanted: &str| uses.iter().position(|column| column.field.as_deref() == Some(wanted));
        let missing = |what: &str, names: &str| {
            let found: Vec<&str> = uses.iter().map(|column| column.header.as_str()).collect();
            format!("has no column for {what} ({names}); it has: {}", found.join(", "))
        };
        let id = place("id").ok_or_else(|| missing("the id", "`id` or `Id`"))?;
        for field in &key.fields {
            if place(field).is_none() {
                let names = DISPLAY_NAMES
                    .iter()
                    .find(|(_, known)| known == field)
                    .map_or(field.as_str(), |(name, _)| name);
                return Err(missing(
                    &format!("`{field}`, which makes leads the same"),
                    &format!("`{field}` or `{names}`"),
                ));
            }
        }
        Ok(Self { uses, id })
    }

    pub(super) fn uses(&self) -> &[ColumnUse] {
        &self.uses
    }

    /// A row as a lead, or what is wrong with which of its cells.
    pub(super) fn lead(&self, record: &ByteRecord) -> Result<Lead, String> {
        let mut lead = lead(record.get(self.id).unwrap_or_default())?;
        let last = record.len().saturating_sub(1);
        for (place, (bytes, column)) in record.iter().zip(&self.uses).enumerate() {
            let Some(field) = column.field.as_deref().filter(|_| place != self.id) else { continue };
            // Rows end at the line feed, so that a carriage return before it is left on the last cell.
            let bytes = if place == last { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
            lead.set(field, cell(field, bytes)?);
        }
        Ok(lead)
    }
}

/// The field that a header stands for: a REST API name that the audit or the key needs, or a display name.
fn field_of(header: &str, key: &KeySpec) -> Option<String> {
    let rest = AUDIT_FIELDS.iter().copied().chain(key.fields.iter().map(String::as_str));
    let by_name = rest.into_iter().find(|field| field.eq_ignore_ascii_case(header));
    by_name
        .or_else(|| {
            DISPLAY_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(header)).map(|(_, field)| *field)
        })
        .map(str::to_owned)
}
