//! The page on which people decide about a plan, alone in a file or served by
//! [`crate::review::server`].
//!
//! For: a marketing lead without a terminal. A file holds everything it needs, asks no network for
//! anything, and keeps decisions until they are saved as a [`DecisionsFile`]; its policy lets only
//! its own style and script run. Every value of a lead is text: the script makes elements of texts,
//! never of markup. Never: merges, or decides. Leans on: askama for the markup
//! (`templates/review.html`, with its style and scripts beside it).

mod decisions_file;

use std::io::{self, Write};

use askama::Template;

use super::model::{CardFilter, Reviewed, Tab};
use crate::dedupe::Cause;
use crate::embed::{harmless_json, policy_digest};
pub use decisions_file::{BadGroup, DecisionsFile, NoDecisions};
pub(super) use decisions_file::{entries, in_words};

/// The style of the page.
pub(super) const STYLE: &str = include_str!("../../templates/review.css");

/// The script of the page: its parts share one scope, and leave nothing in the page's own.
pub(super) const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("../../templates/review/words.js"),
    include_str!("../../templates/review/model.js"),
    include_str!("../../templates/review/dom.js"),
    include_str!("../../templates/review/file_source.js"),
    include_str!("../../templates/review/live_source.js"),
    include_str!("../../templates/review/card_view.js"),
    include_str!("../../templates/review/app.js"),
    include_str!("../../templates/review/sign_off.js"),
    include_str!("../../templates/review/keys.js"),
    include_str!("../../templates/review/main.js"),
    "})();\n"
);

/// How many cards are read at once.
const READ: usize = 500;

/// The markup, up to the data and the script of a page in a file.
#[derive(Debug, Template)]
#[template(path = "review.html")]
struct Markup {
    /// What the file carries in itself; none where a server hands it out.
    embedded: Option<Embedded>,
    tabs: [(&'static str, &'static str); 4],
    causes: [(&'static str, &'static str); 6],
}

#[derive(Debug)]
struct Embedded {
    style: &'static str,
    style_digest: String,
    script_digest: String,
}

impl Markup {
    fn new(embedded: Option<Embedded>) -> Self {
        let tabs = Tab::ALL.map(|tab| {
            let word = match tab {
                Tab::Safe => "Safe",
                Tab::Decide => "Decide",
                Tab::Blocked => "Blocked",
                Tab::Done => "Done",
            };
            (tab.as_str(), word)
        });
        let causes = Cause::ALL.map(|cause| (cause.as_str(), cause.in_short()));
        Self { embedded, tabs, causes }
    }
}

/// The page as a server hands it out: without any data of a plan.
pub(super) fn served() -> Result<String, askama::Error> {
    Ok(Markup::new(None).render()? + "</body>\n</html>\n")
}

/// Writes the page of a plan with all its cards. `file` is the name, without an end, of what the
/// page saves. Reads the cards a part at a time, and holds no more.
pub fn write_page(plan: &dyn Reviewed, file: &str, out: &mut dyn Write) -> io::Result<()> {
    let markup = Markup::new(Some(Embedded {
        style: STYLE,
        style_digest: policy_digest(STYLE),
        script_digest: policy_digest(SCRIPT),
    }));
    markup.write_into(&mut *out).map_err(io::Error::other)?;
    out.write_all(b"<script type=\"application/json\" id=\"plan-data\">{\"head\":")?;
    write_json(&plan.head().map_err(io::Error::other)?, out)?;
    out.write_all(b",\n\"file\":")?;
    write_json(&file, out)?;
    out.write_all(b",\n\"cards\":[")?;
    write_cards(plan, out)?;
    out.write_all(b"],\n\"blocked\":[")?;
    write_blocked(plan, out)?;
    // The script comes after its data, so that both are there when it runs.
    write!(out, "]}}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

fn write_cards(plan: &dyn Reviewed, out: &mut dyn Write) -> io::Result<()> {
    let (all, mut after) = (CardFilter::default(), None);
    loop {
        let page = plan.cards(&all, after, READ).map_err(io::Error::other)?;
        for card in &page.cards {
            out.write_all(if after.is_none() { b"\n" } else { b",\n" })?;
            write_json(card, out)?;
            after = Some(card.place);
        }
        if page.cards.len() < READ {
            return Ok(());
        }
    }
}

fn write_blocked(plan: &dyn Reviewed, out: &mut dyn Write) -> io::Result<()> {
    let mut written = 0;
    loop {
        let blocked = plan.blocked(written, READ).map_err(io::Error::other)?;
        for group in &blocked {
            out.write_all(if written == 0 { b"\n" } else { b",\n" })?;
            write_json(group, out)?;
            written += 1;
        }
        if blocked.len() < READ {
            return Ok(());
        }
    }
}

fn write_json(value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(harmless_json(&serde_json::to_string(value)?).as_bytes())
}

#[cfg(test)]
mod tests;
