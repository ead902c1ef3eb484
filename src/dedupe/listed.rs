//! People that a file lists, by id or by address. Pure: whoever reads the file hands its text in.
//!
//! For: the file of ids of the winner rule `ids`, and the do-not-touch file of `skip.file`. Never:
//! passes over a line that it cannot read; one that was meant to protect somebody would be lost.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::key::normalise;
use crate::lead::{Lead, LeadId};

/// A file that was read, as a plan names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFile {
    /// Its path, as it was configured.
    pub path: String,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// How many different ids and addresses it has.
    pub entries: usize,
    /// How many of its ids are in no group; none where that was not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_no_group: Option<usize>,
}

/// The people of a file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Listed {
    ids: BTreeSet<LeadId>,
    emails: BTreeSet<String>,
}

/// People of a file that many groups are held against. It is not kept with a plan.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedList(Option<Arc<Listed>>);

/// What a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Ids alone.
    Ids,
    /// Ids and email addresses.
    IdsAndEmails,
}

/// The columns that are looked for in a table, without case, blanks and marks.
const ID_COLUMNS: &[&str] = &["id", "leadid", "marketoid", "marketoleadid"];
const EMAIL_COLUMNS: &[&str] = &["email", "emailaddress", "mail"];

impl Listed {
    /// Reads a list, an id or an address a line, or a table with a column `id` or `email`. Lines
    /// that begin with `#` are comments.
    pub fn read(text: &str, holds: Holds) -> Result<Self, String> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let is_content = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
        let mut listed = Self::default();
        let Some(first) = text.lines().find(is_content) else { return Ok(listed) };
        if listed.add(first, holds) {
            for (line, number) in text.lines().zip(1..).filter(|(line, _)| is_content(line)) {
                if !listed.add(line, holds) {
                    return Err(format!("line {number} is {}", holds.not_one()));
                }
            }
            return Ok(listed);
        }
        let separator =
            [b',', b';', b'\t'].into_iter().max_by_key(|c| first.matches(char::from(*c)).count());
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator.unwrap_or(b','))
            .comment(Some(b'#'))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.trim_start_matches('\n').as_bytes());
        let broken = |error: csv::Error| format!("is no readable table: {error}");
        let headers = reader.headers().map_err(broken)?.clone();
        let column = |names: &[&str]| headers.iter().position(|h| names.contains(&&*folded(h)));
        let emails = column(EMAIL_COLUMNS).filter(|_| holds == Holds::IdsAndEmails);
        let columns: Vec<usize> = column(ID_COLUMNS).into_iter().chain(emails).collect();
        if columns.is_empty() {
            return Err(holds.no_column());
        }
        for row in reader.records() {
            let row = row.map_err(broken)?;
            let cells = columns.iter().filter_map(|column| row.get(*column));
            for cell in cells.filter(|cell| !cell.is_empty()) {
                if !listed.add(cell, holds) {
                    let line = row.position().map_or(0, csv::Position::line);
                    return Err(format!("line {line} has {}", holds.not_one()));
                }
            }
        }
        Ok(listed)
    }

    /// Takes an id or an address in; false where it is neither.
    fn add(&mut self, text: &str, holds: Holds) -> bool {
        let text = text.trim().trim_matches(['"', ',', ';']).trim();
        if let Ok(id) = text.parse::<LeadId>() {
            self.ids.insert(id);
            return true;
        }
        let is_one = holds == Holds::IdsAndEmails
            && text.matches('@').count() == 1
            && !text.contains([',', ';', '\t', ' ']);
        match normalise(text).filter(|_| is_one) {
            Some(email) => self.emails.insert(email),
            None => return false,
        };
        true
    }

    /// How many different ids and addresses there are.
    pub fn len(&self) -> usize {
        self.ids.len() + self.emails.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids.
    pub fn ids(self) -> BTreeSet<LeadId> {
        self.ids
    }
}

impl Holds {
    fn not_one(self) -> &'static str {
        match self {
            Self::Ids => "no id of a lead",
            Self::IdsAndEmails => "neither an id of a lead nor an email address",
        }
    }

    fn no_column(self) -> String {
        let (what, columns) = match self {
            Self::Ids => ("ids, one a line", "`id`"),
            Self::IdsAndEmails => ("ids or addresses, one a line", "`id` or `email`"),
        };
        format!("holds neither {what}, nor a table with a column {columns}")
    }
}

impl SharedList {
    /// Shares a list.
    pub fn of(listed: Listed) -> Self {
        Self(Some(Arc::new(listed)))
    }

    /// Whether it names the lead, by its id or its address.
    pub(super) fn names(&self, lead: &Lead) -> bool {
        let Some(listed) = &self.0 else { return false };
        let email = || lead.email().and_then(normalise);
        listed.ids.contains(&lead.id)
            || (!listed.emails.is_empty()
                && email().is_some_and(|email| listed.emails.contains(&email)))
    }
}

/// Prints no people: a log line must never show one.
impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} people", self.len())
    }
}

impl fmt::Debug for SharedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_deref().unwrap_or(&Listed::default()))
    }
}

impl ReadFile {
    /// Describes a file of this content.
    pub fn new(path: String, content: &[u8], entries: usize) -> Self {
        let digest = Sha256::digest(content);
        let sha256 = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Self { path, sha256, entries, in_no_group: None }
    }
}

fn folded(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{Holds, Listed, SharedList};
    use crate::lead::Lead;

    #[test]
    fn a_list_and_a_table_name_the_same_people() {
        for text in [
            "7\n8\nada@example.com\n",
            "# never\n\n 7 ,\r\n8\r\nAda@Example.com",
            "id,email\n7,\n8,ada@example.com\n",
            "Name;Lead ID;E-Mail\nAda;7;ada@example.com\nBob;8;\n",
        ] {
            let listed = Listed::read(text, Holds::IdsAndEmails).unwrap();
            assert_eq!(listed.len(), 3, "{text}");
            let shared = SharedList::of(listed);
            assert!(shared.names(&Lead::new(7)) && shared.names(&Lead::new(8)));
            assert!(shared.names(&Lead::new(1).with("email", " ADA@example.com")));
            assert!(!shared.names(&Lead::new(1).with("email", "eve@example.com")));
        }
        assert!(Listed::read("# nobody\n", Holds::Ids).unwrap().is_empty());
    }

    #[test]
    fn what_names_nobody_is_refused_with_its_line_rather_than_passed_over() {
        for (text, holds, words) in [
            ("7\nseven\n", Holds::Ids, "line 2 is no id"),
            ("7\nada@example.com\n", Holds::Ids, "line 2 is no id"),
            ("7\na@example.com, b@example.com\n", Holds::IdsAndEmails, "line 2 is neither"),
            ("id\n7\nx\n", Holds::Ids, "line 3 has no id"),
            ("name\nAda\n", Holds::Ids, "a column `id`"),
            ("email\nada@example.com\n", Holds::Ids, "a column `id`"),
        ] {
            let why = Listed::read(text, holds).unwrap_err();
            assert!(why.contains(words), "{text:?}: {why}");
        }
    }
}
