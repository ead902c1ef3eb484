//! The sheet *Read me*: how to decide, and how to hand the workbook back.

use rust_xlsxwriter::{Format, FormatAlign, Worksheet, XlsxError};

use super::look::{print_well, set_height};
use super::name_of;
use crate::review::sheet::words::BLANK;
use crate::review::sheet::{PlanFacts, Survey};

/// Of the column of text.
const WIDTH: f64 = 105.0;

/// A heading, and what is said below it.
type Part = (&'static str, Vec<String>);

pub(super) fn write(
    sheet: &mut Worksheet,
    plan: &PlanFacts,
    survey: &Survey,
) -> Result<(), XlsxError> {
    sheet.set_name("Read me")?.set_column_width(0, 22)?.set_column_width(1, WIDTH)?;
    let title = Format::new().set_bold().set_font_size(15.0).set_font_color(0x001F_3A5F);
    sheet.write_string_with_format(0, 0, "Which duplicates are merged: please decide", &title)?;
    sheet.set_row_height(0, 26)?;
    let heading = Format::new().set_bold().set_align(FormatAlign::Top).set_text_wrap();
    let text = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let mut row = 2;
    for (name, lines) in parts(plan, survey) {
        for (line, is_first) in
            lines.into_iter().zip([true].into_iter().chain(std::iter::repeat(false)))
        {
            if is_first {
                sheet.write_string_with_format(row, 0, name, &heading)?;
            }
            set_height(sheet, row, [(line.as_str(), WIDTH)])?;
            sheet.write_string_with_format(row, 1, line, &text)?;
            row += 1;
        }
        row += 1;
    }
    sheet.protect();
    print_well(sheet, plan);
    Ok(())
}

fn parts(plan: &PlanFacts, survey: &Survey) -> Vec<Part> {
    let made_at = plan.made_at.format("%-d %B %Y, %H:%M UTC");
    let words = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    vec![
        (
            "This plan",
            vec![
                format!("{}, made on {made_at}, of the Marketo instance {}.", name_of(plan), plan.instance),
                format!("{} groups of duplicates with {} records.", survey.groups, survey.records),
            ],
        ),
        (
            "What you do",
            words(&[
                "Write only into the pale yellow cells; all others are locked. What you leave as it is stays as the plan has it.",
                "Green and amber groups are merged unless you decide otherwise. A red group is merged only if you choose Merge.",
                "A merge cannot be undone. Where you are not sure, choose Hold.",
            ]),
        ),
        (
            "Sheet Decide",
            words(&[
                "Decision: Merge merges the group, also where it is red.",
                "Skip leaves it alone in this plan. Hold leaves it alone, in later plans too, until somebody has looked into it.",
                "Not the same never merges these records, until the address or the name of one of them changes.",
                "Record to keep: the record that stays; the others are merged into it. Empty: the one that the plan chose.",
                "Note: why, for whoever reads it later. It changes nothing about the merge.",
            ]),
        ),
        (
            "Sheet Records",
            words(&[
                "Include: no leaves this record out; it stays as it is, beside the merged one.",
            ]),
        ),
        (
            "Sheet Values",
            vec![
                "After the merge: what the record to keep will hold. Green: a value that stays. Amber: a value that is lost.".to_owned(),
                "Value to keep: choose the value of a record. Or type a value: one that no record holds.".to_owned(),
                "Fill one of the two cells, not both. Both empty: as the plan has it.".to_owned(),
                format!("{BLANK} in the column \"Or type a value\" empties the field. Dates are written as 2026-01-31."),
            ],
        ),
        (
            "When you are done",
            vec![
                "Save the file as an Excel workbook (.xlsx), and hand it back. Whoever runs mkto-audit takes your decisions with:".to_owned(),
                "mkto-audit plan import FILE --by \"YOUR NAME\"".to_owned(),
                "Nothing is taken where a cell cannot be understood; each such cell is then named.".to_owned(),
                "Rows may be deleted: their group then stays as it is. Columns may be added or moved; the headings must stay.".to_owned(),
                "If somebody else decides in the meantime, this file is out of date, and a new one must be exported.".to_owned(),
            ],
        ),
        (
            "Personal data",
            words(&["This file holds people's data. Delete it when the plan is carried out."]),
        ),
    ]
}
