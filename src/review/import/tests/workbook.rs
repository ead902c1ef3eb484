//! The workbook door.

use std::collections::BTreeMap;

use serde_json::json;

use super::cards::{ada, bo, both};
use super::saved::{Edited, Saved};
use super::{import, snapshot, told, workbook_of};
use crate::dedupe::{Choice, ChosenValue, Decisions};
use crate::review::import::{Error, read};
use crate::table::Options;

fn decided(change: impl FnOnce(&mut Saved)) -> BTreeMap<u64, Decisions> {
    let cards = both();
    let mut saved = Saved::of(&workbook_of(&cards));
    change(&mut saved);
    let changed = import(&saved.bytes(), &cards).unwrap_or_else(|bad| panic!("{:#?}", told(&bad)));
    changed.into_iter().map(|one| (one.place, one.decisions)).collect()
}

fn refused(change: impl FnOnce(&mut Saved)) -> Vec<String> {
    let cards = both();
    let mut saved = Saved::of(&workbook_of(&cards));
    change(&mut saved);
    told(&import(&saved.bytes(), &cards).unwrap_err())
}

#[test]
fn an_unchanged_workbook_decides_nothing_whatever_was_decided_before() {
    let decisions = Decisions {
        choice: Some(Choice::NotSame),
        winner: Some(6334),
        values: BTreeMap::from([
            ("city".to_owned(), ChosenValue::From(6333)),
            ("title".to_owned(), ChosenValue::Typed(json!(null))),
            ("leadScore".to_owned(), ChosenValue::Typed(json!(161))),
        ]),
        note: Some("=ask \u{1} _x0041_ Bo\r\nfirst".to_owned()),
        ..Decisions::default()
    };
    let left_out = Decisions { left_out: [71].into(), ..Decisions::default() };
    for cards in [both(), [ada(decisions), bo(left_out)]] {
        let bytes = workbook_of(&cards);
        assert_eq!(import(&bytes, &cards), Ok(Vec::new()));
        assert_eq!(import(&Saved::of(&bytes).bytes(), &cards), Ok(Vec::new()), "saved by another");
        assert_eq!(bytes, workbook_of(&cards), "the same plan gives the same bytes");
    }
}

#[test]
fn decisions_of_every_sheet_are_taken() {
    let found = decided(|saved| {
        saved.set("Decide", 2, "Decision", "Merge").set("Decide", 2, "Note", "looked at");
        saved.set("Decide", 3, "Record to keep", "72");
        saved.set("Records", 5, "Include", "no");
        saved.set("Values", 2, "Value to keep", "6334: Washington, D.C.");
        saved.set("Values", 3, "Or type a value", "161");
        saved.set("Values", 4, "Or type a value", "(blank)");
        saved.set("Values", 5, "Value to keep", "6334");
    });
    let expected = Decisions {
        choice: Some(Choice::Merge),
        values: BTreeMap::from([
            ("city".to_owned(), ChosenValue::From(6334)),
            ("leadScore".to_owned(), ChosenValue::Typed(json!(161))),
            ("title".to_owned(), ChosenValue::Typed(json!(null))),
            ("postalCode".to_owned(), ChosenValue::From(6334)),
        ]),
        note: Some("looked at".to_owned()),
        ..Decisions::default()
    };
    assert_eq!(found[&0], expected);
    let bo = Decisions { winner: Some(72), left_out: [71].into(), ..Decisions::default() };
    assert_eq!(found[&1], bo);
}

#[test]
fn emptied_cells_take_a_decision_back() {
    let decisions = Decisions {
        choice: Some(Choice::Skip),
        winner: Some(6334),
        values: [("city".to_owned(), ChosenValue::From(6333))].into(),
        note: Some("no".to_owned()),
        ..Decisions::default()
    };
    let cards = [ada(decisions)];
    let mut saved = Saved::of(&workbook_of(&cards));
    for column in ["Decision", "Record to keep", "Note"] {
        saved.set("Decide", 2, column, "");
    }
    saved.set("Values", 2, "Value to keep", "");
    let changed = import(&saved.bytes(), &cards).unwrap();
    assert_eq!(changed[0].decisions, Decisions::default());
}

#[test]
fn numbers_truth_values_and_dates_are_read_where_text_was_written() {
    let found = decided(|saved| {
        saved.put("Decide", 2, "Group", Edited::Number(1.0));
        saved.put("Decide", 3, "Record to keep", Edited::Number(72.0));
        saved.put("Records", 2, "Record", Edited::Number(6333.0));
        saved.put("Records", 2, "Include", Edited::Truth(true));
        saved.put("Records", 5, "Include", Edited::Truth(false));
        saved.put("Values", 3, "Or type a value", Edited::Number(161.0));
        saved.put("Values", 8, "Or type a value", Edited::Day("1999-12-31"));
    });
    let bo = Decisions {
        winner: Some(72),
        left_out: [71].into(),
        values: [("birthday".to_owned(), ChosenValue::Typed(json!("1999-12-31")))].into(),
        ..Decisions::default()
    };
    assert_eq!(found[&1], bo);
    assert_eq!(found[&0].values["leadScore"], ChosenValue::Typed(json!(161)));
}

#[test]
fn columns_moved_rows_sorted_and_deleted_and_a_line_above_change_nothing_else() {
    let found = decided(|saved| {
        saved.set("Decide", 2, "Decision", "Hold");
        for sheet in ["Decide", "Records", "Values"] {
            let grid = saved.grid(sheet);
            grid[1..].reverse();
            for row in grid.iter_mut() {
                row.reverse();
                row.insert(0, Edited::text("mine"));
            }
            grid.insert(0, vec![Edited::text("Please look at this")]);
            grid.pop();
        }
        saved.grid("Decide").push(Vec::new());
    });
    assert!(found.is_empty(), "the row that was decided about was deleted: {found:?}");
    let found = decided(|saved| {
        saved.set("Decide", 3, "Decision", "Hold");
        saved.grid("Decide").remove(1);
        saved.grid("Records").truncate(1);
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[&1].choice, Some(Choice::Hold));
}

#[test]
fn every_bad_cell_is_named_by_sheet_row_and_column_with_what_is_allowed() {
    let found = refused(|saved| {
        saved.set("Decide", 2, "Decision", "Mrge").set("Decide", 2, "Record to keep", "70");
        saved.set("Decide", 3, "Group", "seven");
        saved.set("Records", 2, "Include", "perhaps").set("Records", 3, "Record", "72");
        saved.set("Values", 2, "Value to keep", "Paris");
        saved.set("Values", 3, "Or type a value", "many");
        saved.set("Values", 4, "Value to keep", "6334: (blank)");
        saved.set("Values", 4, "Or type a value", "Countess");
        saved.set("Values", 5, "API name", "zip").set("Values", 8, "Group", "3");
        saved.set("Values", 8, "Or type a value", "#NAME?");
    });
    snapshot("plan_workbook_errors", &found.join("\n"));
}

#[test]
fn a_row_twice_is_refused_where_it_says_two_things() {
    let again = |saved: &mut Saved| {
        let row = saved.grid("Decide")[1].clone();
        saved.grid("Decide").push(row);
    };
    assert!(decided(again).is_empty());
    let told = refused(|saved| {
        again(saved);
        saved.set("Decide", 4, "Decision", "Skip");
    });
    assert_eq!(
        told,
        [
            "sheet Decide, cell E4, column \"Decision\": says \"Skip\" where row 2, which is about the same, \
             says \"\"; delete one of the two rows"
        ]
    );
}

#[test]
fn a_sheet_or_column_that_is_gone_is_told_and_leaves_all_as_it_was() {
    let cards = both();
    let mut saved = Saved::of(&workbook_of(&cards));
    saved.remove("Records");
    saved.set("Decide", 1, "Note", "My note").set("Decide", 2, "Decision", "Skip");
    let mut import = read(saved.bytes(), &Options::default()).unwrap();
    for card in &cards {
        import.add(card);
    }
    assert_eq!(import.finish().unwrap().len(), 1);
    assert_eq!(
        import.notes(),
        [
            "sheet Decide: the column \"Note\" is gone: what it says is as it was",
            "the sheet Records is gone: what it says is as it was",
        ]
    );
}

#[test]
fn a_workbook_without_the_hidden_sheet_is_refused_with_words() {
    let mut saved = Saved::of(&workbook_of(&both()));
    saved.remove("mkto-audit");
    for sheet in ["Records", "Values", "Read me"] {
        saved.remove(sheet);
    }
    assert_eq!(read(saved.bytes(), &Options::default()).unwrap_err(), Error::NoPlan);
}

#[test]
fn no_cell_is_a_formula_and_no_property_names_a_person() {
    let bytes = workbook_of(&both());
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    for place in 0..zip.len() {
        let mut part = zip.by_index(place).unwrap();
        let name = part.name().unwrap().into_owned();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut part, &mut text).unwrap();
        assert!(!name.starts_with("xl/worksheets/sheet") || !text.contains("<f>"), "{name}");
        if name.starts_with("docProps") {
            assert!(!text.contains("Ada") && !text.contains("example.com"), "{text}");
        }
    }
}
