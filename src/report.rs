//! What the cache holds of duplicates, as a table, CSV, JSON or a page.
//!
//! For: groups that stream past, counted all and kept as few as are shown ([`Collector`]), and the
//! four forms in which the result goes out. The winner is the one that a merge would choose, the
//! cause the one that the leads show. What was not read is said in each form ([`Source`]). Never:
//! asks Marketo, needs credentials, reads the cache itself (whoever has it hands the groups in), or
//! prints; writers are handed in. Leans on: [`crate::dedupe`] for every decision.

mod collect;
mod csv;
mod document;
mod evidence_pack;
mod explain;
mod file;
mod filter;
mod html;
mod merged;
mod people;
mod shown;
mod source;
mod statistics;
mod table;
mod timeline;

pub use collect::{Collector, GroupTotals, Report, ShownGroup, Verdict, judged};
pub use csv::write_csv;
pub use document::write_json;
pub use evidence_pack::{is_of_integration, write_evidence_pack};
pub use explain::{render_explanation, write_explanations};
pub use file::write_beside;
pub use filter::{BadSince, Emails, Filter, Keys, parse_since};
pub use html::{BadPrice, LARGEST, Price, write_html};
pub use merged::{Merged, render_merged};
pub use people::{MailedTwice, OptedOut};
pub use shown::{Shown, Take};
pub use source::{Log, Source, WhyUnread};
pub use statistics::{DayTotals, IntegrationTotals, Statistics};
pub use table::render;
pub use timeline::{Event, What, timeline};

#[cfg(test)]
mod tests;
