//! The sheet *Values*: a row a field in which the records of a group conflict, and which value
//! stays.
//!
//! The value of each record stands to the right, with the record's id before it; these cells are
//! the entries of the row's drop-down. So a value that was taken from a record is never mistaken
//! for one that was typed, nor for that of another record.

use rust_xlsxwriter::{IgnoreError, Worksheet, XlsxError};
use serde_json::Value;

use super::decide::{GROUP, LONG};
use super::drop_down::DropDowns;
use super::look::{BAND, Column, Look, edited, set_height, set_up, shown};
use crate::dedupe::ChosenValue;
use crate::lead::LeadId;
use crate::review::card::{Card, CardField, CardRole};
use crate::review::sheet::survey::is_worth_a_row;
use crate::review::sheet::words::{
    held, number, short, value_or_blank, value_text, without_controls,
};
use crate::review::sheet::{PlanFacts, Survey};

pub(super) const FIELD: &str = "API name";
pub(super) const CHOOSE: &str = "Value to keep";
pub(super) const TYPED: &str = "Or type a value";

const AFTER_WIDTH: f64 = 24.0;
const RECORD_WIDTH: f64 = 26.0;

const COLUMNS: [Column; 8] = [
    shown(GROUP, 7.0),
    shown("Duplicates of", 27.0),
    shown("Field", 18.0),
    shown(FIELD, 17.0),
    shown("After the merge", AFTER_WIDTH),
    shown("Because of", 11.0),
    edited(CHOOSE, 27.0),
    edited(TYPED, 20.0),
];

const CHOOSE_AT: u16 = 6;
/// The values of the records begin here.
const RECORDS_AT: u16 = 8;

/// Wider than any group that a person looks at in a sheet.
const MOST_RECORDS: usize = 200;

/// The rows so far. Every second group has a background.
#[derive(Debug)]
pub(super) struct Values {
    looks: [Look; 2],
    row: u32,
    choose: DropDowns,
    records: u16,
}

impl Values {
    pub(super) fn begin(
        sheet: &mut Worksheet,
        plan: &PlanFacts,
        survey: &Survey,
    ) -> Result<Self, XlsxError> {
        set_up(sheet, "Values", plan, &COLUMNS, 4)?;
        let largest = survey.largest.min(MOST_RECORDS);
        let records = u16::try_from(largest).unwrap_or_default();
        let heading = Look::heading(false);
        for number in 0..records {
            let name = match number {
                0 => "Record to keep".to_owned(),
                number => format!("Record {}", number + 1),
            };
            let place = RECORDS_AT + number;
            sheet
                .set_column_width(place, RECORD_WIDTH)?
                .write_string_with_format(0, place, name, &heading)?;
        }
        let message = "Choose a value of the list, or empty the cell and type one in the next column. Both empty: as the plan has it.";
        let choose = DropDowns::new(CHOOSE_AT, RECORDS_AT, largest, message);
        Ok(Self { looks: [Look::new(None), Look::new(Some(BAND))], row: 0, choose, records })
    }

    pub(super) fn add(&mut self, sheet: &mut Worksheet, card: &Card) -> Result<(), XlsxError> {
        for field in card.fields.iter().filter(|field| is_worth_a_row(card, field)) {
            self.add_field(sheet, card, field)?;
        }
        Ok(())
    }

    fn add_field(
        &mut self,
        sheet: &mut Worksheet,
        card: &Card,
        field: &CardField,
    ) -> Result<(), XlsxError> {
        self.row += 1;
        let row = self.row;
        let [even, odd] = &self.looks;
        let look = if card.place.is_multiple_of(2) { even } else { odd };
        let text = |text: String| short(without_controls(text), LONG);
        let now = card.decisions.values.get(&field.name);
        let edit = if field.may_choose { &look.edit } else { &look.aside };
        sheet
            .write_string_with_format(row, 0, number(card).to_string(), &look.middle)?
            .write_string_with_format(row, 1, text(card.key.clone()), &look.cut)?
            .write_string_with_format(row, 2, text(field.label.clone()), &look.plain)?
            .write_string_with_format(row, 3, field.name.as_str(), &look.aside)?
            .write_string_with_format(
                row,
                4,
                text(value_or_blank(field, &field.after)),
                &look.plain,
            )?
            .write_string_with_format(row, 5, text(field.rule.clone()), &look.aside)?
            .write_string_with_format(row, CHOOSE_AT, chosen_text(card, field, now), edit)?
            .write_string_with_format(row, CHOOSE_AT + 1, typed_text(field, now), edit)?;
        let mut texts = vec![(text(value_or_blank(field, &field.after)), AFTER_WIDTH)];
        let mut listed = 0;
        for (lead, place) in card.leads.iter().zip(0..self.records) {
            let value = held(card, field, lead.id);
            let format = match lead.role {
                CardRole::LeftOut => &look.aside,
                _ if value_text(field, value).trim().is_empty() => &look.aside,
                _ if is_same(field, value) => &look.kept,
                _ if field.conflict => &look.dropped,
                _ => &look.plain,
            };
            let entry = choice_text(card, field, lead.id);
            sheet.write_string_with_format(row, RECORDS_AT + place, entry.as_str(), format)?;
            texts.push((entry, RECORD_WIDTH));
            listed += 1;
        }
        set_height(sheet, row, texts.iter().map(|(text, width)| (text.as_str(), *width)))?;
        self.choose.add(sheet, row, if field.may_choose { listed } else { 0 })
    }

    pub(super) fn end(&mut self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        self.choose.end(sheet)?;
        if self.row == 0 {
            return Ok(());
        }
        let last = (RECORDS_AT + self.records).saturating_sub(1);
        sheet.autofilter(0, 0, self.row, last)?;
        sheet.set_print_area(0, 0, self.row, last)?;
        sheet.ignore_error_range(1, 0, self.row, last, IgnoreError::NumberStoredAsText)?;
        Ok(())
    }
}

fn is_same(field: &CardField, value: &Value) -> bool {
    value_text(field, value).trim() == value_text(field, &field.after).trim()
}

/// The value that was chosen from a record, as its cell shows it.
pub(super) fn chosen_text(card: &Card, field: &CardField, now: Option<&ChosenValue>) -> String {
    match now {
        Some(ChosenValue::From(id)) => choice_text(card, field, *id),
        Some(ChosenValue::Typed(_)) | None => String::new(),
    }
}

/// The entry of a record: its id, and its value on one line.
pub(super) fn choice_text(card: &Card, field: &CardField, id: LeadId) -> String {
    /// Long enough to tell values apart; the id alone decides.
    const MOST: usize = 180;
    let value = value_or_blank(field, held(card, field, id));
    let line: Vec<&str> = value.split_whitespace().collect();
    format!("{id}: {}", short(line.join(" "), MOST))
}

/// The value that was typed, as its cell shows it.
pub(super) fn typed_text(field: &CardField, now: Option<&ChosenValue>) -> String {
    match now {
        Some(ChosenValue::Typed(value)) => value_or_blank(field, value),
        Some(ChosenValue::From(_)) | None => String::new(),
    }
}
