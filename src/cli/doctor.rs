//! `mkto-audit doctor`: is everything there that the other commands need, and how to mend what is not.

use clap::Args;
use serde::Serialize;

use super::{Context, Exit, Failure};
use crate::config::{self, Config};

/// Check the configuration
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit doctor")]
pub(super) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was seen.
    detail: String,
    /// How to mend it, where it is not well.
    mend: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: String,
    ok: bool,
    check: &'a [Check],
}

pub(super) fn run(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let checks = examine(&context.config);
    let exit = checks.iter().find(|check| !check.ok).map_or(Exit::Done, |check| check.exit);
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/doctor/1",
            instance: context.config.instance_name(),
            ok: exit == Exit::Done,
            check: &checks,
        })?;
        return Ok(exit);
    }
    for check in &checks {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        context.ui.print(&format!("{mark}  {}: {}", check.name, check.detail))?;
        if let Some(mend) = &check.mend {
            context.ui.print(&format!("      to mend it: {mend}"))?;
        }
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    context.ui.note(&match failed {
        0 => "all is well; next: mkto-audit scan".to_owned(),
        1 => "1 check failed".to_owned(),
        n => format!("{n} checks failed"),
    });
    Ok(exit)
}

/// Looks at one thing after another.
fn examine(config: &Config) -> Vec<Check> {
    vec![files(config), credentials(config)]
}

fn files(config: &Config) -> Check {
    match (config.cache_file(), config.ledger_file()) {
        (Ok(cache), Ok(ledger)) => {
            passed("files", format!("cache {}, ledger {}", cache.display(), ledger.display()))
        }
        (Err(error), _) | (_, Err(error)) => misconfigured("files", &error),
    }
}

fn credentials(config: &Config) -> Check {
    match config.credentials() {
        Ok(credentials) => passed("configuration", format!("Marketo at {}", credentials.base_url)),
        Err(error) => misconfigured("configuration", &error),
    }
}

fn passed(name: &'static str, detail: String) -> Check {
    Check { name, ok: true, detail, mend: None, exit: Exit::Done }
}

fn misconfigured(name: &'static str, error: &config::Error) -> Check {
    Check { name, ok: false, detail: error.to_string(), mend: error.hint(), exit: Exit::Usage }
}
