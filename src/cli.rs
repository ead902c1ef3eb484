//! The command line: one file a command, and what they share.
//!
//! For: parsing flags, arranging the calls into the core, printing, exit codes. A command is a
//! struct of arguments and one `run` that reads like its description. Never: decides anything about
//! leads; that is the core's.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cache::Cache;
use crate::config::{Config, Credentials, Environment, Flags};
use crate::marketo::{Client, ClientOptions, Clock};

mod audit;
mod backup;
mod caches;
mod certificate;
mod completions;
mod confirm;
mod daily_usage;
mod decisions;
mod demo;
mod doctor;
mod exit;
mod explain;
mod failure;
mod filter;
mod guard;
mod history;
mod interrupt;
mod leases;
mod ledgers;
mod log;
mod map;
mod merge;
mod overview;
mod plan;
mod probe;
mod progress;
mod report;
mod restore;
mod review;
mod runs;
mod sandbox;
mod scan;
mod ui;
mod upsert;
mod words;
mod wrap;

pub use exit::Exit;
pub use failure::Failure;
pub use progress::Progress;
pub use ui::Ui;

/// Find, explain, merge and prevent duplicate people in Adobe Marketo Engage.
#[derive(Debug, Parser)]
#[command(name = "mkto-audit", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "New here? `mkto-audit demo` shows everything on a practice Marketo, without credentials.\n\n\
    Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but some records or groups were skipped \
    or failed; 4 stopped early, the same command goes on; 5 Marketo refused the credentials or a permission."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Marketo's base URL, `https://MUNCHKIN-ID.mktorest.com` [env: `MARKETO_BASE_URL`]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    base_url: Option<String>,
    /// Marketo's identity URL, where it is not `/identity` under the base URL [env:
    /// `MARKETO_IDENTITY_URL`]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    identity_url: Option<String>,
    /// The cache file [env: `MKTO_AUDIT_DB`]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    db: Option<PathBuf>,
    /// The config file [env: `MKTO_AUDIT_CONFIG`]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// The profile of the config file, one for each Marketo instance [env: `MKTO_AUDIT_PROFILE`]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    profile: Option<String>,
    /// Log each call to standard error; twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Configured(Configured),
    Sandbox(sandbox::SandboxArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
}

/// The commands that work on the configured instance.
#[derive(Debug, Subcommand)]
enum Configured {
    Scan(scan::ScanArgs),
    Report(report::ReportArgs),
    Explain(explain::ExplainArgs),
    Plan(plan::PlanArgs),
    Decisions(decisions::DecisionsArgs),
    Review(review::ReviewArgs),
    Merge(merge::MergeArgs),
    Certificate(certificate::CertificateArgs),
    History(runs::HistoryArgs),
    Map(map::MapArgs),
    Audit(audit::AuditArgs),
    Restore(restore::RestoreArgs),
    Backup(backup::BackupArgs),
    Probe(probe::ProbeArgs),
    Upsert(upsert::UpsertArgs),
    Guard(guard::GuardArgs),
    Doctor(doctor::DoctorArgs),
}

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    /// Every setting, checked.
    pub config: Config,
    /// Where it prints.
    pub ui: Ui,
    /// Set by the first Ctrl-C: finish a call that is writing, and stop.
    pub interrupt: CancellationToken,
}

/// Parses the arguments, runs the command, and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = overview::grouped(Cli::command()).try_get_matches_from(&arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(answer) = words::answer(&error, environment) {
                Ui::of_process(environment).note(&answer);
                return Exit::Usage.into();
            }
            return exit::of_clap(&error, guard::asks_for_json(&arguments));
        }
    };
    let log = cli.log();
    let started = log::start(log);
    let mut ui = Ui::of_process(environment).beside(log);
    let ended = run(cli, environment, ui.clone());
    // A failure that is a line of the log goes before its end; one in words comes below all that
    // led to it.
    if let Err(failure) = &ended
        && log.json
    {
        ui.failure(failure);
    }
    started.end();
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !log.json {
                ui.failure(&failure);
            }
            failure.exit().into()
        }
    }
}

fn run(cli: Cli, environment: &Environment, ui: Ui) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    let flags = Flags {
        config: global.config,
        profile: global.profile,
        base_url: global.base_url,
        identity_url: global.identity_url,
        db: global.db,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(async move {
        match command {
            // These need no configuration, and must work where there is a broken one.
            Command::Demo(args) => demo::run(&args, ui).await,
            Command::Sandbox(args) => {
                let interrupt = interrupt::watch(ui.clone());
                sandbox::run(&args, &mut ui.clone(), &interrupt).await
            }
            Command::Completions(args) => {
                completions::run(&args, &mut ui.clone(), &mut Cli::command())
            }
            Command::Configured(command) => {
                let mut context = Context::load(&flags, environment, ui)?;
                command.run(&mut context).await
            }
        }
    })
}

impl Cli {
    /// What is logged, and how.
    fn log(&self) -> log::Log {
        match &self.command {
            // A server tells what it does without being asked.
            Command::Configured(Configured::Guard(args)) => args.log(self.global.verbose),
            _ => log::Log { verbose: self.global.verbose, json: false, serves: false },
        }
    }
}

impl Configured {
    async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Scan(args) => scan::run(context, &args).await,
            Self::Report(args) => report::run(context, &args),
            Self::Explain(args) => explain::run(context, args),
            Self::Plan(args) => plan::run(context, args).await,
            Self::Decisions(args) => decisions::run(context, &args),
            Self::Review(args) => review::run(context, &args).await,
            Self::Merge(args) => merge::run(context, &args).await,
            Self::Certificate(args) => certificate::run(context, &args).await,
            Self::History(args) => runs::run(context, &args),
            Self::Map(args) => map::run(context, &args).await,
            Self::Audit(args) => audit::run(context, &args).await,
            Self::Restore(args) => restore::run(context, &args).await,
            Self::Backup(args) => backup::run(context, &args).await,
            Self::Probe(args) => Box::pin(probe::run(context, &args)).await,
            Self::Upsert(args) => upsert::run(context, &args).await,
            Self::Guard(args) => guard::run(context, &args).await,
            Self::Doctor(args) => doctor::run(context, &args).await,
        }
    }
}

impl Context {
    /// Reads the configuration, and starts to listen for signals. Needs a runtime.
    pub fn load(flags: &Flags, environment: &Environment, ui: Ui) -> Result<Self, Failure> {
        let config = Config::load(flags, environment)?;
        let interrupt = interrupt::watch(ui.clone());
        Ok(Self { config, ui, interrupt })
    }

    /// Says which instance is about to be written to, before anything else.
    fn say_instance(&mut self) {
        let instance = self.config.instance_in_words();
        self.ui.note(&format!("instance: {instance}"));
    }

    /// Waits for work that changes nothing at Marketo; [`Failure::Stopped`] where a signal comes
    /// first.
    async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        interrupt::or_stop(&self.interrupt, work).await
    }

    /// A client of the configured instance. Calls nothing yet.
    pub fn client(&self) -> Result<Client, Failure> {
        client(&self.config, self.config.credentials()?)
    }

    /// The cache that a scan has filled, with the keys of today's configuration. Where no instance
    /// is configured, the one whose cache it is.
    fn cache(&mut self) -> Result<Cache, Failure> {
        let path = self.config.cache_file()?;
        let is_named = self.config.instance.base_url.is_some() || self.config.has_named_cache();
        let opened = if is_named {
            Cache::open_existing(&path, &self.config.instance_name())
        } else {
            Cache::open_found(&path)
        };
        let mut cache = opened.map_err(|error| caches::with_those_there(error, &self.config))?;
        // What the instance's schema says of the fields was known to the scan.
        self.config.key = self.config.key.clone().as_stored(&cache.summary()?.key_signature);
        let key = &self.config.key;
        cache.ensure_keys(&key.signature(), |lead| key.key_of(lead).map(String::from))?;
        if cache.summary()?.leads > 0 && !cache.has_keys()? {
            return Err(Failure::Usage {
                what: format!(
                    "no lead in the cache has a value for what makes leads the same ({})",
                    key.fields.join(", ")
                ),
                hint: Some(
                    "run `mkto-audit scan` again: it reads the fields that match.key names"
                        .to_owned(),
                ),
            });
        }
        Ok(cache)
    }
}

/// The time of day, for what is written down. The command line is where the clock is read.
#[expect(clippy::disallowed_methods, reason = "the one place where the commands look at a clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A client within the configured limits.
fn client(config: &Config, credentials: Credentials) -> Result<Client, Failure> {
    let Credentials { base_url, identity_url, client_id, client_secret } = credentials;
    let options = client_options(config, base_url, identity_url)?;
    Ok(Client::new(options.credentials(client_id, client_secret))?)
}

/// An instance within the configured limits, without credentials.
fn client_options(
    config: &Config,
    base_url: Url,
    identity_url: Url,
) -> Result<ClientOptions, Failure> {
    let limits = &config.limits;
    Ok(ClientOptions::new(base_url)
        .identity_url(identity_url)
        .rate(limits.calls, limits.window)
        .concurrency(limits.concurrency)
        .a_day(limits.daily_calls, limits.daily_export)
        .spending(Arc::new(daily_usage::UsageFile::open(&config.spent_file()?)?))
        .clock(Clock::sped_up(config.clock_speed)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_flags_of_all_commands_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
