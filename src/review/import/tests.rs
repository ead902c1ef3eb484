//! The doors through which decisions come in, held against cards made by hand.

mod cards;
mod csv;
mod random;
mod saved;
mod workbook;

use chrono::{DateTime, Utc};

use super::{Changed, Import, read};
use crate::review::card::Card;
use crate::review::sheet::{BadCell, CsvWriter, PlanFacts, Survey};
use crate::review::workbook::WorkbookWriter;
use crate::table::Options;

/// The facts of the plan that the cards are of.
fn plan() -> PlanFacts {
    let made_at: DateTime<Utc> = "2026-11-29T21:10:00Z".parse().unwrap();
    PlanFacts {
        plan: "e937".to_owned(),
        name: Some("nov".to_owned()),
        instance: "111-AAA-111".to_owned(),
        made_at,
        digest: "3fab".repeat(16),
    }
}

fn survey(cards: &[Card]) -> Survey {
    let mut survey = Survey::default();
    for card in cards {
        survey.add(card);
    }
    survey
}

fn csv_of(cards: &[Card]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = CsvWriter::new(&mut bytes, &plan(), &survey(cards)).unwrap();
    for card in cards {
        writer.add(card).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

fn workbook_of(cards: &[Card]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = WorkbookWriter::new(&plan(), &survey(cards)).unwrap();
    for card in cards {
        writer.add(card).unwrap();
    }
    writer.save(&mut bytes).unwrap();
    bytes
}

fn taken(bytes: &[u8], cards: &[Card]) -> (Import, Result<Vec<Changed>, Vec<BadCell>>) {
    let mut import = read(bytes, &Options::default()).unwrap();
    import.check("e937", None).unwrap();
    assert_eq!(import.stamp().digest, "3fab".repeat(16));
    for card in cards {
        import.add(card);
    }
    let outcome = import.finish();
    (import, outcome)
}

fn import(bytes: &[u8], cards: &[Card]) -> Result<Vec<Changed>, Vec<BadCell>> {
    taken(bytes, cards).1
}

fn told(bad: &[BadCell]) -> Vec<String> {
    bad.iter().map(ToString::to_string).collect()
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
