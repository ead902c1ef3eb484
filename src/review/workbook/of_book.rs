//! What the sheets of a workbook decide about one group.

use super::decide::{decision_text, keep_text, note_text};
use super::values::{choice_text, chosen_text, typed_text};
use crate::dedupe::{ChosenValue, Decisions};
use crate::lead::LeadId;
use crate::review::card::{Card, CardField};
use crate::review::sheet::bad::BadCells;
use crate::review::sheet::cell::{Cell, Place, Sheet, alike};
use crate::review::sheet::choice::{check, choice, include, note};
use crate::review::sheet::lines::{Line, Lines, Role};
use crate::review::sheet::typed::typed;
use crate::review::sheet::words::{BLANK, is_included, number, yes_no};

/// Reads what a workbook says about groups, one card after the other.
#[derive(Debug)]
pub(in crate::review) struct BookRows {
    pub(in crate::review) decide: Lines,
    pub(in crate::review) records: Lines,
    pub(in crate::review) values: Lines,
}

impl Default for BookRows {
    fn default() -> Self {
        let none = |sheet| Lines::new(sheet, Vec::new());
        Self {
            decide: none(Sheet::Decide),
            records: none(Sheet::Records),
            values: none(Sheet::Values),
        }
    }
}

impl BookRows {
    /// What the file decides about the group, and where it says so; none where the file does not
    /// name it.
    pub(in crate::review) fn decided(
        &mut self,
        card: &Card,
        bad: &mut BadCells,
    ) -> Option<(Decisions, Place)> {
        let group = number(card);
        let decide = self.decide.take(group).into_iter().map(|line| ((), line)).collect();
        let decide = self.decide.without_repeats(decide, bad).pop().map(|((), line)| line);
        let ids: Vec<LeadId> = card.leads.iter().map(|lead| lead.id).collect();
        let records = self.records.take_leads(group, &ids, bad);
        let values = self.values.take(group);
        let at = (decide.as_ref().map(|line| self.decide.row(line)))
            .or_else(|| records.first().map(|(_, line)| self.records.row(line)))
            .or_else(|| values.first().map(|line| self.values.row(line)))?;
        let mut decisions = card.decisions.clone();
        if let Some(line) = &decide {
            self.of_the_group(card, line, &mut decisions, bad);
        }
        for (id, line) in &records {
            if let Some(cell) = self.records.cell(line, &Role::Include)
                && !alike(yes_no(is_included(&card.decisions, *id)), cell.text)
            {
                include(&mut decisions, *id, cell, bad);
            }
        }
        self.of_values(card, values, &mut decisions, bad);
        check(card, &decisions, at, bad);
        Some((decisions, at))
    }

    fn of_the_group(
        &self,
        card: &Card,
        line: &Line,
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) {
        if let Some(cell) = self.decide.cell(line, &Role::Decision)
            && !alike(decision_text(card), cell.text)
        {
            decisions.choice = choice(cell, bad);
        }
        if let Some(cell) = self.decide.cell(line, &Role::Note)
            && !alike(&note_text(card), cell.text)
        {
            decisions.note = note(cell.text);
        }
        let Some(cell) = self.decide.cell(line, &Role::Keep) else { return };
        if alike(&keep_text(card), cell.text) {
            return;
        }
        // Emptied: as the plan has it.
        decisions.winner = (!cell.is_blank()).then(|| record(card, cell, bad)).flatten();
    }

    fn of_values(
        &self,
        card: &Card,
        lines: Vec<Line>,
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) {
        let mut found = Vec::new();
        for line in lines {
            let Some(cell) = self.values.cell(&line, &Role::Field) else { continue };
            let name = cell.text.trim();
            if let Some(field) = card.fields.iter().find(|field| field.name == name) {
                found.push((field.name.clone(), line));
            } else {
                let told = format!(
                    "{} is no field in which the records of group {} differ",
                    cell.quoted(),
                    number(card)
                );
                bad.add(cell.place, told);
            }
        }
        for (name, line) in self.values.without_repeats(found, bad) {
            let Some(field) = card.fields.iter().find(|field| field.name == name) else { continue };
            self.of_value(card, field, &line, decisions, bad);
        }
    }

    fn of_value(
        &self,
        card: &Card,
        field: &CardField,
        line: &Line,
        decisions: &mut Decisions,
        bad: &mut BadCells,
    ) {
        let now = card.decisions.values.get(&field.name);
        let (shown_choice, shown_typed) = (chosen_text(card, field, now), typed_text(field, now));
        let choose = self.values.cell(line, &Role::Choose);
        let typed_in = self.values.cell(line, &Role::Typed);
        let changed =
            |cell: Option<Cell<'_>>, shown: &str| cell.is_some_and(|cell| !alike(shown, cell.text));
        if !changed(choose, &shown_choice) && !changed(typed_in, &shown_typed) {
            return;
        }
        let filled = |cell: Option<Cell<'_>>, shown: &str| match cell {
            Some(cell) => !cell.is_blank(),
            None => !shown.is_empty(),
        };
        let chosen = match (filled(choose, &shown_choice), filled(typed_in, &shown_typed)) {
            (false, false) => None,
            (true, true) => {
                let Some(cell) = typed_in.or(choose) else { return };
                bad.add(
                    cell.place,
                    "a value is both chosen and typed for this field; empty one of the two cells",
                );
                return;
            }
            (true, false) => choose.and_then(|cell| of_choice(card, field, cell, bad)),
            (false, true) => typed_in.and_then(|cell| of_typed(field, cell, bad)),
        };
        match chosen {
            Some(_) if !field.may_choose => {
                if let Some(cell) = choose.filter(|cell| !cell.is_blank()).or(typed_in) {
                    let told = format!("no value can be chosen for {}; empty the cell", field.name);
                    bad.add(cell.place, told);
                }
            }
            Some(chosen) => {
                decisions.values.insert(field.name.clone(), chosen);
            }
            None => {
                decisions.values.remove(&field.name);
            }
        }
    }
}

fn record(card: &Card, cell: Cell<'_>, bad: &mut BadCells) -> Option<LeadId> {
    let text = cell.text.trim();
    let id = text.strip_suffix(".0").unwrap_or(text).parse::<LeadId>().ok();
    let id = id.filter(|id| card.leads.iter().any(|lead| lead.id == *id));
    if id.is_none() {
        let ids: Vec<String> = card.leads.iter().map(|lead| lead.id.to_string()).collect();
        let told = format!("{} is none of the group's records: {}", cell.quoted(), ids.join(", "));
        bad.add(cell.place, told);
    }
    id
}

/// A value of the list, or the id of a record alone.
fn of_choice(
    card: &Card,
    field: &CardField,
    cell: Cell<'_>,
    bad: &mut BadCells,
) -> Option<ChosenValue> {
    let text = cell.text.trim();
    let is_meant = |id: LeadId| {
        alike(&choice_text(card, field, id), text)
            || text.strip_suffix(".0").unwrap_or(text) == id.to_string()
    };
    let from = card.leads.iter().map(|lead| lead.id).find(|id| is_meant(*id));
    if from.is_none() {
        let told = format!(
            "{} is no value of the list, which is to the right of it; a value that no record holds goes into the next column",
            cell.quoted()
        );
        bad.add(cell.place, told);
    }
    from.map(ChosenValue::From)
}

fn of_typed(field: &CardField, cell: Cell<'_>, bad: &mut BadCells) -> Option<ChosenValue> {
    if cell.text.trim().eq_ignore_ascii_case(BLANK) {
        return Some(ChosenValue::Typed(serde_json::Value::Null));
    }
    match typed(field, cell.text) {
        Ok(value) => Some(ChosenValue::Typed(value)),
        Err(allowed) => {
            let told = format!("{}: {} takes {allowed}, or {BLANK}", cell.quoted(), field.name);
            bad.add(cell.place, told);
            None
        }
    }
}
