//! What certificates rest on beside what runs did: their seals, what was set when they were sealed,
//! and the hashes of the files that were handed out.
//!
//! Never: holds a person's data, so that nothing of it is ever erased.

use rusqlite::{OptionalExtension as _, params};

use super::{Error, Ledger, RunId};

/// What a certificate says that is set in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateAbout {
    /// What a record costs.
    pub price: Option<String>,
    /// The name of the cache whose scans it counts by.
    pub scans_of: String,
}

/// A file that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFile {
    /// The run that it is of.
    pub run: RunId,
    /// How many later looks at the run's merges are in it.
    pub looks: usize,
}

impl Ledger {
    /// Keeps what is set when a run's certificate is first sealed; gives what was kept first.
    pub fn keep_certificate_about(
        &mut self,
        run: RunId,
        about: &CertificateAbout,
        at: &str,
    ) -> Result<CertificateAbout, Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO certificate_about (run, price, scans_of, at) VALUES (?1, ?2, ?3, ?4)",
                params![run.0, about.price, about.scans_of, at],
            )?;
            Ok(())
        })?;
        Ok(self.certificate_about(run)?.unwrap_or_else(|| about.clone()))
    }

    /// What was set when a run's certificate was first sealed; none where that was never, or by an
    /// older version.
    pub fn certificate_about(&self, run: RunId) -> Result<Option<CertificateAbout>, Error> {
        self.read(|db| {
            db.query_row(
                "SELECT price, scans_of FROM certificate_about WHERE run = ?1",
                [run.0],
                |row| Ok(CertificateAbout { price: row.get(0)?, scans_of: row.get(1)? }),
            )
            .optional()
        })
    }

    /// Keeps the seal of a run's certificate; the same one is kept once.
    pub fn seal(&mut self, run: RunId, seal: &str, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO certificate (run, seal, at) VALUES (?1, ?2, ?3)",
                params![run.0, seal, at],
            )?;
            Ok(())
        })
    }

    /// The seals of a run's certificate, the oldest first.
    pub fn seals_of(&self, run: RunId) -> Result<Vec<String>, Error> {
        self.read(|db| {
            db.prepare("SELECT seal FROM certificate WHERE run = ?1 ORDER BY seq")?
                .query_map([run.0], |row| row.get(0))?
                .collect()
        })
    }

    /// Keeps the hash of a file before it is handed out; the same one is kept once.
    pub fn keep_certificate_file(
        &mut self,
        file: CertificateFile,
        kind: &str,
        sha256: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO certificate_file (run, kind, sha256, looks, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![file.run.0, kind, sha256, i64::try_from(file.looks).unwrap_or(i64::MAX), at],
            )?;
            Ok(())
        })
    }

    /// The file with this hash, where it was handed out.
    pub fn certificate_file(&self, sha256: &str) -> Result<Option<CertificateFile>, Error> {
        self.read(|db| {
            db.query_row(
                "SELECT run, looks FROM certificate_file WHERE sha256 = ?1 ORDER BY seq LIMIT 1",
                [sha256],
                |row| {
                    let looks: i64 = row.get(1)?;
                    let looks = usize::try_from(looks).unwrap_or_default();
                    Ok(CertificateFile { run: RunId(row.get(0)?), looks })
                },
            )
            .optional()
        })
    }
}
