//! `mkto-audit report --html`: the page as headless Chromium shows it, its script run, its data
//! never.

use std::path::{Path, PathBuf};
use std::process::Command;

use mkto_audit::cache::{Cache, Row, ScanSpec};
use mkto_audit::dedupe::KeySpec;
use mkto_audit::lead::Lead;
use tempfile::TempDir;

use crate::support::needs;
use crate::support::wait;
use crate::support::{Run, binary};

const HOSTILE: &str = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";

/// A page of duplicates, in a folder of its own.
struct Page {
    folder: TempDir,
    file: PathBuf,
}

impl Page {
    fn of(leads: impl IntoIterator<Item = Lead>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, file) = (folder.path().join("cache.db"), folder.path().join("page.html"));
        let keys = KeySpec::default();
        let spec =
            ScanSpec { strategy: "pages".into(), fields: vec![], key_signature: keys.signature() };
        let mut cache = Cache::open(&database, "123-abc-456.mktorest.com").unwrap();
        cache
            .load(&spec, "2026-03-02T10:00:00Z".parse().unwrap(), |loader| {
                leads.into_iter().try_for_each(|lead| {
                    let key = keys.key_of(&lead).map(String::from);
                    loader.add(&Row { lead, key })
                })
            })
            .unwrap();
        drop(cache);
        let mut command = binary(folder.path(), ["report", "--html"]);
        command.arg(&file).env("MKTO_AUDIT_DB", &database);
        Run::of(&mut command).expect_code(0);
        Self { folder, file }
    }

    /// The document after its script has run, at this hash.
    fn shown(&self, hash: &str) -> String {
        let mut command = chromium(self.folder.path());
        let address = format!("file://{}{hash}", self.file.display());
        let output = wait::run(command.arg("--dump-dom").arg(address));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Whether there is a browser to look with.
fn can_look() -> bool {
    let found = needs::program("chromium", []).is_some();
    if !found {
        needs::missing("Chromium", "apt-get install chromium");
    }
    found
}

/// Headless, and as alone as it can be made: a fresh profile, and nothing that asks a network.
fn chromium(folder: &Path) -> Command {
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--virtual-time-budget=5000")
        .arg(format!("--user-data-dir={}", tempfile::tempdir_in(folder).unwrap().keep().display()));
    command
}

/// The rows of the table that the script fills.
fn rows(document: &str) -> Vec<&str> {
    let (_, from) = document.split_once("<table id=\"groups\">").expect("the table of all groups");
    let (table, _) = from.split_once("</table>").unwrap();
    let (_, body) = table.split_once("<tbody>").unwrap();
    body.split("<tr>").skip(1).collect()
}

fn lead(id: u64, email: &str, name: &str, created: &str) -> Lead {
    Lead::new(id)
        .with("email", email)
        .with("firstName", name)
        .with("createdAt", created)
        .with("originalSourceType", "Web service API")
}

fn pair(id: u64, email: &str, name: &str) -> [Lead; 2] {
    [
        lead(id, email, name, "2026-03-01T08:00:00Z"),
        lead(id + 1, email, name, "2026-03-01T08:00:02Z"),
    ]
}

fn people() -> Vec<Lead> {
    let mut people: Vec<Lead> = (0..250)
        .flat_map(|place| pair(1_000 + place * 2, &format!("p{place:03}@example.com"), "Pat"))
        .collect();
    people.extend(pair(10, "ada@example.com", HOSTILE));
    people.push(lead(12, "ada@example.com", HOSTILE, "2026-03-04T08:00:00Z"));
    people
}

#[test]
fn the_page_shows_pages_of_rows_and_runs_nothing_that_stands_in_the_data() {
    if !can_look() {
        return;
    }
    let page = Page::of(people());
    let document = page.shown("");
    assert_eq!(rows(&document).len(), 100);
    assert!(rows(&document)[0].contains("ada@example.com"), "the largest comes first");
    assert!(document.contains("1 to 100 of 251 groups, page 1 of 3"));
    assert!(
        document.contains("<title>Duplicates in 123-abc-456.mktorest.com</title>"),
        "a value was run"
    );
    assert!(!document.contains("<img"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&page.file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_table_sorts_filters_and_turns_pages_by_its_address() {
    if !can_look() {
        return;
    }
    let page = Page::of(people());
    let sorted = page.shown("#sort=key&dir=desc");
    assert!(rows(&sorted)[0].contains("p249@example.com"));
    assert!(sorted.contains("data-column=\"key\" aria-sort=\"descending\""));
    let last = page.shown("#sort=key&page=99");
    assert_eq!(rows(&last).len(), 51);
    let filtered = page.shown("#filter=ADA%40");
    assert_eq!(rows(&filtered).len(), 1);
    assert!(rows(&filtered)[0].contains("&lt;/script&gt;"), "a name is text");
    assert_eq!(rows(&page.shown("#filter=nobody")).len(), 0);
    assert_eq!(rows(&page.shown("#cause=import")).len(), 0);
}

#[test]
fn a_hundred_thousand_groups_are_one_page_that_still_filters() {
    if !can_look() {
        return;
    }
    let people = (0..100_000)
        .flat_map(|place| pair(1 + place * 2, &format!("p{place:06}@example.com"), "Pat"));
    let page = Page::of(people);
    let started = tokio::time::Instant::now();
    let document = page.shown("#sort=name&filter=p09999");
    eprintln!("{} bytes shown in {:?}", page.file.metadata().unwrap().len(), started.elapsed());
    assert_eq!(rows(&document).len(), 10);
    assert!(document.contains("1 to 10 of 10 groups"));
}
