//! The sheet *Decide*: a row a group.

use rust_xlsxwriter::{
    ConditionalFormatCell, ConditionalFormatCellRule, ConditionalFormatFormula, Format,
    IgnoreError, Url, Worksheet, XlsxError,
};

use super::MOST_LINKS;
use super::drop_down::{DropDowns, fixed};
use super::look::{AMBER, Column, GREEN, GREY, Look, RED, edited, set_height, set_up, shown};
use crate::dedupe::Choice;
use crate::lead::LeadId;
use crate::review::card::{Card, CardLead};
use crate::review::sheet::words::{
    as_it_stands, kept, number, person, sentences, short, warnings, without_controls,
};
use crate::review::sheet::{PlanFacts, Survey};

pub(super) const GROUP: &str = "Group";
pub(super) const DECISION: &str = "Decision";
pub(super) const KEEP: &str = "Record to keep";
pub(super) const NOTE: &str = "Note";

const COLUMNS: [Column; 14] = [
    shown(GROUP, 7.0),
    shown("Duplicates of", 25.0),
    shown("Name", 15.0),
    shown("Risk", 8.0),
    edited(DECISION, 13.0),
    edited(KEEP, 12.0),
    edited(NOTE, 20.0),
    shown("As it stands", 15.0),
    shown("Warnings", 36.0),
    shown("Consent", 24.0),
    shown("Values dropped", 9.0),
    shown("How the group came about", 21.0),
    shown("Why this record", 18.0),
    shown("In Marketo", 10.0),
];

const DECISION_AT: u16 = 4;
const KEEP_AT: u16 = 5;
const LAST: u16 = 13;
/// The ids for the drop-down begin here, hidden.
const IDS_AT: u16 = 14;

/// A text is cut at so many characters, so that a row stays a row.
pub(super) const LONG: usize = 600;

/// The rows so far.
#[derive(Debug)]
pub(super) struct Decide {
    look: Look,
    row: u32,
    keep: DropDowns,
    links: u32,
    ids: u16,
}

impl Decide {
    pub(super) fn begin(
        sheet: &mut Worksheet,
        plan: &PlanFacts,
        survey: &Survey,
    ) -> Result<Self, XlsxError> {
        set_up(sheet, "Decide", plan, &COLUMNS, 2)?;
        sheet.set_active(true);
        let ids = u16::try_from(survey.largest).unwrap_or(u16::MAX).min(1_000);
        for place in IDS_AT..IDS_AT + ids {
            let heading = format!("Id {}", place - IDS_AT + 1);
            sheet.set_column_hidden(place)?.write_string(0, place, heading)?;
        }
        let message = "Choose one of the group's records. Empty: as the plan has it.";
        let keep = DropDowns::new(KEEP_AT, IDS_AT, usize::from(ids), message);
        Ok(Self { look: Look::new(None), row: 0, keep, links: 0, ids })
    }

    pub(super) fn add(&mut self, sheet: &mut Worksheet, card: &Card) -> Result<(), XlsxError> {
        self.row += 1;
        let (row, look) = (self.row, &self.look);
        let text = |text: String| short(without_controls(text), LONG);
        let cells = [
            (number(card).to_string(), &look.middle),
            (text(card.key.clone()), &look.plain),
            (text(person(card)), &look.plain),
            (capital(card.risk.as_str()), look.risk(card.risk)),
            (decision_text(card).to_owned(), &look.edit),
            (keep_text(card), &look.edit),
            (note_text(card), &look.edit),
            (as_it_stands(card), &look.plain),
            (text(warnings(card)), &look.plain),
            (told(card.consent.as_deref()), &look.plain),
            (card.dropped.to_string(), &look.middle),
            (told(Some(&card.cause_in_words)), &look.plain),
            (told(Some(&card.why)), &look.plain),
        ];
        for ((cell, format), place) in cells.iter().zip(0..) {
            sheet.write_string_with_format(row, place, cell, format)?;
        }
        let texts = cells.iter().zip(COLUMNS);
        set_height(sheet, row, texts.map(|((cell, _), column)| (cell.as_str(), column.width)))?;
        link(sheet, row, LAST, kept_lead(card), look, &mut self.links)?;
        let ids = card.leads.iter().map(|lead| lead.id).take(usize::from(self.ids));
        let mut listed = 0;
        for (id, place) in ids.zip(IDS_AT..) {
            sheet.write_string_with_format(row, place, id.to_string(), &look.plain)?;
            listed += 1;
        }
        self.keep.add(sheet, row, listed)
    }

    pub(super) fn end(&mut self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        self.keep.end(sheet)?;
        if self.row == 0 {
            return Ok(());
        }
        let words = Choice::ALL.map(Choice::in_words);
        let message = "Merge, Skip, Hold or Not the same. Empty: as the plan has it.";
        fixed(sheet, DECISION_AT, self.row, &words, message)?;
        sheet.autofilter(0, 0, self.row, LAST)?;
        sheet.set_print_area(0, 0, self.row, LAST)?;
        sheet.ignore_error_range(1, 0, self.row, LAST, IgnoreError::NumberStoredAsText)?;
        self.colour_decisions(sheet)
    }

    /// A decision has its colour as soon as it is made; a red group without one asks for it.
    fn colour_decisions(&self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        let colours = [
            (Choice::Merge, GREEN),
            (Choice::Skip, GREY),
            (Choice::Hold, AMBER),
            (Choice::NotSame, 0x00E4_D9F5),
        ];
        for (choice, colour) in colours {
            let format = Format::new().set_background_color(colour).set_bold();
            let rule = ConditionalFormatCellRule::EqualTo(choice.in_words());
            let rule = ConditionalFormatCell::new().set_rule(rule).set_format(format);
            sheet.add_conditional_format(1, DECISION_AT, self.row, DECISION_AT, &rule)?;
        }
        let asks = ConditionalFormatFormula::new()
            .set_rule("=AND($D2=\"Red\",$E2=\"\")")
            .set_format(Format::new().set_background_color(RED));
        sheet.add_conditional_format(1, DECISION_AT, self.row, DECISION_AT, &asks)?;
        Ok(())
    }
}

/// A link into Marketo, as long as there is room for links.
pub(super) fn link(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    lead: Option<&CardLead>,
    look: &Look,
    links: &mut u32,
) -> Result<(), XlsxError> {
    let address = lead.and_then(|lead| lead.link.as_deref());
    match (lead, address) {
        (Some(lead), Some(address)) if *links < MOST_LINKS && is_web(address) => {
            *links += 1;
            let url = Url::new(address).set_text(lead.id.to_string());
            sheet.write_url_with_format(row, column, url, &look.link)?;
        }
        (Some(lead), Some(_)) => {
            sheet.write_string_with_format(row, column, lead.id.to_string(), &look.plain)?;
        }
        _ => {
            sheet.write_string_with_format(row, column, "", &look.plain)?;
        }
    }
    Ok(())
}

/// Whether Excel takes the address, which it does up to a length.
fn is_web(address: &str) -> bool {
    (address.starts_with("https://") || address.starts_with("http://")) && address.len() < 2_000
}

fn kept_lead(card: &Card) -> Option<&CardLead> {
    let id: Option<LeadId> = kept(card);
    card.leads.iter().find(|lead| Some(lead.id) == id).or_else(|| card.leads.first())
}

fn told(text: Option<&str>) -> String {
    short(without_controls(sentences(text.into_iter())), LONG)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The decision so far, in words.
pub(super) fn decision_text(card: &Card) -> &'static str {
    card.decisions.choice.map_or("", |choice| choice.in_words())
}

/// The record to keep.
pub(super) fn keep_text(card: &Card) -> String {
    kept(card).map(|id| id.to_string()).unwrap_or_default()
}

/// The note so far.
pub(super) fn note_text(card: &Card) -> String {
    without_controls(card.decisions.note.clone().unwrap_or_default())
}
