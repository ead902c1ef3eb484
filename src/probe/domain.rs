//! Where test people have their addresses: only where mail can never arrive.

use std::fmt;
use std::str::FromStr;

/// Top-level domains that never lead anywhere, by RFC 2606 and RFC 6761.
const ENDINGS: [&str; 3] = ["invalid", "example", "test"];

/// Domains that are reserved for documentation, by RFC 2606, with all below them.
const NAMES: [&str; 3] = ["example.com", "example.net", "example.org"];

/// A domain that is reserved for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

impl Default for Domain {
    fn default() -> Self {
        Self("mkto-audit-probe.invalid".to_owned())
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase();
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels: Vec<&str> = name.split('.').collect();
        let is_name = labels.len() >= 2 && name.len() <= 200 && labels.iter().all(|l| is_label(l));
        let ends = |end: &str| name == end || name.ends_with(&format!(".{end}"));
        let is_reserved =
            ENDINGS.iter().any(|end| ends(end)) || NAMES.iter().any(|name| ends(name));
        if is_name && is_reserved {
            return Ok(Self(name));
        }
        Err(format!(
            "takes a domain that is reserved for tests, so that mail can never reach it: one below \
             {}, or {}",
            ENDINGS.map(|end| format!(".{end}")).join(", "),
            NAMES.join(", ")
        ))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Domain;

    #[test]
    fn only_a_domain_that_mail_cannot_reach_is_taken() {
        for reserved in ["a.invalid", "x.y.example", " A.Test ", "example.com", "probe.example.org"]
        {
            assert!(reserved.parse::<Domain>().is_ok(), "{reserved}");
        }
        assert!(Domain::default().to_string().parse::<Domain>().is_ok());
        for other in [
            "gmail.com",
            "example.de",
            "notexample.com",
            "invalid",
            "example",
            "a.invalid.com",
            "-a.invalid",
            "a..invalid",
            "a b.invalid",
            "a@b.invalid",
            "a,b.invalid",
            "localhost",
            "",
        ] {
            assert!(other.parse::<Domain>().is_err(), "{other}");
        }
    }
}
