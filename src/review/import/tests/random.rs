//! Random decisions through both doors: what comes back is what was decided, and nothing else.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::cards::{Field, card};
use super::saved::Saved;
use super::{csv_of, import, told, workbook_of};
use crate::dedupe::{Choice, ChosenValue, Decisions};
use crate::lead::LeadId;
use crate::review::card::{Card, CardField};
use crate::review::sheet::words::{held, kept, value_or_blank, value_text};

/// Texts that a spreadsheet, a CSV or XML could take for something else.
const TEXTS: [&str; 24] = [
    "=1+1",
    "+49 30 1234",
    "-5",
    "@SUM(A1)",
    "'=x",
    "''01",
    "01234",
    "3/4",
    "1e5",
    "TRUE",
    "(blank)",
    "(own)",
    "Mar 5",
    "12:30",
    "a;b,c\td",
    "two\nlines",
    "\"quoted\" \"",
    "Łódź",
    "_x0041_",
    "<b>&amp;</b>",
    "\u{1f600} ok",
    "'t Hooft",
    "70: not an id",
    "null",
];

/// Where choices come from, the same in every run.
struct Chance(ChaCha8Rng);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0.next_u32() as usize % end
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn value(&mut self, data_type: &str, number: usize) -> Value {
        match data_type {
            _ if self.one_in(5) => Value::Null,
            "boolean" => json!(self.one_in(2)),
            "integer" => json!(i64::from(self.0.next_u32() % 2_000) - 1_000),
            "currency" => json!(f64::from(self.0.next_u32() % 100_000) + 0.25),
            "date" => {
                json!(format!("20{:02}-0{}-1{}", 10 + number, 1 + self.below(9), self.below(10)))
            }
            "datetime" => {
                json!(format!("2026-01-1{}T08:00:{:02}Z", self.below(10), self.below(60)))
            }
            _ => {
                let text = TEXTS[self.below(TEXTS.len())];
                if self.one_in(2) { json!(text) } else { json!(format!("{text} {number}")) }
            }
        }
    }

    fn fields(&mut self, leads: usize) -> Vec<Field> {
        let all = [
            ("city", "string"),
            ("notes", "textarea"),
            ("leadScore", "integer"),
            ("spent", "currency"),
            ("unsubscribed", "boolean"),
            ("birthday", "date"),
            ("seenAt", "datetime"),
        ];
        let mut fields = Vec::new();
        for (name, data_type) in all {
            if self.one_in(3) {
                continue;
            }
            let values = (0..leads).map(|lead| self.value(data_type, lead)).collect();
            fields.push(Field { name, data_type, values, ruled: self.below(leads) });
        }
        fields
    }

    fn decisions(&mut self, ids: &[LeadId], fields: &[Field]) -> Decisions {
        let mut decisions = Decisions::default();
        if self.one_in(2) {
            decisions.choice = Some(Choice::ALL[self.below(4)]);
        }
        if self.one_in(3) {
            decisions.winner = Some(ids[self.below(ids.len())]);
        }
        let stays = decisions.winner.unwrap_or(ids[0]);
        if self.one_in(3) && ids.len() > 2 {
            let others: Vec<LeadId> = ids.iter().copied().filter(|id| *id != stays).collect();
            decisions.left_out.insert(others[self.below(others.len())]);
        }
        let part: Vec<LeadId> =
            ids.iter().copied().filter(|id| !decisions.left_out.contains(id)).collect();
        for field in fields {
            match self.below(6) {
                0 => {
                    let from = ChosenValue::From(part[self.below(part.len())]);
                    decisions.values.insert(field.name.to_owned(), from);
                }
                1 => {
                    let value = self.value(field.data_type, 7);
                    // In a workbook nobody can type the word for a blank and mean the word.
                    if value != json!("(blank)") {
                        let typed = ChosenValue::Typed(value);
                        decisions.values.insert(field.name.to_owned(), typed);
                    }
                }
                _ => {}
            }
        }
        if self.one_in(4) {
            decisions.note = Some(TEXTS[self.below(TEXTS.len())].trim().to_owned());
        }
        decisions
    }

    /// A group as it stands, and what a person wants of it.
    fn group(&mut self, place: u64) -> (Card, Option<Decisions>) {
        let ids: Vec<LeadId> =
            (0..2 + self.below(3) as u64).map(|lead| 1_000 + place * 10 + lead).collect();
        let fields = self.fields(ids.len());
        let before =
            if self.one_in(2) { Decisions::default() } else { self.decisions(&ids, &fields) };
        let wanted = (!self.one_in(4)).then(|| self.decisions(&ids, &fields));
        let key = format!("p{place}@example.com");
        (card(place, &key, &ids, &fields, before), wanted)
    }
}

fn groups(seed: u64, many: u64) -> (Vec<Card>, Vec<Option<Decisions>>) {
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(seed));
    (0..many).map(|place| chance.group(place)).unzip()
}

/// A choice of the record that is kept anyway cannot be told from none.
fn sayable(card: &Card, mut wanted: Decisions) -> Decisions {
    if wanted.winner == kept(card) {
        wanted.winner = card.decisions.winner;
    }
    wanted
}

fn changes(cards: &[Card], wanted: &[Option<Decisions>]) -> BTreeMap<u64, Decisions> {
    let pairs = cards.iter().zip(wanted).filter_map(|(card, wanted)| {
        let wanted = sayable(card, wanted.clone()?);
        (wanted != card.decisions).then_some((card.place, wanted))
    });
    pairs.collect()
}

/// Writes decisions into the sheets, as a person does.
fn decide_in(saved: &mut Saved, cards: &[Card], wanted: &[Option<Decisions>]) {
    let (mut record, mut value) = (1, 1);
    for (row, (card, wanted)) in (2..).zip(cards.iter().zip(wanted)) {
        let wanted = wanted.clone().map(|wanted| sayable(card, wanted));
        if let Some(wanted) = &wanted {
            let choice = wanted.choice.map_or("", Choice::in_words);
            saved.set("Decide", row, "Decision", choice);
            saved.set("Decide", row, "Note", wanted.note.as_deref().unwrap_or_default());
            if wanted.winner != card.decisions.winner {
                let keep = wanted.winner.map(|id| id.to_string()).unwrap_or_default();
                saved.set("Decide", row, "Record to keep", &keep);
            }
        }
        for lead in &card.leads {
            record += 1;
            if let Some(wanted) = &wanted {
                let include = if wanted.left_out.contains(&lead.id) { "no" } else { "yes" };
                saved.set("Records", record, "Include", include);
            }
        }
        for field in &card.fields {
            value += 1;
            assert_eq!(saved.text("Values", value, "API name"), field.name);
            let Some(wanted) = &wanted else { continue };
            let (choose, typed) = match wanted.values.get(&field.name) {
                Some(ChosenValue::From(id)) => {
                    let place = card.leads.iter().position(|lead| lead.id == *id).unwrap();
                    let heading = match place {
                        0 => "Record to keep".to_owned(),
                        place => format!("Record {}", place + 1),
                    };
                    (saved.text("Values", value, &heading), String::new())
                }
                Some(ChosenValue::Typed(value)) => (String::new(), value_or_blank(field, value)),
                None => (String::new(), String::new()),
            };
            saved.set("Values", value, "Value to keep", &choose);
            saved.set("Values", value, "Or type a value", &typed);
        }
    }
}

fn through_the_workbook(seed: u64, many: u64) {
    let (cards, wanted) = groups(seed, many);
    let mut saved = Saved::of(&workbook_of(&cards));
    decide_in(&mut saved, &cards, &wanted);
    let found = import(&saved.bytes(), &cards).unwrap_or_else(|bad| panic!("{:#?}", told(&bad)));
    let found: BTreeMap<u64, Decisions> =
        found.into_iter().map(|one| (one.place, one.decisions)).collect();
    let expected = changes(&cards, &wanted);
    assert_eq!(found.len(), expected.len());
    for (place, decisions) in &expected {
        assert_eq!(&found[place], decisions, "group {place}");
    }
}

/// What a decision makes of a field; of a CSV nobody can tell two records with one value apart.
fn meant(card: &Card, field: &CardField, chosen: &ChosenValue) -> String {
    let value = match chosen {
        ChosenValue::From(id) => held(card, field, *id),
        ChosenValue::Typed(value) => value,
    };
    value_or_blank(field, value).trim().to_owned()
}

/// Writes decisions into the rows of a CSV, as a person does.
fn decide_in_csv(grid: &mut [Vec<String>], cards: &[Card], wanted: &mut [Option<Decisions>]) {
    let heading = grid[0].clone();
    let column = |name: &str| heading.iter().position(|cell| cell == name).unwrap();
    let (decision, keep, include, note) =
        (column("decision"), column("keep"), column("include"), column("note"));
    let mut first = 1;
    for (card, wanted) in cards.iter().zip(wanted) {
        let rows = first..first + card.leads.len();
        first = rows.end;
        let Some(wanted) = wanted else { continue };
        *wanted = sayable(card, wanted.clone());
        grid[rows.start][decision] = wanted.choice.map_or("", Choice::as_str).to_owned();
        grid[rows.start][note] = as_typed(wanted.note.as_deref().unwrap_or_default(), false);
        let row_of =
            |id: LeadId| rows.start + card.leads.iter().position(|lead| lead.id == id).unwrap();
        if wanted.winner != card.decisions.winner {
            rows.clone().for_each(|row| grid[row][keep].clear());
            if let Some(winner) = wanted.winner {
                "yes".clone_into(&mut grid[row_of(winner)][keep]);
            }
        }
        for lead in &card.leads {
            let included = if wanted.left_out.contains(&lead.id) { "no" } else { "yes" };
            included.clone_into(&mut grid[row_of(lead.id)][include]);
        }
        let stays = if wanted.winner == card.decisions.winner {
            kept(card).unwrap()
        } else {
            wanted.winner.or(kept(card)).unwrap()
        };
        for field in &card.fields {
            let at = column(&format!("value:{}", field.name));
            let cell = &mut grid[row_of(stays)][at];
            match wanted.values.get(&field.name) {
                None if card.decisions.values.contains_key(&field.name) => {
                    cell.clear();
                    grid[row_of(kept(card).unwrap())][at].clear();
                }
                None => {}
                Some(chosen) => {
                    let text = meant(card, field, chosen);
                    let shown = if kept(card) == Some(stays) {
                        let now = card.decisions.values.get(&field.name);
                        now.map_or_else(
                            || value_text(field, &field.after),
                            |now| meant(card, field, now),
                        )
                    } else {
                        value_text(field, held(card, field, stays))
                    };
                    if text == shown.trim() {
                        // The cell says so already, which is no decision.
                        match card.decisions.values.get(&field.name).cloned() {
                            Some(now) => wanted.values.insert(field.name.clone(), now),
                            None => wanted.values.remove(&field.name),
                        };
                    } else {
                        *cell = as_typed(&text, is_blank(card, field, chosen));
                    }
                }
            }
        }
    }
}

fn is_blank(card: &Card, field: &CardField, chosen: &ChosenValue) -> bool {
    let value = match chosen {
        ChosenValue::From(id) => held(card, field, *id),
        ChosenValue::Typed(value) => value,
    };
    value_text(field, value).trim().is_empty()
}

/// A text as a person types it who means it literally.
fn as_typed(text: &str, is_blank: bool) -> String {
    match text {
        "(blank)" if is_blank => text.to_owned(),
        "(blank)" | "(own)" => format!("'{text}"),
        _ if text.starts_with('\'') && !text.starts_with("'t") => format!("'{text}"),
        _ => text.to_owned(),
    }
}

fn through_the_csv(seed: u64, many: u64) {
    let (cards, mut wanted) = groups(seed, many);
    let bytes = csv_of(&cards);
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap());
    let mut grid: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    decide_in_csv(&mut grid, &cards, &mut wanted);
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in grid {
        writer.write_record(row).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    let found = import(&bytes, &cards).unwrap_or_else(|bad| panic!("{:#?}", told(&bad)));
    let found: BTreeMap<u64, Decisions> =
        found.into_iter().map(|one| (one.place, one.decisions)).collect();
    let plain = |card: &Card, decisions: &Decisions| {
        let meant: BTreeMap<String, String> = (decisions.values.iter())
            .map(|(name, chosen)| {
                let field = card.fields.iter().find(|field| field.name == *name).unwrap();
                (name.clone(), meant(card, field, chosen))
            })
            .collect();
        (Decisions { values: BTreeMap::new(), ..decisions.clone() }, meant)
    };
    let expected = changes(&cards, &wanted);
    for card in &cards {
        let now = found.get(&card.place).unwrap_or(&card.decisions);
        let wanted = expected.get(&card.place).unwrap_or(&card.decisions);
        assert_eq!(plain(card, now), plain(card, wanted), "{card:#?}");
    }
}

#[test]
fn five_thousand_random_decisions_go_through_the_workbook_and_nothing_else_changes() {
    through_the_workbook(1, 5_000);
}

#[test]
fn five_thousand_random_decisions_go_through_the_csv_and_nothing_else_changes() {
    through_the_csv(2, 5_000);
}

#[test]
fn small_plans_of_many_kinds_go_through_both_doors() {
    for seed in 10..30 {
        through_the_workbook(seed, 7);
        through_the_csv(seed, 7);
    }
}
