//! What can be wrong with the configuration, and where it stands.

use std::path::PathBuf;

/// A setting that cannot be used. Nothing was called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that does not fit its key.
    #[error("{place}: {what}")]
    Value {
        /// The flag, the variable, or file, line and key.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A key that does not exist.
    #[error("{place}: there is no setting `{key}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// The variable, or file and line.
        place: String,
        /// The key as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// The config file cannot be read.
    #[error("the config file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The config file is no TOML.
    #[error("{} line {line}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's words.
        what: String,
    },
    /// A profile that the file does not have.
    #[error("{} has no profile `{profile}`; it has: {}", path.display(), if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    UnknownProfile {
        /// The file.
        path: PathBuf,
        /// The profile asked for.
        profile: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// A profile was asked for, and there is no file to have one.
    #[error("profile `{profile}` was asked for, but there is no config file")]
    NoFileForProfile {
        /// The profile asked for.
        profile: String,
    },
    /// The profile and a variable name two instances: which is meant cannot be known.
    #[error(
        "{by} names the instance {of_profile}, and {variable} names {of_variable}; nothing was called, since it is not known which is meant"
    )]
    TwoInstances {
        /// Where the profile was named, and its name.
        by: String,
        /// The profile's instance.
        of_profile: String,
        /// The variable.
        variable: &'static str,
        /// The variable's instance.
        of_variable: String,
    },
    /// A setting that the command needs.
    #[error("{what} is not configured")]
    Missing {
        /// The setting, in words.
        what: &'static str,
        /// How to set it.
        how: &'static str,
    },
    /// The command that prints the client secret did not.
    #[error("`instance.client_secret_command` gave no secret: {what}")]
    SecretCommand {
        /// Its exit status, or why it could not be run; never its output.
        what: String,
    },
    /// Neither a home folder nor a path was given.
    #[error("there is no home folder to keep the {what} in")]
    NoHome {
        /// Cache or ledger.
        what: &'static str,
    },
    /// A faster clock against a real instance.
    #[error(
        "MKTO_AUDIT_CLOCK_SPEED is for a sandbox on this machine: against another Marketo its time limits are what keeps an unclear call from being sent twice"
    )]
    ClockSpeed,
}

impl Error {
    pub(super) fn at(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Value { place: place.into(), what: what.into() }
    }

    /// What to type or change next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { how, .. } => Some((*how).to_owned()),
            Self::NoHome { .. } => Some("name a file with --db".to_owned()),
            Self::NoFileForProfile { .. } => Some("name the file with --config FILE".to_owned()),
            Self::TwoInstances { of_profile, variable, .. } => {
                Some(format!("unset {variable}, to work on {of_profile}; or leave the profile out"))
            }
            Self::ClockSpeed => Some("unset MKTO_AUDIT_CLOCK_SPEED".to_owned()),
            Self::SecretCommand { .. } => Some(
                "run the command by itself: it must exit with 0 and print the secret alone"
                    .to_owned(),
            ),
            Self::Value { .. }
            | Self::UnknownKey { .. }
            | Self::Unreadable { .. }
            | Self::Syntax { .. }
            | Self::UnknownProfile { .. } => None,
        }
    }
}
