//! The config file: TOML, flattened to dotted keys that remember their line.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::paths::Paths;
use super::value::RawValue;
use super::{Environment, Error, Flags, variable};

/// One setting as the file has it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: RawValue,
    /// File and line.
    pub(super) place: String,
}

/// The config file: the one that was named, which must exist, or the user's own, which may not.
pub(super) fn find(flags: &Flags, environment: &Environment, paths: &Paths) -> Option<PathBuf> {
    let named = flags
        .config
        .clone()
        .or_else(|| variable(environment, "MKTO_AUDIT_CONFIG").map(PathBuf::from));
    match named {
        Some(path) => Some(path),
        None => paths.config_file().filter(|path| path.exists()),
    }
}

/// The file's settings: those at the top, then those of the profile, which win.
pub(super) fn entries(path: &Path, profile: Option<&str>) -> Result<Vec<Entry>, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let file = File { path, text: &text };
    let root = DeTable::parse(&text).map_err(|error| Error::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| file.line(span.start)),
        what: error.message().to_owned(),
    })?;
    let root = root.get_ref();
    let mut entries = Vec::new();
    file.flatten(root, "", &mut entries)?;
    let profiles = root.get("profile").and_then(|value| value.get_ref().as_table());
    let Some(name) = profile else { return Ok(entries) };
    let table = profiles
        .and_then(|profiles| profiles.get(name))
        .and_then(|value| value.get_ref().as_table());
    let Some(table) = table else {
        let mut known: Vec<String> = profiles
            .map(|profiles| profiles.keys().map(|key| key.get_ref().to_string()).collect())
            .unwrap_or_default();
        known.sort();
        return Err(Error::UnknownProfile {
            path: path.to_owned(),
            profile: name.to_owned(),
            known,
        });
    };
    file.flatten(table, "", &mut entries)?;
    Ok(entries)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn place(&self, offset: usize) -> String {
        format!("{} line {}", self.path.display(), self.line(offset))
    }

    fn flatten(
        &self,
        table: &DeTable<'_>,
        prefix: &str,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Error> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            if key == "profile" {
                continue;
            }
            let place = self.place(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => self.flatten(inner, &format!("{key}."), entries)?,
                DeValue::Array(items) => {
                    let items: Option<Vec<String>> = items.iter().map(scalar).collect();
                    let items = items.ok_or_else(|| {
                        Error::at(format!("{place}: `{key}`"), "takes a list of plain values")
                    })?;
                    entries.push(Entry { key, value: RawValue::List(items), place });
                }
                _ => {
                    let text = scalar(value).ok_or_else(|| {
                        Error::at(format!("{place}: `{key}`"), "takes a plain value")
                    })?;
                    entries.push(Entry { key, value: RawValue::Scalar(text), place });
                }
            }
        }
        Ok(())
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
