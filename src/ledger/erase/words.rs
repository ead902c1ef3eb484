//! What people said about groups that outlives its plan.
//!
//! Such a word outlives its plan: without it a later plan merges strangers. One in force is kept
//! whatever its age, with the key, the ids and the names that it needs to be known again; once
//! somebody takes it back, the next erasing takes it too. A person is not erased beside it, since
//! another record may rest on it: whoever erases says first that it no longer counts.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::needed::still;
use super::plan_rows::{are_there, ids};
use super::{Erase, Group, digest_of, same_address};
use crate::lead::LeadId;
use crate::ledger::lasting_words::in_force;
use crate::ledger::{Error, Ledger, past};

/// A word that is to be erased.
pub(super) struct Word {
    seq: i64,
    pub(super) plan: String,
    key: String,
    leads: String,
    in_force: bool,
}

impl Ledger {
    /// The words that are to be erased. An error names those in force that stand against it.
    pub(super) fn words_to_erase(
        &self,
        what: &Erase,
        groups: &[Group],
        leads: &BTreeSet<LeadId>,
    ) -> Result<Vec<Word>, Error> {
        let mut asked = Vec::new();
        for (word, made_at) in self.words()? {
            let is_asked = match what {
                Erase::OlderThan(before) => {
                    let made_at = past::time(&made_at, || format!("plan {}", word.plan))?;
                    !word.in_force && made_at < *before
                }
                Erase::Person(address) => {
                    let is_groups =
                        |group: &Group| group.plan == word.plan && group.key == word.key;
                    same_address(&word.key, address)
                        || groups.iter().any(is_groups)
                        || !ids(&word.leads).is_disjoint(leads)
                }
            };
            if is_asked {
                asked.push(word);
            }
        }
        let in_force: Vec<String> =
            asked.iter().filter(|word| word.in_force).map(|word| word.seq.to_string()).collect();
        if in_force.is_empty() {
            return Ok(asked);
        }
        Err(still(&format!(
            "a decision that holds for later plans too (number {} in `mkto-audit decisions list`); without it, a later plan may merge these records. To take it back: `mkto-audit decisions forget NUMBER --by NAME`",
            in_force.join(", ")
        )))
    }

    /// Every word, with when its plan was made.
    fn words(&self) -> Result<Vec<(Word, String)>, Error> {
        self.read(|db| {
            if !are_there(db)? {
                return Ok(Vec::new());
            }
            db.prepare(&format!(
                "SELECT seq, w.plan, key, leads, made_at, {}
                 FROM lasting_word AS w JOIN plan ON plan.id = w.plan ORDER BY seq",
                in_force()
            ))?
            .query_map([], |row| {
                let (seq, plan, key) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (leads, in_force) = (row.get(3)?, row.get(5)?);
                Ok((Word { seq, plan, key, leads, in_force }, row.get(4)?))
            })?
            .collect()
        })
    }
}

/// Erases words. The triggers are away.
pub(super) fn erase(db: &Connection, erasure: i64, words: &[Word]) -> Result<(), Error> {
    for word in words {
        db.execute("DELETE FROM lasting_word_end WHERE word = ?1", params![word.seq])?;
        db.execute("DELETE FROM lasting_word WHERE seq = ?1", params![word.seq])?;
        let sha256 = digest_of(&word.key, Some(&word.leads), None);
        db.execute(
            "INSERT OR IGNORE INTO erased_plan (plan, erasure, sha256) VALUES (?1, ?2, ?3)",
            params![word.plan, erasure, sha256],
        )?;
    }
    Ok(())
}
