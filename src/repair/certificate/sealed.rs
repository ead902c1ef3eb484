//! When certificates are sealed: as their runs end, or, where a run was killed, by the next one or by
//! the first look.
//!
//! Never: seals with another price than the one that was set when it was first sealed.

use super::{About, Certificate, certificate_of};
use crate::ledger::{CertificateAbout, Ledger, PastRun, RunKind};
use crate::merge::Error;

/// Seals the certificate of a run, where it is not sealed as it is now, and gives it. `about` is
/// what is set now: what was set when it was first sealed counts.
pub fn sealed(
    ledger: &mut Ledger,
    run: &PastRun,
    about: &About,
    at: &str,
) -> Result<Certificate, Error> {
    let set = CertificateAbout { price: about.price.clone(), scans_of: about.scans_of.clone() };
    let CertificateAbout { price, scans_of } = ledger.keep_certificate_about(run.id, &set, at)?;
    let about = About { instance: about.instance.clone(), scans_of, price };
    let certificate = certificate_of(ledger, run, &about)?;
    ledger.seal(run.id, &certificate.chain.seal, at)?;
    Ok(certificate)
}

/// Seals the certificates of merges whose runs could not do it themselves, since they were killed:
/// none is without a seal once what they left open is settled.
pub fn seal_those_without(ledger: &mut Ledger, about: &About, at: &str) -> Result<usize, Error> {
    let mut sealed_now = 0;
    for run in ledger.runs()? {
        if run.kind == RunKind::Merge && ledger.seals_of(run.id)?.is_empty() {
            sealed(ledger, &run, about, at)?;
            sealed_now += 1;
        }
    }
    Ok(sealed_now)
}
