//! The sheet *Records*: a row a lead, and whether it takes part.

use rust_xlsxwriter::{IgnoreError, Worksheet, XlsxError};

use super::decide::{GROUP, LONG, link};
use super::drop_down::fixed;
use super::look::{BAND, Column, Look, edited, set_up, shown};
use crate::review::card::{Card, CardLead, CardRole};
use crate::review::sheet::PlanFacts;
use crate::review::sheet::words::{is_included, number, short, without_controls, yes_no};

pub(super) const RECORD: &str = "Record";
pub(super) const INCLUDE: &str = "Include";

const COLUMNS: [Column; 11] = [
    shown(GROUP, 7.0),
    shown("Duplicates of", 27.0),
    shown(RECORD, 12.0),
    edited(INCLUDE, 9.0),
    shown("Part", 15.0),
    shown("First name", 16.0),
    shown("Last name", 18.0),
    shown("Email", 30.0),
    shown("Company", 24.0),
    shown("Created", 21.0),
    shown("In Marketo", 11.0),
];

const INCLUDE_AT: u16 = 3;
const LAST: u16 = 10;

/// The rows so far. Every second group has a background, so that groups are told apart.
#[derive(Debug)]
pub(super) struct Records {
    looks: [Look; 2],
    row: u32,
    links: u32,
}

impl Records {
    pub(super) fn begin(sheet: &mut Worksheet, plan: &PlanFacts) -> Result<Self, XlsxError> {
        set_up(sheet, "Records", plan, &COLUMNS, 3)?;
        Ok(Self { looks: [Look::new(None), Look::new(Some(BAND))], row: 0, links: 0 })
    }

    pub(super) fn add(&mut self, sheet: &mut Worksheet, card: &Card) -> Result<(), XlsxError> {
        let [even, odd] = &self.looks;
        let look = if card.place.is_multiple_of(2) { even } else { odd };
        let text = |text: &str| short(without_controls(text.to_owned()), LONG);
        for lead in &card.leads {
            self.row += 1;
            let row = self.row;
            let included = yes_no(is_included(&card.decisions, lead.id));
            sheet
                .write_string_with_format(row, 0, number(card).to_string(), &look.middle)?
                .write_string_with_format(row, 1, text(&card.key), &look.cut)?
                .write_string_with_format(row, 2, lead.id.to_string(), &look.plain)?
                .write_string_with_format(row, INCLUDE_AT, included, &look.edit)?;
            let part = match lead.role {
                CardRole::Winner => ("To keep", &look.kept),
                CardRole::Loser => ("Merged into it", &look.plain),
                CardRole::LeftOut => ("Left out", &look.aside),
            };
            sheet.write_string_with_format(row, 4, part.0, part.1)?;
            for (value, place) in person(lead).into_iter().zip(5..) {
                let value = text(value.as_deref().unwrap_or_default());
                sheet.write_string_with_format(row, place, value, &look.cut)?;
            }
            link(sheet, row, LAST, Some(lead), look, &mut self.links)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        if self.row == 0 {
            return Ok(());
        }
        fixed(sheet, INCLUDE_AT, self.row, &["yes", "no"], "yes, or no to leave the record out.")?;
        sheet.autofilter(0, 0, self.row, LAST)?;
        sheet.set_print_area(0, 0, self.row, LAST)?;
        sheet.ignore_error_range(1, 0, self.row, LAST, IgnoreError::NumberStoredAsText)?;
        Ok(())
    }
}

fn person(lead: &CardLead) -> [&Option<String>; 5] {
    [&lead.first_name, &lead.last_name, &lead.email, &lead.company, &lead.created_at]
}
