//! What the rows of a CSV decide about one group.

use super::Stamp;
use super::bad::BadCells;
use super::cell::{Cell, Place, Sheet, alike, quoted};
use super::choice::{check, choice, include, note};
use super::csv::{COLUMNS, PLAN, VALUE, decision_cell, note_cell, value_cell};
use super::guard::unguarded;
use super::lines::{Line, Lines, Role};
use super::typed::typed;
use super::words::{BLANK, OWN, held, is_included, kept, number, read_yes_no, value_text, yes_no};
use crate::dedupe::{ChosenValue, Decisions};
use crate::lead::LeadId;
use crate::review::card::{Card, CardField};
use crate::table::Encoding;

/// The columns of a CSV by their headings, and what else they say.
#[derive(Debug, Default)]
pub(in crate::review) struct Headings {
    pub(in crate::review) columns: Vec<(Role, usize)>,
    pub(in crate::review) stamp: Option<Stamp>,
    /// Columns that somebody added.
    pub(in crate::review) passed_over: Vec<String>,
    /// A heading that is there twice.
    pub(in crate::review) repeated: Option<String>,
}

/// Reads the headings.
pub(in crate::review) fn headings(names: &[String]) -> Headings {
    let mut found = Headings::default();
    for (column, heading) in names.iter().enumerate() {
        let name = heading.trim();
        if let Some((plan, digest)) = name.strip_prefix(PLAN).and_then(|rest| rest.split_once(':'))
        {
            found.stamp = Some(Stamp { plan: plan.to_owned(), digest: digest.to_owned() });
            continue;
        }
        let role = match name.to_ascii_lowercase().as_str() {
            "group" => Role::Group,
            "id" => Role::Id,
            "decision" => Role::Decision,
            "keep" => Role::Keep,
            "include" => Role::Include,
            "note" => Role::Note,
            lower => {
                let Some(field) = name.strip_prefix(VALUE) else {
                    if !COLUMNS.contains(&lower) && !name.is_empty() {
                        found.passed_over.push(name.to_owned());
                    }
                    continue;
                };
                Role::Value(field.to_owned())
            }
        };
        if found.columns.iter().any(|(has, _)| *has == role) {
            found.repeated = Some(name.to_owned());
        }
        found.columns.push((role, column));
    }
    found
}

/// Which letters a file can hold. What it cannot, a spreadsheet replaces when it saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) enum Letters {
    All,
    Of(Encoding),
}

impl Letters {
    fn can_hold(self, c: char) -> bool {
        match self {
            Self::All => true,
            Self::Of(Encoding::Page(page)) => {
                let mut buffer = [0; 4];
                !page.encode(c.encode_utf8(&mut buffer)).2
            }
            Self::Of(_) => c.is_ascii(),
        }
    }

    /// Whether a cell says what was written: as it was, or with other letters in the place of those
    /// that the file cannot hold (`?ukasz` or `Lukasz` for `Łukasz`).
    fn same(self, written: &str, read: &str) -> bool {
        if alike(written, read) || alike(unguarded(written), read) {
            return true;
        }
        self != Self::All && self.same_but_for_lost(written.trim(), read.trim())
    }

    fn same_but_for_lost(self, written: &str, read: &str) -> bool {
        let mut read = read.chars().peekable();
        for c in written.chars() {
            let Some(there) = read.next() else { return false };
            if self.can_hold(c) {
                if c != there {
                    return false;
                }
            } else if c.len_utf16() == 2 && there == '?' {
                read.next_if_eq(&'?');
            }
        }
        read.next().is_none()
    }
}

/// Reads what a file says about groups, one card after the other.
#[derive(Debug)]
pub(in crate::review) struct CsvRows {
    lines: Lines,
    letters: Letters,
    /// Cells with a value that were emptied, which changes nothing.
    pub(in crate::review) emptied: u64,
}

impl CsvRows {
    pub(in crate::review) fn new(columns: Vec<(Role, usize)>, letters: Letters) -> Self {
        Self { lines: Lines::new(Sheet::Csv, columns), letters, emptied: 0 }
    }

    pub(in crate::review) fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    /// What the file decides about the group, and where it says so; none where the file does not
    /// name it.
    pub(in crate::review) fn decided(
        &mut self,
        card: &Card,
        bad: &mut BadCells,
    ) -> Option<(Decisions, Place)> {
        let ids: Vec<LeadId> = card.leads.iter().map(|lead| lead.id).collect();
        let rows = self.lines.take_leads(number(card), &ids, bad);
        let at = self.lines.row(&rows.first()?.1);
        let mut decisions = card.decisions.clone();
        self.choice_and_note(card, &rows, &mut decisions, bad);
        let keep = self.keep(card, &rows, &mut decisions, bad);
        for (id, line) in &rows {
            if let Some(cell) = self.lines.cell(line, &Role::Include)
                && !self.letters.same(yes_no(is_included(&card.decisions, *id)), cell.text)
            {
                include(&mut decisions, *id, cell, bad);
            }
        }
        for field in self.lines.fields().map(str::to_owned).collect::<Vec<_>>() {
            self.value(card, &field, keep, &rows, &mut decisions, bad);
        }
        check(card, &decisions, at, bad);
        Some((decisions, at))
    }

    /// What concerns the whole group stands on one of its rows, the first one at the export.
    fn choice_and_note(
        &self,
        card: &Card,
        rows: &[(LeadId, Line)],
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) {
        if let Some(cell) = self.of_group(card, rows, &Role::Decision, bad)
            && !self.letters.same(&decision_cell(card), cell.text)
        {
            decisions.choice = choice(cell, bad);
        }
        if let Some(cell) = self.of_group(card, rows, &Role::Note, bad)
            && !self.letters.same(&note_cell(card), cell.text)
        {
            decisions.note = note(unguarded(cell.text.trim()));
        }
    }

    /// The cell that speaks for the group: the filled one, or the blank one of the row on which it
    /// was written. None where that row is gone.
    fn of_group<'a>(
        &self,
        card: &Card,
        rows: &'a [(LeadId, Line)],
        role: &Role,
        bad: &mut BadCells,
    ) -> Option<Cell<'a>> {
        let cells = || rows.iter().filter_map(|(_, line)| self.lines.cell(line, role));
        let mut filled = cells().filter(|cell| !cell.is_blank());
        if let Some(first) = filled.next() {
            for other in filled.filter(|other| !alike(other.text, first.text)) {
                let told = format!(
                    "{} contradicts {} in line {} of the same group",
                    other.quoted(),
                    first.quoted(),
                    first.place.row
                );
                bad.add(other.place, told);
            }
            return Some(first);
        }
        let first = card.leads.first()?.id;
        let (_, line) = rows.iter().find(|(id, _)| *id == first)?;
        self.lines.cell(line, role)
    }

    /// Takes the record to keep; gives the one on whose row the survivor's values stand.
    fn keep(
        &self,
        card: &Card,
        rows: &[(LeadId, Line)],
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) -> Option<LeadId> {
        let was = kept(card);
        if !self.lines.has(&Role::Keep) {
            return was;
        }
        let mut named: Option<(LeadId, u64)> = None;
        for (id, line) in rows {
            let Some(cell) = self.lines.cell(line, &Role::Keep) else { continue };
            match (read_yes_no(cell.text), named) {
                (Some(true), None) => named = Some((*id, line.row)),
                (Some(true), Some((other, row))) => {
                    let told = format!(
                        "says yes for record {id}, and line {row} for record {other} of the same group; one record is kept, so empty one of the two cells"
                    );
                    bad.add(cell.place, told);
                }
                (Some(false), _) => {}
                (None, _) if cell.is_blank() => {}
                (None, _) => {
                    let told = format!("{} is neither yes nor empty", cell.quoted());
                    bad.add(cell.place, told);
                }
            }
        }
        let was_here = rows.iter().any(|(id, _)| Some(*id) == was);
        match named {
            Some((id, _)) if Some(id) != was => decisions.winner = Some(id),
            // Emptied: as the plan has it.
            None if was_here => decisions.winner = None,
            Some(_) | None => {}
        }
        named.map(|(id, _)| id).or(was)
    }

    fn value(
        &mut self,
        card: &Card,
        name: &str,
        keep: Option<LeadId>,
        rows: &[(LeadId, Line)],
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) {
        let field = card.fields.iter().find(|field| field.name == name);
        for (id, line) in rows {
            let Some(cell) = self.lines.cell(line, &Role::Value(name.to_owned())) else { continue };
            let written = field.map(|field| value_cell(card, field, *id)).unwrap_or_default();
            if self.letters.same(&written, cell.text) {
                continue;
            }
            let Some(field) = field else {
                let told = format!(
                    "{} cannot be taken: the records of this group do not differ in {name}; empty the cell",
                    cell.quoted()
                );
                bad.add(cell.place, told);
                continue;
            };
            if cell.is_blank() && (Some(*id) == keep || Some(*id) == kept(card)) {
                // Back to the plan; an emptied cell is too easily made to empty a field.
                let was_decided = decisions.values.remove(name).is_some();
                self.emptied += u64::from(!was_decided);
                continue;
            }
            if Some(*id) != keep {
                let told = format!(
                    "{} is not what record {id} holds; what the survivor is to hold stands on the row of the record to keep{}",
                    quoted(cell.text),
                    keep.map(|keep| format!(", {keep}")).unwrap_or_default()
                );
                bad.add(cell.place, told);
                continue;
            }
            match chosen(card, field, decisions, *id, cell.text.trim()) {
                Ok(chosen) => {
                    decisions.values.insert(name.to_owned(), chosen);
                }
                Err(told) => bad.add(cell.place, format!("{}: {told}", cell.quoted())),
            }
        }
    }
}

/// What a changed cell of the record to keep says.
fn chosen(
    card: &Card,
    field: &CardField,
    decisions: &Decisions,
    keep: LeadId,
    text: &str,
) -> Result<ChosenValue, String> {
    if !field.may_choose {
        return Err(format!(
            "no value can be chosen for {}; put back what stood there",
            field.name
        ));
    }
    if text.eq_ignore_ascii_case(BLANK) {
        return Ok(ChosenValue::Typed(serde_json::Value::Null));
    }
    if text.eq_ignore_ascii_case(OWN) {
        return Ok(ChosenValue::From(keep));
    }
    let plain = unguarded(text);
    let ids = [keep].into_iter().chain(card.leads.iter().map(|lead| lead.id));
    let mut ids = ids.filter(|id| is_included(decisions, *id));
    let holds = |id: &LeadId| {
        let value = value_text(field, held(card, field, *id));
        alike(&value, text) || alike(&value, plain)
    };
    if let Some(from) = ids.find(holds) {
        return Ok(ChosenValue::From(from));
    }
    typed(field, plain).map(ChosenValue::Typed).map_err(|allowed| {
        format!("{} takes {allowed}, the value of another record, {BLANK} or {OWN}", field.name)
    })
}
