//! The rows of one sheet, as far as they are read: by group, each cell by what it decides.
//!
//! For: both doors. Columns are known by their headings, in any order and among others. Never:
//! knows cards; what a cell means is decided where the card is at hand.

use std::collections::BTreeMap;

use super::bad::BadCells;
use super::cell::{Cell, Place, Sheet, alike, quoted};
use crate::lead::LeadId;
use crate::table::is_error_of_a_spreadsheet;

/// What a column is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) enum Role {
    /// The number of the group.
    Group,
    /// The lead's id.
    Id,
    /// The REST API name of a field.
    Field,
    /// What is to become of the group.
    Decision,
    /// Of the workbook the id of the lead that stays, of the CSV yes on its row.
    Keep,
    /// Whether the lead takes part.
    Include,
    /// The note.
    Note,
    /// The value taken from a lead.
    Choose,
    /// The value typed in.
    Typed,
    /// Of the CSV the value of this field.
    Value(String),
}

/// A row.
#[derive(Debug, Clone)]
pub(in crate::review) struct Line {
    pub(in crate::review) row: u64,
    /// The cells that are not blank, one after the other: a file may have a million of these rows.
    text: Box<str>,
    /// For each of them the place of its column, and where it ends in the text.
    ends: Box<[(u32, u32)]>,
}

impl Line {
    fn new<'a>(row: u64, cells: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (column, cell) in cells {
            text.push_str(cell);
            // No row is that long, and no sheet that wide.
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            ends.push((short(column), short(text.len())));
        }
        Self { row, text: text.into(), ends: ends.into() }
    }

    /// The cells that are not blank, each with the place of its column.
    fn cells(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |(column, end)| {
            let cell = self.text.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            (*column as usize, cell)
        })
    }
}

/// The rows of a sheet.
#[derive(Debug)]
pub(in crate::review) struct Lines {
    sheet: Sheet,
    columns: Vec<(Role, usize)>,
    groups: BTreeMap<u64, Vec<Line>>,
}

impl Lines {
    /// Rows of a sheet with these columns.
    pub(in crate::review) fn new(sheet: Sheet, columns: Vec<(Role, usize)>) -> Self {
        Self { sheet, columns, groups: BTreeMap::new() }
    }

    /// Takes a row; one whose group is not readable is a bad cell.
    pub(in crate::review) fn add<'a>(
        &mut self,
        row: u64,
        cell: impl Fn(usize) -> &'a str,
        bad: &mut BadCells,
    ) {
        let cells = self.columns.iter().map(|(_, column)| (*column, cell(*column)));
        let filled = cells.filter(|(_, text)| !text.trim().is_empty());
        let line = Line::new(row, filled);
        for (column, text) in line.cells() {
            if is_error_of_a_spreadsheet(text.trim().as_bytes()) {
                let place = Place { sheet: self.sheet, row, column: Some(column) };
                let told = format!(
                    "{} is an error of the spreadsheet; correct it or empty the cell",
                    quoted(text)
                );
                bad.add(place, told);
            }
        }
        let Some(group) = self.cell(&line, &Role::Group) else { return };
        match whole_number(group.text) {
            Some(number) => self.groups.entry(number).or_default().push(line),
            None if group.is_blank() => {
                bad.add(group.place, "is empty, so that nothing says which group the row is of; put the group's number back, or delete the row");
            }
            None => {
                let told = format!("{} is no number of a group", group.quoted());
                bad.add(group.place, told);
            }
        }
    }

    /// Whether there is a column for this.
    pub(in crate::review) fn has(&self, role: &Role) -> bool {
        self.columns.iter().any(|(has, _)| has == role)
    }

    /// The fields that have a column of values.
    pub(in crate::review) fn fields(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter_map(|(role, _)| match role {
            Role::Value(field) => Some(field.as_str()),
            _ => None,
        })
    }

    /// A cell of a row, blank where nothing stands there; none where the file has no such column.
    pub(in crate::review) fn cell<'a>(&self, line: &'a Line, role: &Role) -> Option<Cell<'a>> {
        let (_, column) = self.columns.iter().find(|(has, _)| has == role)?;
        let text = line.cells().find(|(place, _)| place == column);
        let place = Place { sheet: self.sheet, row: line.row, column: Some(*column) };
        Some(Cell { place, text: text.map_or("", |(_, text)| text) })
    }

    /// The place of a row as a whole.
    pub(in crate::review) fn row(&self, line: &Line) -> Place {
        Place { sheet: self.sheet, row: line.row, column: None }
    }

    /// The rows of a group; it has none afterwards.
    pub(in crate::review) fn take(&mut self, group: u64) -> Vec<Line> {
        self.groups.remove(&group).unwrap_or_default()
    }

    /// The rows of a group with the lead of each; one whose lead is not of this group is a bad
    /// cell.
    pub(in crate::review) fn take_leads(
        &mut self,
        group: u64,
        leads: &[LeadId],
        bad: &mut BadCells,
    ) -> Vec<(LeadId, Line)> {
        let mut found = Vec::new();
        for line in self.take(group) {
            let Some(cell) = self.cell(&line, &Role::Id) else { continue };
            if let Some(id) = whole_number(cell.text).filter(|id| leads.contains(id)) {
                found.push((id, line));
            } else {
                let ids: Vec<String> = leads.iter().map(ToString::to_string).collect();
                let told = format!(
                    "{} is no record of group {group}; its records are {}",
                    cell.quoted(),
                    ids.join(", ")
                );
                bad.add(cell.place, told);
            }
        }
        self.without_repeats(found, bad)
    }

    /// Rows about the same thing count once; where they say different things, nobody can tell which
    /// is meant.
    pub(in crate::review) fn without_repeats<K: PartialEq>(
        &self,
        lines: Vec<(K, Line)>,
        bad: &mut BadCells,
    ) -> Vec<(K, Line)> {
        let mut kept: Vec<(K, Line)> = Vec::with_capacity(lines.len());
        for (about, line) in lines {
            let Some((_, first)) = kept.iter().find(|(other, _)| *other == about) else {
                kept.push((about, line));
                continue;
            };
            for (role, _) in &self.columns {
                let (Some(here), Some(there)) = (self.cell(&line, role), self.cell(first, role))
                else {
                    continue;
                };
                if !alike(here.text, there.text) {
                    let told = format!(
                        "says {} where row {}, which is about the same, says {}; delete one of the two rows",
                        quoted(here.text),
                        first.row,
                        quoted(there.text)
                    );
                    bad.add(here.place, told);
                }
            }
        }
        kept
    }

    /// Rows of groups that no card was there for.
    pub(in crate::review) fn refuse_the_rest(&mut self, groups: u64, bad: &mut BadCells) {
        for (number, lines) in std::mem::take(&mut self.groups) {
            for line in lines {
                if let Some(cell) = self.cell(&line, &Role::Group) {
                    let told =
                        format!("there is no group {number} in this plan, which has {groups}");
                    bad.add(cell.place, told);
                }
            }
        }
    }
}

/// A number as text, also as a spreadsheet writes it that took it for one.
fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix('\'').unwrap_or(text);
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}
