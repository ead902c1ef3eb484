//! The CSV door.

use std::collections::BTreeMap;

use serde_json::json;

use super::cards::{ada, bo, both};
use super::{csv_of, import, snapshot, taken, told};
use crate::dedupe::{Choice, ChosenValue, Decisions};
use crate::review::import::{Error, read};
use crate::table::{Options, is_run};

/// A CSV as a person changes it.
struct Grid(Vec<Vec<String>>);

impl Grid {
    fn of(bytes: &[u8]) -> Self {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap();
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        Self(reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect())
    }

    fn column(&self, heading: &str) -> usize {
        self.0[0].iter().position(|cell| cell == heading).unwrap_or_else(|| panic!("{heading}"))
    }

    fn get(&self, line: usize, heading: &str) -> &str {
        &self.0[line - 1][self.column(heading)]
    }

    fn set(&mut self, line: usize, heading: &str, text: &str) -> &mut Self {
        let column = self.column(heading);
        self.0[line - 1][column] = text.to_owned();
        self
    }

    fn bytes(&self, separator: u8) -> Vec<u8> {
        let mut writer =
            ::csv::WriterBuilder::new().delimiter(separator).flexible(true).from_writer(Vec::new());
        self.0.iter().for_each(|row| writer.write_record(row).unwrap());
        writer.into_inner().unwrap()
    }
}

fn decided(change: impl FnOnce(&mut Grid)) -> BTreeMap<u64, Decisions> {
    let cards = both();
    let mut grid = Grid::of(&csv_of(&cards));
    change(&mut grid);
    let changed =
        import(&grid.bytes(b','), &cards).unwrap_or_else(|bad| panic!("{:#?}", told(&bad)));
    changed.into_iter().map(|one| (one.place, one.decisions)).collect()
}

fn refused(change: impl FnOnce(&mut Grid)) -> Vec<String> {
    let cards = both();
    let mut grid = Grid::of(&csv_of(&cards));
    change(&mut grid);
    told(&import(&grid.bytes(b','), &cards).unwrap_err())
}

#[test]
fn the_file_reads_as_promised() {
    let text = String::from_utf8(csv_of(&both())).unwrap();
    snapshot("plan_csv", &text.replace('\u{feff}', "<mark>").replace("\r\n", "\n"));
}

#[test]
fn no_cell_is_run_as_a_formula() {
    let grid = Grid::of(&csv_of(&both()));
    for cell in grid.0.iter().flatten() {
        assert!(!is_run(cell), "{cell}");
    }
}

#[test]
fn an_unchanged_file_decides_nothing_whatever_was_decided_before() {
    let decisions = Decisions {
        choice: Some(Choice::Merge),
        winner: Some(6334),
        values: BTreeMap::from([
            ("city".to_owned(), ChosenValue::From(6333)),
            ("title".to_owned(), ChosenValue::Typed(json!(null))),
            ("leadScore".to_owned(), ChosenValue::Typed(json!(161))),
        ]),
        note: Some("=ask Bo\nfirst".to_owned()),
        ..Decisions::default()
    };
    let left_out = Decisions { left_out: [71].into(), ..Decisions::default() };
    for cards in [both(), [ada(decisions), bo(left_out)]] {
        assert_eq!(import(&csv_of(&cards), &cards), Ok(Vec::new()));
    }
}

#[test]
fn a_decision_a_record_to_keep_one_left_out_and_a_note_are_taken() {
    let found = decided(|grid| {
        grid.set(2, "decision", "Not the same").set(2, "note", "'t Hooft said so");
        grid.set(4, "keep", "").set(6, "keep", "x").set(5, "include", "NO");
    });
    assert_eq!(found[&0].choice, Some(Choice::NotSame));
    assert_eq!(found[&0].note.as_deref(), Some("'t Hooft said so"));
    assert_eq!((found[&1].winner, found[&1].left_out.len()), (Some(72), 1));
    assert!(found[&1].left_out.contains(&71) && found[&1].values.is_empty());
}

#[test]
fn a_value_of_another_record_is_taken_from_it_and_any_other_is_typed() {
    let found = decided(|grid| {
        let washington = grid.get(3, "value:city").to_owned();
        let code = grid.get(3, "value:postalCode").to_owned();
        grid.set(2, "value:city", &washington).set(2, "value:leadScore", "161");
        grid.set(2, "value:title", "(Blank)").set(2, "value:postalCode", &code);
        // The rule takes the second record's value; this row's own is not shown.
        grid.set(4, "value:city", "(own)").set(4, "value:birthday", "2000-12-31");
    });
    let values = |place| &found[&place].values;
    assert_eq!(values(0)["city"], ChosenValue::From(6334));
    assert_eq!(values(0)["leadScore"], ChosenValue::Typed(json!(161)));
    assert_eq!(values(0)["title"], ChosenValue::Typed(json!(null)));
    assert_eq!(values(0)["postalCode"], ChosenValue::From(6334));
    assert_eq!(values(1)["city"], ChosenValue::From(70));
    assert_eq!(values(1)["birthday"], ChosenValue::Typed(json!("2000-12-31")));
}

#[test]
fn what_the_record_to_keep_gives_up_is_told_since_its_row_shows_the_survivor() {
    let grid = Grid::of(&csv_of(&both()));
    assert_eq!(grid.get(4, "value:city"), "Wrocław");
    assert!(grid.get(4, "warning").contains("gives up its own city: Łódź"));
}

#[test]
fn an_emptied_cell_leaves_the_field_to_the_plan_and_is_told() {
    let decisions = Decisions {
        values: [("city".to_owned(), ChosenValue::From(6334))].into(),
        ..Decisions::default()
    };
    let cards = [ada(decisions), bo(Decisions::default())];
    let mut grid = Grid::of(&csv_of(&cards));
    grid.set(2, "value:city", "").set(2, "value:leadScore", "");
    let (import, changed) = taken(&grid.bytes(b','), &cards);
    assert_eq!(changed.unwrap()[0].decisions, Decisions::default());
    let told = import.notes().join("\n");
    assert!(told.contains("left as the plan has it: 1 emptied cell"), "{told}");
}

#[test]
fn columns_in_another_order_further_ones_and_rows_sorted_otherwise_change_nothing() {
    let cards = both();
    let mut grid = Grid::of(&csv_of(&cards));
    grid.set(2, "decision", "skip");
    for row in &mut grid.0 {
        row.reverse();
        row.insert(3, "mine".to_owned());
    }
    grid.0[1..].reverse();
    let (import, changed) = taken(&grid.bytes(b','), &cards);
    let changed = changed.unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].decisions.choice, Some(Choice::Skip));
    assert!(import.notes().iter().any(|note| note == "passed over: mine"), "{:?}", import.notes());
}

#[test]
fn rows_and_columns_that_are_gone_leave_all_as_it_was() {
    let decisions =
        Decisions { choice: Some(Choice::Hold), winner: Some(6334), ..Decisions::default() };
    let cards = [ada(decisions), bo(Decisions::default())];
    let mut grid = Grid::of(&csv_of(&cards));
    grid.0.remove(1);
    let note = grid.column("note");
    grid.0.iter_mut().for_each(|row| drop(row.remove(note)));
    assert_eq!(import(&grid.bytes(b','), &cards), Ok(Vec::new()));
}

#[test]
fn a_spreadsheet_saves_in_semicolons_tabs_utf_16_and_ansi() {
    let cards = both();
    let mut grid = Grid::of(&csv_of(&cards));
    grid.set(2, "decision", "hold");
    let text = String::from_utf8(grid.bytes(b'\t')).unwrap();
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    // Excel writes `?` where the code page has no such letter, or one that looks like it.
    let ansi = String::from_utf8(grid.bytes(b';')).unwrap().replace("Ł", "L").replace("ł", "?");
    let ansi = encoding_rs::WINDOWS_1252.encode(&ansi.replace("ź", "?")).0.into_owned();
    for bytes in [grid.bytes(b';'), grid.bytes(b'\t'), utf16, ansi] {
        let changed = import(&bytes, &cards).unwrap_or_else(|bad| panic!("{:#?}", told(&bad)));
        assert_eq!(changed.len(), 1);
        assert_eq!(
            changed[0].decisions,
            Decisions { choice: Some(Choice::Hold), ..Decisions::default() }
        );
    }
}

#[test]
fn every_bad_cell_is_named_and_nothing_is_taken() {
    let found = refused(|grid| {
        grid.set(2, "decision", "Mrge").set(2, "value:leadScore", "many");
        grid.set(3, "keep", "yes").set(3, "include", "perhaps").set(3, "value:city", "Paris");
        grid.set(4, "group", "17").set(5, "id", "6333").set(6, "value:title", "Dr");
        grid.set(6, "value:birthday", "#REF!");
    });
    snapshot("plan_csv_errors", &found.join("\n"));
}

#[test]
fn one_record_twice_is_fine_where_it_says_the_same_and_refused_where_not() {
    let found = decided(|grid| {
        grid.set(2, "decision", "merge");
        let again = grid.0[1].clone();
        grid.0.push(again);
    });
    assert_eq!(found[&0].choice, Some(Choice::Merge));
    let told = refused(|grid| {
        let again = grid.0[1].clone();
        grid.0.push(again);
        grid.set(7, "decision", "skip");
    });
    assert_eq!(
        told,
        [
            "line 7, column \"decision\": says \"skip\" where row 2, which is about the same, says \"\"; \
             delete one of the two rows"
        ]
    );
}

#[test]
fn what_cannot_go_together_is_refused() {
    let told = refused(|grid| {
        grid.set(3, "include", "no");
        grid.set(4, "keep", "").set(5, "keep", "yes").set(5, "include", "no");
    });
    assert_eq!(
        told,
        [
            "line 2: with so many records left out there are no two to merge; include one more, or decide Skip",
            "line 4: record 71 is the one to keep and cannot be left out; choose another record to keep first",
        ]
    );
}

#[test]
fn a_file_that_names_no_plan_or_an_older_digest_is_refused_with_words() {
    let options = Options::default();
    let error = read(&b"group,id,decision\n1,2,skip\n"[..], &options).unwrap_err();
    assert_eq!(error, Error::NoPlan);
    let import = read(csv_of(&both()), &options).unwrap();
    let since = Some("Bo decided about ada@example.com".to_owned());
    let told = import.check("e937", since).unwrap_err().to_string();
    assert!(told.contains("meantime: Bo decided about ada@example.com; export the plan"), "{told}");
    let told = import.check("other", None).unwrap_err().to_string();
    assert_eq!(told, "is of plan e937, and not of plan other");
}
