//! Flags, environment, file and defaults, made into one [`Config`].
//!
//! For: every setting read once, checked where it was written, and named in its error (`config.toml
//! line 4`, the variable, the flag). Flags win over the environment, which wins over the file,
//! which wins over the defaults. Never: reads the process's environment itself (it is handed in),
//! keeps a secret as plain text, calls anything but the command that the user named for printing
//! the secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::dedupe::{
    Bundles, Cause, CauseRules, FieldRules, KeySpec, ReviewPolicy, Skip, WinnerOrder,
};

mod error;
mod file;
mod guard;
mod instance;
mod merge;
mod paths;
mod rules;
mod settings;
mod value;

pub use error::Error;
pub use guard::{GuardConfig, LeaseStore};
pub use instance::{AppUrl, Credentials, Instance};
pub use merge::MergeSettings;
pub use paths::instance_name;
pub use settings::known_keys;

/// The environment's variables, as handed in by the command line or a test.
pub type Environment = BTreeMap<String, String>;

/// What the flags say; absent where none was given.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--base-url`
    pub base_url: Option<String>,
    /// `--identity-url`
    pub identity_url: Option<String>,
    /// `--db`
    pub db: Option<PathBuf>,
}

/// Every setting, checked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Which Marketo, and as whom.
    pub instance: Instance,
    /// The profile that was named.
    pub profile: Option<String>,
    /// Who runs the program, as the environment says.
    by: Option<String>,
    /// What one record costs, in the user's own words, such as `0.12 EUR/year`.
    pub price: Option<String>,
    /// The cache, where one was named.
    cache_path: Option<PathBuf>,
    /// Whether a flag named the cache, which then stands whatever it is called.
    cache_by_flag: bool,
    /// The name of the cache that `--as` asks for.
    cache_name: Option<String>,
    /// The ledger, where one was named.
    ledger_path: Option<PathBuf>,
    /// How long backups are kept; for ever where it is not set.
    pub ledger_keep: Option<Duration>,
    /// After how long a measured profile is told to be old; half a year where it is not set.
    pub probe_max_age: Option<Duration>,
    /// How much of the instance's limits this program takes.
    pub limits: Limits,
    /// How a scan reads.
    pub scan: ScanSettings,
    /// Between two looks at an export job.
    pub bulk_poll_interval: PollInterval,
    /// What makes two leads the same.
    pub key: KeySpec,
    /// How the winner of a group is chosen.
    pub winner: WinnerOrder,
    /// The file of ids that the winner rule `ids` goes by.
    winner_ids_file: Option<PathBuf>,
    /// Which value a field keeps.
    pub fields: FieldRules,
    /// Which fields come from one lead together.
    pub bundles: Bundles,
    /// What is decided otherwise for the groups of a cause.
    pub causes: BTreeMap<Cause, CauseRules>,
    /// Which groups a merge leaves alone until somebody names or allows them.
    pub skip: Skip,
    /// Which groups a merge leaves alone whatever is allowed.
    skip_settings: rules::SkipSettings,
    /// How far one run of `merge` goes.
    pub merge: MergeSettings,
    /// Who has to say yes to a plan.
    pub review: ReviewSettings,
    /// How the proxy guards writes.
    pub guard: GuardConfig,
    /// How many times as fast as the wall's Marketo's time passes; above 1 only towards a sandbox
    /// on this machine.
    pub clock_speed: u32,
    /// Where the default files lie.
    paths: paths::Paths,
}

/// `review.*`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReviewSettings {
    /// Which plans need an approval.
    pub policy: ReviewPolicy,
    /// Whether who decided may not approve.
    pub two_people: bool,
}

/// `limits.*`: the instance belongs to others too.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls in any window of [`Limits::window`].
    pub calls: usize,
    /// The window's length.
    pub window: Duration,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Calls a day.
    pub daily_calls: u64,
    /// Bytes of bulk extract a day.
    pub daily_export: u64,
    /// Calls a day that Marketo allows all integrations together.
    pub quota: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 50,
            window: Duration::from_secs(20),
            concurrency: 5,
            daily_calls: 25_000,
            daily_export: 400_000_000,
            quota: 50_000,
        }
    }
}

/// `bulk.poll_interval`; Marketo updates the status of a job at most once a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollInterval(pub Duration);

impl Default for PollInterval {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

/// `scan.*`
#[derive(Debug, Clone, Default)]
pub struct ScanSettings {
    /// How the leads are read.
    pub strategy: Strategy,
    /// Fields to cache beyond those that the audit needs.
    pub fields: Vec<String>,
}

/// `scan.strategy`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The cheaper way for this instance.
    #[default]
    Auto,
    /// Bulk lead extract.
    Bulk,
    /// Pages of 300 ids.
    Pages,
}

impl Config {
    /// Puts flags, environment and file together. Reads the config file, and calls nothing.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, Error> {
        let mut config =
            Self { clock_speed: 1, paths: paths::Paths::of(environment), ..Self::default() };
        let profile =
            flags.profile.as_deref().or_else(|| variable(environment, "MKTO_AUDIT_PROFILE"));
        if let Some(file) = file::find(flags, environment, &config.paths) {
            for entry in file::entries(&file, profile)? {
                settings::set(&mut config, &entry.key, &entry.value, &entry.place)?;
                if entry.key == "guard.leases" && config.guard.has_password() {
                    return Err(Error::at(
                        format!("{}: `{}`", entry.place, entry.key),
                        "a password does not belong in a file; leave it out, and set PGPASSWORD",
                    ));
                }
            }
        } else if let Some(profile) = profile {
            return Err(Error::NoFileForProfile { profile: profile.to_owned() });
        }
        config.profile = profile.map(str::to_owned);
        let of_profile = config.instance.clone();
        settings::set_from_environment(&mut config, environment)?;
        // Only now: a profile or a variable may have replaced one of two that contradict each
        // other.
        config.check_rules()?;
        config.refuse_two_instances(flags, environment, &of_profile)?;
        config.set_from_flags(flags)?;
        config.instance.check()?;
        config.merge.check(&config.limits)?;
        if config.clock_speed > 1 && !config.instance.is_loopback() {
            return Err(Error::ClockSpeed);
        }
        Ok(config)
    }

    /// A variable that is left over from another instance must not beat the profile that was named,
    /// however that was done: a merge would go to the wrong one, or a client secret to another's
    /// identity service. Whoever gives the URL as a flag has said which is meant.
    fn refuse_two_instances(
        &self,
        flags: &Flags,
        environment: &Environment,
        of_profile: &Instance,
    ) -> Result<(), Error> {
        let (Some(profile), Ok((base, identity))) = (&self.profile, of_profile.addresses()) else {
            return Ok(());
        };
        let set = self.instance.addresses()?;
        let urls = [
            (base, set.0, "MARKETO_BASE_URL", "MKTO_AUDIT__INSTANCE__BASE_URL", &flags.base_url),
            (
                identity,
                set.1,
                "MARKETO_IDENTITY_URL",
                "MKTO_AUDIT__INSTANCE__IDENTITY_URL",
                &flags.identity_url,
            ),
        ];
        for (meant, set, short, long, flag) in urls {
            let (of_profile, of_variable) = (instance_name(&meant), instance_name(&set));
            if of_profile == of_variable || flag.is_some() || flags.base_url.is_some() {
                continue;
            }
            let by = match flags.profile {
                Some(_) => format!("--profile {profile}"),
                None => format!("MKTO_AUDIT_PROFILE={profile}"),
            };
            // The longer name is read later, and wins.
            let variable = if environment.contains_key(long) { long } else { short };
            return Err(Error::TwoInstances { by, of_profile, variable, of_variable });
        }
        Ok(())
    }

    fn set_from_flags(&mut self, flags: &Flags) -> Result<(), Error> {
        if let Some(url) = &flags.base_url {
            self.instance.set_base_url(url).map_err(|what| Error::at("--base-url", what))?;
        }
        if let Some(url) = &flags.identity_url {
            self.instance
                .set_identity_url(url)
                .map_err(|what| Error::at("--identity-url", what))?;
        }
        if let Some(path) = &flags.db {
            self.cache_path = Some(path.clone());
            self.cache_by_flag = true;
        }
        Ok(())
    }

    /// The cache's file: the one that was named, else one for each instance in the user's cache
    /// folder.
    pub fn cache_file(&self) -> Result<PathBuf, Error> {
        match (&self.cache_path, &self.cache_name) {
            // A variable names the cache of every day; one that is asked for by name stands beside
            // it.
            (Some(path), Some(name)) if !self.cache_by_flag => {
                Ok(path.with_file_name(paths::cache_name(name)))
            }
            (Some(path), _) => Ok(path.clone()),
            (None, _) => self.paths.cache_file(&self.instance_name()),
        }
    }

    /// Works on the cache of this name from here on, in place of the configured instance's.
    pub fn use_cache_named(&mut self, name: &str) {
        self.cache_name = Some(name.to_owned());
    }

    /// Whether the cache is one that was asked for by name.
    pub fn has_named_cache(&self) -> bool {
        self.cache_name.is_some()
    }

    /// Every cache in the folder where caches lie.
    pub fn caches(&self) -> Vec<PathBuf> {
        let file = self.cache_file().ok();
        let folder = file.as_deref().and_then(std::path::Path::parent);
        let entries =
            folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
        let mut caches: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
            .collect();
        caches.sort();
        caches
    }

    /// The ledger's file: the one that was named, else one for each instance in the user's data
    /// folder, which nothing clears. It is the same whatever cache is named, since it is what keeps
    /// two runs on one instance apart, and what tells a run of the calls that a killed one left
    /// open. Only where there is no home folder does it lie beside a cache that was named.
    pub fn ledger_file(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.ledger_path {
            return Ok(path.clone());
        }
        match (self.paths.ledger_file(&self.instance_name()), &self.cache_path) {
            (Err(_), Some(cache)) => Ok(cache.with_extension("ledger.db")),
            (place, _) => place,
        }
    }

    /// Where the calls and bytes of each day are counted: one place for all programs of this user.
    /// Without a home folder it lies beside a cache that was named.
    pub fn spent_file(&self) -> Result<PathBuf, Error> {
        match (self.paths.spent_file(&self.instance_name()), &self.cache_path) {
            (Err(_), Some(cache)) => Ok(cache.with_extension("spent.db")),
            (place, _) => place,
        }
    }

    /// The file in which the writers of this user share their leases of keys. Without a home folder
    /// it lies beside a cache that was named.
    pub fn leases_file(&self) -> Result<PathBuf, Error> {
        match (self.paths.leases_file(&self.instance_name()), &self.cache_path) {
            (Err(_), Some(cache)) => Ok(cache.with_extension("leases.db")),
            (place, _) => place,
        }
    }

    /// Where a guard in shadow mode keeps its counts.
    pub fn tally_file(&self) -> Result<PathBuf, Error> {
        self.paths.tally_file(&self.instance_name())
    }

    /// What the cache and the ledger are bound to: the name that `--as` gave, else the base URL
    /// without its scheme, or `file` where none is configured.
    pub fn instance_name(&self) -> String {
        if let Some(name) = &self.cache_name {
            return name.clone();
        }
        self.instance.base_url.as_ref().map_or_else(|| "file".to_owned(), instance_name)
    }

    /// The instance as a person is told of it before anything is written: its name, and the
    /// profile's where one was named.
    pub fn instance_in_words(&self) -> String {
        let profile = self.profile.as_ref().map(|profile| format!(" (profile {profile})"));
        format!("{}{}", self.instance_name(), profile.unwrap_or_default())
    }

    /// Who runs the program: the name of a flag, of the environment, or the user of this machine.
    pub fn by(&self, flag: Option<&str>) -> Option<String> {
        let named = flag.map(str::trim).filter(|name| !name.is_empty());
        named.map(str::to_owned).or_else(|| self.by.clone())
    }

    /// Base URL and identity URL, or that they are missing.
    pub fn addresses(&self) -> Result<(url::Url, url::Url), Error> {
        self.instance.addresses()
    }

    /// The credentials, or which of them is missing. Runs `instance.client_secret_command` where
    /// that is the source.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        self.instance.credentials()
    }
}

fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
