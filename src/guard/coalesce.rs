//! Records of one key become one, in their order: what a later one says wins, field by field, so
//! that the lead ends as if they had been written one after another. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use super::lease::LeaseKey;
use super::read::Record;
use crate::dedupe::{Key, KeyKind};

/// What makes a looked-up value a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRule {
    /// The instance whose leads are written.
    pub(super) instance: String,
    /// The field that is looked up.
    pub(super) field: String,
    /// How its values compare.
    pub(super) kind: KeyKind,
}

impl KeyRule {
    /// The key of a value. It is also what is looked up and written: blanks and invisible
    /// characters around a value would hide the lead from the look-up.
    pub(super) fn key(&self, value: &Value) -> Option<Key> {
        self.kind.key(value)
    }
}

/// Everything that is to be written to one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyWork {
    pub(super) key: Key,
    /// The right that writing it takes.
    pub(super) lease: LeaseKey,
    /// One write of all lines; after Marketo refused that, one for each line, so that one bad value
    /// does not take the good lines with it.
    pub(super) writes: VecDeque<Write>,
}

/// One record that stands for one or several lines.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Write {
    /// What is to be written, without the looked-up field.
    pub(super) fields: Map<String, Value>,
    /// The lines that it stands for, the last one last.
    pub(super) lines: Vec<Record>,
    /// How often it was sent.
    pub(super) tries: u32,
    /// Whether a call that carried it may have created the lead, its answer being lost.
    pub(super) may_have_created: bool,
    /// Whether a call that carried it may have written to the lead, its answer being lost.
    pub(super) may_have_written: bool,
    /// What was said last where that left the outcome open.
    pub(super) last_word: Option<String>,
}

/// A line that has no key to be written to, and why.
pub(super) type Keyless = (u64, String);

/// Groups records by key, in the order in which the keys first appear.
pub(super) fn coalesce(records: Vec<Record>, rule: &KeyRule) -> (Vec<KeyWork>, Vec<Keyless>) {
    let field = &rule.field;
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut groups: Vec<(Key, LeaseKey, Vec<Record>)> = Vec::new();
    // Whether Marketo tells values apart by case alone is not known, so two such keys are never
    // both sent.
    let mut spellings: BTreeMap<String, (Key, u64)> = BTreeMap::new();
    let mut keyless = Vec::new();
    for record in records {
        let value = record.fields.get(field);
        let key = value.and_then(|value| rule.key(value));
        let lease = value.and_then(|value| LeaseKey::of_value(&rule.instance, field, value));
        let (Some(key), Some(lease)) = (key, lease) else {
            keyless
                .push((record.line, format!("`{field}` is empty, and an empty key never matches")));
            continue;
        };
        if key.as_str().contains(',') {
            let why =
                format!("`{field}` holds a comma, and Marketo cannot be asked for such a value");
            keyless.push((record.line, why));
            continue;
        }
        let folded = key.as_str().to_lowercase();
        let (first, line) = spellings.entry(folded).or_insert_with(|| (key.clone(), record.line));
        if *first != key {
            let why = format!(
                "`{field}` differs from that of line {line} in case alone; use one spelling"
            );
            keyless.push((record.line, why));
            continue;
        }
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, lease, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, _, lines)) = groups.get_mut(place) {
            lines.push(record);
        }
    }
    let work = |(key, lease, lines)| {
        let writes = VecDeque::from([Write::of(lines, rule)]);
        KeyWork { key, lease, writes }
    };
    (groups.into_iter().map(work).collect(), keyless)
}

impl Write {
    /// One write for these lines.
    fn of(lines: Vec<Record>, rule: &KeyRule) -> Self {
        let mut fields = Map::new();
        for (name, value) in lines.iter().flat_map(|record| &record.fields) {
            if *name != rule.field {
                fields.insert(name.clone(), value.clone());
            }
        }
        Self { fields, lines, ..Self::default() }
    }

    /// The same, line by line; only where there are several. What is not known of the whole is not
    /// known of the first.
    pub(super) fn line_by_line(&self, rule: &KeyRule) -> Option<VecDeque<Self>> {
        if self.lines.len() < 2 {
            return None;
        }
        let mut writes: VecDeque<Self> =
            self.lines.iter().map(|record| Self::of(vec![record.clone()], rule)).collect();
        if let Some(first) = writes.front_mut() {
            first.may_have_created = self.may_have_created;
            first.may_have_written = self.may_have_written;
        }
        Some(writes)
    }

    /// The line whose result this is; the others were coalesced into it.
    pub(super) fn last_line(&self) -> u64 {
        self.lines.last().map_or(0, |record| record.line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::{KeyRule, coalesce};
    use crate::dedupe::{Key, KeyKind};
    use crate::guard::read::Record;

    fn record(line: u64, fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record { line, fields }
    }

    fn emails() -> KeyRule {
        KeyRule { instance: "test".to_owned(), field: "email".to_owned(), kind: KeyKind::Email }
    }

    #[test]
    fn what_is_looked_up_is_the_key_itself_without_what_nobody_sees() {
        let (works, _) = coalesce(
            vec![record(1, json!({"email": "\u{feff}Ada@example.com\u{200b} "}))],
            &emails(),
        );
        assert_eq!(works[0].key.as_str(), "ada@example.com");
    }

    #[test]
    fn ids_that_differ_in_case_alone_are_not_one_person_and_are_not_both_sent() {
        let rule = KeyRule {
            instance: "test".to_owned(),
            field: "externalPersonId".to_owned(),
            kind: KeyKind::Text,
        };
        let ids = ["003AbC", "003abc", "003AbC"];
        let records = ids
            .iter()
            .zip(1..)
            .map(|(id, line)| record(line, json!({"externalPersonId": id})))
            .collect();
        let (works, keyless) = coalesce(records, &rule);
        assert_eq!(works.len(), 1);
        assert_eq!((works[0].key.as_str(), works[0].writes[0].lines.len()), ("003AbC", 2));
        assert_eq!(keyless[0].0, 2);
    }

    #[test]
    fn lines_of_one_person_become_one_write_and_the_last_word_counts() {
        let (works, keyless) = coalesce(
            vec![
                record(1, json!({"email": "Ada@example.com", "title": "Miss", "phone": "1"})),
                record(2, json!({"email": "bob@example.com"})),
                record(3, json!({"email": " ada@example.com ", "title": "Countess"})),
                record(4, json!({"email": " "})),
                record(5, json!({"title": "nobody"})),
                record(6, json!({"email": "a,b@example.com"})),
            ],
            &emails(),
        );
        assert_eq!(works.len(), 2);
        let write = &works[0].writes[0];
        assert_eq!(works[0].key.as_str(), "ada@example.com");
        assert_eq!(json!(write.fields), json!({"title": "Countess", "phone": "1"}));
        assert_eq!(write.lines.iter().map(|record| record.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(keyless.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(write.line_by_line(&emails()).unwrap().len(), 2);
        assert_eq!(works[1].writes[0].line_by_line(&emails()), None);
    }

    proptest! {
        #[test]
        fn the_end_state_is_that_of_writing_one_after_another(
            rows in proptest::collection::vec(("[abAB ]{0,2}", proptest::collection::btree_map("[xyz]", 0..4_i64, 0..3)), 0..30)
        ) {
            let mut one_after_another: BTreeMap<Key, Map<String, Value>> = BTreeMap::new();
            let records: Vec<Record> = rows.into_iter().zip(1..).map(|((key, values), line)| {
                let fields: Map<String, Value> = values.into_iter().map(|(name, value)| (name, json!(value))).collect();
                if let Some(key) = Key::of(&key) {
                    one_after_another.entry(key).or_default().extend(fields.clone());
                }
                let mut fields = fields;
                fields.insert("email".to_owned(), json!(key));
                Record { line, fields }
            }).collect();
            let lines = records.len();
            let (works, keyless) = coalesce(records, &emails());
            let written: BTreeMap<Key, Map<String, Value>> =
                works.iter().map(|work| (work.key.clone(), work.writes[0].fields.clone())).collect();
            prop_assert_eq!(works.len(), written.len(), "each key once");
            prop_assert_eq!(written, one_after_another);
            let accounted: usize = works.iter().map(|work| work.writes[0].lines.len()).sum::<usize>() + keyless.len();
            prop_assert_eq!(accounted, lines, "every line has one result");
        }
    }
}
