//! Decisions in a workbook that Excel and its like open: its writer.
//!
//! Sheets: *Decide* (a row a group), *Records* (a row a lead), *Values* (a row a field in which
//! records conflict), *Read me*, and a hidden one that names the plan and its digest. Rows are
//! written one after the other into temporary files, so that memory does not grow with the plan.
//! Never: writes a formula; what a record holds is text, whatever it looks like.

mod decide;
mod drop_down;
mod look;
pub(super) mod of_book;
pub(super) mod read;
mod read_me;
mod records;
mod values;

use std::io::{self, Seek as _, SeekFrom, Write};

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, Worksheet, XlsxError};

use super::card::Card;
use super::sheet::{PlanFacts, Survey};
use decide::Decide;
use records::Records;
use values::Values;

/// The hidden sheet.
const HIDDEN: &str = "mkto-audit";

/// The form of the workbook: names what a reader of the hidden sheet may rely on.
const SCHEMA: &str = "mkto-audit/workbook/1";

/// Excel has no more rows in a sheet; one of them is the heading.
const MOST_ROWS: u64 = 1_048_576 - 1;

/// Links are held in memory until the end, and Excel takes 65,530 in a sheet. Beyond this the id
/// stands there as text.
const MOST_LINKS: u32 = 20_000;

/// Why a workbook cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sheet has no room for it.
    #[error(
        "the sheet {sheet} would have {rows} rows, and Excel takes {MOST_ROWS}; make a plan of fewer groups, or export it as .csv"
    )]
    TooLarge {
        /// The sheet.
        sheet: &'static str,
        /// How many rows it would have.
        rows: u64,
    },
    /// The writer refused something.
    #[error("the workbook cannot be written")]
    Workbook(#[from] XlsxError),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes cards into a workbook, one after the other.
pub struct WorkbookWriter {
    book: Workbook,
    decide: Decide,
    records: Records,
    values: Values,
}

impl std::fmt::Debug for WorkbookWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkbookWriter").finish_non_exhaustive()
    }
}

impl WorkbookWriter {
    /// A workbook with its headings.
    pub fn new(plan: &PlanFacts, survey: &Survey) -> Result<Self, Error> {
        let sizes =
            [("Decide", survey.groups), ("Records", survey.records), ("Values", survey.values)];
        if let Some((sheet, rows)) = sizes.into_iter().find(|(_, rows)| *rows > MOST_ROWS) {
            return Err(Error::TooLarge { sheet, rows });
        }
        let mut book = Workbook::new();
        book.set_properties(&properties(plan)?);
        let decide = Decide::begin(book.add_worksheet_with_constant_memory()?, plan, survey)?;
        let records = Records::begin(book.add_worksheet_with_constant_memory()?, plan)?;
        let values = Values::begin(book.add_worksheet_with_constant_memory()?, plan, survey)?;
        read_me::write(book.add_worksheet(), plan, survey)?;
        hide_plan(book.add_worksheet(), plan)?;
        Ok(Self { book, decide, records, values })
    }

    /// Writes the rows of a group.
    pub fn add(&mut self, card: &Card) -> Result<(), Error> {
        let [decide, records, values, ..] = self.book.worksheets_mut().as_mut_slice() else {
            return Err(XlsxError::UnknownWorksheetNameOrIndex("Decide".to_owned()).into());
        };
        self.decide.add(decide, card)?;
        self.records.add(records, card)?;
        self.values.add(values, card)?;
        Ok(())
    }

    /// Writes the workbook.
    pub fn save(mut self, out: &mut dyn Write) -> Result<(), Error> {
        let [decide, records, values, ..] = self.book.worksheets_mut().as_mut_slice() else {
            return Err(XlsxError::UnknownWorksheetNameOrIndex("Decide".to_owned()).into());
        };
        self.decide.end(decide)?;
        self.records.end(records)?;
        self.values.end(values)?;
        let mut file = tempfile::tempfile()?;
        self.book.save_to_writer(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut file, out)?;
        Ok(())
    }
}

/// No person's name, and no clock: the same plan gives the same bytes.
fn properties(plan: &PlanFacts) -> Result<DocProperties, XlsxError> {
    let made_at = ExcelDateTime::from_timestamp(plan.made_at.timestamp())?;
    Ok(DocProperties::new()
        .set_title(format!("Decisions about the merges of plan {}", name_of(plan)))
        .set_author("mkto-audit")
        .set_company("")
        .set_creation_datetime(&made_at))
}

/// The plan as people call it.
fn name_of(plan: &PlanFacts) -> &str {
    plan.name.as_deref().unwrap_or(&plan.plan)
}

fn hide_plan(sheet: &mut Worksheet, plan: &PlanFacts) -> Result<(), XlsxError> {
    sheet.set_name(HIDDEN)?.set_very_hidden(true).protect();
    let rows = [
        ("schema", SCHEMA),
        ("plan", &plan.plan),
        ("digest", &plan.digest),
        ("instance", &plan.instance),
    ];
    for ((name, value), row) in rows.into_iter().zip(0..) {
        sheet.write_string(row, 0, name)?.write_string(row, 1, value)?;
    }
    Ok(())
}
