//! What the cache promises.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::prelude::*;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::{Cache, Error, Gone, Groups, Row, ScanSpec};
use crate::lead::Lead;

mod packed;
mod replaced;

const INSTANCE: &str = "123-abc-456.mktorest.com";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache.db")
    }

    fn open(&self) -> Cache {
        Cache::open(&self.path(), INSTANCE).unwrap()
    }
}

fn spec() -> ScanSpec {
    ScanSpec {
        strategy: "pages".to_owned(),
        fields: vec!["id".to_owned(), "email".to_owned()],
        key_signature: "email".to_owned(),
    }
}

fn row(id: u64, email: &str) -> Row {
    Row {
        lead: Lead::new(id).with("email", email).with("createdAt", "2026-01-01T00:00:00Z"),
        key: Some(email.to_owned()).filter(|email| !email.is_empty()),
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// As the scan does it before it begins.
fn begin(cache: &mut Cache, spec: &ScanSpec) -> super::Begun {
    if cache.summary().unwrap().key_signature != spec.key_signature {
        cache.rekey(&spec.key_signature, |lead| lead.email().map(str::to_owned)).unwrap();
    }
    cache.begin_scan(spec, now()).unwrap()
}

fn groups(cache: &Cache) -> Vec<(String, Vec<u64>)> {
    let mut groups = Vec::new();
    cache
        .for_each_group(Groups::All, |key, leads, _births| {
            groups.push((key.to_owned(), leads.iter().map(|lead| lead.id).collect()));
            ControlFlow::Continue(())
        })
        .unwrap();
    groups
}

#[test]
fn an_interrupted_scan_goes_on_where_its_last_page_ended() {
    let place = Place::new();
    let mut cache = place.open();
    assert_eq!(begin(&mut cache, &spec()).cursor, None);
    cache.save_page(&[row(1, "a@example.com"), row(2, "a@example.com")], "300").unwrap();
    drop(cache);
    let mut cache = place.open();
    assert!(!cache.summary().unwrap().complete);
    assert_eq!(begin(&mut cache, &spec()).cursor.as_deref(), Some("300"));
    cache.save_page(&[row(301, "b@example.com"), row(302, "")], "600").unwrap();
    let totals = cache.finish_scan(now()).unwrap();
    assert_eq!((totals.leads, totals.new, totals.changed, totals.removed), (4, 4, 0, 0));
    let summary = cache.summary().unwrap();
    assert!(summary.complete);
    assert_eq!(summary.scanned_at, Some(now()));
    assert_eq!(
        groups(&cache),
        [("a@example.com".to_owned(), vec![1, 2])],
        "a lead without a key is in no group"
    );
}

#[test]
fn a_scan_that_reads_otherwise_begins_anew_and_a_rescan_says_what_is_new_changed_and_gone() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache
        .save_page(
            &[row(1, "a@example.com"), row(2, "b@example.com"), row(3, "c@example.com")],
            "300",
        )
        .unwrap();
    cache.finish_scan(now()).unwrap();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com")], "300").unwrap();
    let other = ScanSpec { key_signature: "email+region".to_owned(), ..spec() };
    assert_eq!(begin(&mut cache, &other).cursor, None);
    cache
        .save_page(
            &[row(1, "a@example.com"), row(2, "new@example.com"), row(4, "d@example.com")],
            "300",
        )
        .unwrap();
    let totals = cache.finish_scan(now()).unwrap();
    assert_eq!((totals.leads, totals.new, totals.changed, totals.removed), (3, 1, 1, 1));
}

#[test]
fn the_cache_of_another_instance_a_newer_one_and_a_foreign_file_are_left_alone() {
    let place = Place::new();
    let cache = place.open();
    let again = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(again, Err(Error::InUse { .. })), "{again:?}");
    cache.db.pragma_update(None, "user_version", 99).unwrap();
    drop(cache);
    let newer = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(newer, Err(Error::Newer { found: 99, .. })), "{newer:?}");

    let place = Place::new();
    drop(place.open());
    let other = Cache::open(&place.path(), "other.example.com");
    assert!(matches!(other, Err(Error::OtherInstance { .. })), "{other:?}");

    std::fs::write(place.path(), "id,email\n1,a@example.com\n".repeat(100)).unwrap();
    let foreign = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(foreign, Err(Error::NotACache { .. })), "{foreign:?}");
    assert!(std::fs::read_to_string(place.path()).unwrap().starts_with("id,email"));
    let missing = Cache::open_existing(&place.folder.path().join("none.db"), INSTANCE);
    assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com")], "300").unwrap();
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn a_merge_takes_the_losers_out_and_another_rule_gives_other_keys() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    let rows: Vec<Row> = (1..=3).map(|id| row(id, "a@example.com")).collect();
    cache.save_page(&rows, "300").unwrap();
    cache.finish_scan(now()).unwrap();
    cache.record_merge(&row(1, "a@example.com"), &[2]).unwrap();
    assert_eq!(groups(&cache), [("a@example.com".to_owned(), vec![1, 3])]);
    cache.rekey("id", |lead| Some(lead.id.to_string())).unwrap();
    assert_eq!(groups(&cache), []);
    assert_eq!(cache.summary().unwrap().key_signature, "id");
}

#[test]
fn keys_of_an_older_rule_are_computed_anew_and_those_of_this_one_are_kept() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com"), row(2, "a@example.com")], "300").unwrap();
    cache.finish_scan(now()).unwrap();
    let by = |domain: &'static str| move |lead: &Lead| Some(format!("{}@{domain}", lead.id));
    cache.ensure_keys("email", by("kept")).unwrap();
    assert_eq!(groups(&cache).len(), 1);
    cache.ensure_keys("email#3", by("new")).unwrap();
    assert_eq!(groups(&cache), []);
    assert_eq!(cache.rows().unwrap()[0].key.as_deref(), Some("1@new"));
}

/// What members must be, found the slow way.
fn expected_members(cache: &Cache) -> (Vec<Row>, Vec<(i64, String)>) {
    let mut by_key: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in cache.rows().unwrap() {
        if let Some(key) = row.key.clone() {
            by_key.entry(key).or_default().push(row);
        }
    }
    by_key.retain(|_, rows| rows.len() > 1);
    let mut keys: Vec<(i64, String)> = by_key
        .iter()
        .map(|(key, rows)| (i64::try_from(rows.len()).unwrap(), key.clone()))
        .collect();
    keys.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    (by_key.into_values().flatten().collect(), keys)
}

/// What happens to a cache.
#[derive(Debug, Clone)]
enum Change {
    Load(Vec<(u64, u8)>),
    Pages(Vec<(u64, u8)>),
    HalfAScan(Vec<(u64, u8)>),
    Refresh(Vec<(u64, u8)>, Vec<u64>),
    Merge(u64, Vec<u64>),
    Rekey,
    Look,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let leads = || proptest::collection::vec((1_u64..12, 0_u8..5), 0..14);
    let ids = || proptest::collection::vec(1_u64..12, 0..4);
    proptest::collection::vec(
        prop_oneof![
            leads().prop_map(Change::Load),
            leads().prop_map(|mut leads| {
                leads.sort_unstable();
                leads.dedup_by_key(|(id, _)| *id);
                Change::Load(leads)
            }),
            leads().prop_map(Change::Pages),
            leads().prop_map(Change::HalfAScan),
            (leads(), ids()).prop_map(|(leads, gone)| Change::Refresh(leads, gone)),
            (leads(), ids()).prop_map(|(leads, gone)| Change::Refresh(leads, gone)),
            (1_u64..12, ids()).prop_map(|(winner, losers)| Change::Merge(winner, losers)),
            Just(Change::Rekey),
            Just(Change::Look),
        ],
        1..12,
    )
}

/// The key is the email; that of 0 is none.
fn rows_of(leads: &[(u64, u8)]) -> Vec<Row> {
    let email = |key: u8| if key == 0 { String::new() } else { format!("{key}@example.com") };
    leads.iter().map(|(id, key)| row(*id, &email(*key))).collect()
}

fn make(cache: &mut Cache, change: &Change) {
    match change {
        Change::Load(leads) => {
            let spec = ScanSpec { strategy: "file".to_owned(), ..spec() };
            let rows = rows_of(leads);
            cache
                .load(&spec, now(), |loader| rows.iter().try_for_each(|row| loader.add(row)))
                .map_err(|error: Error| error)
                .unwrap();
        }
        Change::Pages(leads) => {
            begin(cache, &spec());
            cache.save_page(&rows_of(leads), "300").unwrap();
            cache.finish_scan(now()).unwrap();
        }
        Change::HalfAScan(leads) => {
            begin(cache, &spec());
            cache.save_page(&rows_of(leads), "300").unwrap();
        }
        Change::Refresh(leads, gone) => {
            begin(cache, &ScanSpec { strategy: "refresh".to_owned(), ..spec() });
            let gone: Vec<Gone> =
                gone.iter().map(|id| Gone { id: *id, merged_into: None }).collect();
            cache.renew(&rows_of(leads), &gone).unwrap();
            cache.finish_refresh(now()).unwrap();
        }
        Change::Merge(winner, losers) => {
            let losers: Vec<u64> = losers.iter().copied().filter(|id| id != winner).collect();
            cache.record_merge(&rows_of(&[(*winner, 1)])[0], &losers).unwrap();
        }
        Change::Rekey => cache.rekey("email", |lead| lead.email().map(str::to_owned)).unwrap(),
        Change::Look => {
            cache.members().unwrap();
        }
    }
}

#[test]
fn a_cache_of_an_older_format_keeps_every_lead_and_its_births() {
    let place = Place::new();
    {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let db = Connection::open_with_flags(place.path(), flags).unwrap();
        for migration in &super::open::MIGRATIONS[..8] {
            db.execute_batch(migration).unwrap();
        }
        db.execute_batch(&format!(
            r#"INSERT INTO meta (only, instance, key_signature, scans, scanned_at, strategy)
                   VALUES (1, '{INSTANCE}', 'email', 3, '2026-11-01T00:00:00Z', 'pages');
               INSERT INTO lead (id, scan, key, email, leadPartitionId, unsubscribed, rest) VALUES
                   (1, 3, 'ada@example.com', 'Ada@example.com', 2, 1, '{{"score":5.0,"notes":"a\u0000\"b"}}'),
                   (7, 3, 'ada@example.com', 'ada@example.com', NULL, 0, NULL), (9, 3, NULL, NULL, NULL, NULL, NULL);
               INSERT INTO birth (lead, born_as, at) VALUES (1, 1, '2026-01-01T00:00:00Z');
               PRAGMA application_id = 1835753795; PRAGMA user_version = 8;"#
        ))
        .unwrap();
    }
    let cache = place.open();
    let first = Lead::new(1)
        .with("email", "Ada@example.com")
        .with("leadPartitionId", 2)
        .with("unsubscribed", true)
        .with("score", 5.0)
        .with("notes", "a\0\"b");
    assert_eq!(cache.lead(1).unwrap(), Some(first));
    assert_eq!(cache.lead(9).unwrap(), Some(Lead::new(9)));
    assert_eq!(groups(&cache), [("ada@example.com".to_owned(), vec![1, 7])]);
    let summary = cache.summary().unwrap();
    assert_eq!((summary.leads, summary.complete), (3, true));
    assert!(
        cache
            .for_each_group(Groups::All, |_, _, births| {
                assert_eq!(births.len(), 1);
                ControlFlow::Continue(())
            })
            .is_ok()
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC*|[\\x00-\\x7f]*".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6_f64).prop_map(|number| json!(number)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn members_are_exact_whatever_happens(changes in changes()) {
        let place = Place::new();
        let mut cache = place.open();
        for change in &changes {
            make(&mut cache, change);
            if matches!(change, Change::Look) {
                prop_assert_eq!(cache.members().unwrap(), expected_members(&cache));
            }
        }
        prop_assert_eq!(cache.members().unwrap(), expected_members(&cache));
        let counted: i64 = super::packed::count(&cache.db).unwrap();
        prop_assert_eq!(cache.summary().unwrap().leads, counted.unsigned_abs());
    }

    #[test]
    fn what_goes_in_comes_out(
        values in proptest::collection::btree_map(
            proptest::sample::select(vec!["email", "company", "leadPartitionId", "unsubscribed", "createdAt", "notes", "vip"]),
            any_value(),
            0..7,
        )
    ) {
        let place = Place::new();
        let mut cache = place.open();
        let mut lead = Lead::new(7);
        for (field, value) in values {
            lead.set(field, value);
        }
        begin(&mut cache, &spec());
        cache.save_page(&[Row { lead: lead.clone(), key: None }], "300").unwrap();
        prop_assert_eq!(cache.lead(7).unwrap(), Some(lead));
    }
}
