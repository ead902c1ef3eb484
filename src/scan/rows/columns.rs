//! Which column of an extract is which field, by REST API name.

use csv::ByteRecord;

use super::cell::{self, Kind};
use crate::lead::Lead;

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its header.
    pub header: String,
    /// The field that it becomes; none where it is left out.
    pub field: Option<String>,
}

/// The columns of a file.
#[derive(Debug)]
pub(in crate::scan) struct Columns {
    uses: Vec<ColumnUse>,
    /// What the values of each column are.
    kinds: Vec<Kind>,
    id: usize,
}

impl Columns {
    /// The header of a file that was ordered: exactly these fields by their REST names, in whatever
    /// order.
    pub(in crate::scan) fn ordered(
        header: &ByteRecord,
        fields: &[(String, Kind)],
    ) -> Result<Self, String> {
        let known =
            |header: &str| fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(header));
        let uses = uses(header, |header| known(header).map(|(field, _)| field.clone()))?;
        if let Some(odd) = uses.iter().find(|column| column.field.is_none()) {
            return Err(format!("has a column `{}`, which was not asked for", odd.header));
        }
        let place =
            |wanted: &str| uses.iter().position(|column| column.field.as_deref() == Some(wanted));
        if let Some((missing, _)) = fields.iter().find(|(field, _)| place(field).is_none()) {
            return Err(format!("has no column `{missing}`, which was asked for"));
        }
        let id = place("id").ok_or_else(|| "has no column for the id".to_owned())?;
        let kinds = uses
            .iter()
            .map(|column| known(&column.header).map_or(Kind::Text, |(_, kind)| *kind))
            .collect();
        Ok(Self { uses, kinds, id })
    }

    pub(super) fn uses(&self) -> &[ColumnUse] {
        &self.uses
    }

    /// A row as a lead, or what is wrong with which of its cells.
    pub(super) fn lead(&self, record: &ByteRecord) -> Result<Lead, String> {
        let last = record.len().saturating_sub(1);
        let mut lead = Lead::new(cell::id(record.get(self.id).unwrap_or_default())?);
        for (place, ((bytes, column), kind)) in
            record.iter().zip(&self.uses).zip(&self.kinds).enumerate()
        {
            let Some(field) = column.field.as_deref().filter(|_| place != self.id) else {
                continue;
            };
            // Rows end at the line feed, so that a carriage return before it is left on the last
            // cell.
            let bytes =
                if place == last { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
            lead.set(field, cell::value(field, *kind, bytes)?);
        }
        Ok(lead)
    }
}

/// The columns of a header. No two of them may be one field.
fn uses(
    header: &ByteRecord,
    field_of: impl Fn(&str) -> Option<String>,
) -> Result<Vec<ColumnUse>, String> {
    let mut uses: Vec<ColumnUse> = Vec::with_capacity(header.len());
    for (cell, place) in header.iter().zip(1..) {
        let header = std::str::from_utf8(cell)
            .map_err(|error| format!("the name of column {place} is not UTF-8 ({error})"))?
            .trim()
            .to_owned();
        let field = field_of(&header);
        if let Some(twice) = uses.iter().find(|column| field.is_some() && column.field == field) {
            let field = field.unwrap_or_default();
            return Err(format!("both `{}` and `{header}` are the field `{field}`", twice.header));
        }
        uses.push(ColumnUse { header, field });
    }
    Ok(uses)
}
