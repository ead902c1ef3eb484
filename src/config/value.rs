//! A setting's value before it is understood: a scalar as text, or a list, whether it came from
//! TOML or the environment.

use std::str::FromStr;
use std::time::Duration;

/// What was written for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawValue {
    /// A string, number or boolean.
    Scalar(String),
    /// An array of scalars.
    List(Vec<String>),
}

impl RawValue {
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Scalar(text) if text.trim().is_empty() => Err("is empty".to_owned()),
            Self::Scalar(text) => Ok(text.trim()),
            Self::List(_) => Err("takes one value, not a list".to_owned()),
        }
    }

    /// A list, or, as the environment has only text, values between commas.
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Self::List(items) => items.clone(),
            Self::Scalar(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// A list of texts that may have commas in them: one text by itself, or a list as JSON writes
    /// it.
    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(items) => Ok(items.clone()),
            Self::Scalar(text) if text.trim_start().starts_with('[') => serde_json::from_str(text)
                .map_err(|error| format!("is no list of texts as JSON writes it: {error}")),
            Self::Scalar(_) => Ok(vec![self.text()?.to_owned()]),
        }
    }

    pub(super) fn number<T: FromStr + PartialOrd + From<u8>>(&self) -> Result<T, String> {
        let text = self.text()?;
        let number: T = text
            .replace('_', "")
            .parse()
            .ok()
            .ok_or_else(|| format!("takes a whole number, not `{text}`"))?;
        if number < T::from(1) { Err("must be at least 1".to_owned()) } else { Ok(number) }
    }

    pub(super) fn boolean(&self) -> Result<bool, String> {
        match self.text()? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("takes true or false, not `{other}`")),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, String> {
        let text = self.text()?;
        match humantime::parse_duration(text) {
            Ok(span) if span.is_zero() => Err("must be longer than zero".to_owned()),
            Ok(span) => Ok(span),
            Err(_) => Err(format!("takes a time such as `20s` or `5m`, not `{text}`")),
        }
    }

    /// A size such as `400MB`; units are decimal, as Adobe counts its quotas.
    pub(super) fn bytes(&self) -> Result<u64, String> {
        let text = self.text()?;
        let refuse = || format!("takes a size such as `400MB`, not `{text}`");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(refuse()),
        };
        number
            .replace('_', "")
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(refuse)
    }

    pub(super) fn parsed<T: FromStr>(&self) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        self.text()?.parse().map_err(|error: T::Err| error.to_string())
    }
}
