//! The flags that say which groups a command is about: the same in `report` and `merge`, in the
//! same order.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;

use super::{Context, Failure, Ui};
use crate::dedupe::{Cause, normalise};
use crate::report::{Emails, Filter, parse_since};
use crate::terminal::{counted, counted_of};

mod addresses;

use addresses::{Addresses, addresses};

/// Every flag of [`FilterArgs`], for what excludes them all.
pub(super) const FLAGS: [&str; 6] = ["cause", "min_size", "since", "domain", "email", "from_file"];

/// How many addresses or lines a note names, before it only counts.
const TOLD: usize = 10;

/// Which groups.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Only groups of this cause: race, `create_duplicate`, crm, import, partition or unknown
    #[arg(long)]
    pub(super) cause: Option<Cause>,
    /// Only groups of at least so many leads
    #[arg(long, value_name = "N")]
    min_size: Option<usize>,
    /// Only groups that got another lead since this date, or this time
    #[arg(long, value_name = "DATE", value_parser = parse_since)]
    since: Option<DateTime<Utc>>,
    /// Only groups with an address of this domain
    #[arg(long, value_parser = some_text)]
    domain: Option<String>,
    /// Only the group of this address; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = some_text)]
    email: Vec<String>,
    /// Only the groups of the addresses in FILE: one a line, or CSV with an email column; - for
    /// standard input
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

impl FilterArgs {
    /// Only the group of this address.
    pub(super) fn only(&mut self, email: &str) {
        self.email = vec![email.to_owned()];
    }

    /// The filter that they ask for. Reads the file that they name.
    pub(super) fn read(&self, context: &mut Context) -> Result<Filter, Failure> {
        let from_file = self
            .from_file
            .as_deref()
            .map(|file| read_addresses(file, &mut context.ui))
            .transpose()?;
        let given = self.email.iter().chain(from_file.iter().flatten()).map(String::as_str);
        let asked = !self.email.is_empty() || from_file.is_some();
        Ok(Filter {
            cause: self.cause,
            min_size: self.min_size.unwrap_or(2),
            since: self.since,
            domain: self.domain.clone(),
            emails: asked.then(|| Emails::of(given)),
        })
    }
}

fn read_addresses(file: &Path, ui: &mut Ui) -> Result<Vec<String>, Failure> {
    let mut bytes = Vec::new();
    let (name, read) = if file.as_os_str() == "-" {
        ("standard input".to_owned(), std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ()))
    } else {
        (file.display().to_string(), std::fs::read(file).map(|content| bytes = content))
    };
    let usage = |what: String| Failure::Usage {
        what,
        hint: Some(
            "name a file with one address a line, or a CSV with a column `email`".to_owned(),
        ),
    };
    read.map_err(|error| usage(format!("{name} cannot be read: {error}")))?;
    let Addresses { found, passed_over } =
        addresses(&bytes).map_err(|what| usage(format!("{name} {what}")))?;
    if !passed_over.is_empty() {
        let lines: Vec<String> = passed_over.iter().map(ToString::to_string).collect();
        ui.note(&format!(
            "note: passed over {} of {name} without an address: line {}",
            counted_of(passed_over.len(), "line"),
            shortened(&lines)
        ));
    }
    if found.is_empty() {
        return Err(usage(format!("{name} holds no address")));
    }
    Ok(found)
}

/// Says which of the addresses that were asked for have no duplicates among so many people.
pub(super) fn tell_missing(ui: &mut Ui, filter: &Filter, found: &BTreeSet<String>, people: u64) {
    let Some(emails) = &filter.emails else { return };
    let missing = emails.without(found);
    if !missing.is_empty() {
        let people = counted(people, "person");
        ui.note(&format!("nobody has duplicates at {} among {people}", shortened(&missing)));
    }
}

/// The first of them, and how many more there are.
fn shortened(items: &[impl AsRef<str>]) -> String {
    let told: Vec<&str> = items.iter().take(TOLD).map(AsRef::as_ref).collect();
    let more = items.len().saturating_sub(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let told: String = told.join(", ").chars().filter(|c| !c.is_control()).collect();
    told + &more
}

/// A filter's text; an empty one would match nothing, and is a slip.
pub(super) fn some_text(text: &str) -> Result<String, &'static str> {
    normalise(text).map(|_| text.to_owned()).ok_or("it is empty")
}

/// A number of groups; none at all is a slip.
pub(super) fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or("it must be a whole number, and at least 1")
}
