//! Where commands print: results to standard output, everything else to standard error.
//!
//! The one place that knows widths, terminals and broken pipes. Never decides what is worth saying.

use std::error::Error as _;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::log::Log;
use super::wrap::fitted;
use super::{Failure, Progress};
use crate::config::Environment;

/// The width that output has where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

/// So many columns output has, whatever it goes to: for a pipe that a person reads.
const WIDTH_VARIABLE: &str = "MKTO_AUDIT_WIDTH";

/// What is narrower is no width.
const NARROWEST: usize = 40;

/// A person's terminal, or a program's pipes.
#[derive(Debug, Clone)]
pub struct Ui {
    terminal_width: Option<usize>,
    /// The same of standard error.
    notes_width: Option<usize>,
    shows_progress: bool,
    audience: Audience,
    /// Whether what is said beside the result is a line of the log, as machines read it.
    notes_are_logged: bool,
}

/// Who reads what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Results go to standard output, all else to standard error.
    Caller,
    /// Everything goes to standard output, in one story.
    Story,
    /// The same, of the results the summary alone.
    StoryInShort,
}

impl Ui {
    /// The process's own.
    pub fn of_process(environment: &Environment) -> Self {
        let asked_for = environment.get(WIDTH_VARIABLE).and_then(|width| width.parse().ok());
        let asked_for: Option<usize> = asked_for.filter(|width| *width >= NARROWEST);
        let of =
            |is_terminal: bool| asked_for.or_else(|| is_terminal.then(console_width).flatten());
        Self {
            terminal_width: of(std::io::stdout().is_terminal()),
            notes_width: of(std::io::stderr().is_terminal()),
            shows_progress: std::io::stderr().is_terminal(),
            audience: Audience::Caller,
            notes_are_logged: false,
        }
    }

    /// The same beside a log of this kind: where it is JSON, all that goes to standard error is.
    #[must_use]
    pub(super) fn beside(self, log: Log) -> Self {
        Self {
            shows_progress: self.shows_progress && !log.json,
            notes_are_logged: log.json,
            ..self
        }
    }

    /// The same for commands that are run to be watched: results and notes in one stream.
    #[must_use]
    pub(super) fn telling_a_story(self) -> Self {
        Self { audience: Audience::Story, ..self }
    }

    /// The same, of the results the summary alone.
    #[must_use]
    pub(super) fn in_short(self) -> Self {
        Self { audience: Audience::StoryInShort, ..self }
    }

    /// Columns that a table may take.
    pub fn width(&self) -> usize {
        self.terminal_width.unwrap_or(DEFAULT_WIDTH)
    }

    /// Whether somebody watches: notes go to a terminal.
    pub(super) fn is_watched(&self) -> bool {
        self.shows_progress
    }

    /// Columns of the terminal; none in a pipe, where a line stays whole for whoever searches it.
    pub(super) fn terminal_width(&self) -> Option<usize> {
        self.terminal_width
    }

    /// Prints a result, and ends the line.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let text = if self.audience == Audience::StoryInShort { summary(text) } else { text };
        if text.is_empty() && self.audience == Audience::StoryInShort {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match self.terminal_width {
            Some(width) => out.write_all(fitted(text, width).as_bytes())?,
            None => out.write_all(text.trim_end_matches('\n').as_bytes())?,
        }
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Prints the one document of `--json`.
    pub fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        self.write(|out| {
            serde_json::to_writer_pretty(&mut *out, document)?;
            out.write_all(b"\n")
        })
    }

    /// Hands standard output to somebody who writes more than fits a text.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        write(&mut out)?;
        Ok(out.flush()?)
    }

    /// Says something beside the result, on standard error. A reader that is gone misses nothing
    /// that matters.
    pub fn note(&mut self, text: &str) {
        match self.audience {
            Audience::Caller if self.notes_are_logged => tracing::info!("{text}"),
            Audience::Caller => {
                let text = fitted(text, self.notes_width.unwrap_or(usize::MAX));
                drop(writeln!(std::io::stderr().lock(), "{text}"));
            }
            Audience::Story | Audience::StoryInShort => {
                let text = fitted(text, self.terminal_width.unwrap_or(usize::MAX));
                drop(writeln!(std::io::stdout().lock(), "{text}"));
            }
        }
    }

    /// Says why the command failed: one line, its causes, the next step.
    pub fn failure(&mut self, failure: &Failure) {
        if matches!(failure, Failure::BrokenPipe) {
            return;
        }
        let causes = causes(failure);
        if self.notes_are_logged {
            let caused_by = (!causes.is_empty()).then(|| causes.join(": "));
            tracing::error!(
                caused_by,
                hint = failure.hint(),
                exit_code = failure.exit() as u8,
                "{failure}"
            );
            return;
        }
        let mut lines = vec![format!("error: {failure}")];
        lines.extend(causes.iter().map(|cause| format!("  caused by: {cause}")));
        if let Some(hint) = failure.hint() {
            lines.push(format!("  hint: {hint}"));
        }
        self.note(&lines.join("\n"));
    }

    /// A line that says how far work of `total` steps is, shown on a terminal only.
    pub fn progress(&self, what: &str, total: Option<u64>) -> Progress {
        Progress::new(what, total, self.shows_progress)
    }
}

/// What led to a failure, one after the other.
fn causes(failure: &Failure) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = match failure {
        // These stand for their source, and print as it.
        Failure::Config(error) => error.source(),
        Failure::Marketo(error) => error.source(),
        Failure::Ledger(error) => error.source(),
        other => other.source(),
    };
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes
}

/// The last paragraph of a result, where it is a short one.
fn summary(text: &str) -> &str {
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    if last.lines().count() <= 4 { last } else { "" }
}

/// Columns of the terminal that this process runs in.
fn console_width() -> Option<usize> {
    let size =
        console::Term::stdout().size_checked().or_else(|| console::Term::stderr().size_checked());
    size.map(|(_, columns)| columns.into())
}
