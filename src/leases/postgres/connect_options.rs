//! The address of a Postgres, and how connections to it are encrypted: beyond this machine always,
//! with the server's certificate checked, unless the address says otherwise.
//!
//! Never: shows the password, in an error or in `Debug`.

use std::str::FromStr;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// The address of a Postgres: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or the `key=value`
/// pairs of libpq.
///
/// To a host beyond this machine everything goes through TLS, and its certificate must be valid for
/// the host's name by the authorities of this system (or those in the file that `SSL_CERT_FILE`
/// names), unless the address says `sslmode=disable`. On this machine TLS is spoken where the
/// address says `sslmode=require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresAddress(Box<Config>);

/// Why an address of a Postgres cannot be used. It is not repeated, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It cannot be read.
    #[error("is no address of a Postgres: it reads postgres://USER@HOST:PORT/DATABASE")]
    Unreadable,
    /// It names no host.
    #[error("names no host of a Postgres: it reads postgres://USER@HOST:PORT/DATABASE")]
    NoHost,
}

impl FromStr for PostgresAddress {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<Self, AddressError> {
        let mut config =
            Config::from_str(address).map_err(|_may_hold_it| AddressError::Unreadable)?;
        let hosts = config.get_hosts();
        if hosts.is_empty() {
            return Err(AddressError::NoHost);
        }
        // `prefer` would go on in the clear where TLS is refused.
        let mode = match config.get_ssl_mode() {
            SslMode::Prefer if hosts.iter().all(is_on_this_machine) => SslMode::Disable,
            SslMode::Prefer => SslMode::Require,
            named => named,
        };
        config.ssl_mode(mode);
        Ok(Self(Box::new(config)))
    }
}

impl PostgresAddress {
    /// Whether the password is in it.
    pub fn has_password(&self) -> bool {
        self.0.get_password().is_some()
    }

    /// The same, with a password that was kept elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.0.password(password);
        self
    }

    pub(super) fn config(&self) -> &Config {
        &self.0
    }

    /// How connections are encrypted; where none is to be, no authority is asked for.
    pub(super) fn tls(&self) -> std::io::Result<MakeRustlsConnect> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?;
        let config = if self.0.get_ssl_mode() == SslMode::Require {
            config.with_native_roots().map_err(|_unreadable| {
                std::io::Error::other(
                    "no certificate authority is known on this system; name a PEM file of them in SSL_CERT_FILE",
                )
            })?
        } else {
            config.with_root_certificates(RootCertStore::empty())
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(address: &str) -> SslMode {
        address.parse::<PostgresAddress>().unwrap().0.get_ssl_mode()
    }

    #[test]
    fn beyond_this_machine_nothing_goes_in_the_clear_unless_the_address_says_so() {
        assert_eq!(mode("postgres://guard@db.example.com/leases"), SslMode::Require);
        assert_eq!(mode("postgres://guard@db.example.com/leases?sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgres://guard@127.0.0.1,db.example.com/leases"), SslMode::Require);
        assert_eq!(
            mode("postgres://guard@db.example.com/leases?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(mode("postgres://guard@localhost/leases"), SslMode::Disable);
        assert_eq!(mode("host=/run/postgresql user=guard"), SslMode::Disable);
        assert_eq!(mode("postgres://guard@[::1]/leases?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn an_address_that_cannot_be_used_does_not_show_its_password() {
        for (address, expected) in [
            ("postgres://guard:hush@[", AddressError::Unreadable),
            ("sqlite:hush", AddressError::Unreadable),
            ("postgres://guard:hush@db.example.com:70000/leases", AddressError::Unreadable),
            ("postgres://", AddressError::NoHost),
        ] {
            let error = address.parse::<PostgresAddress>().unwrap_err();
            assert_eq!(error, expected, "{address}");
            assert!(!format!("{error} {error:?}").contains("hush"));
        }
    }

    #[test]
    fn a_password_is_told_of_and_never_shown() {
        let address: PostgresAddress = "postgres://guard@localhost/leases".parse().unwrap();
        assert!(!address.has_password());
        let address = address.with_password("hush");
        assert!(address.has_password());
        assert!(!format!("{address:?}").contains("hush"));
    }
}
