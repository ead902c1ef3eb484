//! A certificate that nobody vouches for, found among the causes of a connection that did not come
//! about.
//!
//! It does not get better by itself, so that it is told at once, with what to do. Never: a reason
//! to go on without TLS.

use std::error::Error;

use chrono::{DateTime, NaiveDate};
use tokio_rustls::rustls::{self, CertificateError};

/// What is wrong with a certificate. The handshake failed by it, so that nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// No authority that this system knows vouches for it.
    Issuer,
    /// It is over, since this day where it is known.
    Expired(Option<NaiveDate>),
    /// It is not valid yet.
    Early,
    /// It is somebody else's: it does not have the name that the address has.
    Name,
    /// It is wrong in another way.
    Otherwise,
}

impl CertificateFault {
    /// The certificate that a failure is owed to, if it is.
    pub(crate) fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(rustls::Error::InvalidCertificate(wrong)) = cause.downcast_ref() {
                return Some(Self::of(wrong));
            }
            // What an input or output failed by is not what it names as its source.
            let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| Self::among(inner)) {
                return Some(found);
            }
            next = cause.source();
        }
        None
    }

    fn of(wrong: &CertificateError) -> Self {
        match wrong {
            // An authority that has the name of one that is trusted, and not its key, is another
            // one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => {
                let seconds = i64::try_from(not_after.as_secs()).ok();
                let at = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
                Self::Expired(at.map(|at| at.date_naive()))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::Early
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::Name
            }
            _ => Self::Otherwise,
        }
    }

    /// What is wrong, as a clause.
    pub fn what(self) -> String {
        let what = match self {
            Self::Issuer => "no authority that this system trusts has signed it",
            Self::Expired(since) => {
                let since = since.map(|day| format!(" on {day}")).unwrap_or_default();
                return format!("it expired{since}");
            }
            Self::Early => "it is not valid yet",
            Self::Name => "it is for another name",
            Self::Otherwise => "it is none for a server, or broken",
        };
        what.to_owned()
    }

    /// Says so in the log.
    pub(crate) fn tell(self) {
        tracing::error!(
            what = self.what(),
            mend = self.mend(),
            "marketo's certificate cannot be trusted"
        );
    }

    /// What to do about it.
    pub fn mend(self) -> &'static str {
        match self {
            Self::Issuer | Self::Otherwise if cfg!(any(target_vendor = "apple", windows)) => {
                "where a proxy of your company's opens TLS, add its authority to those that this system trusts"
            }
            Self::Issuer | Self::Otherwise => {
                "where a proxy of your company's opens TLS, add its authority to those that this system trusts (Debian: \
                 /usr/local/share/ca-certificates and update-ca-certificates), or name a PEM file of all authorities to \
                 trust in SSL_CERT_FILE; else look whether the address is right"
            }
            Self::Expired(_) | Self::Early => {
                "look at this machine's clock; if it is right, whoever runs that server has to renew its certificate"
            }
            Self::Name => {
                "look whether the address is right: MARKETO_BASE_URL is the Endpoint of Admin > Web Services, without /rest"
            }
        }
    }
}
