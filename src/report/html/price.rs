//! What a record costs, as the person who reads the contract says.

use std::fmt;
use std::str::FromStr;

use crate::terminal::count;

/// Parts of one unit of currency that are told apart.
const SCALE: u64 = 10_000;

/// A price of one record: exact to four decimals, with the currency as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    parts: u64,
    currency: String,
}

impl Price {
    /// What so many records cost, rounded to the nearest hundredth.
    pub(super) fn of(&self, records: u64) -> String {
        let parts = u128::from(self.parts) * u128::from(records);
        let hundredths = (parts + 50) / 100;
        let whole = u64::try_from(hundredths / 100).unwrap_or(u64::MAX);
        format!("{}.{:02}{}", count(whole), hundredths % 100, self.unit())
    }

    fn unit(&self) -> String {
        if self.currency.is_empty() { String::new() } else { format!(" {}", self.currency) }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.parts % SCALE);
        let decimals = decimals.strip_suffix("00").unwrap_or(&decimals);
        write!(f, "{}.{decimals}{}", count(self.parts / SCALE), self.unit())
    }
}

/// A text that is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no price; write a number with at most four decimals and, if you like, a currency: `0.12 EUR`"
)]
pub struct BadPrice(String);

impl FromStr for Price {
    type Err = BadPrice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadPrice(text.to_owned());
        let (number, currency) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 4 || !digits(whole) || !digits(decimals) {
            return Err(bad());
        }
        let parts = format!("{whole}{decimals:0<4}").parse().ok().ok_or_else(bad)?;
        Ok(Self { parts, currency: currency.trim().to_owned() })
    }
}
