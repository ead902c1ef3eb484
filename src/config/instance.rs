//! Which Marketo, and as whom.

use std::process::Command;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::Error;

/// The addresses and credentials as configured; each may be missing until a command needs it.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Without `/rest` and without a slash at its end.
    pub base_url: Option<Url>,
    /// Where it is not `<base URL>/identity`.
    pub identity_url: Option<Url>,
    /// The custom service's client id.
    pub client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) client_secret_command: Option<String>,
}

/// What a client needs.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `https://<munchkin-id>.mktorest.com`
    pub base_url: Url,
    /// `<base URL>/identity`
    pub identity_url: Url,
    /// The custom service's client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

const HOW_BASE_URL: &str = "set MARKETO_BASE_URL, for example https://123-ABC-456.mktorest.com (Marketo: Admin > Web Services); \
                            or try `mkto-audit demo`, which needs no Marketo";
const HOW_CLIENT_ID: &str = "set MARKETO_CLIENT_ID (Marketo: Admin > LaunchPoint > View Details)";
const HOW_SECRET: &str =
    "set MARKETO_CLIENT_SECRET, or name a command that prints it in `instance.client_secret_command`";

impl Instance {
    pub(super) fn set_base_url(&mut self, text: &str) -> Result<(), String> {
        let mut url = parse(text)?;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/rest").unwrap_or(path).to_owned();
        url.set_path(&path);
        self.base_url = Some(url);
        Ok(())
    }

    pub(super) fn set_identity_url(&mut self, text: &str) -> Result<(), String> {
        let mut url = parse(text)?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        self.identity_url = Some(url);
        Ok(())
    }

    /// Refuses addresses over which the secret would travel in the clear.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, url) in [("the base URL", &self.base_url), ("the identity URL", &self.identity_url)] {
            if let Some(url) = url
                && url.scheme() == "http"
                && !is_loopback(url)
            {
                return Err(Error::at(
                    what,
                    format!("`{url}` would send the client secret in the clear: use https://"),
                ));
            }
        }
        Ok(())
    }

    /// Whether the base URL is on this machine, as a sandbox's is.
    pub fn is_loopback(&self) -> bool {
        self.base_url.as_ref().is_some_and(is_loopback)
    }

    /// Base URL and identity URL.
    pub(super) fn addresses(&self) -> Result<(Url, Url), Error> {
        let base_url = self
            .base_url
            .clone()
            .ok_or(Error::Missing { what: "the Marketo base URL", how: HOW_BASE_URL })?;
        let identity_url = self.identity_url.clone().unwrap_or_else(|| {
            let mut url = base_url.clone();
            url.set_path(&format!("{}/identity", base_url.path().trim_end_matches('/')));
            url
        });
        Ok((base_url, identity_url))
    }

    pub(super) fn credentials(&self) -> Result<Credentials, Error> {
        let (base_url, identity_url) = self.addresses()?;
        let client_id =
            self.client_id.clone().ok_or(Error::Missing { what: "the client id", how: HOW_CLIENT_ID })?;
        let client_secret = match (&self.client_secret, &self.client_secret_command) {
            (Some(secret), _) => secret.clone(),
            (None, Some(command)) => secret_from(command)?,
            (None, None) => return Err(Error::Missing { what: "the client secret", how: HOW_SECRET }),
        };
        Ok(Credentials { base_url, identity_url, client_id, client_secret })
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim())
        .map_err(|error| format!("`{text}` is no URL such as https://123-ABC-456.mktorest.com ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{text}` is no URL such as https://123-ABC-456.mktorest.com"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must not carry a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has no query and no fragment".to_owned());
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn secret_from(command: &str) -> Result<SecretString, Error> {
    let refuse = |what: String| Error::SecretCommand { what };
    let output = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| refuse(format!("it could not be run ({error})")))?;
    if !output.status.success() {
        return Err(refuse(format!("it ended with {}", output.status)));
    }
    let secret: SecretString = String::from_utf8(output.stdout)
        .map_err(|error| refuse(format!("what it printed is not UTF-8 ({})", error.utf8_error())))?
        .trim()
        .to_owned()
        .into();
    if secret.expose_secret().is_empty() {
        return Err(refuse("it printed nothing".to_owned()));
    }
    Ok(secret)
}
