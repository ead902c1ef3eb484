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
    /// Where people sign in to it, such as `https://app-ab12.marketo.com`: for links to records.
    pub app_url: Option<AppUrl>,
    /// The custom service's client id.
    pub client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) client_secret_command: Option<String>,
}

/// Where people sign in to Marketo, which the address of its API does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppUrl(Url);

impl AppUrl {
    fn read(text: &str) -> Result<Self, String> {
        let url = text.parse().ok().filter(|url: &Url| url.scheme() == "https" && url.has_host());
        url.map(Self).ok_or_else(|| {
            format!("takes the address of Marketo in the browser, such as `https://app-ab12.marketo.com`, not `{text}`")
        })
    }

    /// Where a record is seen in Marketo's screens.
    pub fn link_to(&self, lead: u64) -> String {
        let mut url = self.0.clone();
        url.set_path("/leadDatabase/loadLeadDetail");
        url.set_fragment(None);
        url.set_query(Some(&format!("leadId={lead}")));
        url.into()
    }
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
const HOW_SECRET: &str = "set MARKETO_CLIENT_SECRET, or name a command that prints it in `instance.client_secret_command`";

impl Instance {
    pub(super) fn set_base_url(&mut self, text: &str) -> Result<(), String> {
        self.base_url = Some(base_of(text)?);
        Ok(())
    }

    pub(super) fn set_identity_url(&mut self, text: &str) -> Result<(), String> {
        let mut url = base_of(text)?;
        // Whatever was pasted, tokens are given at `<base URL>/identity`.
        url.set_path(&format!("{}/identity", url.path().trim_end_matches('/')));
        self.identity_url = Some(url);
        Ok(())
    }

    pub(super) fn set_app_url(&mut self, text: &str) -> Result<(), String> {
        self.app_url = Some(AppUrl::read(text)?);
        Ok(())
    }

    /// Refuses addresses over which the secret would travel in the clear.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, url) in
            [("the base URL", &self.base_url), ("the identity URL", &self.identity_url)]
        {
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
        let client_id = self
            .client_id
            .clone()
            .ok_or(Error::Missing { what: "the client id", how: HOW_CLIENT_ID })?;
        let client_secret = match (&self.client_secret, &self.client_secret_command) {
            (Some(secret), _) => secret.clone(),
            (None, Some(command)) => secret_from(command)?,
            (None, None) => {
                return Err(Error::Missing { what: "the client secret", how: HOW_SECRET });
            }
        };
        Ok(Credentials { base_url, identity_url, client_id, client_secret })
    }
}

/// What stands before the paths of Marketo's services: Admin > Web Services shows `…/rest` and
/// `…/identity`, and documents whole calls; each of them names the instance as well as its bare
/// address does.
fn base_of(text: &str) -> Result<Url, String> {
    let mut url = parse(text)?;
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let is_service = |segment: &&str| {
        ["rest", "identity", "bulk", "oauth"]
            .iter()
            .any(|service| segment.eq_ignore_ascii_case(service))
    };
    let service = segments.iter().position(is_service);
    let is_marketo = url.host_str().is_some_and(|host| host.ends_with(".mktorest.com"));
    if service.is_none() && !is_marketo && (url.query().is_some() || url.fragment().is_some()) {
        return Err("a base URL has no query and no fragment".to_owned());
    }
    // Marketo has nothing but its services there.
    let kept = service.unwrap_or(if is_marketo { 0 } else { segments.len() });
    let path = segments.iter().take(kept).copied().collect::<Vec<_>>().join("/");
    let path = path.trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

const EXAMPLE: &str = "https://123-ABC-456.mktorest.com";

fn parse(text: &str) -> Result<Url, String> {
    let shown = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
    let url = Url::parse(&with_scheme(shown)).map_err(|error| {
        format!("`{}` is no URL such as {EXAMPLE} ({error})", without_query(shown))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{}` is no URL such as {EXAMPLE}", without_query(shown)));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must not carry a user name or password".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    if [".marketo.com", ".adobe.com"].iter().any(|screens| host.ends_with(screens)) {
        return Err(format!(
            "`{host}` is where Marketo's screens are, not its API; take the Endpoint of Admin > Web Services, such as \
             {EXAMPLE}"
        ));
    }
    Ok(url)
}

/// An address as browsers and documents show it, with the scheme that they leave out.
fn with_scheme(text: &str) -> String {
    let host = text.split(['/', '?', '#', ':']).next().unwrap_or_default();
    if text.contains("://") || text.starts_with('/') {
        text.to_owned()
    } else if host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") {
        format!("http://{text}")
    } else if host.contains('.') {
        format!("https://{text}")
    } else {
        text.to_owned()
    }
}

/// A query may hold a secret.
fn without_query(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(base: &str, identity: Option<&str>) -> Result<(String, String), String> {
        let mut instance = Instance::default();
        instance.set_base_url(base)?;
        if let Some(identity) = identity {
            instance.set_identity_url(identity)?;
        }
        let (base, identity) = instance.addresses().map_err(|error| error.to_string())?;
        Ok((base.to_string(), identity.to_string()))
    }

    #[test]
    fn a_record_is_linked_to_where_people_sign_in() {
        let mut instance = super::Instance::default();
        for refused in ["app-ab12", "http://app-ab12.marketo.com", "marketo"] {
            assert!(instance.set_app_url(refused).is_err(), "{refused}");
        }
        instance.set_app_url("https://app-ab12.marketo.com/#ST1A1").unwrap();
        let link = instance.app_url.unwrap().link_to(12);
        assert_eq!(link, "https://app-ab12.marketo.com/leadDatabase/loadLeadDetail?leadId=12");
    }

    #[test]
    fn whatever_of_an_instance_is_pasted_names_its_base_and_its_identity() {
        const BASE: &str = "https://123-abc-456.mktorest.com/";
        const IDENTITY: &str = "https://123-abc-456.mktorest.com/identity";
        for pasted in [
            "https://123-ABC-456.mktorest.com",
            "https://123-ABC-456.mktorest.com/",
            "https://123-ABC-456.mktorest.com/rest",
            "https://123-ABC-456.mktorest.com/rest/",
            "https://123-ABC-456.mktorest.com/rest/v1",
            "https://123-ABC-456.mktorest.com/rest/v1/leads.json",
            "https://123-ABC-456.mktorest.com/rest/v1/leads.json?filterType=email&filterValues=x#top",
            "https://123-ABC-456.mktorest.com/rest/asset/v1/folders.json",
            "https://123-ABC-456.mktorest.com/bulk/v1/leads/export.json",
            "https://123-ABC-456.mktorest.com/identity",
            "https://123-ABC-456.mktorest.com/identity/",
            "https://123-ABC-456.mktorest.com/identity/oauth/token",
            "https://123-ABC-456.mktorest.com/identity/oauth/token?grant_type=client_credentials",
            "https://123-ABC-456.mktorest.com/oauth/token",
            "https://123-ABC-456.mktorest.com/v1/leads.json",
            "https://123-ABC-456.mktorest.com//rest//v1",
            "HTTPS://123-ABC-456.MKTOREST.COM/REST/V1",
            "https://123-ABC-456.mktorest.com/Identity/OAuth/Token",
            "123-ABC-456.mktorest.com",
            "123-ABC-456.mktorest.com/rest/v1",
            "  \"https://123-ABC-456.mktorest.com/rest\" ",
            "<https://123-ABC-456.mktorest.com/identity>",
        ] {
            assert_eq!(
                addresses(pasted, None),
                Ok((BASE.to_owned(), IDENTITY.to_owned())),
                "{pasted}"
            );
            let both = addresses("https://123-ABC-456.mktorest.com", Some(pasted));
            assert_eq!(
                both,
                Ok((BASE.to_owned(), IDENTITY.to_owned())),
                "{pasted} as the identity URL"
            );
        }
        // A sandbox, or a guard in between, may stand below a path.
        for pasted in
            ["http://127.0.0.1:8080/marketo", "http://127.0.0.1:8080/marketo/identity/oauth/token"]
        {
            let found = addresses(pasted, Some(pasted)).unwrap();
            assert_eq!(found.0, "http://127.0.0.1:8080/marketo", "{pasted}");
            assert_eq!(found.1, "http://127.0.0.1:8080/marketo/identity", "{pasted}");
        }
        assert_eq!(addresses("localhost:8080/rest", None).unwrap().0, "http://localhost:8080/");
    }

    #[test]
    fn what_is_no_address_of_the_api_is_refused_with_one_that_is() {
        for pasted in [
            "123-ABC-456",
            "",
            "rest",
            "/rest/v1",
            "ftp://123-ABC-456.mktorest.com",
            "https://app-ab12.marketo.com/#ST1A1",
            "https://engage-ab.marketo.com/",
            "https://experience.adobe.com/",
        ] {
            let refused = addresses(pasted, None).unwrap_err();
            assert!(refused.contains("https://123-ABC-456.mktorest.com"), "{pasted}: {refused}");
        }
        for pasted in ["https://user:secret@example.com", "https://example.com/?token=secret"] {
            let refused = addresses(pasted, None).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
