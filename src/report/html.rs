//! The report as one page that a person reads in a browser, or prints.
//!
//! For: a file that holds everything it needs and asks no network for anything; its policy forbids
//! it to, and lets only its own style and script run. Every value of a lead is text: escaped in the
//! markup, and in the rows that the script reads. Never: decides anything, computes a price that
//! nobody gave, or holds the whole page in memory at once. Leans on: askama for the markup
//! (`templates/report.html`, with its style and script beside it).

mod chart;
mod page;
mod price;
mod rows;

use std::io::{self, Write};

use askama::Template as _;

use super::{Report, Shown};
pub use page::LARGEST;
use page::{Page, SCRIPT};
pub use price::{BadPrice, Price};
use rows::write_rows;

/// Writes the page of a report with every group of `shown`, one at a time: what it says of times
/// and integrations is counted from them. The report itself shows [`LARGEST`] of them at least.
pub fn write_html(
    report: &Report,
    shown: &dyn Shown,
    price: Option<&Price>,
    mut out: impl Write,
) -> io::Result<()> {
    Page::of(report, price).write_into(&mut out)?;
    write!(out, "<script type=\"application/json\" id=\"rows\">")?;
    write_rows(shown, &mut out)?;
    // The script comes after its data, so that both are there when it runs.
    write!(out, "</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

#[cfg(test)]
mod tests;
