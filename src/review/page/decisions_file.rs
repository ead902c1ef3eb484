//! The decisions that a page in a file saved, read back. Pure: bytes in, decisions out, or every
//! group that is not as it must be.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dedupe::Decisions;

/// The schema of the file.
const SCHEMA: &str = "mkto-audit/decisions/1";

/// Decisions about a plan, as the page saved them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionsFile {
    /// The plan that they are about.
    pub plan: String,
    /// The digest of the plan when the page was written: where it is another by now, somebody
    /// decided since.
    pub digest: String,
    /// Who decided.
    pub by: Option<String>,
    /// What they wrote about all of it.
    pub note: Option<String>,
    /// Whether they approve the plan as it is with these decisions.
    pub approve: bool,
    /// The decisions, by key as stored. Empty ones take back what was decided before.
    pub group: Vec<(String, Decisions)>,
}

/// Why a file holds no decisions. Nothing of it may be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoDecisions {
    /// It is not JSON, or not of this shape.
    #[error("the file holds no decisions that the page saved")]
    Shape(#[source] serde_json::Error),
    /// Its schema is another.
    #[error("the file has the schema \"{found}\", and decisions have \"{SCHEMA}\"")]
    Schema {
        /// What it says.
        found: String,
    },
    /// Some groups are not as they must be.
    #[error("{} in the file cannot be read: {}", crate::terminal::counted(.0.len() as u64, "group"), in_words(.0))]
    Groups(Vec<BadGroup>),
}

/// A group of the file that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadGroup {
    /// Its place in the file, from 1.
    pub place: usize,
    /// Its key, where it has one.
    pub key: Option<String>,
    /// What is wrong.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "schema")]
    _schema: String,
    plan: String,
    digest: String,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    approve: bool,
    group: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Named {
    schema: String,
}

impl DecisionsFile {
    /// Reads what the page saved.
    pub fn read(bytes: &[u8]) -> Result<Self, NoDecisions> {
        // A later schema may have another shape: it is named before the shape is looked at.
        let Named { schema } = serde_json::from_slice(bytes).map_err(NoDecisions::Shape)?;
        if schema != SCHEMA {
            return Err(NoDecisions::Schema { found: schema });
        }
        let written: Written = serde_json::from_slice(bytes).map_err(NoDecisions::Shape)?;
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self {
            plan: written.plan,
            digest: written.digest,
            by: said(written.by),
            note: said(written.note),
            approve: written.approve,
            group: entries(written.group).map_err(NoDecisions::Groups)?,
        })
    }
}

/// The decisions of these objects by their `key`, or every object that is not as it must be.
pub(in crate::review) fn entries(
    objects: Vec<Map<String, Value>>,
) -> Result<Vec<(String, Decisions)>, Vec<BadGroup>> {
    let (mut read, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (place, object) in objects.into_iter().enumerate() {
        let key = object.get("key").and_then(Value::as_str).map(str::to_owned);
        match entry(object) {
            Ok((key, _)) if !seen.insert(key.clone()) => {
                let why = "it stands in the file twice".to_owned();
                bad.push(BadGroup { place: place + 1, key: Some(key), why });
            }
            Ok(entry) => read.push(entry),
            Err(why) => bad.push(BadGroup { place: place + 1, key, why }),
        }
    }
    if bad.is_empty() { Ok(read) } else { Err(bad) }
}

fn entry(mut object: Map<String, Value>) -> Result<(String, Decisions), String> {
    let Some(Value::String(key)) = object.remove("key") else {
        return Err("it has no key".to_owned());
    };
    let decisions = serde_json::from_value(Value::Object(object)).map_err(|why| why.to_string())?;
    Ok((key, decisions))
}

/// All of them, since a person mends them at once.
pub(in crate::review) fn in_words(bad: &[BadGroup]) -> String {
    let words = bad.iter().map(|BadGroup { place, key, why }| match key {
        Some(key) => format!("number {place} ({key}): {why}"),
        None => format!("number {place}: {why}"),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dedupe::{Choice, ChosenValue};

    fn file(group: &Value) -> Vec<u8> {
        json!({
            "schema": SCHEMA, "plan": "a1b2", "digest": "00ff", "by": "Bo", "note": null,
            "approve": true, "group": group,
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn decisions_come_back_as_the_page_saved_them() {
        let group = json!([
            {"key": "ada@example.com", "decision": "merge", "keep": 7, "left_out": [9],
             "values": {"city": {"from": 8}, "title": {"typed": null}}, "note": "asked her"},
            {"key": "bo@example.com"},
        ]);
        let read = DecisionsFile::read(&file(&group)).unwrap();
        assert_eq!(
            (read.plan.as_str(), read.by.as_deref(), read.approve),
            ("a1b2", Some("Bo"), true)
        );
        let (key, ada) = &read.group[0];
        assert_eq!(key, "ada@example.com");
        assert_eq!((ada.choice, ada.winner), (Some(Choice::Merge), Some(7)));
        assert_eq!(ada.values["city"], ChosenValue::From(8));
        assert_eq!(ada.values["title"], ChosenValue::Typed(Value::Null));
        assert!(read.group[1].1.is_empty(), "a key alone takes back");
    }

    #[test]
    fn every_bad_group_is_named_and_nothing_is_taken() {
        let group = json!([
            {"key": "ada@example.com", "decision": "mrge"},
            {"decision": "skip"},
            {"key": "bo@example.com", "kepp": 7},
            {"key": "cy@example.com"},
            {"key": "cy@example.com", "decision": "skip"},
        ]);
        let why = DecisionsFile::read(&file(&group)).unwrap_err().to_string();
        for told in [
            "4 groups",
            "number 1 (ada@example.com): unknown variant `mrge`",
            "number 2: it has no key",
            "number 3 (bo@example.com): unknown field `kepp`",
            "number 5 (cy@example.com): it stands in the file twice",
        ] {
            assert!(why.contains(told), "{told} in {why}");
        }
    }

    #[test]
    fn another_file_is_refused_with_what_it_is() {
        let other = br#"{"schema": "mkto-audit/decisions/2", "all": "new"}"#;
        let why = DecisionsFile::read(other).unwrap_err().to_string();
        assert!(why.contains("mkto-audit/decisions/2"), "{why}");
        for bytes in [&b"no json"[..], b"[]", b"{}", br#"{"schema":"mkto-audit/decisions/1"}"#] {
            assert!(matches!(DecisionsFile::read(bytes), Err(NoDecisions::Shape(_))));
        }
    }
}
