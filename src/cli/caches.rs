//! Which caches there are, said where the one that was meant is not there.

use super::Failure;
use crate::cache::{self, Cache};
use crate::config::Config;
use crate::table::shown;

/// A name for a cache: some text without what a path or a terminal takes for something else.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty()
        || text.starts_with('.')
        || text.contains(['/', '\\'])
        || text.contains(char::is_control)
    {
        return Err(
            "a name is a word or some, such as acme, without slashes and without a dot in front",
        );
    }
    Ok(text.to_owned())
}

/// Where there is no cache, the failure names those that are there.
pub(super) fn with_those_there(error: cache::Error, config: &Config) -> Failure {
    if !matches!(error, cache::Error::Missing { .. }) {
        return error.into();
    }
    let known: Vec<String> = config.caches().iter().filter_map(|path| described(path)).collect();
    if known.is_empty() {
        return error.into();
    }
    let nothing_named = if config.instance.base_url.is_none() && !config.has_named_cache() {
        ", and no Marketo instance is named"
    } else {
        ""
    };
    let what = error.to_string();
    let what = what.split(';').next().unwrap_or_default();
    Failure::Usage {
        what: format!("{what}{nothing_named}; caches here: {}", known.join(", ")),
        hint: Some(
            "name one with --as NAME, or the instance with MARKETO_BASE_URL or --profile; `mkto-audit scan` makes a new one"
                .to_owned(),
        ),
    }
}

/// `acme (29 Nov 2026)`; none where it is no cache, or in use.
fn described(path: &std::path::Path) -> Option<String> {
    let summary = Cache::open_found(path).ok()?.summary().ok()?;
    let scanned = summary
        .scanned_at
        .map_or("not fully scanned".to_owned(), |at| at.format("%-d %b %Y").to_string());
    Some(format!("{} ({scanned})", shown(&summary.instance)))
}
