//! How the sheets look: formats, widths, protection and print.
//!
//! A cell to be written in is pale yellow with a frame; every other one is locked.

use rust_xlsxwriter::{
    Format, FormatAlign, FormatBorder, FormatUnderline, ProtectionOptions, Worksheet, XlsxError,
};

use super::name_of;
use crate::dedupe::Risk;
use crate::review::sheet::PlanFacts;

/// Paper of the size A4.
const A4: u8 = 9;

const LINE: u32 = 0x00D5_DAE1;
const DARK: u32 = 0x001F_3A5F;
const EDIT: u32 = 0x00FF_FBE6;
const EDIT_LINE: u32 = 0x00D8_C26A;
pub(super) const GREEN: u32 = 0x00D3_EFD9;
pub(super) const AMBER: u32 = 0x00FF_E2A0;
pub(super) const RED: u32 = 0x00F8_C0B8;
pub(super) const GREY: u32 = 0x00E3_E6EA;
pub(super) const BAND: u32 = 0x00F3_F6FA;

/// A column of a sheet: its heading, its width in characters, whether people write in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: f64,
    pub(super) is_edited: bool,
}

pub(super) const fn shown(heading: &'static str, width: f64) -> Column {
    Column { heading, width, is_edited: false }
}

pub(super) const fn edited(heading: &'static str, width: f64) -> Column {
    Column { heading, width, is_edited: true }
}

/// The formats of cells.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) plain: Format,
    /// Text that is cut where its column ends.
    pub(super) cut: Format,
    /// Text in the middle of a narrow column.
    pub(super) middle: Format,
    pub(super) edit: Format,
    pub(super) link: Format,
    pub(super) kept: Format,
    pub(super) dropped: Format,
    pub(super) aside: Format,
    risks: [Format; 3],
}

impl Look {
    /// Formats over a background, where there is one.
    pub(super) fn new(background: Option<u32>) -> Self {
        let base = Format::new()
            .set_num_format("@")
            .set_align(FormatAlign::Top)
            .set_text_wrap()
            .set_border_bottom(FormatBorder::Thin)
            .set_border_color(LINE);
        let over = |format: &Format, color: u32| format.clone().set_background_color(color);
        let plain = background.map_or(base.clone(), |color| over(&base, color));
        let cut = plain.clone().unset_text_wrap();
        let risk = |color| over(&base, color).set_align(FormatAlign::Center);
        Self {
            middle: plain.clone().set_align(FormatAlign::Center),
            edit: over(&base, EDIT)
                .set_border(FormatBorder::Thin)
                .set_border_color(EDIT_LINE)
                .set_unlocked(),
            link: plain.clone().set_font_color(0x0005_63C1).set_underline(FormatUnderline::Single),
            kept: over(&base, GREEN),
            dropped: over(&base, AMBER),
            aside: plain.clone().set_font_color(0x0078_7F8A),
            risks: [risk(GREEN), risk(AMBER), risk(RED)],
            cut,
            plain,
        }
    }

    /// The format of a heading.
    pub(super) fn heading(is_edited: bool) -> Format {
        let format = Format::new()
            .set_bold()
            .set_text_wrap()
            .set_align(FormatAlign::VerticalCenter)
            .set_border(FormatBorder::Thin)
            .set_border_color(LINE);
        if is_edited {
            format.set_background_color(EDIT_LINE).set_font_color(0x0033_2B00)
        } else {
            format.set_background_color(DARK).set_font_color(0x00FF_FFFF)
        }
    }

    pub(super) fn risk(&self, risk: Risk) -> &Format {
        let [green, amber, red] = &self.risks;
        match risk {
            Risk::Green => green,
            Risk::Amber => amber,
            Risk::Red => red,
        }
    }
}

/// Sets a sheet up: name, headings, widths, what stays in view, protection, print.
pub(super) fn set_up(
    sheet: &mut Worksheet,
    name: &str,
    plan: &PlanFacts,
    columns: &[Column],
    frozen: u16,
) -> Result<(), XlsxError> {
    sheet.set_name(name)?.set_freeze_panes(1, frozen)?.set_row_height(0, 32)?;
    for (column, place) in columns.iter().zip(0..) {
        sheet.set_column_width(place, column.width)?;
        let format = Look::heading(column.is_edited);
        sheet.write_string_with_format(0, place, column.heading, &format)?;
    }
    sheet.protect_with_options(&ProtectionOptions {
        format_columns: true,
        format_rows: true,
        use_autofilter: true,
        sort: true,
        ..ProtectionOptions::new()
    });
    print_well(sheet, plan);
    sheet.set_repeat_rows(0, 0)?;
    Ok(())
}

/// Sets the height of a row by its texts, each with the width of its column. Excel would find it by
/// itself when it opens the file; others do not.
pub(super) fn set_height<'a>(
    sheet: &mut Worksheet,
    row: u32,
    texts: impl IntoIterator<Item = (&'a str, f64)>,
) -> Result<(), XlsxError> {
    /// In points, of the standard font.
    const LINE_HEIGHT: f64 = 15.0;
    /// A row stays a row.
    const MOST_LINES: u32 = 10;
    let lines = texts.into_iter().map(|(text, width)| lines(text, width)).max();
    let lines = lines.unwrap_or(1).clamp(1, MOST_LINES);
    sheet.set_row_height(row, f64::from(lines) * LINE_HEIGHT + 1.0)?;
    Ok(())
}

/// How many lines a text takes in a column that is so many characters wide.
fn lines(text: &str, width: f64) -> u32 {
    // Words do not end where a line does, and some fonts are wider.
    let room = width * 0.9;
    let of = |line: &str| {
        let length = u32::try_from(line.chars().count()).unwrap_or(u32::MAX);
        let full = (1..=10).find(|lines| f64::from(length) <= room * f64::from(*lines));
        full.unwrap_or(10)
    };
    text.lines().map(of).sum()
}

/// A4 across, as wide as the paper, with the plan and the page below.
pub(super) fn print_well(sheet: &mut Worksheet, plan: &PlanFacts) {
    let name: String = name_of(plan).replace('&', "&&").chars().take(100).collect();
    sheet
        .set_paper_size(A4)
        .set_landscape()
        .set_print_fit_to_pages(1, 0)
        .set_margins(0.4, 0.4, 0.5, 0.6, 0.3, 0.3)
        .set_footer(format!("&L&8Plan {name}&C&8&A&R&8Page &P of &N"));
}
