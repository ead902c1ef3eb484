//! Caches without any Marketo, and `mkto-audit report` of them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use mkto_audit::cache::{Cache, Row, ScanSpec};
use mkto_audit::dedupe::KeySpec;
use mkto_audit::lead::{AUDIT_FIELDS, Lead};
use tempfile::TempDir;

use super::program::{Run, binary};

pub const INSTANCE: &str = "123-abc-456.mktorest.com";

/// A folder with a cache in it, and no Marketo anywhere.
pub struct Audit {
    pub folder: TempDir,
}

impl Audit {
    pub fn of(leads: impl IntoIterator<Item = Lead>) -> Self {
        let audit = Self { folder: tempfile::tempdir().unwrap() };
        let mut cache = Cache::open(&audit.cache(), INSTANCE).unwrap();
        cache
            .load(&spec(), "2026-03-02T10:00:00Z".parse().unwrap(), |loader| {
                leads.into_iter().try_for_each(|lead| loader.add(&row(lead)))
            })
            .unwrap();
        audit
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache.db")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command<S: AsRef<OsStr>>(&self, flags: impl IntoIterator<Item = S>) -> Command {
        let mut command = binary(self.folder.path(), ["report"]);
        command.args(flags).env("MKTO_AUDIT_DB", self.cache());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, flags: impl IntoIterator<Item = S>) -> Run {
        Run::of(&mut self.command(flags))
    }

    pub fn keys(&self, flags: &[&str]) -> Vec<String> {
        let report = self.run(flags.iter().chain(&["--json"])).expect_code(0).json();
        let groups = report["group"].as_array().unwrap();
        groups.iter().map(|group| group["key"].as_str().unwrap().to_owned()).collect()
    }

    pub fn redactions(&self) -> Vec<(String, &'static str)> {
        vec![(self.folder.path().display().to_string().replace('.', r"\."), "[FOLDER]")]
    }
}

pub fn spec() -> ScanSpec {
    let fields = AUDIT_FIELDS.iter().map(|field| (*field).to_owned()).collect();
    ScanSpec { strategy: "pages".into(), fields, key_signature: KeySpec::default().signature() }
}

pub fn row(lead: Lead) -> Row {
    let key = KeySpec::default().key_of(&lead).map(String::from);
    Row { lead, key }
}

pub fn lead(id: u64, email: &str, created: &str, source: &str) -> Lead {
    Lead::new(id)
        .with("email", email)
        .with("createdAt", created)
        .with("updatedAt", created)
        .with("originalSourceType", source)
        .with("leadPartitionId", 1)
}

pub const API: &str = "Web service API";

/// Groups of several causes, values that bite, and people who are no duplicates.
pub fn people() -> Vec<Lead> {
    vec![
        lead(17, "ada@example.com", "2026-03-01T08:00:00Z", API).with("firstName", "Ada"),
        lead(18, "Ada@Example.com ", "2026-03-01T08:00:02Z", API)
            .with("company", "=HYPERLINK(\"x\")"),
        lead(20, "grace@example.org", "2025-01-01T00:00:00Z", "Web form fillout"),
        lead(21, "grace@example.org", "2025-06-01T12:00:00Z", "Salesforce.com")
            .with("sfdcContactId", "0031"),
        lead(22, "grace@example.org", "2025-07-01T00:00:00Z", "List import")
            .with("lastName", "O'Neil, \"Ed\"\nJr."),
        lead(30, "王小明@mail.example.net", "2024-01-01T00:00:00Z", API).with("firstName", "👩‍💻 王"),
        lead(31, "王小明@mail.example.net", "2026-02-01T00:00:00Z", API).with("leadPartitionId", 2),
        lead(40, "=cmd()@example.com", "2024-05-01T00:00:00Z", API)
            .with("lastName", "\u{1b}[31mred"),
        lead(41, "=cmd()@example.com", "2024-05-09T00:00:00Z", API),
        lead(50, "alone@example.com", "2024-05-01T00:00:00Z", API),
        lead(51, "null", "2024-05-01T00:00:00Z", API),
        lead(52, "null", "2024-05-01T00:00:00Z", API),
        lead(53, " ", "2024-05-01T00:00:00Z", API),
        lead(54, " ", "2024-05-01T00:00:00Z", API),
    ]
}
