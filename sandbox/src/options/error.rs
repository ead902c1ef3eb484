//! Why a knob or a fault cannot be set so.

/// A `NAME=VALUE` that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There is no `=` in it.
    #[error("`{0}` is not of the form NAME=VALUE")]
    NoValue(String),
    /// No knob or fault has this name.
    #[error("there is no {what} `{name}`; there are: {known}")]
    Unknown {
        /// Knob or fault.
        what: &'static str,
        /// As written.
        name: String,
        /// Every name there is.
        known: String,
    },
    /// The value does not fit.
    #[error("{name} takes {takes}, not `{value}`")]
    Value {
        /// The knob or fault.
        name: String,
        /// As written.
        value: String,
        /// What it takes.
        takes: String,
    },
}
