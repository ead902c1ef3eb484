//! The paths of files where nobody named one: the cache where caches go, the ledger where nothing
//! is cleared.

use std::path::PathBuf;

use url::Url;

use super::{Environment, Error, variable};

/// The user's folders, by the XDG base directory rules, from the environment that was handed in.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    config: Option<PathBuf>,
    cache: Option<PathBuf>,
    data: Option<PathBuf>,
}

impl Paths {
    pub(super) fn of(environment: &Environment) -> Self {
        let home = variable(environment, "HOME").or_else(|| variable(environment, "USERPROFILE"));
        let folder = |name: &str, below_home: &str| {
            variable(environment, name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .or_else(|| home.map(|home| PathBuf::from(home).join(below_home)))
                .map(|path| path.join("mkto-audit"))
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            cache: folder("XDG_CACHE_HOME", ".cache"),
            data: folder("XDG_DATA_HOME", ".local/share"),
        }
    }

    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|folder| folder.join("config.toml"))
    }

    pub(super) fn cache_file(&self, instance: &str) -> Result<PathBuf, Error> {
        let folder = self.cache.as_ref().ok_or(Error::NoHome { what: "cache" })?;
        Ok(folder.join(cache_name(instance)))
    }

    pub(super) fn tally_file(&self, instance: &str) -> Result<PathBuf, Error> {
        let folder = self.data.as_ref().ok_or(Error::NoHome { what: "guard's tally" })?;
        Ok(folder.join(format!("{}.guard.json", file_stem(instance))))
    }

    pub(super) fn leases_file(&self, instance: &str) -> Result<PathBuf, Error> {
        let folder = self.data.as_ref().ok_or(Error::NoHome { what: "guard's leases" })?;
        Ok(folder.join(format!("{}.leases.db", file_stem(instance))))
    }

    pub(super) fn spent_file(&self, instance: &str) -> Result<PathBuf, Error> {
        let folder = self.data.as_ref().ok_or(Error::NoHome { what: "count of calls" })?;
        Ok(folder.join(format!("{}.spent.db", file_stem(instance))))
    }

    pub(super) fn ledger_file(&self, instance: &str) -> Result<PathBuf, Error> {
        let folder = self.data.as_ref().ok_or(Error::NoHome { what: "ledger" })?;
        Ok(folder.join(format!("{}.ledger.db", file_stem(instance))))
    }
}

/// The name that binds a cache and a ledger to an instance: its base URL without the scheme, in one
/// spelling, so that one instance never has two ledgers.
pub fn instance_name(base_url: &Url) -> String {
    let host = base_url.host_str().unwrap_or_default().to_ascii_lowercase();
    let host = match host.trim_end_matches('.') {
        "localhost" => "127.0.0.1",
        host => host,
    };
    let port = base_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", base_url.path().trim_end_matches('/'))
}

/// The name of an instance's cache file.
pub(super) fn cache_name(instance: &str) -> String {
    format!("{}.db", file_stem(instance))
}

fn file_stem(instance: &str) -> String {
    instance
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
        .collect()
}
